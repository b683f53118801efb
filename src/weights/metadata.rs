//! The part of a file of weights that is not a tensor: a description to build the network from.

use super::reader::Reader;
use crate::data::Normalization;
use crate::error::{Error, Result};
use crate::models::ModelOptions;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The key of the description in safetensors' metadata, as JSON.
pub(crate) const TAG: &str = "wgrad.model";

/// All that a file of weights says about its network, so that the file alone is enough to use it: see
/// [`open`](crate::weights::open).
///
/// ```
/// use wgrad::models::ModelOptions;
/// use wgrad::weights::Metadata;
/// let about = Metadata::new("resnet18", ModelOptions::default().classes(2).size(64)).with_classes(["cat", "dog"]);
/// assert_eq!(about.classes[1], "dog");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The version of wgrad that wrote the file.
    #[serde(default)]
    pub version: String,
    /// The network's name among [`models::names`](crate::models::names).
    pub architecture: String,
    /// Numbers of classes and channels, size of the images, and all else that the network was built with.
    pub options: ModelOptions,
    /// Names of the classes, in the order of the logits; empty where they have none.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The normalization of an image's pixels, which comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
}

impl Metadata {
    /// The metadata of a network as [`models::by_name`](crate::models::by_name) builds it.
    pub fn new(architecture: &str, options: ModelOptions) -> Metadata {
        Metadata {
            version: env!("CARGO_PKG_VERSION").to_string(),
            architecture: architecture.to_string(),
            options,
            classes: Vec::new(),
            normalization: None,
        }
    }

    /// Names the classes.
    #[must_use = "it returns the metadata with the names"]
    pub fn with_classes<S: Into<String>>(mut self, classes: impl IntoIterator<Item = S>) -> Metadata {
        self.classes = classes.into_iter().map(Into::into).collect();
        self
    }

    /// States the normalization of the images that the network was trained with.
    #[must_use = "it returns the metadata with the normalization"]
    pub fn with_normalization(mut self, normalization: Normalization) -> Metadata {
        self.normalization = Some(normalization);
        self
    }

    /// Reads the metadata of a file, and no tensor.
    ///
    /// # Errors
    /// [`Error::File`] if the file can't be read or holds none: then it was written by another program.
    pub fn read(path: impl AsRef<Path>) -> Result<Metadata> {
        let reader = Reader::open(&path)?;
        reader.metadata()?.ok_or_else(|| {
            let reason = format!(
                "it does not say which network its weights belong to ({TAG} is missing): build that, and call weights::load"
            );
            Error::file(path.as_ref(), reason)
        })
    }

    /// Refuses metadata that contradicts itself.
    pub(super) fn check(&self) -> Result<(), String> {
        let (named, classes, channels) = (self.classes.len(), self.options.classes, self.options.channels);
        if named != 0 && named != classes {
            return Err(format!("{named} names for {classes} classes"));
        }
        match self.normalization.as_ref().map(|normalization| normalization.mean().len()) {
            Some(means) if means != channels => Err(format!("{means} means for images of {channels} channels")),
            _ => Ok(()),
        }
    }
}

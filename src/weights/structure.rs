//! The part of a file of weights that tells where a network is not as it is built: what compression has changed.

use super::reader::Reader;
use crate::error::{Error, Result};
use crate::nn::{Grouped, Module};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The key of safetensors' metadata under which it stands, as JSON.
pub(super) const TAG: &str = "wgrad.structure";

/// The changes of a network since it was built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Structure {
    /// Parameters that are smaller than they were made.
    #[serde(default)]
    pub resized: BTreeSet<String>,
    /// Groups of convolutions that have fewer than they were made with.
    #[serde(default)]
    pub groups: BTreeMap<String, usize>,
}

impl Structure {
    pub fn of(model: &dyn Module) -> Structure {
        let resized = model.parameters().into_iter().filter(|parameter| parameter.is_resized());
        let groups = grouped(model).into_iter().filter(|(_, grouped)| grouped.is_changed());
        Structure {
            resized: resized.map(|parameter| parameter.name().to_string()).collect(),
            groups: groups.map(|(name, grouped)| (name, grouped.groups())).collect(),
        }
    }

    /// The changes that a file tells of; none where it tells of nothing.
    pub fn read(reader: &Reader) -> Result<Structure> {
        let Some(text) = reader.about(TAG) else { return Ok(Structure::default()) };
        serde_json::from_str(text).map_err(|error| Error::file(reader.path(), format!("{TAG}: {error}")))
    }

    pub fn is_empty(&self) -> bool {
        *self == Structure::default()
    }

    /// The convolutions whose groups are others in the file.
    pub fn regrouped(&self, reader: &Reader, model: &dyn Module) -> Result<Vec<(Grouped, usize)>> {
        let layers = grouped(model);
        let of = |(name, &groups): (&String, &usize)| {
            let missing = || Error::file(reader.path(), format!("{TAG}: {name:?} is no convolution of the network"));
            layers.get(name).map(|layer| (layer.clone(), groups)).ok_or_else(missing)
        };
        self.groups.iter().map(of).collect()
    }
}

/// The convolutions of a model by their names.
fn grouped(model: &dyn Module) -> BTreeMap<String, Grouped> {
    model.named_modules().into_iter().filter_map(|(name, module)| Some((name, module.grouped()?))).collect()
}

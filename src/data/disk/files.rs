//! Image files and their targets.

use super::ColorMode;
use crate::data::dataset::check_index;
use crate::data::{Dataset, Image, Sample};
use crate::error::Result;
use std::path::{Path, PathBuf};

/// Image files with a target each. As a [`Dataset`] it reads a file when its item is asked for;
/// [`DataLoaderOptions::skip_errors`](crate::data::DataLoaderOptions::skip_errors) leaves out those that can't be read.
#[derive(Clone, Debug)]
pub struct ImageFiles<T> {
    paths: Vec<PathBuf>,
    targets: Vec<T>,
    classes: Vec<String>,
    mode: ColorMode,
}

impl<T> ImageFiles<T> {
    /// Files and targets in pairs, and the names of the classes that targets number.
    pub(super) fn new(files: Vec<(PathBuf, T)>, classes: Vec<String>, mode: ColorMode) -> ImageFiles<T> {
        let (paths, targets) = files.into_iter().unzip();
        ImageFiles { paths, targets, classes, mode }
    }

    /// The file of each item.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The target of each item.
    pub fn targets(&self) -> &[T] {
        &self.targets
    }

    /// Names of the classes, by their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

impl<T: Clone> Dataset for ImageFiles<T> {
    type Item = Sample<T>;

    fn len(&self) -> usize {
        self.paths.len()
    }

    fn get(&self, index: usize) -> Result<Sample<T>> {
        check_index("get", index, self.paths.len())?;
        Ok(Sample { image: Image::open(&self.paths[index], self.mode)?, target: self.targets[index].clone() })
    }
}

/// True if a file is called as an image is.
pub(super) fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"].contains(&&*extension))
}

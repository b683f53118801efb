//! Folders of images.

use super::files::is_image;
use super::{ColorMode, ImageFiles};
use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Most levels of nested folders; a link to a parent folder ends here.
const DEEPEST: usize = 32;

/// A folder of folders of images, each called as its class, in the order of torchvision's `ImageFolder`: classes by name, then
/// files by folder and name. Folders in a class's folder belong to it.
///
/// # Errors
/// [`Error::File`] if there are no folders, one can't be read, or one has no images.
///
/// ```no_run
/// use wgrad::data::{ColorMode, DataLoader, DataLoaderOptions, RandomSampler, image_folder, stack_images};
/// let set = image_folder("photographs", ColorMode::Rgb)?;
/// println!("{:?}", set.classes());
/// let sampler = RandomSampler::new(set.paths().len(), 0);
/// let loader = DataLoader::new(set, sampler, stack_images, DataLoaderOptions::default().workers(4))?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn image_folder(folder: impl AsRef<Path>, mode: ColorMode) -> Result<ImageFiles<i32>> {
    let folder = folder.as_ref();
    let classes: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    if classes.is_empty() {
        return Err(Error::file(folder, "it holds no folders, one of which would be a class of images"));
    }
    let mut files = Vec::new();
    for (number, class) in (0..).zip(&classes) {
        let images = images_below(class)?;
        if images.is_empty() {
            return Err(Error::file(class, "it holds no images, and is a class by its place"));
        }
        files.extend(images.into_iter().map(|path| (path, number)));
    }
    let names = classes.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    Ok(ImageFiles::new(files, names.collect(), mode))
}

/// The image files of a folder and of those in it, by folder and name.
///
/// # Errors
/// [`Error::File`] if a folder can't be read.
pub fn images_below(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let mut folders = vec![folder.to_path_buf()];
    let mut level = folders.clone();
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for folder in &level {
            next.extend(entries(folder)?.into_iter().filter(|path| path.is_dir()));
        }
        if next.is_empty() {
            // Compared as strings: by parts, "a/b" would come before "a-b/c".
            folders.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
            let images = folders
                .iter()
                .map(|folder| Ok(entries(folder)?.into_iter().filter(|path| is_image(path) && path.is_file())));
            return Ok(images.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        }
        folders.extend(next.iter().cloned());
        level = next;
    }
    Err(Error::file(folder, format!("folders lie in each other {DEEPEST} deep; is there a link to one above?")))
}

/// A folder's entries by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |error: std::io::Error| Error::file(folder, error);
    let entries = fs::read_dir(folder).map_err(fault)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(fault)?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(paths)
}

/// A file's name without its ending.
pub(super) fn stem(path: &Path) -> &OsStr {
    path.file_stem().unwrap_or_default()
}

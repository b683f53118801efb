//! Images of tensors as files.

use crate::error::{Error, Result};
use crate::file;
use crate::graph::Tensor;
use crate::picture::Picture;
use std::path::Path;

/// Writes images `[N, C, H, W]` as one PNG file, in rows of `columns`, with a black pixel between two: torchvision's
/// `save_image`. They have 1 to 4 channels (grey, grey and alpha, RGB, RGBA): floats, clamped to 0 to 1, or integers from 0 to
/// 255.
///
/// # Errors
/// [`Error::Invalid`] for no images, other shapes and for images that PNG can't hold; [`Error::WrongDType`]; [`Error::File`] if
/// the file can't be written; errors of the device.
///
/// ```
/// # use wgrad::{Device, Tensor, data::save_images};
/// # let folder = tempfile::tempdir().unwrap();
/// let drawn = Tensor::rand(&Device::reference(), &[10, 1, 28, 28])?;
/// save_images(&drawn, folder.path().join("drawn.png"), 5)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn save_images(images: &Tensor, path: impl AsRef<Path>, columns: usize) -> Result<()> {
    const OP: &str = "save_images";
    let pictures = Picture::read(OP, images)?;
    let sheet = Picture::grid(&pictures, columns).ok_or_else(|| Error::invalid(OP, "there are no images"))?;
    file::replace(path.as_ref(), &sheet.png()?)
}

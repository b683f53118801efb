//! Images with masks: a class number for each pixel.

use super::ColorMode;
use super::folder::{images_below, stem};
use crate::data::dataset::check_index;
use crate::data::file::check_expansion;
use crate::data::{Dataset, Image, Sample};
use crate::error::{Error, Result};
use png::{ColorType, Decoder, Transformations};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Images in one folder, and in another, under the same names, masks: PNG files of one channel whose values are class numbers.
/// In files with a palette, such as Pascal VOC's, these are the palette's indices.
///
/// ```no_run
/// use wgrad::data::{ColorMode, Dataset, MaskFolder};
/// let set = MaskFolder::open("images", "masks", ColorMode::Rgb)?;
/// let sample = set.get(0)?;
/// assert_eq!(sample.image.shape()[1..], sample.target.shape()[1..]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaskFolder {
    images: Vec<PathBuf>,
    masks: Vec<PathBuf>,
    mode: ColorMode,
}

impl MaskFolder {
    /// Pairs the images of two folders by their names without endings.
    ///
    /// # Errors
    /// [`Error::File`] if a folder can't be read, there are no images, or one has no mask. Masks without an image are skipped.
    pub fn open(images: impl AsRef<Path>, masks: impl AsRef<Path>, mode: ColorMode) -> Result<MaskFolder> {
        let (folder, masks) = (images.as_ref(), masks.as_ref());
        let images = images_below(folder)?;
        if images.is_empty() {
            return Err(Error::file(folder, "it holds no images"));
        }
        let by_stem: BTreeMap<_, _> =
            images_below(masks)?.into_iter().map(|path| (stem(&path).to_owned(), path)).collect();
        let mask = |image: &PathBuf| match by_stem.get(stem(image)) {
            Some(mask) => Ok(mask.clone()),
            None => Err(Error::file(image, format!("there is no mask of its name in {}", masks.display()))),
        };
        let masks = images.iter().map(mask).collect::<Result<_>>()?;
        Ok(MaskFolder { images, masks, mode })
    }

    /// The file of each image.
    pub fn images(&self) -> &[PathBuf] {
        &self.images
    }

    /// The file of each mask.
    pub fn masks(&self) -> &[PathBuf] {
        &self.masks
    }
}

impl Dataset for MaskFolder {
    type Item = Sample<Image>;

    fn len(&self) -> usize {
        self.images.len()
    }

    fn get(&self, index: usize) -> Result<Sample<Image>> {
        check_index("get", index, self.images.len())?;
        let image = Image::open(&self.images[index], self.mode)?;
        let path = &self.masks[index];
        let target = mask(path)?;
        if image.shape()[1..] != target.shape()[1..] {
            let reason = format!("a mask of {:?} for an image of {:?}", &target.shape()[1..], &image.shape()[1..]);
            return Err(Error::file(path, reason));
        }
        Ok(Sample { image, target })
    }
}

/// The values of a PNG file of one channel as they are, which no reader of pictures gives.
fn mask(path: &Path) -> Result<Image> {
    let damaged = |error: png::DecodingError| Error::file(path, error);
    let file = File::open(path).map_err(|error| Error::file(path, error))?;
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (color, depth) = reader.output_color_type();
    let bits = depth as usize;
    if !matches!(color, ColorType::Grayscale | ColorType::Indexed) || bits > 8 {
        let reason = format!("a mask of {color:?} with {bits} bits; expected grey or a palette, of up to 8 bits");
        return Err(Error::file(path, reason));
    }
    let [width, height] = [reader.info().width, reader.info().height].map(|size| size as usize);
    check_expansion(path, (width * height) as u64)?;
    let size = reader.output_buffer_size().ok_or_else(|| Error::file(path, "its sizes are too large"))?;
    let mut rows = vec![0; size];
    reader.next_frame(&mut rows).map_err(damaged)?;
    // Several values share a byte, the first in the highest bits; rows begin at bytes.
    let value = |row: &[u8], x: usize| row[x * bits / 8] >> (8 - bits - x * bits % 8) & (0xff >> (8 - bits));
    let row_bytes = (width * bits).div_ceil(8).max(1);
    let values = rows.chunks_exact(row_bytes).flat_map(|row| (0..width).map(move |x| value(row, x)));
    Image::new([1, height, width], values.collect())
}

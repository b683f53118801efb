//! MNIST: 28 x 28 images of handwritten digits (LeCun, Cortes and Burges).

use super::batches::{Batches, shuffled};
use super::idx;
use crate::error::{Error, Result};
use crate::graph::Device;
use std::path::Path;

/// Mean and standard deviation of the training set's pixels.
const MEAN: f32 = 0.1307;
const STD: f32 = 0.3081;

const SIDE: usize = 28;
const CLASSES: u8 = 10;

/// The training and the test images.
#[derive(Clone, Debug)]
pub struct Mnist {
    /// 60,000 images in the original.
    pub train: Images,
    /// 10,000 images in the original.
    pub test: Images,
}

impl Mnist {
    /// Reads the four IDX files under their original names, each gzipped or not, from a folder.
    ///
    /// # Errors
    /// [`Error::File`], naming the file, where one is missing, cut off, longer than it says, not IDX, of another
    /// type or size, where images and labels differ in number, or a label is above 9.
    ///
    /// ```no_run
    /// # use wgrad::{Device, data::Mnist};
    /// let mnist = Mnist::open("data/mnist")?;
    /// let device = Device::open()?;
    /// for batch in mnist.train.shuffled(&device, 64, 0, 0)? {
    ///     assert_eq!(batch?.images.shape()[1..], [1, 28, 28]);
    /// }
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn open(folder: impl AsRef<Path>) -> Result<Mnist> {
        let folder = folder.as_ref();
        Ok(Mnist { train: Images::read(folder, "train")?, test: Images::read(folder, "t10k")? })
    }
}

/// Labelled images, in the host's memory as bytes.
#[derive(Clone, Debug)]
pub struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Images {
    fn read(folder: &Path, set: &str) -> Result<Images> {
        let images = idx::read(folder, &format!("{set}-images-idx3-ubyte"), &[SIDE, SIDE])?;
        let labels = idx::read(folder, &format!("{set}-labels-idx1-ubyte"), &[])?;
        if images.sizes[0] == 0 {
            return Err(Error::file(images.path, "it holds no images"));
        }
        if images.sizes[0] != labels.sizes[0] {
            let reason =
                format!("{} labels for the {} images of {}", labels.sizes[0], images.sizes[0], images.path.display());
            return Err(Error::file(labels.path, reason));
        }
        if let Some(at) = labels.values.iter().position(|&label| label >= CLASSES) {
            return Err(Error::file(labels.path, format!("label {at} is {}; expected 0 to 9", labels.values[at])));
        }
        Ok(Images { pixels: images.values, labels: labels.values })
    }

    /// How many images there are.
    #[allow(clippy::len_without_is_empty, reason = "there is always an image")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The first `count` images, or all where there are fewer.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `count` is 0.
    pub fn limit(&self, count: usize) -> Result<Images> {
        if count == 0 {
            return Err(Error::invalid("limit", "a set needs at least one image"));
        }
        let count = count.min(self.len());
        Ok(Images { pixels: self.pixels[..count * SIDE * SIDE].to_vec(), labels: self.labels[..count].to_vec() })
    }

    /// Batches in the order of the files.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `batch_size` is 0.
    pub fn batches(&self, device: &Device, batch_size: usize) -> Result<Batches<'_>> {
        Batches::new(self, device, batch_size, (0..self.len()).collect())
    }

    /// Batches in an order that depends on `seed` and `epoch` and on nothing else: an epoch can be repeated without
    /// those before it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `batch_size` is 0.
    pub fn shuffled(&self, device: &Device, batch_size: usize, seed: u64, epoch: u64) -> Result<Batches<'_>> {
        Batches::new(self, device, batch_size, shuffled(self.len(), seed, epoch))
    }

    /// The pixels of some images, normalised.
    pub(super) fn pixels(&self, indices: &[usize]) -> Vec<f32> {
        let table: Vec<f32> = (0..=255u8).map(|value| (f32::from(value) / 255.0 - MEAN) / STD).collect();
        let image = |&index: &usize| &self.pixels[index * SIDE * SIDE..][..SIDE * SIDE];
        indices.iter().flat_map(image).map(|&value| table[usize::from(value)]).collect()
    }

    pub(super) fn labels(&self, indices: &[usize]) -> Vec<i32> {
        indices.iter().map(|&index| i32::from(self.labels[index])).collect()
    }

    /// Sizes of a batch of `count` images.
    pub(super) fn shape(count: usize) -> [usize; 4] {
        [count, 1, SIDE, SIDE]
    }
}

//! Labelled images of one size, in the host's memory.

use super::batches::{Batch, Batches, Source};
use super::dataset::check_index;
use super::random::shuffled;
use super::{Array, Dataset, Image, Normalization, Sample};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use std::sync::Arc;

/// Labelled images of one size, in the host's memory as bytes.
///
/// ```
/// use wgrad::{Device, data::{Array, Images}};
/// // Two images of 1 x 2 pixels with three channels, of the classes 1 and 0.
/// let pixels = Array::new(vec![2, 3, 1, 2], vec![0, 255, 0, 255, 10, 20, 0, 0, 255, 255, 30, 40])?;
/// let images = Images::new(pixels, vec![1, 0], vec!["cat".into(), "dog".into()])?;
/// let device = Device::reference();
/// for batch in images.shuffled(&device, 2, 0, 0)? {
///     assert_eq!(batch?.images.shape()[..], [2, 3, 1, 2]);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Images {
    /// The shape of one image.
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<i32>,
    classes: Arc<[String]>,
    normalization: Normalization,
}

impl Images {
    /// Bytes `[N, C, H, W]`, or `[N, H, W]` for one channel; a class number each, and the names of the classes. They are
    /// normalised by the set's own mean and deviation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no images, if images and labels differ in number, or a label is not a class; -1 means
    /// none.
    pub fn new(pixels: Array<u8>, labels: Vec<i32>, classes: Vec<String>) -> Result<Images> {
        const OP: &str = "Images";
        let shape = match *pixels.shape() {
            [_, height, width] => [1, height, width],
            [_, channels, height, width] => [channels, height, width],
            ref other => return Err(Error::invalid(OP, format!("{other:?} is neither [N, H, W] nor [N, C, H, W]"))),
        };
        let pixels = pixels.into_values();
        if pixels.is_empty() {
            return Err(Error::invalid(OP, "a set needs at least one image, and an image one pixel"));
        }
        let count = pixels.len() / shape.iter().product::<usize>();
        if count != labels.len() {
            return Err(Error::invalid(OP, format!("{} labels for {count} images", labels.len())));
        }
        let known = |&label: &i32| label == -1 || usize::try_from(label).is_ok_and(|label| label < classes.len());
        if let Some(at) = labels.iter().position(|label| !known(label)) {
            let rule = format!("label {at} is {}; expected 0 to {}", labels[at], classes.len().saturating_sub(1));
            return Err(Error::invalid(OP, rule));
        }
        let normalization = Normalization::of_planes(shape, &pixels);
        Ok(Images { shape, pixels, labels, classes: classes.into(), normalization })
    }

    /// Normalised by other numbers: those of the training set, for a test set.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one mean for each channel.
    pub fn with_normalization(mut self, normalization: &Normalization) -> Result<Images> {
        normalization.check_channels(self.shape[0])?;
        self.normalization = normalization.clone();
        Ok(self)
    }

    /// The number of images.
    #[allow(clippy::len_without_is_empty, reason = "there is always an image")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Channels, height and width of each image.
    pub fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of each image's class; -1 where it has none.
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }

    /// Names of the classes, by their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Mean and deviation by which batches are normalised.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// The first `count` images, or all where there are fewer.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `count` is 0.
    pub fn limit(&self, count: usize) -> Result<Images> {
        if count == 0 {
            return Err(Error::invalid("limit", "a set needs at least one image"));
        }
        let count = count.min(self.len());
        let size = self.image_size();
        Ok(Images {
            shape: self.shape,
            pixels: self.pixels[..count * size].to_vec(),
            labels: self.labels[..count].to_vec(),
            classes: self.classes.clone(),
            normalization: self.normalization.clone(),
        })
    }

    /// Batches in the order of the files.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `batch_size` is 0.
    pub fn batches(&self, device: &Device, batch_size: usize) -> Result<Batches<'_>> {
        self.ordered(device, batch_size, (0..self.len()).collect())
    }

    /// Batches in an order that depends on `seed` and `epoch` and on nothing else: an epoch can be repeated without
    /// those before it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `batch_size` is 0.
    pub fn shuffled(&self, device: &Device, batch_size: usize, seed: u64, epoch: u64) -> Result<Batches<'_>> {
        self.ordered(device, batch_size, shuffled(self.len(), seed, epoch))
    }

    fn ordered(&self, device: &Device, batch_size: usize, order: Vec<usize>) -> Result<Batches<'_>> {
        let count = order.len();
        Batches::new(Ordered { images: self, device: device.clone(), order }, count, batch_size)
    }

    /// Bytes of one image.
    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The bytes of one image.
    pub(super) fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.image_size()..][..self.image_size()]
    }
}

impl Dataset for Images {
    type Item = Sample<i32>;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize) -> Result<Sample<i32>> {
        check_index("get", index, self.labels.len())?;
        let image = Image::new(self.shape, self.image(index).to_vec())?;
        Ok(Sample { image, target: self.labels[index] })
    }
}

/// Images in the order of an epoch.
struct Ordered<'a> {
    images: &'a Images,
    device: Device,
    order: Vec<usize>,
}

impl Source for Ordered<'_> {
    fn batch(&self, start: usize, end: usize) -> Result<Batch> {
        let Ordered { images, device, order } = self;
        let order = &order[start..end];
        let [channels, height, width] = images.shape;
        let pixels: Vec<u8> = order.iter().flat_map(|&index| images.image(index)).copied().collect();
        let labels: Vec<i32> = order.iter().map(|&index| images.labels[index]).collect();
        Ok(Batch {
            images: images.normalization.upload(device, &pixels, [order.len(), channels, height, width])?,
            labels: Tensor::from_slice(device, &labels, &[order.len()])?,
        })
    }
}

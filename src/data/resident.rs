//! Sets that stay on the device.

use super::batches::{Batch, Batches, Source};
use super::dataset::check_index;
use super::normalization::pack_words;
use super::{Images, Normalization, Sampler};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::number::nearest;

/// Labelled images on the device as bytes, gathered and normalised there: an epoch uploads its order, and no image.
///
/// There is no tensor of bytes, since WGSL stores none; four pixels share a u32. Numbers of f16 would take twice the memory
/// and not every adapter has them, and of i32 four times.
///
/// ```
/// use wgrad::{Device, data::{Array, Images, RandomSampler, Resident}};
/// let pixels = Array::new(vec![3, 1, 2], vec![0, 50, 100, 150, 200, 250])?;
/// let images = Images::new(pixels, vec![0, 1, 0], vec!["cat".into(), "dog".into()])?;
/// let device = Device::reference();
/// let resident = Resident::new(&device, &images)?;
/// for epoch in 0..2 {
///     for batch in resident.batches(2, &RandomSampler::new(3, 0), epoch)? {
///         assert_eq!(batch?.images.shape()[1..], [1, 1, 2]);
///     }
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Resident {
    /// `[N, words of an image]`, u32.
    words: Tensor,
    /// `[N]`, i32.
    labels: Tensor,
    shape: [usize; 3],
    normalization: Normalization,
}

impl Resident {
    /// Uploads all images.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) if the adapter binds no buffer of their size;
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) at the next flush.
    pub fn new(device: &Device, images: &Images) -> Result<Resident> {
        let count = images.len();
        let words: Vec<u32> = (0..count).flat_map(|index| pack_words(images.image(index))).collect();
        Ok(Resident {
            words: Tensor::from_slice(device, &words, &[count, words.len() / count])?,
            labels: Tensor::from_slice(device, images.labels(), &[count])?,
            shape: images.image_shape(),
            normalization: images.normalization().clone(),
        })
    }

    /// The number of images.
    #[allow(clippy::len_without_is_empty, reason = "there is always an image")]
    pub fn len(&self) -> usize {
        self.labels.numel()
    }

    /// The batches of an epoch, in the order of a sampler.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `batch_size` is 0,
    /// [`Error::IndexOutOfRange`](crate::Error::IndexOutOfRange) if the sampler names an image that there is not.
    pub fn batches(&self, batch_size: usize, sampler: &dyn Sampler, epoch: u64) -> Result<Batches<'_>> {
        let (items, order) = self.order("batches", batch_size, sampler, epoch)?;
        Batches::new(Ordered { resident: self, order }, items.len(), batch_size)
    }

    /// Channels, height and width of each image.
    pub fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The numbers of an epoch's images, in the order of a sampler, and the same on the device.
    pub(crate) fn order(
        &self,
        op: &'static str,
        batch_size: usize,
        sampler: &dyn Sampler,
        epoch: u64,
    ) -> Result<(Vec<usize>, Tensor)> {
        if batch_size == 0 {
            return Err(Error::invalid(op, "the batch size is 0; it must be at least 1"));
        }
        let items = sampler.order(epoch);
        for &index in &items {
            check_index(op, index, self.len())?;
        }
        let order: Vec<i32> = items.iter().copied().map(nearest).collect();
        let order = Tensor::from_slice(self.words.device(), &order, &[items.len()])?;
        Ok((items, order))
    }

    /// The bytes of some images, four in a word, and their labels.
    pub(crate) fn gather(&self, index: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.words.index_select(0, index)?, self.labels.index_select(0, index)?))
    }
}

/// Images in the order of an epoch.
struct Ordered<'a> {
    resident: &'a Resident,
    order: Tensor,
}

impl Source for Ordered<'_> {
    fn batch(&self, start: usize, end: usize) -> Result<Batch> {
        let [channels, height, width] = self.resident.shape;
        let (words, labels) = self.resident.gather(&self.order.narrow(0, start, end - start)?)?;
        let images = self.resident.normalization.apply(&words, [end - start, channels, height, width])?;
        Ok(Batch { images, labels })
    }
}

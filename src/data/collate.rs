//! Batches of items in the host's memory, as a loader's threads make them.

use super::array::product;
use super::{Array, Batch, Image, Normalization, Sample};
use crate::dtype::Element;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};

/// Images of one size with their targets, in the host's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageBatch<T> {
    /// Bytes `[N, C, H, W]`.
    pub images: Array<u8>,
    /// Height and width of each image without padding.
    pub sizes: Vec<[usize; 2]>,
    /// The target of each.
    pub targets: Vec<T>,
}

impl<T> ImageBatch<T> {
    /// The images on a device, `[N, C, H, W]` in f32, normalised. They are uploaded as bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one mean for each channel; as [`Tensor::from_slice`].
    pub fn images_to(&self, device: &Device, normalization: &Normalization) -> Result<Tensor> {
        let shape = self.images.shape();
        normalization.upload(device, self.images.values(), [shape[0], shape[1], shape[2], shape[3]])
    }
}

impl<T: Element> ImageBatch<T> {
    /// Images and labels on a device, which a training step takes.
    ///
    /// # Errors
    /// As [`images_to`](ImageBatch::images_to).
    pub fn to_device(&self, device: &Device, normalization: &Normalization) -> Result<Batch> {
        Ok(Batch {
            images: self.images_to(device, normalization)?,
            labels: Tensor::from_slice(device, &self.targets, &[self.targets.len()])?,
        })
    }
}

impl ImageBatch<Vec<i32>> {
    /// Targets of several classes each as `[N, classes]`, for `binary_cross_entropy_with_logits`: 1 where the class is one of
    /// the image's, else 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a target names no number below `classes`.
    pub fn multi_hot(&self, classes: usize) -> Result<Array<f32>> {
        let mut values = vec![0.0; self.targets.len() * classes];
        for (at, targets) in self.targets.iter().enumerate() {
            for &target in targets {
                let class = usize::try_from(target).ok().filter(|&class| class < classes);
                let rule = || Error::invalid("multi_hot", format!("image {at} is of class {target}, of {classes}"));
                values[at * classes + class.ok_or_else(rule)?] = 1.0;
            }
        }
        Array::new(vec![self.targets.len(), classes], values)
    }
}

/// Samples of images of one size, stacked.
///
/// # Errors
/// [`Error::Invalid`] if there are none, or their sizes differ; [`pad_images`] takes those.
pub fn stack_images<T>(samples: Vec<Sample<T>>) -> Result<ImageBatch<T>> {
    let shapes: Vec<[usize; 3]> = samples.iter().map(|sample| sample.image.shape()).collect();
    if let Some(other) = shapes.iter().find(|&&shape| shape != shapes[0]) {
        let rule = format!("images of {:?} and of {other:?} in one batch; pad_images takes several sizes", shapes[0]);
        return Err(Error::invalid("stack_images", rule));
    }
    pad_images(samples, 0)
}

/// Samples of images of several sizes, each in the upper left corner of one as high as the highest and as wide as the widest.
/// `fill` is the byte of the rest; [`ImageBatch::sizes`] tells the two apart.
///
/// # Errors
/// [`Error::Invalid`] if there are none, or they differ in channels.
///
/// ```
/// use wgrad::data::{Image, Sample, pad_images};
/// let small = Sample { image: Image::new([1, 1, 2], vec![7, 8])?, target: 0 };
/// let high = Sample { image: Image::new([1, 2, 1], vec![5, 6])?, target: 1 };
/// let batch = pad_images(vec![small, high], 255)?;
/// assert_eq!(batch.images.shape(), [2, 1, 2, 2]);
/// assert_eq!(batch.images.values(), [7, 8, 255, 255, 5, 255, 6, 255]);
/// assert_eq!(batch.sizes, [[1, 2], [2, 1]]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn pad_images<T>(samples: Vec<Sample<T>>, fill: u8) -> Result<ImageBatch<T>> {
    let (images, targets): (Vec<Image>, Vec<T>) = samples.into_iter().map(|s| (s.image, s.target)).unzip();
    let shapes: Vec<[usize; 3]> = images.iter().map(Image::shape).collect();
    let parts = images.iter().map(Image::pixels).zip(&shapes);
    let images = padded("pad_images", parts.map(|(pixels, shape)| (&shape[..], pixels)).collect(), fill)?;
    if let Some(other) = shapes.iter().find(|shape| shape[0] != shapes[0][0]) {
        let rule = format!("images of {} and of {} channels in one batch", shapes[0][0], other[0]);
        return Err(Error::invalid("pad_images", rule));
    }
    Ok(ImageBatch { images, sizes: shapes.iter().map(|&[_, height, width]| [height, width]).collect(), targets })
}

/// Masks of one size, of one channel each, as class numbers `[N, H, W]`.
///
/// # Errors
/// [`Error::Invalid`] if there are none, their sizes differ, or they have more channels.
pub fn stack_masks(masks: &[Image]) -> Result<Array<i32>> {
    let one = |mask: &Image| mask.shape()[0] == 1 && mask.shape() == masks[0].shape();
    if let Some(other) = masks.iter().find(|mask| !one(mask)) {
        let rule =
            format!("masks of {:?} and of {:?}; expected one size and one channel", masks[0].shape(), other.shape());
        return Err(Error::invalid("stack_masks", rule));
    }
    let Some(first) = masks.first() else { return Err(Error::invalid("stack_masks", "there are no masks")) };
    let [_, height, width] = first.shape();
    let values = masks.iter().flat_map(Image::pixels).map(|&class| i32::from(class)).collect();
    Array::new(vec![masks.len(), height, width], values)
}

/// Stacks arrays of one shape: `[..]` becomes `[N, ..]`.
///
/// # Errors
/// [`Error::Invalid`] if there are none, or their shapes differ; [`pad_arrays`] takes those.
pub fn stack_arrays<T: Copy>(arrays: Vec<Array<T>>) -> Result<Array<T>> {
    const OP: &str = "stack_arrays";
    let Some(first) = arrays.first() else { return Err(Error::invalid(OP, "there are no arrays")) };
    if let Some(other) = arrays.iter().find(|array| array.shape() != first.shape()) {
        let rule = format!("{:?} and {:?} in one batch; pad_arrays takes several sizes", first.shape(), other.shape());
        return Err(Error::invalid(OP, rule));
    }
    let shape = [&[arrays.len()], first.shape()].concat();
    Array::new(shape, arrays.iter().flat_map(Array::values).copied().collect())
}

/// Arrays of several sizes, each at the front of one that is as large as the largest in every dimension; `fill` is the value of
/// the rest.
///
/// # Errors
/// [`Error::Invalid`] if there are none, or they differ in dimensions.
///
/// ```
/// use wgrad::data::{Array, pad_arrays};
/// let short = Array::new(vec![1], vec![1.0f32])?;
/// let long = Array::new(vec![3], vec![2.0, 3.0, 4.0])?;
/// let batch = pad_arrays(vec![short, long], -1.0)?;
/// assert_eq!((batch.shape(), batch.values()), (&[2, 3][..], &[1.0, -1.0, -1.0, 2.0, 3.0, 4.0][..]));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn pad_arrays<T: Copy>(arrays: Vec<Array<T>>, fill: T) -> Result<Array<T>> {
    padded("pad_arrays", arrays.iter().map(|array| (array.shape(), array.values())).collect(), fill)
}

fn padded<T: Copy>(op: &'static str, parts: Vec<(&[usize], &[T])>, fill: T) -> Result<Array<T>> {
    let Some(&(first, _)) = parts.first() else { return Err(Error::invalid(op, "a batch of no items")) };
    if let Some((other, _)) = parts.iter().find(|(shape, _)| shape.len() != first.len()) {
        return Err(Error::invalid(op, format!("{first:?} and {other:?} differ in dimensions")));
    }
    let largest = |d| parts.iter().map(|(shape, _)| shape[d]).max().unwrap_or(0);
    let item: Vec<usize> = (0..first.len()).map(largest).collect();
    let shape = [&[parts.len()], &item[..]].concat();
    let count = product(&shape).ok_or_else(|| Error::invalid(op, format!("{shape:?} is too large")))?;
    let mut values = vec![fill; count];
    for (at, (shape, part)) in parts.iter().enumerate() {
        let length = count / parts.len();
        place(&mut values[at * length..][..length], &item, part, shape);
    }
    Array::new(shape, values)
}

/// Values of a shape into the front of a block that is as large or larger in every dimension.
fn place<T: Copy>(block: &mut [T], sizes: &[usize], values: &[T], shape: &[usize]) {
    let ([_, sizes @ ..], [count, shape @ ..]) = (sizes, shape) else {
        return block.copy_from_slice(values);
    };
    let (of_block, of_values): (usize, usize) = (sizes.iter().product(), shape.iter().product());
    for at in 0..*count {
        place(&mut block[at * of_block..][..of_block], sizes, &values[at * of_values..][..of_values], shape);
    }
}

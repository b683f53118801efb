//! From batches of bytes to views.

use super::{Target, Views};
use crate::data::{ImageBatch, Resident, Sampler};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};

/// Bytes on a device, four in a word, as images of a type: i32 holding them, or f32 between 0 and 1.
fn unpacked(words: &Tensor, shape: [usize; 4], dtype: DType) -> Result<Tensor> {
    let [count, channels, height, width] = shape;
    let size = channels * height * width;
    let bytes = words.unpack_bytes()?;
    // The words of one image each, or of all of them concatenated.
    let bytes = bytes.narrow(-1, 0, if words.rank() == 1 { count * size } else { size })?;
    let images = bytes.reshape(&[count as isize, channels as isize, height as isize, width as isize])?;
    match dtype {
        DType::I32 => images.to_dtype(DType::I32),
        DType::F32 => images.to_dtype(DType::F32)?.mul_scalar(1.0 / 255.0),
        got => Err(Error::WrongDType { op: "views", expected: "f32 or i32", got }),
    }
}

impl<T: Target> ImageBatch<T> {
    /// Images and targets on a device, ready for transforms: i32 that hold bytes, or f32 between 0 and 1. They are
    /// uploaded as bytes, and those that [`pad_images`](crate::data::pad_images) padded keep their own sizes.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for other types; as [`Target::attach`].
    ///
    /// ```
    /// use wgrad::data::{Dataset, Image, Sample, stack_images};
    /// use wgrad::transforms::{Draws, RandomHorizontalFlip, Transform};
    /// use wgrad::{DType, Device};
    /// let set = vec![Sample { image: Image::new([1, 1, 2], vec![0, 255])?, target: 1 }].enumerate();
    /// let (items, samples): (Vec<_>, Vec<_>) = (0..1).map(|at| set.get(at)).collect::<wgrad::Result<Vec<_>>>()?.into_iter().unzip();
    /// let mut views = stack_images(samples)?.views(&Device::reference(), DType::F32)?;
    /// RandomHorizontalFlip::new(1.0)?.apply(&mut views, &mut Draws::new(0, 0, &items))?;
    /// assert_eq!(views.images()?.to_vec::<f32>()?, [1.0, 0.0]);
    /// assert_eq!(views.labels().unwrap().to_vec::<i32>()?, [1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn views(&self, device: &Device, dtype: DType) -> Result<Views> {
        let shape = self.images.shape();
        let words = crate::data::pack_words(self.images.values());
        let words = Tensor::from_slice(device, &words, &[words.len()])?;
        let images = unpacked(&words, [shape[0], shape[1], shape[2], shape[3]], dtype)?;
        T::attach(&self.targets, Views::new(images)?.with_sizes(self.sizes.clone())?)
    }
}

impl Resident {
    /// The batches of an epoch as views with labels, in the order of a sampler, each with the numbers of its items: i32 that hold
    /// bytes, or f32 between 0 and 1.
    ///
    /// # Errors
    /// As [`batches`](Resident::batches); [`Error::WrongDType`] for other types.
    ///
    /// ```
    /// use wgrad::data::{Array, Images, RandomSampler, Resident};
    /// use wgrad::transforms::{Draws, RandomCrop, RandomCropOptions, Transform};
    /// use wgrad::{DType, Device};
    /// let pixels = Array::new(vec![3, 2, 2], (0..12).collect())?;
    /// let images = Images::new(pixels, vec![0, 1, 0], vec!["cat".into(), "dog".into()])?;
    /// let resident = Resident::new(&Device::reference(), &images)?;
    /// let crop = RandomCrop::new([2, 2], RandomCropOptions::default().padding([1; 4]));
    /// for batch in resident.views(2, &RandomSampler::new(3, 0), 0, DType::F32)? {
    ///     let (items, mut views) = batch?;
    ///     crop.apply(&mut views, &mut Draws::new(0, 0, &items))?;
    ///     assert_eq!(views.images()?.shape()[1..], [1, 2, 2]);
    /// }
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn views(
        &self,
        batch_size: usize,
        sampler: &dyn Sampler,
        epoch: u64,
        dtype: DType,
    ) -> Result<impl Iterator<Item = Result<(Vec<usize>, Views)>>> {
        let (items, order) = self.order("views", batch_size, sampler, epoch)?;
        let batches = items.len().div_ceil(batch_size);
        Ok((0..batches).map(move |batch| {
            let start = batch * batch_size;
            let count = batch_size.min(items.len() - start);
            let (words, labels) = self.gather(&order.narrow(0, start, count)?)?;
            let [channels, height, width] = self.image_shape();
            let views = Views::new(unpacked(&words, [count, channels, height, width], dtype)?)?.with_labels(labels)?;
            Ok((items[start..start + count].to_vec(), views))
        }))
    }
}

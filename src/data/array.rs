//! Arrays in the host's memory.

use super::Dataset;
use super::dataset::check_index;
use crate::dtype::Element;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};

/// Values of some sizes, in row-major order. As a [`Dataset`] it holds one item for each position of its first dimension.
///
/// ```
/// use wgrad::data::{Array, Dataset};
/// let inputs = Array::new(vec![3, 2], vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let pairs = inputs.zip(vec![0, 1, 0])?;
/// let (input, label) = pairs.get(1)?;
/// assert_eq!((input.shape(), input.values(), label), (&[2][..], &[3.0, 4.0][..], 1));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    shape: Vec<usize>,
    values: Vec<T>,
}

impl<T> Array<T> {
    /// Values of a shape.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the number of values is not that of the shape.
    pub fn new(shape: Vec<usize>, values: Vec<T>) -> Result<Array<T>> {
        if product(&shape) != Some(values.len()) {
            return Err(Error::invalid("Array", format!("{} values do not fill {shape:?}", values.len())));
        }
        Ok(Array { shape, values })
    }

    /// Values whose number was compared with the shape.
    pub(super) fn of_checked(shape: Vec<usize>, values: Vec<T>) -> Array<T> {
        debug_assert_eq!(product(&shape), Some(values.len()));
        Array { shape, values }
    }

    /// Sizes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in row-major order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values without the shape.
    pub fn into_values(self) -> Vec<T> {
        self.values
    }
}

impl<T: Element> Array<T> {
    /// The array on a device.
    ///
    /// # Errors
    /// As [`Tensor::from_slice`].
    #[track_caller]
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(device, &self.values, &self.shape)
    }
}

impl<T: Clone> Dataset for Array<T> {
    type Item = Array<T>;

    fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    fn get(&self, index: usize) -> Result<Array<T>> {
        check_index("get", index, self.len())?;
        let shape = self.shape[1..].to_vec();
        let size = self.values.len() / self.len();
        Ok(Array { shape, values: self.values[index * size..][..size].to_vec() })
    }
}

/// Number of values of a shape, where a `usize` holds it.
pub(super) fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

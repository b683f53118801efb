//! Histograms, counted on the device.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;

const OP: &str = "Histogram";
/// Counts are read as floats, which hold integers up to 2^24: hence the upper and the lower half of each.
const HALF: f64 = 65_536.0;
/// Elements that every adapter allows in a tensor. The comparison of elements with bins is such a tensor, though
/// nothing stores it.
const MOST: usize = 1 << 25;

/// The distribution of a tensor's elements over bins of equal width from the smallest to the largest, as TensorBoard counts them.
/// Elements that are not finite are ignored.
///
/// ```
/// use wgrad::{Device, Tensor, logs::Histogram};
///
/// let weights = Tensor::from_slice(&Device::reference(), &[0.0f32, 0.1, 0.9, 2.0, f32::NAN], &[5])?;
/// let histogram = Histogram::of(&weights, 2)?;
/// assert_eq!((histogram.min(), histogram.max()), (0.0, 2.0));
/// assert_eq!(histogram.counts(), [3, 1]);
/// assert_eq!(histogram.edges(1), (1.0, 2.0));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    range: (f64, f64),
    counts: Vec<u64>,
}

impl Histogram {
    /// The histogram of one tensor.
    ///
    /// # Errors
    /// As [`of_each`](Histogram::of_each).
    pub fn of(tensor: &Tensor, bins: usize) -> Result<Histogram> {
        Ok(Histogram::of_each(&[tensor], bins)?.swap_remove(0))
    }

    /// The histogram of each of many tensors of one device, such as a model's weights: they are counted there, and all counts are
    /// read at once. Without finite elements all counts and both ends are 0; if all elements are equal, they are counted in the
    /// last bin.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 0 bins; [`Error::DeviceMismatch`]; errors that the device met.
    pub fn of_each(tensors: &[&Tensor], bins: usize) -> Result<Vec<Histogram>> {
        if bins == 0 {
            return Err(Error::invalid(OP, "a histogram has at least 1 bin"));
        }
        let counted = |tensor: &&&Tensor| tensor.numel() > 0;
        let parts: Vec<Tensor> =
            no_grad(|| tensors.iter().filter(counted).map(|tensor| count(tensor, bins)).collect::<Result<_>>())?;
        let all = match parts.is_empty() {
            true => Vec::new(),
            false => no_grad(|| Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0))?.to_f64()?,
        };
        let mut read = all.chunks_exact(2 + 2 * bins).map(|numbers| from_numbers(numbers, bins));
        let empty = Histogram { range: (0.0, 0.0), counts: vec![0; bins] };
        let next = |tensor: &&Tensor| if tensor.numel() > 0 { read.next() } else { None };
        Ok(tensors.iter().map(next).map(|histogram| histogram.unwrap_or_else(|| empty.clone())).collect())
    }

    /// The smallest element.
    pub fn min(&self) -> f64 {
        self.range.0
    }

    /// The largest element.
    pub fn max(&self) -> f64 {
        self.range.1
    }

    /// The count of each bin, the lowest first.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The edges of a bin: its elements are at least the left one and less than the right one; the last bin includes
    /// its right edge.
    pub fn edges(&self, bin: usize) -> (f64, f64) {
        let (min, max) = self.range;
        let edge = |number: usize| match number == self.counts.len() {
            true => max,
            false => min + (max - min) / self.counts.len() as f64 * number as f64,
        };
        (edge(bin), edge(bin + 1))
    }
}

fn from_numbers(numbers: &[f64], bins: usize) -> Histogram {
    let (ends, halves) = numbers.split_at(2);
    let (upper, lower) = halves.split_at(bins);
    let count = |(upper, lower): (&f64, &f64)| nearest::<u64>(upper * HALF + lower);
    let counts: Vec<u64> = upper.iter().zip(lower).map(count).collect();
    // Without a finite element the ends still hold the initial values of the search.
    let range = if counts.iter().all(|&count| count == 0) { (0.0, 0.0) } else { (ends[0], ends[1]) };
    Histogram { range, counts }
}

/// Minimum, maximum, and upper and lower halves of the counts.
fn count(tensor: &Tensor, bins: usize) -> Result<Tensor> {
    let x = tensor.detach().to_dtype(DType::F32)?.reshape(&[1, -1])?;
    let is_finite = x.isfinite()?;
    let min = is_finite.where_(&x, &x.full_like(f32::MAX.into())?)?.amin_all()?;
    let max = is_finite.where_(&x, &x.full_like(f32::MIN.into())?)?.amax_all()?;
    // Halves, since the difference of two finite numbers may overflow.
    let (half, last) = (min.mul_scalar(0.5)?, nearest::<i32>(bins - 1));
    let range = max.mul_scalar(0.5)?.sub(&half)?;
    let place = x.mul_scalar(0.5)?.sub(&half)?.div(&range)?.mul_scalar(bins as f64)?.floor()?;
    // A single value is in the last bin; elements that are not finite are in none.
    let place = range.gt_scalar(0.0)?.where_(&place, &place.full_like(f64::from(last))?)?;
    let place = place.clamp(None, Some(last as f64))?;
    let place = is_finite.where_(&place, &place.full_like(-1.0)?)?;
    let bin = Tensor::arange(tensor.device(), 0.0, bins as f64, 1.0, DType::F32)?.unsqueeze(1)?;
    let mut counts = Tensor::full(tensor.device(), &[bins], 0i32)?;
    for part in place.split((MOST / bins).max(1), 1)? {
        counts = counts.add(&part.eq(&bin)?.to_dtype(DType::I32)?.sum(1)?)?;
    }
    let upper = counts.floor_divide_scalar(HALF)?;
    let lower = counts.sub(&upper.mul_scalar(HALF)?)?;
    let ends = Tensor::cat(&[&min.reshape(&[1])?, &max.reshape(&[1])?], 0)?;
    Tensor::cat(&[&ends, &upper.to_dtype(DType::F32)?, &lower.to_dtype(DType::F32)?], 0)
}

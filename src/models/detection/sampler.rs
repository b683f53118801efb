//! The choice of anchors or proposals that a loss looks at.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;

/// Draws a number of candidates from each image, a fraction of them positive, torchvision's class of the same name (Ren et al.,
/// "Faster R-CNN", 2015).
///
/// Negative candidates take the places of positive ones that are missing. All happens on the device, with its random
/// numbers, and shapes don't depend on values: a position that stays empty is marked so.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::models::detection::BalancedPositiveNegativeSampler;
/// # let device = Device::reference();
/// let labels = Tensor::from_slice(&device, &[0, -1, 2, 0, 0], &[1, 5])?;
/// let sampler = BalancedPositiveNegativeSampler { batch_size_per_image: 4, positive_fraction: 0.5 };
/// let sample = sampler.sample(&labels)?;
/// assert_eq!(sample.indices.to_vec::<i32>()?[0], 2);
/// assert_eq!(sample.is_positive.to_vec::<bool>()?, [true, false, false, false]);
/// assert_eq!(sample.is_valid.to_vec::<bool>()?, [true; 4]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalancedPositiveNegativeSampler {
    /// Candidates drawn of each image.
    pub batch_size_per_image: usize,
    /// The largest fraction of positive ones among them.
    pub positive_fraction: f64,
}

/// The drawn candidates, `S` an image (the number to draw, or all candidates if there are fewer): first the positive ones, then
/// the negative ones, then padding.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Their numbers, `[N, S]` of i32; some candidate's where the position is empty.
    pub indices: Tensor,
    /// True for positive ones, `[N, S]`.
    pub is_positive: Tensor,
    /// True if the position is not empty, `[N, S]`.
    pub is_valid: Tensor,
}

impl BalancedPositiveNegativeSampler {
    /// Draws from `labels` (`[N, A]` of i32): candidates of a label above 0 are positive, of 0 negative, and below it neither.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, without candidates, and for a share that is not from 0 to 1;
    /// [`Error::WrongDType`] for types other than i32.
    #[track_caller]
    pub fn sample(&self, labels: &Tensor) -> Result<Sample> {
        const OP: &str = "BalancedPositiveNegativeSampler";
        let (size, share) = (self.batch_size_per_image, self.positive_fraction);
        if labels.rank() != 2 || labels.shape()[1] == 0 {
            return Err(Error::invalid(OP, format!("labels are [N, A], with A above 0; got {}", labels.shape())));
        }
        if labels.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: OP, expected: "i32", got: labels.dtype() });
        }
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::invalid(OP, format!("positive_fraction is {share}; it must be from 0 to 1")));
        }
        let (positive, negative) = (labels.gt_scalar(0.0)?, labels.eq_scalar(0.0)?);
        let count = |mask: &Tensor| mask.to_dtype(DType::I32)?.sum_keepdim(1);
        let (positives, negatives) = (count(&positive)?, count(&negative)?);
        // In random order, the positive ones before the negative ones before the others.
        let group = (negative.to_dtype(DType::F32)? + (labels.lt_scalar(0.0)?.to_dtype(DType::F32)? * 2.0)?)?;
        let order = (Tensor::rand(labels.device(), labels.shape())? * 0.5 + group)?.argsort(1, false)?;

        let taken_positives = positives.minimum(&number(labels, (size as f64 * share).floor())?)?;
        let rest = (number(labels, size as f64)? - &taken_positives)?;
        let taken = (&taken_positives + negatives.minimum(&rest)?)?;
        let places = size.min(labels.shape()[1]);
        let place = Tensor::arange(labels.device(), 0.0, places as f64, 1.0, DType::I32)?.unsqueeze(0)?;
        let is_positive = place.lt(&taken_positives)?;
        let skipped = (&positives - &taken_positives)?;
        let ordered = (&place + is_positive.logical_not()?.to_dtype(DType::I32)? * &skipped)?;
        let last = number(labels, labels.shape()[1] as f64 - 1.0)?;
        Ok(Sample { indices: order.gather(1, &ordered.minimum(&last)?)?, is_positive, is_valid: place.lt(&taken)? })
    }
}

/// A number of labels' kind.
fn number(labels: &Tensor, value: f64) -> Result<Tensor> {
    Tensor::full(labels.device(), &[1, 1], crate::number::nearest::<i32>(value))
}

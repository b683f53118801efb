//! Matches anchors to objects.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;

/// The mark of an anchor that counts as background.
pub const BELOW_LOW_THRESHOLD: i32 = -1;
/// The mark of an anchor that counts neither as an object nor as background.
pub const BETWEEN_THRESHOLDS: i32 = -2;

/// Matches each anchor to the object that it fits best, torchvision's `Matcher`; all on the device.
///
/// Anchors whose best quality is below `low_threshold` are background, and those below `high_threshold` don't count. With
/// `allow_low_quality_matches` each object also keeps all anchors that fit it as well as its best one does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    high_threshold: f64,
    low_threshold: f64,
    allow_low_quality_matches: bool,
}

impl Matcher {
    /// A matcher with these thresholds.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless `low_threshold <= high_threshold`.
    pub fn new(high_threshold: f64, low_threshold: f64, allow_low_quality_matches: bool) -> Result<Matcher> {
        if low_threshold <= high_threshold {
            return Ok(Matcher { high_threshold, low_threshold, allow_low_quality_matches });
        }
        let rule = format!("low_threshold {low_threshold} must be at most high_threshold {high_threshold}");
        Err(Error::invalid("Matcher", rule))
    }

    /// The object (its index in i32) that each anchor is matched to, or one of the marks: `[N, A]` from qualities `[N, M, A]`,
    /// such as [`box_iou`](Tensor::box_iou) of objects and anchors, and `is_object`, `[N, M]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes don't fit.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::detection::Matcher};
    /// # let device = Device::reference();
    /// let quality = Tensor::from_slice(&device, &[0.9f32, 0.45, 0.1, 0.2], &[1, 1, 4])?;
    /// let is_object = Tensor::from_slice(&device, &[true], &[1, 1])?;
    /// let matches = Matcher::new(0.5, 0.4, false)?.matches(&quality, &is_object)?;
    /// assert_eq!(matches.to_vec::<i32>()?, [0, -2, -1, -1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn matches(&self, quality: &Tensor, is_object: &Tensor) -> Result<Tensor> {
        let quality = of_objects(quality, is_object)?;
        let (best, object) = quality.max(1)?;
        let matches = object.masked_fill(&best.lt_scalar(self.high_threshold)?, BETWEEN_THRESHOLDS as f64)?;
        let matches = matches.masked_fill(&best.lt_scalar(self.low_threshold)?, BELOW_LOW_THRESHOLD as f64)?;
        if !self.allow_low_quality_matches {
            return Ok(matches);
        }
        let is_best = quality.eq(&quality.amax_keepdim(2)?)?.logical_and(&is_object.unsqueeze(2)?)?;
        is_best.any(1)?.where_(&object, &matches)
    }
}

/// The matcher of SSD (Liu et al. 2016), torchvision's `SSDMatcher`: [`Matcher`] with one threshold, and each object keeps the
/// anchor that fits it best. If several objects share that anchor, the last of them gets it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SsdMatcher {
    threshold: f64,
}

impl SsdMatcher {
    /// A matcher with this threshold.
    pub fn new(threshold: f64) -> SsdMatcher {
        SsdMatcher { threshold }
    }

    /// As [`Matcher::matches`].
    ///
    /// # Errors
    /// As [`Matcher::matches`].
    #[track_caller]
    pub fn matches(&self, quality: &Tensor, is_object: &Tensor) -> Result<Tensor> {
        let matches = Matcher::new(self.threshold, self.threshold, false)?.matches(quality, is_object)?;
        let favourite = of_objects(quality, is_object)?.argmax(2)?;
        let (device, shape) = (quality.device(), quality.shape());
        let anchors = Tensor::arange(device, 0.0, shape[2] as f64, 1.0, DType::I32)?;
        let objects = Tensor::arange(device, 0.0, shape[1] as f64, 1.0, DType::I32)?.unsqueeze(1)?;
        let is_favourite = favourite.unsqueeze(2)?.eq(&anchors)?.logical_and(&is_object.unsqueeze(2)?)?;
        let last = is_favourite.where_(&objects, &objects.full_like(-1.0)?)?.amax(1)?;
        last.ge_scalar(0.0)?.where_(&last, &matches)
    }
}

/// Qualities with -1 in the rows that hold no object.
#[track_caller]
fn of_objects(quality: &Tensor, is_object: &Tensor) -> Result<Tensor> {
    let (shape, rows) = (quality.shape(), is_object.shape());
    if shape.len() != 3 || shape[..2] != rows[..] || shape[1..].contains(&0) {
        let rule = format!("qualities {shape} and objects {rows} must be [N, M, A] and [N, M], M and A above 0");
        return Err(Error::invalid("Matcher", rule));
    }
    quality.masked_fill(&is_object.logical_not()?.unsqueeze(2)?, -1.0)
}

//! Attributions by taking parts of the input away.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::explain::gradients::baseline;
use crate::graph::{Tensor, no_grad};
use crate::options::options;
use crate::shape::Shape;

options! {
    /// Options of [`Explainer::occlusion`].
    #[derive(Clone, Debug)]
    OcclusionOptions {
        /// Height and width of the window that is covered, in all channels.
        window: [usize; 2] = [8, 8],
        /// Steps of the window.
        stride: [usize; 2] = [4, 4],
        /// The values that replace a covered part, which broadcast with the images; zeros by default.
        baseline: Option<Tensor> = None,
    }
}

/// Batch, channels, height and width.
pub(super) fn sizes(op: &'static str, images: &Tensor) -> Result<[usize; 4]> {
    match images.shape()[..] {
        [count, channels, height, width] => Ok([count, channels, height, width]),
        _ => Err(Error::invalid(op, format!("images are [N, C, H, W]; got {}", images.shape()))),
    }
}

/// The first cells that windows cover along a dimension; the last window ends with it.
fn starts(size: usize, window: usize, stride: usize) -> Vec<usize> {
    let steps = (size - window).div_ceil(stride);
    (0..=steps).map(|step| step * stride).collect()
}

/// Refuses features that are not numbers, and none of them.
pub(super) fn check_features(op: &'static str, features: &Tensor, count: usize) -> Result<()> {
    if features.dtype() != DType::I32 {
        return Err(Error::WrongDType { op, expected: "numbers of features in i32", got: features.dtype() });
    }
    if count == 0 {
        return Err(Error::invalid(op, "there are no features to take away"));
    }
    Ok(())
}

/// Masks `[masks, features]` at the pixels of the features: `[masks, ..]`, for features of the images' shape.
pub(super) fn by_pixel(masks: &Tensor, features: &Tensor) -> Result<Tensor> {
    let shape: Vec<usize> = std::iter::once(masks.shape()[0]).chain(features.shape().iter().copied()).collect();
    masks.index_select(1, &features.flatten(0, -1)?)?.reshape_to(Shape::new(&shape)?)
}

impl Explainer<'_> {
    /// The fall of the score where a window is covered, averaged over the windows that cover a pixel (Zeiler and Fergus,
    /// "Visualizing and Understanding Convolutional Networks", 2013). Images `[N, C, H, W]`; windows that pass the far edge are
    /// cut off there.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency); [`Error::Invalid`] for windows larger than the images, without size or step;
    /// [`Error::Broadcast`] for a baseline of another shape.
    pub fn occlusion(&self, images: &Tensor, options: &OcclusionOptions) -> Result<Tensor> {
        const OP: &str = "occlusion";
        let [_, _, height, width] = sizes(OP, images)?;
        let (window, stride) = (options.window, options.stride);
        let fits = (1..=height).contains(&window[0]) && (1..=width).contains(&window[1]) && !stride.contains(&0);
        if !fits {
            let rule = format!("windows of {window:?} by steps of {stride:?} for images of {height} x {width}");
            return Err(Error::invalid(OP, rule));
        }
        let windows: Vec<[usize; 2]> = starts(height, window[0], stride[0])
            .into_iter()
            .flat_map(|top| starts(width, window[1], stride[1]).into_iter().map(move |left| [top, left]))
            .collect();
        let plane = height * width;
        let mask = |at: usize| {
            let [top, left] = windows[at];
            let is_covered = move |y, x| (top..top + window[0]).contains(&y) && (left..left + window[1]).contains(&x);
            (0..plane).map(move |pixel| f32::from(u8::from(is_covered(pixel / width, pixel % width))))
        };
        let (falls, covers) = self.falls(OP, images, options.baseline.as_ref(), windows.len(), |range| {
            let values: Vec<f32> = range.clone().flat_map(mask).collect();
            Tensor::from_slice(images.device(), &values, &[range.len(), 1, height, width])
        })?;
        (falls / covers.clamp(Some(1.0), None)?)?.expand_to(*images.shape(), OP)?.contiguous()
    }

    /// The fall of the score when a feature is covered, at the feature's pixels. `features` are i32 numbers from 0 up to `count`
    /// (exclusive) that broadcast with the images: `[1, 1, H, W]` for segments of the picture, `[1, C, 1, 1]` for channels. The
    /// baseline is zeros by default.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency); [`Error::WrongDType`], [`Error::Broadcast`], [`Error::Invalid`] for no features.
    pub fn feature_ablation(
        &self,
        images: &Tensor,
        features: &Tensor,
        count: usize,
        baseline: Option<&Tensor>,
    ) -> Result<Tensor> {
        const OP: &str = "feature_ablation";
        check_features(OP, features, count)?;
        let features = features.detach().expand_to(*images.shape(), OP)?;
        let (falls, _) = self.falls(OP, images, baseline, count, |range| {
            let masks: Result<Vec<Tensor>> =
                range.map(|feature| features.eq_scalar(feature as f64)?.to_dtype(DType::F32)).collect();
            Tensor::stack(&masks?.iter().collect::<Vec<_>>(), 0)
        })?;
        Ok(falls)
    }

    /// The falls of the score under each of `count` masks, added up where each covers, and the number of covering masks: masks of
    /// a range are `[masks, ..]` or `[masks, N, ..]`, broadcast with the images.
    fn falls(
        &self,
        op: &'static str,
        images: &Tensor,
        baseline: Option<&Tensor>,
        count: usize,
        masks: impl Fn(std::ops::Range<usize>) -> Result<Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        no_grad(|| {
            let (classes, images) = (self.classes(images)?, images.detach());
            let baseline = self::baseline(op, &images, baseline)?;
            let (of_whole, away) = (self.scores(&images, &classes)?, (&baseline - &images)?);
            let of_each = |values: &Tensor| {
                let mut sizes = vec![values.shape()[0], values.shape()[1]];
                sizes.resize(images.rank() + 1, 1);
                values.reshape_to(Shape::new(&sizes)?)
            };
            let (mut falls, mut covers) = (images.zeros_like()?, images.zeros_like()?);
            let batch = self.copies(images.shape()[0]);
            for first in (0..count).step_by(batch) {
                let mut masks = masks(first..count.min(first + batch))?;
                if masks.rank() == images.rank() {
                    masks = masks.unsqueeze(1)?;
                }
                let covered = (&images + (&masks * &away)?)?.flatten(0, 1)?;
                let fall = (&of_whole - self.scores(&covered, &classes)?)?;
                falls = (falls + (of_each(&fall)? * &masks)?.sum(0)?)?;
                covers = (covers + masks.sum(0)?)?;
            }
            Ok((falls, covers))
        })
    }
}

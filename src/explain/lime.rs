//! LIME: a linear model of the score near an image.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::explain::ablation::{by_pixel, check_features};
use crate::explain::gradients::baseline;
use crate::explain::surrogate::Surrogate;
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;
use crate::options::options;

/// The distance `d` between an image and its perturbed copy, which counts by `exp(-d^2 / (2 width^2))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LimeDistance {
    /// 1 less the cosine of the angle between them.
    #[default]
    Cosine,
    /// The norm of their difference.
    Euclidean,
}

options! {
    /// Options of [`Explainer::lime`]; the defaults are captum's, except for the number of samples.
    #[derive(Clone, Debug)]
    LimeOptions {
        /// Perturbed copies of each image; captum makes 50.
        samples: usize = 1000,
        /// The copies themselves, floats `[samples, features]`: 1 for kept features, 0 for features replaced by the baseline. By
        /// default each feature is kept with probability 1/2.
        masks: Option<Tensor> = None,
        /// The linear model.
        surrogate: Surrogate = Surrogate::Lasso(0.01),
        /// The distance by which a copy counts.
        distance: LimeDistance = LimeDistance::Cosine,
        /// The distance at which copies count `exp(-1/2)`.
        width: f64 = 1.0,
        /// The values that replace features, which broadcast with the images; zeros by default.
        baseline: Option<Tensor> = None,
    }
}

const OP: &str = "lime";

impl Explainer<'_> {
    /// The coefficients of a linear model of the score as it depends on which features an image keeps, at the features' pixels
    /// (Ribeiro et al., "Why Should I Trust You?", 2016): copies with features taken away at random are weighted by their
    /// likeness to the image, and the model is fitted to their scores. `features` are as those of
    /// [`feature_ablation`](Explainer::feature_ablation), usually superpixels by [`slic`](crate::explain::slic).
    ///
    /// # Errors
    /// As [`feature_ablation`](Explainer::feature_ablation); [`Error::Invalid`] for masks of another shape, no samples, a width
    /// that is not above 0, and samples that do not determine the model.
    ///
    /// ```
    /// use wgrad::explain::{Explainer, LimeOptions, SlicOptions, slic};
    /// # use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
    /// # let device = Device::reference();
    /// # let net = LeNet5::new(&Scope::new(&device))?;
    /// let images = Tensor::rand(&device, &[1, 1, 28, 28])?;
    /// let superpixels = slic(&images, &SlicOptions::default().segments(10))?;
    /// let options = LimeOptions::default().samples(20);
    /// let map = Explainer::new(&net).lime(&images, &superpixels.features, superpixels.count, &options)?;
    /// assert_eq!(map.shape(), images.shape());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn lime(&self, images: &Tensor, features: &Tensor, count: usize, options: &LimeOptions) -> Result<Tensor> {
        let coefficients = self.lime_coefficients(images, features, count, options)?;
        no_grad(|| {
            let pixels = features.detach().expand_to(*images.shape(), OP)?.flatten(1, -1)?.contiguous()?;
            coefficients.gather(1, &pixels)?.reshape_to(*images.shape())
        })
    }

    /// The coefficients themselves, `[N, features]`.
    ///
    /// # Errors
    /// As [`lime`](Explainer::lime).
    pub fn lime_coefficients(
        &self,
        images: &Tensor,
        features: &Tensor,
        count: usize,
        options: &LimeOptions,
    ) -> Result<Tensor> {
        check_features(OP, features, count)?;
        if options.width.is_nan() || options.width <= 0.0 {
            return Err(Error::invalid(OP, format!("a kernel's width is above 0, not {}", options.width)));
        }
        no_grad(|| {
            let (classes, images) = (self.classes(images)?, images.detach());
            let masks = options.drawn(&images, count)?;
            let samples = masks.shape()[0];
            let baseline = baseline(OP, &images, options.baseline.as_ref())?;
            let way = (&images - &baseline)?;
            let features = features.detach().expand_to(*images.shape(), OP)?.contiguous()?;
            let (mut scores, mut distances) = (Vec::new(), Vec::new());
            let batch = self.copies(images.shape()[0]);
            for first in (0..samples).step_by(batch) {
                let kept = by_pixel(&masks.narrow(0, first, batch.min(samples - first))?, &features)?;
                let copies = (&baseline + (kept * &way)?)?;
                distances.push(options.distance.between(&images, &copies)?);
                scores.push(self.scores(&copies.flatten(0, 1)?, &classes)?);
            }
            let read = |parts: Vec<Tensor>| Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0)?.t()?.to_f64();
            let (scores, distances, masks) = (read(scores)?, read(distances)?, masks.to_f64()?);
            let rows: Vec<&[f64]> = masks.chunks(count).collect();
            let mut coefficients = Vec::with_capacity(count * images.shape()[0]);
            for (scores, distances) in scores.chunks(samples).zip(distances.chunks(samples)) {
                let weight = |d: &f64| (-d * d / (2.0 * options.width * options.width)).exp();
                let weights: Vec<f64> = distances.iter().map(weight).collect();
                coefficients.extend(options.surrogate.fit(&rows, scores, &weights)?);
            }
            let coefficients: Vec<f32> = coefficients.into_iter().map(nearest).collect();
            Tensor::from_slice(images.device(), &coefficients, &[images.shape()[0], count])
        })
    }
}

impl LimeOptions {
    /// The masks that are given, or random ones.
    fn drawn(&self, images: &Tensor, features: usize) -> Result<Tensor> {
        let Some(masks) = &self.masks else {
            if self.samples == 0 {
                return Err(Error::invalid(OP, "there are no samples to fit a model to"));
            }
            return Tensor::full(images.device(), &[self.samples, features], 0.5f32)?.bernoulli();
        };
        match masks.shape()[..] {
            [samples, width] if samples > 0 && width == features => masks.detach().to_dtype(DType::F32),
            _ => {
                let rule = format!("masks {} for {features} features; expected [samples, features]", masks.shape());
                Err(Error::invalid(OP, rule))
            }
        }
    }
}

impl LimeDistance {
    /// Distances of copies `[copies, N, ..]` from images `[N, ..]`: `[copies, N]`.
    fn between(self, images: &Tensor, copies: &Tensor) -> Result<Tensor> {
        let (images, copies) = (images.flatten(1, -1)?, copies.flatten(2, -1)?);
        let norm = |rows: &Tensor| rows.square()?.sum(-1)?.sqrt();
        match self {
            LimeDistance::Euclidean => norm(&(&copies - &images)?),
            LimeDistance::Cosine => {
                let norms = (norm(&copies)?.clamp(Some(1e-8), None)? * norm(&images)?.clamp(Some(1e-8), None)?)?;
                let cosine = ((&copies * &images)?.sum(-1)? / norms)?;
                (-cosine)? + 1.0
            }
        }
    }
}

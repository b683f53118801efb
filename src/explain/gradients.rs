//! Attributions by the gradient of the input.

use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::explain::quadrature::gauss_legendre;
use crate::graph::{Tensor, no_grad};
use crate::options::options;

options! {
    /// Options of [`Explainer::integrated_gradients`] and [`Explainer::layer_conductance`].
    #[derive(Clone, Debug)]
    IntegratedGradientsOptions {
        /// The input without information, which broadcasts with the images; zeros by default.
        baseline: Option<Tensor> = None,
        /// Points of the Gauss-Legendre rule: captum's `n_steps`.
        steps: usize = 50,
    }
}

impl IntegratedGradientsOptions {
    /// Places between the baseline (0) and the image (1), with the weights of the rule.
    pub(super) fn points(&self, op: &'static str, more: usize) -> Result<Vec<(f64, f64)>> {
        if self.steps == 0 {
            return Err(Error::invalid(op, "steps must be at least 1"));
        }
        let mut points = gauss_legendre(self.steps + more);
        points.reverse();
        Ok(points)
    }
}

/// A baseline in the images' shape; zeros where none is given.
pub(super) fn baseline(op: &'static str, images: &Tensor, given: Option<&Tensor>) -> Result<Tensor> {
    given.map_or_else(|| images.zeros_like(), |baseline| baseline.detach().expand_to(*images.shape(), op))
}

impl Explainer<'_> {
    /// `|d score / d x|`: the pixels that the answer would change with (Simonyan et al., "Deep Inside Convolutional Networks",
    /// 2013). Images `[N, ..]`; the result has their shape, as has that of the other methods for inputs.
    ///
    /// # Errors
    /// Those of the network; [`Error::Invalid`] for a class that it does not have, or outputs that are not `[N, classes, ..]`.
    pub fn saliency(&self, images: &Tensor) -> Result<Tensor> {
        self.vanilla_gradient(images)?.abs()
    }

    /// `d score / d x` with its sign.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency).
    pub fn vanilla_gradient(&self, images: &Tensor) -> Result<Tensor> {
        self.gradient(images, &self.classes(images)?)
    }

    /// `x d score / d x` (Shrikumar et al., "Not Just a Black Box", 2016).
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency).
    pub fn input_x_gradient(&self, images: &Tensor) -> Result<Tensor> {
        images.detach() * self.vanilla_gradient(images)?
    }

    /// `(x - x0) integral of d score / d x over the straight line from the baseline x0 to x` (Sundararajan et al., "Axiomatic
    /// Attribution for Deep Networks", 2017). The attributions of an image add up to `score(x) - score(x0)`, up to the error of
    /// the quadrature: see [`convergence_delta`](Explainer::convergence_delta).
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency); [`Error::Broadcast`] for a baseline of another shape, [`Error::Invalid`] for no
    /// steps.
    ///
    /// ```
    /// # use wgrad::explain::{Explainer, IntegratedGradientsOptions};
    /// # use wgrad::{Device, Tensor, nn::{Linear, Relu, Scope, Sequential}};
    /// # let device = Device::reference();
    /// let net = Sequential::new(&Scope::new(&device)).make(|s| Linear::new(s, 4, 8))?.push(Relu).make(|s| Linear::new(s, 8, 2))?;
    /// let x = Tensor::normal(&device, &[3, 4], 0.0, 1.0)?;
    /// let explainer = Explainer::new(&net);
    /// let attributions = explainer.integrated_gradients(&x, &IntegratedGradientsOptions::default())?;
    /// let delta = explainer.convergence_delta(&attributions, &x, None)?;
    /// assert!(delta.to_vec::<f32>()?.iter().all(|delta| delta.abs() < 0.05));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn integrated_gradients(&self, images: &Tensor, options: &IntegratedGradientsOptions) -> Result<Tensor> {
        const OP: &str = "integrated_gradients";
        let (classes, baseline) = (self.classes(images)?, baseline(OP, images, options.baseline.as_ref())?);
        let (images, points) = (images.detach(), options.points(OP, 0)?);
        let way = (&images - &baseline)?;
        let mut sum = images.zeros_like()?;
        for points in points.chunks(self.copies(images.shape()[0])) {
            let places: Result<Vec<Tensor>> = points.iter().map(|(place, _)| &baseline + (&way * *place)?).collect();
            let gradients = self.gradient(&Tensor::cat(&places?.iter().collect::<Vec<_>>(), 0)?, &classes)?;
            for ((_, weight), gradient) in points.iter().zip(gradients.chunk(points.len(), 0)?) {
                sum = (sum + (gradient * *weight)?)?;
            }
        }
        way * sum
    }

    /// `sum of attributions - (score(x) - score(x0))` of each image, `[N]`: 0 if a method's attributions add up to the difference
    /// that they explain. The baseline is zeros by default.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency); [`Error::Broadcast`].
    pub fn convergence_delta(
        &self,
        attributions: &Tensor,
        images: &Tensor,
        baseline: Option<&Tensor>,
    ) -> Result<Tensor> {
        no_grad(|| {
            let classes = self.classes(images)?;
            let baseline = self::baseline("convergence_delta", images, baseline)?;
            let difference = (self.scores(images, &classes)? - self.scores(&baseline, &classes)?)?;
            attributions.flatten(1, -1)?.sum(1)? - difference.flatten(0, -1)?
        })
    }
}

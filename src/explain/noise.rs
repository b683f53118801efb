//! Attributions averaged over noisy inputs.

use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::options::options;
use crate::shape::Shape;

/// The figure of noisy attributions that [`Explainer::noise_tunnel`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseTunnelKind {
    /// Their mean (Smilkov et al., "SmoothGrad", 2017).
    #[default]
    SmoothGrad,
    /// The mean of their squares (Hooker et al., "A Benchmark for Interpretability Methods", 2019).
    SmoothGradSquare,
    /// Their variance (Adebayo et al., "Local Explanation Methods for Deep Neural Networks", 2018).
    VarGrad,
}

options! {
    /// Options of [`Explainer::noise_tunnel`], with captum's defaults.
    #[derive(Clone, Copy, Debug)]
    NoiseTunnelOptions {
        /// The figure of the samples' attributions.
        kind: NoiseTunnelKind = NoiseTunnelKind::SmoothGrad,
        /// Noisy copies of each image.
        samples: usize = 5,
        /// Standard deviation of the noise. Smilkov et al. take 0.1 to 0.2 of the images' range.
        std: f64 = 1.0,
    }
}

options! {
    /// Options of [`Explainer::gradient_shap`], with captum's defaults.
    #[derive(Clone, Copy, Debug)]
    GradientShapOptions {
        /// Samples of each image.
        samples: usize = 5,
        /// Standard deviation of the noise that is added to images.
        std: f64 = 0.0,
    }
}

fn check(op: &'static str, samples: usize, std: f64) -> Result<()> {
    if samples == 0 || std.is_nan() || std < 0.0 {
        let rule =
            format!("{samples} samples with a deviation of {std}; expected at least one, and no deviation below 0");
        return Err(Error::invalid(op, rule));
    }
    Ok(())
}

/// The images with normal noise.
fn noisy(images: &Tensor, std: f64) -> Result<Tensor> {
    if std == 0.0 {
        return Ok(images.detach());
    }
    images.detach() + Tensor::normal(images.device(), images.shape(), 0.0, std)?
}

impl Explainer<'_> {
    /// A method's attributions over noisy copies of the images. The noise comes from the device's generator
    /// ([`Device::manual_seed`](crate::Device::manual_seed)). The class is that of the images without noise.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no samples or a negative deviation; those of the method.
    ///
    /// ```
    /// # use wgrad::explain::{Explainer, NoiseTunnelOptions};
    /// # use wgrad::{Device, Tensor, nn::{Linear, Scope}};
    /// # let device = Device::reference();
    /// # let net = Linear::new(&Scope::new(&device), 4, 2)?;
    /// let x = Tensor::normal(&device, &[3, 4], 0.0, 1.0)?;
    /// let options = NoiseTunnelOptions::default().samples(8).std(0.1);
    /// let smooth = Explainer::new(&net).noise_tunnel(&x, &options, |explainer, noisy| explainer.saliency(noisy))?;
    /// assert_eq!(smooth.shape()[..], [3, 4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn noise_tunnel(
        &self,
        images: &Tensor,
        options: &NoiseTunnelOptions,
        method: impl Fn(&Explainer<'_>, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let NoiseTunnelOptions { kind, samples, std } = *options;
        check("noise_tunnel", samples, std)?;
        let explainer = self.fixed(images)?;
        let (mut sum, mut squares) = (None, None);
        let add = |sum: Option<Tensor>, next: Tensor| sum.map_or_else(|| Ok(next.clone()), |sum| sum + &next).map(Some);
        for _ in 0..samples {
            let attributions = method(&explainer, &noisy(images, std)?)?.detach();
            if kind != NoiseTunnelKind::SmoothGrad {
                squares = add(squares, attributions.square()?)?;
            }
            sum = add(sum, attributions)?;
        }
        let mean = |sum: Option<Tensor>| sum.map_or_else(|| images.zeros_like(), |sum| sum / samples as f64);
        match kind {
            NoiseTunnelKind::SmoothGrad => mean(sum),
            NoiseTunnelKind::SmoothGradSquare => mean(squares),
            NoiseTunnelKind::VarGrad => mean(squares)? - mean(sum)?.square()?,
        }
    }

    /// The expectation of `(x - x0) d score / d x` at a random position between a noisy image and a random baseline (Lundberg and
    /// Lee, "A Unified Approach to Interpreting Model Predictions", 2017): Shapley values of a model that is linear between
    /// them. `baselines` are `[B, ..]`, of which each sample draws one for each image.
    ///
    /// # Errors
    /// As [`noise_tunnel`](Explainer::noise_tunnel); [`Error::Invalid`] for baselines of another shape.
    pub fn gradient_shap(&self, images: &Tensor, baselines: &Tensor, options: &GradientShapOptions) -> Result<Tensor> {
        const OP: &str = "gradient_shap";
        let GradientShapOptions { samples, std } = *options;
        check(OP, samples, std)?;
        let fits = baselines.rank() == images.rank() && baselines.shape()[1..] == images.shape()[1..];
        if !fits || baselines.shape()[0] == 0 {
            let rule = format!(
                "baselines {} for images {}; expected [B, ..] of their size",
                baselines.shape(),
                images.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        let classes = self.classes(images)?;
        let (device, count) = (images.device(), images.shape()[0]);
        let of_each: Vec<usize> = std::iter::once(count).chain(std::iter::repeat_n(1, images.rank() - 1)).collect();
        let mut sum = images.zeros_like()?;
        for _ in 0..samples {
            let drawn = Tensor::randint(device, 0, nearest(baselines.shape()[0]), &[count])?;
            let baseline = baselines.detach().index_select(0, &drawn)?;
            let place = Tensor::uniform(device, &[count], 0.0, 1.0)?.reshape_to(Shape::new(&of_each)?)?;
            let way = (noisy(images, std)? - &baseline)?;
            let gradient = self.gradient(&(&baseline + (&way * place)?)?, &classes)?;
            sum = (sum + (way * gradient)?)?;
        }
        sum / samples as f64
    }
}

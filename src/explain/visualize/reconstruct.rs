//! Images from their features.

use super::canvas::{Canvas, CanvasOptions, normalized};
use super::priors::Priors;
use crate::error::Result;
use crate::explain::ablation::sizes;
use crate::explain::layer::output_of;
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;
use crate::options::options;

options! {
    /// Options of [`reconstruct`].
    #[derive(Clone, Debug)]
    ReconstructOptions {
        /// Steps of Adam.
        steps: usize = 400,
        /// Adam's step.
        lr: f64 = 0.05,
        /// The tensor that is optimized, and the way into the network.
        canvas: CanvasOptions = CanvasOptions::default(),
        /// Penalties: total variation with an exponent of 2, and a bound of the range.
        priors: Priors = Priors::default().total_variation(0.1).norm(0.1).alpha(6.0),
    }
}

/// Images that give the features of others.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// `[N, C, H, W]`, between 0 and 1.
    pub images: Tensor,
    /// `|features of the images - features| / |features|` of each, `[N]`.
    pub error: Tensor,
}

/// Images with the same features at a layer as given images (Mahendran and Vedaldi, "Understanding Deep Image Representations by
/// Inverting Them", 2014): they show what the layer still knows of a picture. Adam lowers
/// `|f(x) - f(x0)|^2 / |f(x0)|^2 + priors(x)` from random numbers on; of the given images `[N, C, H, W]`, between 0 and 1, only
/// the features are used. The layer is named as in the [`summary`](Module::summary).
///
/// ```
/// use wgrad::explain::{ReconstructOptions, reconstruct};
/// use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
///
/// let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let images = Tensor::rand(&device, &[1, 1, 28, 28])?;
/// let made = reconstruct(&net, &images, "conv1", &ReconstructOptions::default().steps(2))?;
/// assert_eq!((&made.images.shape()[..], &made.error.shape()[..]), (&[1, 1, 28, 28][..], &[1][..]));
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) if no layer of this name runs, for images without pixels and negative weights;
/// those of the network.
pub fn reconstruct(
    model: &dyn Module,
    images: &Tensor,
    layer: &str,
    options: &ReconstructOptions,
) -> Result<Reconstruction> {
    const OP: &str = "reconstruct";
    let shape = sizes(OP, images)?;
    let features = |images: &Tensor| output_of(model, images, layer)?.flatten(1, -1);
    let normalization = options.canvas.normalization.as_ref();
    let wanted = no_grad(|| features(&normalized(&images.detach(), normalization)?))?;
    let squares = |difference: Tensor| difference.square()?.sum(1);
    let scale = no_grad(|| squares(wanted.clone())? + 1e-12)?;
    let canvas = Canvas::new(OP, images.device(), shape, &options.canvas)?;
    canvas.climb(options.steps, options.lr, |images, normalized| {
        let away = (squares((features(&normalized(images)?)? - &wanted)?)? / &scale)?;
        let loss = (away + options.priors.penalty(images)?)?;
        -loss
    })?;
    let images = canvas.images()?.detach();
    let error = no_grad(|| (squares((features(&normalized(&images, normalization)?)? - &wanted)?)? / &scale)?.sqrt())?;
    Ok(Reconstruction { images, error })
}

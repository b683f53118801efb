//! Activation maximization.

use super::canvas::{Canvas, CanvasOptions};
use super::objective::Objective;
use super::priors::Priors;
use super::transformations::Transformations;
use crate::error::Result;
use crate::explain::layer::device_of;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::options::options;

options! {
    /// Options of [`maximize_activation`], with the numbers of Olah et al.
    #[derive(Clone, Debug)]
    MaximizeOptions {
        /// Steps of Adam.
        steps: usize = 512,
        /// Adam's step.
        lr: f64 = 0.05,
        /// The tensor that is optimized, and the way into the network.
        canvas: CanvasOptions = CanvasOptions::default(),
        /// Penalties.
        priors: Priors = Priors::default(),
        /// Random moves of each step.
        transformations: Transformations = Transformations::default(),
    }
}

/// Images `[N, C, H, W]` between 0 and 1 that raise an objective: a unit, a channel or a class of a network in the mode that it
/// is in. Ascent by Adam begins with random numbers from the device's generator, of `objective(normalized moved x) - priors(x)`
/// (Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009; Olah et al., "Feature Visualization", 2017). The
/// network's gradients stay as they are. Each of the `N` images begins elsewhere.
///
/// ```
/// use wgrad::explain::{MaximizeOptions, Objective, Transformations, maximize_activation};
/// use wgrad::{Device, models::LeNet5, nn::Scope};
///
/// let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let objective = Objective::channel("conv1", 2);
/// let options = MaximizeOptions::default().steps(3).transformations(Transformations::default().jitter(2));
/// let images = maximize_activation(&net, &objective, [1, 1, 28, 28], &options)?;
/// assert_eq!(images.shape()[..], [1, 1, 28, 28]);
/// assert!(objective.values(&net, &images)?.item::<f32>()?.is_finite());
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Those of [`Objective::values`]; [`Error::Invalid`](crate::Error::Invalid) for images without pixels, negative weights, and a
/// network without parameters, which has no device.
pub fn maximize_activation(
    model: &dyn Module,
    objective: &Objective,
    shape: [usize; 4],
    options: &MaximizeOptions,
) -> Result<Tensor> {
    const OP: &str = "maximize_activation";
    let canvas = Canvas::new(OP, &device_of(OP, model)?, shape, &options.canvas)?;
    canvas.climb(options.steps, options.lr, |images, normalized| {
        let moved = options.transformations.apply(OP, images)?;
        objective.values(model, &normalized(&moved)?)? - options.priors.penalty(images)?
    })?;
    Ok(canvas.images()?.detach())
}

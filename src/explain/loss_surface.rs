//! The loss around a network's weights.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad};
use crate::nn::Module;
use crate::options::options;

const OP: &str = "loss_surface";

options! {
    /// Options of [`loss_surface`].
    #[derive(Clone, Copy, Debug)]
    LossSurfaceOptions {
        /// Points along each direction; with an odd number the weights themselves are the point in the middle.
        points: usize = 21,
        /// The farthest point of each direction, in lengths of the filters.
        extent: f64 = 1.0,
    }
}

/// Losses at points `weights + x first + y second`.
#[derive(Clone, Debug, PartialEq)]
pub struct LossSurface {
    /// The places along both directions, from `-extent` to `extent`.
    pub places: Vec<f64>,
    /// The losses, a row of all `x` for each `y`.
    pub losses: Vec<f64>,
}

impl LossSurface {
    /// The loss at the positions of these numbers along the first and the second direction.
    pub fn at(&self, x: usize, y: usize) -> f64 {
        self.losses[y * self.places.len() + x]
    }
}

/// `d |w| / (|d| + 1e-10)` for each filter `d` of a direction and `w` of the weights, which are the slices of the outermost
/// dimension; zeros for weights of at most one dimension: biases and norms stay where they are.
///
/// # Errors
/// [`Error::Broadcast`] if the direction has not the weights' shape.
pub fn filter_normalized(direction: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if weight.rank() < 2 {
        return weight.zeros_like();
    }
    let inner: Vec<usize> = (1..weight.rank()).collect();
    let norm = |values: &Tensor| values.square()?.sum_keepdim(&inner)?.sqrt();
    direction * (norm(weight)? / (norm(direction)? + 1e-10)?)?
}

/// The loss on a plane through the network's weights, along two random directions with filter normalization (Li et al.,
/// "Visualizing the Loss Landscape of Neural Nets", 2018): normal numbers from the device's generator, each filter scaled to the
/// norm of the network's own. `loss` runs the network, in its current mode, and returns one number. Afterwards all parameters and
/// running statistics are restored, bit for bit, also after an error.
///
/// ```
/// # use wgrad::explain::{LossSurfaceOptions, loss_surface};
/// # use wgrad::{Device, Tensor, nn::{Linear, Module, Scope}};
/// # let device = Device::reference();
/// let net = Linear::new(&Scope::new(&device), 4, 4)?;
/// let (x, y) = (Tensor::randn(&device, &[8, 4])?, Tensor::zeros(&device, &[8, 4])?);
/// let options = LossSurfaceOptions::default().points(5).extent(0.5);
/// let surface = loss_surface(&net, &options, || (net.forward(&x)? - &y)?.square()?.mean_all())?;
/// assert_eq!((surface.places[0], surface.losses.len()), (-0.5, 25));
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for no points, an extent that is not positive, or a loss that is not one number; those of `loss`.
pub fn loss_surface(
    model: &dyn Module,
    options: &LossSurfaceOptions,
    mut loss: impl FnMut() -> Result<Tensor>,
) -> Result<LossSurface> {
    let LossSurfaceOptions { points, extent } = *options;
    if points == 0 || !(extent > 0.0 && extent.is_finite()) {
        return Err(Error::invalid(
            OP,
            format!("{points} points up to {extent}; expected at least one, and an extent above 0"),
        ));
    }
    let state: Vec<(Parameter, Tensor)> =
        model.parameters().into_iter().map(|parameter| (parameter.clone(), parameter.value().detach())).collect();
    let places: Vec<f64> = match points {
        1 => vec![0.0],
        _ => (0..points).map(|at| extent * (2.0 * at as f64 / (points - 1) as f64 - 1.0)).collect(),
    };
    let losses = no_grad(|| losses(&state, &places, &mut loss));
    for (parameter, value) in &state {
        parameter.assign(value)?;
    }
    Ok(LossSurface { places, losses: losses? })
}

fn losses(
    state: &[(Parameter, Tensor)],
    places: &[f64],
    loss: &mut impl FnMut() -> Result<Tensor>,
) -> Result<Vec<f64>> {
    let trained: Vec<&(Parameter, Tensor)> = state.iter().filter(|(parameter, _)| !parameter.is_buffer()).collect();
    let direction = |(_, value): &&(Parameter, Tensor)| filter_normalized(&value.randn_like()?, value);
    let first = trained.iter().map(direction).collect::<Result<Vec<Tensor>>>()?;
    let second = trained.iter().map(direction).collect::<Result<Vec<Tensor>>>()?;
    let mut losses = Vec::with_capacity(places.len() * places.len());
    for y in places {
        for x in places {
            for ((parameter, value), (first, second)) in trained.iter().zip(first.iter().zip(&second)) {
                parameter.assign(&(value + ((first * *x)? + (second * *y)?)?)?)?;
            }
            let loss = loss()?;
            if loss.numel() != 1 {
                return Err(Error::invalid(OP, format!("the loss is {} and not one number", loss.shape())));
            }
            losses.extend(loss.to_f64()?);
        }
    }
    Ok(losses)
}

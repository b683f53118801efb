//! The part of an input that an output really depends on.

use crate::error::{Error, Result};
use crate::explain::ablation::sizes;
use crate::explain::layer::output_of;
use crate::graph::{Tensor, gradient_of_sum, with_grad};
use crate::nn::Module;

/// The gradient of a layer's centre with respect to the input: the effective receptive field, which fills the
/// [theoretical](crate::nn::receptive_field) one like a bell and not like a box.
#[derive(Clone, Debug)]
pub struct EffectiveReceptiveField {
    /// `[1, 1, H, W]`, of the input's height and width.
    pub gradient: Tensor,
}

impl EffectiveReceptiveField {
    /// The fraction of the largest gradient from which Luo et al. count a pixel: two deviations of a bell curve.
    const COUNTED: f64 = 1.0 - 0.9545;

    /// The side of a square of as many pixels as have a gradient above 4.55 % of the largest one.
    ///
    /// # Errors
    /// The fault on the device.
    pub fn size(&self) -> Result<f64> {
        let values = self.gradient.to_f64()?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        let count = values.iter().filter(|&&value| value > largest * Self::COUNTED).count();
        Ok((count as f64).sqrt())
    }
}

/// The mean over images of `sum over channels of |d y / d x|`, with `y` the sum over channels of the unit in the middle of a
/// layer's maps (Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", 2016). Images
/// `[N, C, H, W]`; the layer is named as in the [`summary`](Module::summary), and the empty name is the whole network.
///
/// ```
/// # use wgrad::explain::effective_receptive_field;
/// # use wgrad::{Conv2dOptions, Device, Tensor, nn::{Conv2d, Scope, Sequential}};
/// # let device = Device::reference();
/// let scope = Scope::new(&device);
/// let conv = |s: &Scope| Conv2d::new(s, 1, 1, 3, &Conv2dOptions::default().padding(1));
/// let net = Sequential::new(&scope).make(conv)?.make(conv)?;
/// let field = effective_receptive_field(&net, &Tensor::rand(&device, &[4, 1, 11, 11])?, "1")?;
/// assert_eq!(field.gradient.shape()[..], [1, 1, 11, 11]);
/// assert!(field.size()? <= 5.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if no layer of this name runs, its output is not `[N, C, h, w]` with positions, or there are no images;
/// those of the network.
pub fn effective_receptive_field(model: &dyn Module, images: &Tensor, layer: &str) -> Result<EffectiveReceptiveField> {
    const OP: &str = "effective_receptive_field";
    let images = images.detach().requires_grad();
    let maps = with_grad(true, || output_of(model, &images, layer))?;
    let [count, _, height, width] = sizes(OP, &maps)?;
    if count * height * width == 0 {
        return Err(Error::invalid(OP, format!("{layer:?} gives maps without a middle, {}", maps.shape())));
    }
    let centre = with_grad(true, || maps.narrow(2, height / 2, 1)?.narrow(3, width / 2, 1))?;
    let gradient = gradient_of_sum(&centre, &images, None)?;
    Ok(EffectiveReceptiveField { gradient: gradient.abs()?.sum_keepdim(1)?.mean_keepdim(0)? })
}

//! Filters and feature maps as pictures of one sheet.

use crate::error::{Error, Result};
use crate::explain::ablation::sizes;
use crate::explain::layer::output_of;
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;
use crate::shape::Shape;

/// The pictures whose smallest value becomes black and whose largest becomes white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stretch {
    /// Each picture for itself: torchvision's `scale_each`.
    #[default]
    Each,
    /// All pictures of the sheet together, so that faint ones stay faint.
    All,
}

impl Stretch {
    /// `(x - min) / max(max - min, 1e-5)` of pictures `[N, C, H, W]`, as torchvision's `make_grid` does.
    fn apply(self, pictures: &Tensor) -> Result<Tensor> {
        let dims: &[usize] = match self {
            Stretch::Each => &[1, 2, 3],
            Stretch::All => &[0, 1, 2, 3],
        };
        let (min, max) = (pictures.amin_keepdim(dims)?, pictures.amax_keepdim(dims)?);
        (pictures - &min)? / (max - min)?.clamp(Some(1e-5), None)?
    }
}

/// The weights of a convolution as pictures from 0 to 1, by the layer's name in the [`summary`](Module::summary). For weights
/// `[O, I, h, w]` the sheet has a row of `I` pictures for each filter, `[O I, 1, h, w]`; filters of three channels are one
/// coloured picture each, `[O, 3, h, w]`. [`save_images`](crate::data::save_images) with `I` columns, or any other number, makes
/// a PNG of them.
///
/// ```
/// # use wgrad::explain::{Stretch, filters};
/// # use wgrad::{Device, InterpolateOptions, models::LeNet5, nn::Scope};
/// # let folder = tempfile::tempdir().unwrap();
/// let net = LeNet5::new(&Scope::new(&Device::reference()))?;
/// let sheet = filters(&net, "conv2", Stretch::Each)?;
/// assert_eq!(sheet.shape()[..], [16 * 6, 1, 5, 5]);
/// // Six pixels for each weight.
/// let sheet = sheet.interpolate(&InterpolateOptions::default().scale_factor([6.0, 6.0]))?;
/// # #[cfg(feature = "images")]
/// wgrad::data::save_images(&sheet, folder.path().join("conv2.png"), 6)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if no layer has this name, or it has no weights `[O, I, h, w]`.
pub fn filters(model: &dyn Module, layer: &str, stretch: Stretch) -> Result<Tensor> {
    const OP: &str = "filters";
    let modules = model.named_modules();
    let found = modules.iter().find(|(name, _)| name == layer);
    let (_, module) =
        found.ok_or_else(|| Error::invalid(OP, format!("no layer is called {layer:?}; see the summary")))?;
    let weight = module.own_parameters().into_iter().map(|parameter| parameter.value()).find(|value| value.rank() == 4);
    let rule = || format!("{layer:?} is a {} and has no weights [O, I, h, w]", module.type_name());
    let weight = weight.ok_or_else(|| Error::invalid(OP, rule()))?.detach();
    let [outputs, inputs, height, width] = sizes(OP, &weight)?;
    let channels = if inputs == 3 { 3 } else { 1 };
    no_grad(|| {
        stretch.apply(&weight.reshape_to(Shape::new(&[outputs * inputs / channels, channels, height, width])?)?)
    })
}

/// The maps of a layer as pictures from 0 to 1: of its output `[N, C, h, w]` a row of `C` pictures for each image,
/// `[N C, 1, h, w]`.
///
/// ```
/// # use wgrad::explain::{Stretch, feature_maps};
/// # use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
/// # let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let sheet = feature_maps(&net, &Tensor::rand(&device, &[2, 1, 28, 28])?, "conv1", Stretch::All)?;
/// assert_eq!(sheet.shape()[..], [2 * 6, 1, 28, 28]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if no layer of this name runs, or its output is not `[N, C, h, w]`; those of the network.
pub fn feature_maps(model: &dyn Module, images: &Tensor, layer: &str, stretch: Stretch) -> Result<Tensor> {
    no_grad(|| {
        let maps = output_of(model, &images.detach(), layer)?;
        let [count, channels, height, width] = sizes("feature_maps", &maps)?;
        stretch.apply(&maps.reshape_to(Shape::new(&[count * channels, 1, height, width])?)?)
    })
}

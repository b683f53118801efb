//! Distributions of a network's activations and of their gradients, by layer.

use crate::error::{Error, Result};
use crate::explain::layer::leaves;
use crate::graph::{Tensor, grad, no_grad, with_grad};
use crate::logs::Histogram;
use crate::nn::Module;

/// The distribution of a layer's output, or of the gradient with respect to it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerHistogram {
    /// The layer's name, as in the [`summary`](Module::summary).
    pub layer: String,
    /// Its counts.
    pub histogram: Histogram,
}

fn counted(layers: Vec<(String, Tensor)>, bins: usize) -> Result<Vec<LayerHistogram>> {
    let histograms = Histogram::of_each(&layers.iter().map(|(_, values)| values).collect::<Vec<_>>(), bins)?;
    let layers = layers.into_iter().zip(histograms);
    Ok(layers.map(|((layer, _), histogram)| LayerHistogram { layer, histogram }).collect())
}

/// The distribution of each layer's output for some images: it shows layers that saturate, die or blow up. Layers without inner
/// layers are listed in the order in which they run, once for each run. They are counted on the device and read together.
///
/// ```
/// # use wgrad::explain::activation_histograms;
/// # use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
/// # let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let layers = activation_histograms(&net, &Tensor::rand(&device, &[2, 1, 28, 28])?, 30)?;
/// assert_eq!(layers[1].layer, "conv2");
/// assert_eq!(layers[1].histogram.counts().iter().sum::<u64>(), 2 * 16 * 10 * 10);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Those of the network; [`Error::Invalid`] for 0 bins.
pub fn activation_histograms(model: &dyn Module, images: &Tensor, bins: usize) -> Result<Vec<LayerHistogram>> {
    no_grad(|| counted(leaves(model, &images.detach())?.0, bins))
}

/// The distribution of the gradient of a loss with respect to each layer's output: in a network of the right depth and
/// initialization those of the first layers are about as wide as those of the last. Layers that the loss does not depend on are
/// left out.
///
/// ```
/// # use wgrad::explain::gradient_histograms;
/// # use wgrad::{CrossEntropyOptions, Device, Tensor, models::LeNet5, nn::Scope};
/// # let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let labels = Tensor::from_slice(&device, &[3i32, 5], &[2])?;
/// let loss = |output: &Tensor| output.cross_entropy(&labels, &CrossEntropyOptions::default());
/// let layers = gradient_histograms(&net, &Tensor::rand(&device, &[2, 1, 28, 28])?, 30, loss)?;
/// assert_eq!(layers.last().unwrap().layer, "fc3");
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// As [`activation_histograms`]; those of `loss`; [`Error::Invalid`] if it is not a single number.
pub fn gradient_histograms(
    model: &dyn Module,
    images: &Tensor,
    bins: usize,
    loss: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Vec<LayerHistogram>> {
    let (layers, loss) = with_grad(true, || {
        let (layers, output) = leaves(model, &images.detach().requires_grad())?;
        Ok::<_, Error>((layers, loss(&output)?))
    })?;
    if loss.numel() != 1 {
        return Err(Error::invalid("gradient_histograms", format!("the loss is {} and not one number", loss.shape())));
    }
    no_grad(|| {
        let inputs: Vec<&Tensor> = layers.iter().map(|(_, output)| output).collect();
        let gradients = grad(&[&loss], &inputs, &[&loss.ones_like()?])?;
        let named = layers.iter().zip(gradients);
        counted(named.filter_map(|((layer, _), gradient)| Some((layer.clone(), gradient?))).collect(), bins)
    })
}

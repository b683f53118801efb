//! Batch norms folded into the convolutions before them.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad, tracing};
use crate::nn::{Layer, Module, Probe};
use std::collections::HashMap;

/// A convolution's weight and bias.
type Weights = Vec<Parameter>;

/// Finds the norms of convolutions' results.
#[derive(Default)]
struct Pairs {
    convolutions: HashMap<(u64, usize), (String, Weights)>,
    /// Keeps tensors alive, and so their identities valid.
    outputs: Vec<Tensor>,
    /// The names of a convolution and of the layer that it goes to, the first's weights and the second's position.
    found: Vec<(String, String, Weights)>,
}

impl Probe for Pairs {
    fn enter(&mut self, layer: &Layer<'_>, input: &Tensor) -> Result<()> {
        if let Some((name, weights)) = self.convolutions.get(&input.key()) {
            self.found.push((name.clone(), layer.name.to_string(), weights.clone()));
        }
        Ok(())
    }

    fn leave(&mut self, layer: &Layer<'_>, _: &Tensor, output: &Tensor) -> Result<Option<Tensor>> {
        if matches!(layer.module.type_name().as_str(), "Conv1d" | "Conv2d" | "Conv3d") {
            self.convolutions.insert(output.key(), (layer.name.to_string(), layer.module.own_parameters()));
            self.outputs.push(output.clone());
        }
        Ok(None)
    }
}

/// Folds the factors of a network's batch norms into the convolutions before them, for evaluation, and returns their names, each
/// convolution's and its norm's. Only a shift remains of a norm: its mean and its bias, with a variance and a weight of 1. So the
/// network keeps its structure and its outputs, and files of its weights fit any other.
///
/// `weight' = weight * gamma / sqrt(running_var + eps)`, PyTorch's `fuse_conv_bn_weights`, whose bias is the sum of the shifts
/// here. A convolution is folded if the first reader of its output is a norm; there must be no other reader. `input` is the shape
/// of an input of the network.
///
/// ```
/// use wgrad::compress::quantization::fuse_batch_norms;
/// use wgrad::nn::{Module, Scope};
/// use wgrad::{Device, models::{ResNet, ResNetOptions}};
/// let net = ResNet::new(&Scope::new(&Device::reference()), &ResNetOptions::resnet18_cifar().classes(10))?;
/// let folded = fuse_batch_norms(&net, &[1, 3, 8, 8])?;
/// assert_eq!(folded[0], ("conv1".to_string(), "bn1".to_string()));
/// assert_eq!(folded.len(), 20);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for a network without parameters; those of its forward pass.
pub fn fuse_batch_norms(model: &dyn Module, input: &[usize]) -> Result<Vec<(String, String)>> {
    const OP: &str = "fuse_batch_norms";
    model.eval();
    let Some(parameter) = model.parameters().into_iter().next() else {
        return Err(Error::invalid(OP, "the network has no parameters"));
    };
    let device = parameter.value().device().clone();
    let mut pairs = Pairs::default();
    tracing(|| no_grad(|| model.forward_with(&Tensor::zeros(&device, input)?, &mut pairs)))?;
    let modules: HashMap<String, &dyn Module> = model.named_modules().into_iter().collect();
    let mut folded = Vec::new();
    for (convolution, norm, weights) in pairs.found {
        let factor = match modules.get(&norm) {
            Some(module) => no_grad(|| module.take_factor())?,
            None => None,
        };
        let Some(factor) = factor else { continue };
        for parameter in weights {
            let value = parameter.value().detach();
            let mut sizes = vec![1; value.rank()];
            sizes[0] = -1;
            parameter.assign(&no_grad(|| &value * factor.reshape(&sizes)?)?)?;
        }
        folded.push((convolution, norm));
    }
    Ok(folded)
}

//! The functions of `torch.nn.utils.prune`.

use super::amount::Amount;
use super::held::{Held, lowest, norm};
use crate::error::Result;
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::nn::Module;

/// A method to choose single weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The smallest absolute values.
    L1,
    /// By chance, from the device's random stream.
    Random,
}

/// Prunes the weights of the smallest absolute values, of those that are not pruned yet.
///
/// ```
/// use wgrad::{Device, Parameter, Tensor, compress::pruning::l1_unstructured};
/// let w = Parameter::new("w", &Tensor::from_slice(&Device::reference(), &[0.5f32, -0.1, 2.0, -3.0], &[4])?);
/// l1_unstructured(&w, 0.5)?;
/// assert_eq!(w.value().to_vec::<f32>()?, [0.0, 0.0, 2.0, -3.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for a share that is not from 0 to 1, or a number of more than there are; errors of
/// the device.
pub fn l1_unstructured(parameter: &Parameter, amount: impl Into<Amount>) -> Result<()> {
    unstructured("l1_unstructured", std::slice::from_ref(parameter), Method::L1, amount.into())
}

/// Prunes weights by chance.
///
/// # Errors
/// As [`l1_unstructured`].
pub fn random_unstructured(parameter: &Parameter, amount: impl Into<Amount>) -> Result<()> {
    unstructured("random_unstructured", std::slice::from_ref(parameter), Method::Random, amount.into())
}

/// Prunes the weights of several parameters as if they were one: layers that matter less lose more.
///
/// # Errors
/// As [`l1_unstructured`].
pub fn global_unstructured(parameters: &[Parameter], method: Method, amount: impl Into<Amount>) -> Result<()> {
    unstructured("global_unstructured", parameters, method, amount.into())
}

/// Prunes the channels along dimension `dim` of the smallest norms of order `n`: the filters of a convolution for 0, the weights
/// of an input channel for 1. The order may be infinite.
///
/// ```
/// use wgrad::{Device, Parameter, Tensor, compress::pruning::ln_structured};
/// let w = Parameter::new("w", &Tensor::from_slice(&Device::reference(), &[1.0f32, 2.0, -4.0, 0.0], &[2, 2])?);
/// ln_structured(&w, 1, 2.0, 0)?;
/// assert_eq!(w.value().to_vec::<f32>()?, [0.0, 0.0, -4.0, 0.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// As [`l1_unstructured`]; for a dimension that the parameter does not have.
pub fn ln_structured(parameter: &Parameter, amount: impl Into<Amount>, n: impl Into<f64>, dim: usize) -> Result<()> {
    let n = n.into();
    structured("ln_structured", parameter, amount.into(), dim, |held, channels| {
        Ok(channels.iter().map(|channel| norm(channel.iter().map(|&at| held.values[at]), n)).collect())
    })
}

/// Prunes channels along dimension `dim` by chance.
///
/// # Errors
/// As [`ln_structured`].
pub fn random_structured(parameter: &Parameter, amount: impl Into<Amount>, dim: usize) -> Result<()> {
    structured("random_structured", parameter, amount.into(), dim, |_, channels| {
        random(&parameter.holds().2, channels.len())
    })
}

/// Prunes by the caller's mask, in addition to the elements already pruned.
///
/// # Errors
/// As [`Parameter::set_mask`].
pub fn custom_from_mask(parameter: &Parameter, mask: &Tensor) -> Result<()> {
    let both = match parameter.mask() {
        Some(held) => no_grad(|| held.value().mul(mask))?,
        None => mask.clone(),
    };
    parameter.set_mask(Some(&both))
}

/// Removes a parameter's mask: the zeros stay until other values are assigned.
///
/// # Errors
/// Errors of the device.
pub fn remove(parameter: &Parameter) -> Result<()> {
    parameter.set_mask(None)
}

/// True if a parameter of the module has a mask.
pub fn is_pruned(module: &dyn Module) -> bool {
    module.parameters().iter().any(|parameter| parameter.mask().is_some())
}

/// The trained parameters of two dimensions or more: weights of convolutions and linear layers, and no biases or norms, which are
/// few and do much.
pub fn prunable(module: &dyn Module) -> Vec<Parameter> {
    let fits = |parameter: &Parameter| !parameter.is_buffer() && parameter.holds().0.len() >= 2;
    module.parameters().into_iter().filter(fits).collect()
}

/// Prunes the elements that are exactly 0, as in weights that were loaded from the file of a pruned network, so that training
/// leaves them 0.
///
/// # Errors
/// Errors of the device.
pub fn mask_zeros(parameters: &[Parameter]) -> Result<()> {
    for parameter in parameters {
        let mut held = Held::read(parameter)?;
        held.open = held.values.iter().map(|&value| value != 0.0).collect();
        held.prune()?;
    }
    Ok(())
}

/// The fraction of the parameters' elements that masks prune.
///
/// # Errors
/// Errors of the device.
pub fn sparsity(parameters: &[Parameter]) -> Result<f64> {
    let all: usize = parameters.iter().map(|parameter| parameter.holds().0.numel()).sum();
    let pruned = parameters.iter().map(Parameter::pruned).sum::<Result<usize>>()?;
    Ok(pruned as f64 / all.max(1) as f64)
}

/// Numbers from 0 to 1 from a device's random stream.
pub(super) fn random(device: &Device, count: usize) -> Result<Vec<f64>> {
    Tensor::uniform(device, &[count], 0.0, 1.0)?.to_f64()
}

fn unstructured(op: &'static str, parameters: &[Parameter], method: Method, amount: Amount) -> Result<()> {
    let mut all = parameters.iter().map(Held::read).collect::<Result<Vec<_>>>()?;
    let scores: Vec<f64> = match (method, parameters) {
        (Method::Random, [first, ..]) => random(&first.holds().2, all.iter().map(|held| held.values.len()).sum())?,
        _ => all.iter().flat_map(|held| &held.values).map(|value| value.abs()).collect(),
    };
    let candidates: Vec<usize> = {
        let open = all.iter().flat_map(|held| &held.open);
        open.enumerate().filter(|(_, open)| **open).map(|(at, _)| at).collect()
    };
    let count = amount.of(op, candidates.len())?;
    let mut pruned = vec![false; scores.len()];
    lowest(&scores, candidates, count).into_iter().for_each(|at| pruned[at] = true);
    let mut pruned = pruned.into_iter();
    for held in &mut all {
        held.open.iter_mut().zip(&mut pruned).for_each(|(open, pruned)| *open &= !pruned);
        held.prune()?;
    }
    Ok(())
}

fn structured(
    op: &'static str,
    parameter: &Parameter,
    amount: Amount,
    dim: usize,
    scores: impl FnOnce(&Held, &[Vec<usize>]) -> Result<Vec<f64>>,
) -> Result<()> {
    let mut held = Held::read(parameter)?;
    let channels = held.channels(op, dim)?;
    let count = amount.of(op, channels.len())?;
    let scores = scores(&held, &channels)?;
    for channel in lowest(&scores, (0..channels.len()).collect(), count) {
        channels[channel].iter().for_each(|&at| held.open[at] = false);
    }
    held.prune()
}

//! Constants, and numbers that depend on their index or on each other.

use super::{set, spread};
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor};
use crate::nn::Module;
use crate::number::nearest;

/// One number everywhere.
///
/// # Errors
/// [`Error::WrongDType`] for a parameter of integers.
#[track_caller]
pub fn constant(parameter: &Parameter, value: f64) -> Result<()> {
    set(parameter, |device, shape| Tensor::filled(device, shape, value))
}

/// Zeros everywhere.
///
/// # Errors
/// [`Error::WrongDType`] for a parameter of integers.
#[track_caller]
pub fn zeros(parameter: &Parameter) -> Result<()> {
    constant(parameter, 0.0)
}

/// Zeros in the weight of the last norm of a residual branch, so that the block starts as the identity (Goyal et al.,
/// "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017).
///
/// # Errors
/// [`Error::Invalid`] if the branch has no norm with a weight.
///
/// ```
/// # use wgrad::{Conv2dOptions, Device, Padding, Tensor};
/// use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Module, Residual, Scope, Sequential, init};
///
/// let device = Device::reference();
/// let options = Conv2dOptions::default().padding(Padding::Same);
/// let block = Residual::new(&Scope::new(&device), |s| {
///     let body = Sequential::new(s)
///         .make(|s| Conv2d::without_bias(s, 4, 4, [3, 3], &options))?
///         .make(|s| BatchNorm2d::new(s, 4, &BatchNormLayerOptions::default()))?;
///     init::zero_last_norm(&body)?;
///     Ok(body)
/// })?;
/// let x = Tensor::ones(&device, &[2, 4, 5, 5])?;
/// assert_eq!(block.forward(&x)?.to_vec::<f32>()?, x.to_vec::<f32>()?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn zero_last_norm(branch: &dyn Module) -> Result<()> {
    let is_norm = |module: &dyn Module| module.type_name().contains("Norm");
    let of_norms = branch.named_modules().into_iter().filter(|(_, module)| is_norm(*module));
    let weight = of_norms.flat_map(|(_, norm)| norm.own_parameters()).rfind(|p| p.name().ends_with("weight"));
    zeros(&weight.ok_or_else(|| Error::invalid("init", "the branch has no norm with a weight to set to zero"))?)
}

/// Ones everywhere.
///
/// # Errors
/// [`Error::WrongDType`] for a parameter of integers.
#[track_caller]
pub fn ones(parameter: &Parameter) -> Result<()> {
    constant(parameter, 1.0)
}

/// Ones on the diagonal of a matrix `[out, in]`, zeros elsewhere: a linear layer that passes on as much of its input as fits.
///
/// # Errors
/// [`Error::Invalid`] for other than two dimensions.
#[track_caller]
pub fn eye(parameter: &Parameter) -> Result<()> {
    let shape = parameter.holds().0;
    let &[rows, columns] = &shape[..] else {
        return Err(Error::invalid("init", format!("eye fills a matrix; {} has the shape {shape}", parameter.name())));
    };
    let ones = (0..rows.min(columns)).map(|at| at * columns + at);
    placed(parameter, ones)
}

/// A convolution that passes on its input: 1 in the middle tap of filter `i` for channel `i`, in each group, zeros elsewhere
/// (Zagoruyko and Komodakis, "DiracNets", 2017). The weight is `[out, in / groups, ..kernel]`, of one to three kernel
/// dimensions.
///
/// # Errors
/// [`Error::Invalid`] for other numbers of dimensions and if `groups` doesn't divide `out`.
#[track_caller]
pub fn dirac(parameter: &Parameter, groups: usize) -> Result<()> {
    let shape = parameter.holds().0;
    let &[outputs, inputs, ref kernel @ ..] = &shape[..] else {
        return Err(not_a_filter(parameter));
    };
    if !(1..=3).contains(&kernel.len()) {
        return Err(not_a_filter(parameter));
    }
    if groups == 0 || !outputs.is_multiple_of(groups) {
        return Err(Error::invalid("init", format!("groups {groups} must divide the {outputs} filters")));
    }
    let taps: usize = kernel.iter().product();
    let middle = kernel.iter().fold(0, |at, &size| at * size + size / 2);
    let (filters, taps_of) = (outputs / groups, inputs * taps);
    let passed = if taps == 0 { 0 } else { filters.min(inputs) };
    let ones = (0..groups).flat_map(|group| {
        (0..passed).map(move |channel| (group * filters + channel) * taps_of + channel * taps + middle)
    });
    placed(parameter, ones)
}

fn not_a_filter(parameter: &Parameter) -> Error {
    let shape = parameter.holds().0;
    let name = parameter.name();
    Error::invalid("init", format!("dirac fills filters [out, in, ..kernel] of 1 to 3 dimensions; {name} is {shape}"))
}

/// Zeros, and ones at `elements`.
#[track_caller]
fn placed(parameter: &Parameter, ones: impl Iterator<Item = usize>) -> Result<()> {
    set(parameter, |device, shape| {
        let mut values = vec![0f32; shape.numel()];
        ones.for_each(|at| values[at] = 1.0);
        Tensor::from_slice(device, &values, shape)
    })
}

/// A matrix whose rows, or columns where those are fewer, are orthogonal and `gain` long; other shapes are seen as `[out, ..]`
/// (Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014). All such matrices
/// are equally likely. Reads normal numbers back, and computes with them on the host in double precision.
///
/// # Errors
/// [`Error::Invalid`] for less than two dimensions; errors of the device.
#[track_caller]
pub fn orthogonal(parameter: &Parameter, gain: f64) -> Result<()> {
    spread("gain", gain)?;
    let shape = parameter.holds().0;
    if shape.len() < 2 {
        let rule = format!("orthogonal needs two dimensions or more; {} has the shape {shape}", parameter.name());
        return Err(Error::invalid("init", rule));
    }
    set(parameter, |device, shape| {
        let rows = shape[0];
        let columns: usize = shape[1..].iter().product();
        let (count, length) = (rows.min(columns), rows.max(columns));
        let mut vectors = Tensor::randn(device, &[count, length])?.to_f64()?;
        orthonormalise(&mut vectors, length);
        vectors.iter_mut().for_each(|value| *value *= gain);
        let vectors = Tensor::from_f64(device, &vectors, &[count, length])?;
        if rows > columns { vectors.t()?.reshape_to(*shape) } else { vectors.reshape_to(*shape) }
    })
}

/// The Gram-Schmidt process on vectors of one length, one after the other in memory. Each vector is made orthogonal to the
/// earlier ones twice, which suffices for all digits (Giraud et al., 2005).
fn orthonormalise(vectors: &mut [f64], length: usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for at in (0..vectors.len()).step_by(length.max(1)) {
        let (before, rest) = vectors.split_at_mut(at);
        let vector = &mut rest[..length];
        for earlier in before.chunks_exact(length).chain(before.chunks_exact(length)) {
            let share = dot(earlier, vector);
            vector.iter_mut().zip(earlier).for_each(|(value, earlier)| *value -= share * earlier);
        }
        let size = dot(vector, vector).sqrt();
        vector.iter_mut().for_each(|value| *value /= size);
    }
}

/// Normal numbers in a matrix `[out, in]`; a fraction of each column, rounded up, is 0 at random rows (Martens, "Deep learning
/// via Hessian-free optimization", 2010).
///
/// # Errors
/// [`Error::Invalid`] for other than two dimensions, and if `sparsity` isn't from 0 to 1 or `std` is negative.
#[track_caller]
pub fn sparse(parameter: &Parameter, sparsity: f64, std: f64) -> Result<()> {
    spread("std", std)?;
    if !(0.0..=1.0).contains(&sparsity) {
        return Err(Error::invalid("init", format!("sparsity is {sparsity}; it must be from 0 to 1")));
    }
    let shape = parameter.holds().0;
    let &[rows, columns] = &shape[..] else {
        return Err(Error::invalid(
            "init",
            format!("sparse fills a matrix; {} has the shape {shape}", parameter.name()),
        ));
    };
    set(parameter, |device, shape| {
        let values = Tensor::normal(device, shape, 0.0, nearest(std))?;
        let zeros = nearest::<usize>((sparsity * rows as f64).ceil());
        zeros_at_random(device, &values, [rows, columns], zeros)
    })
}

/// Sets the first rows of a random order to 0, another order for each column.
#[track_caller]
fn zeros_at_random(device: &Device, values: &Tensor, shape: [usize; 2], zeros: usize) -> Result<Tensor> {
    let order = Tensor::rand(device, &shape)?.argsort(0, false)?.narrow(0, 0, zeros)?;
    values.scatter(0, &order, &Tensor::zeros(device, &[zeros, shape[1]])?)
}

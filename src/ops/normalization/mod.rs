//! Normalization: compositions of tensor operations, with PyTorch's rules.

mod batch;
mod group;
mod instance;
mod layer;
mod local_response;
mod rms;
mod squash;
mod standardize;
mod unit;
mod variance;

pub use batch::BatchNormOptions;
pub use instance::InstanceNormOptions;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, ascribe_to_caller, in_place_of, no_grad};
use crate::number::nearest;
use crate::ops::case::Case;
use standardize::standardize;

/// Mean and mean squared deviation of `x` over `dims`, which are kept with size 1, and the deviations. No gradient flows through
/// them, only through the values that they normalize.
struct Moments<'a> {
    x: &'a Tensor,
    dims: &'a [usize],
    mean: Tensor,
    variance: Tensor,
    deviations: Tensor,
}

/// Up to this many values for one mean, one kernel reads them as often as it needs to.
const SHORT: usize = 1 << 16;

/// The first of this many parts of a batch gives an approximate mean.
const PARTS: usize = 256;

impl<'a> Moments<'a> {
    /// In two passes: the second around the mean that the first one finds, up to rounding.
    #[track_caller]
    fn new(x: &'a Tensor, dims: &'a [usize]) -> Result<Moments<'a>> {
        let _line = ascribe_to_caller();
        no_grad(|| Moments::around(&x.mean_keepdim(dims)?, x, dims))
    }

    /// Over a batch `[N, ..]` with `count` values for each mean. If these are many, in one pass: around the mean of the first
    /// 256th of the samples, at least one.
    ///
    /// That mean is at most 16 standard deviations from the batch's, or the root of `N` if that is less: values further off would
    /// make the deviation itself larger. So the variance, a difference of two squares at most 257 times as large, loses 8 of its
    /// 24 bits at worst, and hardly any if samples are similar.
    #[track_caller]
    fn of_batch(given: &Tensor, x: &'a Tensor, dims: &'a [usize], count: usize) -> Result<Moments<'a>> {
        if count <= SHORT {
            return Moments::new(x, dims);
        }
        let _line = ascribe_to_caller();
        let first = x.shape()[0].div_ceil(PARTS);
        // Read from the given tensor: the cast of an f16 tensor read in part would be stored, and each reader can as well compute
        // it.
        let samples = || given.narrow(0, 0, first)?.to_dtype(DType::F32);
        no_grad(|| Moments::around(&samples()?.mean_keepdim(dims)?, x, dims))
    }

    /// From the mean `d` and the mean square of the deviations from an approximate mean: `about + d` and
    /// `mean(deviations^2) - d^2`. Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
    #[track_caller]
    fn around(about: &Tensor, x: &'a Tensor, dims: &'a [usize]) -> Result<Moments<'a>> {
        let from_about = (x - about)?;
        let off = from_about.mean_keepdim(dims)?;
        let squares = from_about.square()?.mean_keepdim(dims)?;
        // If all values are the same, rounding must not leave a number below zero.
        let variance = (&squares - off.square()?)?.clamp(Some(0.0), None)?;
        // A mean of large values is rounded to more than `off` is.
        Ok(Moments { x, dims, mean: (about + &off)?, variance, deviations: (&from_about - &off)? })
    }

    /// The unbiased estimate of a variance from `count` values.
    #[track_caller]
    fn unbiased(&self, count: usize) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        no_grad(|| &self.variance * nearest::<f64>(count as f64 / (count as f64 - 1.0)))
    }

    /// `(x - mean) / sqrt(variance + eps) * weight`.
    #[track_caller]
    fn normalized(&self, eps: f64, weight: Option<&Tensor>) -> Result<Tensor> {
        standardize(self, eps, weight)
    }
}

/// The mean over `dims`, which are kept with size 1, and the deviations from it.
///
/// A sum of large numbers may be off by more than their deviations. The mean of the first deviations is the error of rounding;
/// without rounding it is 0 for any input, so no gradient belongs to it.
#[track_caller]
fn centered(x: &Tensor, dims: &[usize]) -> Result<(Tensor, Tensor)> {
    let _line = ascribe_to_caller();
    let mean = x.mean_keepdim(dims)?;
    let deviations = (x - &mean)?;
    let left = no_grad(|| deviations.mean_keepdim(dims))?.detach();
    Ok(((&mean + &left)?, (&deviations - &left)?))
}

/// A float tensor in f32: sums of squares need the range.
#[track_caller]
fn single(op: &'static str, x: &Tensor) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(Error::WrongDType { op, expected: "floats", got: x.dtype() });
    }
    x.to_dtype(DType::F32)
}

/// `y weight`, if there is a weight.
#[track_caller]
fn scaled(y: Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    weight.map_or_else(|| Ok(y.clone()), |weight| &y * weight)
}

/// `y + bias`, in the element type of the operation's input.
#[track_caller]
fn shifted(y: &Tensor, bias: Option<&Tensor>, dtype: DType) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    bias.map_or_else(|| Ok(y.clone()), |bias| y + bias)?.to_dtype(dtype)
}

/// A value for each channel, `[C]`, as f32 of `shape`.
#[track_caller]
fn channels(
    op: &'static str,
    what: &str,
    values: Option<&Tensor>,
    input: &Tensor,
    shape: &[isize],
) -> Result<Option<Tensor>> {
    let Some(values) = values else { return Ok(None) };
    let count = nearest::<usize>(shape.iter().product::<isize>());
    if values.shape()[..] != [count] {
        let rule = format!("{what} {} must be [{count}], the channels of the input {}", values.shape(), input.shape());
        return Err(Error::invalid(op, rule));
    }
    Ok(Some(single(op, values)?.reshape(shape)?))
}

/// An input `[N, C, ..]` whose channels are normalized, in f32 as the values of its channels are.
struct Channels<'a> {
    op: &'static str,
    input: &'a Tensor,
    x: Tensor,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    running: Option<[Tensor; 2]>,
}

impl<'a> Channels<'a> {
    /// An input with its weight and bias, and the running mean and variance, each `[C]`.
    #[track_caller]
    fn new(
        op: &'static str,
        input: &'a Tensor,
        [weight, bias]: [Option<&Tensor>; 2],
        running: [Option<&Parameter>; 2],
    ) -> Result<Channels<'a>> {
        let _line = ascribe_to_caller();
        let (x, shape) = (single(op, input)?, input.shape());
        if shape.len() < 2 {
            return Err(Error::invalid(op, format!("the input {shape} must have a batch and channels, [N, C, ..]")));
        }
        let mut sizes = vec![1; shape.len()];
        sizes[1] = shape[1] as isize;
        let value = |what: &str, values: Option<&Tensor>| channels(op, what, values, input, &sizes);
        let (weight, bias) = (value("weight", weight)?, value("bias", bias)?);
        let [mean, variance] = running.map(|running| running.map(Parameter::value));
        let running = match (value("running_mean", mean.as_ref())?, value("running_var", variance.as_ref())?) {
            (Some(mean), Some(variance)) => Some([mean.detach(), variance.detach()]),
            (None, None) => None,
            _ => return Err(Error::invalid(op, "running_mean and running_var must both be given, or neither")),
        };
        Ok(Channels { op, input, x, weight, bias, running })
    }

    /// `(x - mean) / sqrt(variance + eps) * weight + bias` with statistics of the input.
    #[track_caller]
    fn by(&self, moments: &Moments, eps: f64) -> Result<Tensor> {
        self.shifted(&moments.normalized(eps, self.weight.as_ref())?)
    }

    /// `(x - mean) / sqrt(variance + eps) * weight + bias` with running statistics.
    #[track_caller]
    fn by_running(&self, eps: f64) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let Some([mean, variance]) = &self.running else {
            return Err(Error::invalid(
                self.op,
                "without the input's statistics it takes running_mean and running_var",
            ));
        };
        // One for each element: so it becomes part of the kernel that computes `x`, and not a small one before it.
        let variance = variance.expand_to(*self.x.shape(), self.op)?;
        self.shifted(&scaled(((&self.x - mean) * (&variance + eps)?.rsqrt()?)?, self.weight.as_ref())?)
    }

    #[track_caller]
    fn shifted(&self, y: &Tensor) -> Result<Tensor> {
        Ok(in_place_of(self.input, shifted(y, self.bias.as_ref(), self.input.dtype())?))
    }
}

/// Moves a running statistic towards the batch's: `running (1 - momentum) + batch momentum`.
#[track_caller]
fn update(running: Option<&Parameter>, batch: &Tensor, momentum: &Tensor) -> Result<()> {
    let _line = ascribe_to_caller();
    let Some(running) = running else { return Ok(()) };
    no_grad(|| {
        let old = running.value();
        let batch = (batch.detach().reshape_to(*old.shape())? * momentum)?;
        let kept = (old.to_dtype(DType::F32)? * (1.0 - momentum))?;
        running.assign(&(&kept + &batch)?.to_dtype(old.dtype())?)
    })
}

pub(super) fn cases() -> Vec<Case> {
    [
        variance::cases(),
        layer::cases(),
        rms::cases(),
        batch::cases(),
        group::cases(),
        instance::cases(),
        local_response::cases(),
        unit::cases(),
        squash::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

//! Independent numbers of one distribution.

use super::{FanMode, Nonlinearity, fans, set, spread};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::number::nearest;

/// Uniform numbers from `low` to `high`.
///
/// # Errors
/// [`Error::Invalid`] if `low > high` or one isn't finite; [`Error::WrongDType`] for a parameter of integers.
#[track_caller]
pub fn uniform(parameter: &Parameter, low: f64, high: f64) -> Result<()> {
    if !(low <= high && low.is_finite() && high.is_finite()) {
        return Err(Error::invalid("init", format!("no numbers are uniform from {low} to {high}")));
    }
    set(parameter, |device, shape| Tensor::uniform(device, shape, nearest(low), nearest(high)))
}

/// Normal numbers.
///
/// # Errors
/// [`Error::Invalid`] if `std` is negative or one isn't finite; [`Error::WrongDType`] for a parameter of integers.
#[track_caller]
pub fn normal(parameter: &Parameter, mean: f64, std: f64) -> Result<()> {
    spread("std", std)?;
    if !mean.is_finite() {
        return Err(Error::invalid("init", format!("mean is {mean}; it must be finite")));
    }
    set(parameter, |device, shape| Tensor::normal(device, shape, nearest(mean), nearest(std)))
}

/// Normal numbers from `low` to `high`: in effect, others are drawn again. Vision transformers take
/// `trunc_normal(parameter, 0.0, 0.02, -2.0, 2.0)`; the bounds are numbers and not standard deviations, as in PyTorch.
///
/// # Errors
/// As [`normal`]; [`Error::Invalid`] if `low >= high`, or no number between them is likelier than one in 10^7.
#[track_caller]
pub fn trunc_normal(parameter: &Parameter, mean: f64, std: f64, low: f64, high: f64) -> Result<()> {
    spread("std", std)?;
    // The distribution's integral up to each bound, by the error function.
    let integral = |bound: f64| libm::erf((bound - mean) / (std * std::f64::consts::SQRT_2));
    let (from, to) = (integral(low), integral(high));
    // Uniform numbers of 24 bits could not resolve a smaller interval. A NaN among the numbers fails here too.
    let is_drawable = low < high && to - from > 2e-7;
    if !is_drawable {
        let rule = format!("a normal distribution (mean {mean}, std {std}) has next to nothing from {low} to {high}");
        return Err(Error::invalid("init", rule));
    }
    set(parameter, |device, shape| {
        let uniform = Tensor::uniform(device, shape, nearest(from), nearest(to))?;
        // At 1 the inverse is infinite, which would put a number on a bound that is far away.
        let below_one = 1.0 - f64::from(f32::EPSILON) / 2.0;
        let standard = uniform.clamp(Some(-below_one), Some(below_one))?.erfinv()?;
        let normal = standard.mul_scalar(std * std::f64::consts::SQRT_2)?.add_scalar(mean)?;
        normal.clamp(Some(nearest(low)), Some(nearest(high)))
    })
}

/// Uniform numbers within `gain sqrt(6 / (fan_in + fan_out))` of 0 (Glorot and Bengio, "Understanding the difficulty of
/// training deep feedforward neural networks", 2010).
///
/// # Errors
/// [`Error::Invalid`] for less than two dimensions and if `gain` is negative or not finite.
#[track_caller]
pub fn xavier_uniform(parameter: &Parameter, gain: f64) -> Result<()> {
    let bound = 3f64.sqrt() * xavier(parameter, gain)?;
    uniform(parameter, -bound, bound)
}

/// Normal numbers with a standard deviation of `gain sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
///
/// # Errors
/// As [`xavier_uniform`].
#[track_caller]
pub fn xavier_normal(parameter: &Parameter, gain: f64) -> Result<()> {
    normal(parameter, 0.0, xavier(parameter, gain)?)
}

/// Uniform numbers within `gain sqrt(3 / fan)` of 0 (He et al., "Delving deep into rectifiers", 2015).
///
/// # Errors
/// [`Error::Invalid`] for less than two dimensions.
#[track_caller]
pub fn kaiming_uniform(parameter: &Parameter, mode: FanMode, nonlinearity: Nonlinearity) -> Result<()> {
    let bound = 3f64.sqrt() * kaiming(parameter, mode, nonlinearity)?;
    uniform(parameter, -bound, bound)
}

/// Normal numbers with a standard deviation of `gain / sqrt(fan)` (He et al., 2015).
///
/// # Errors
/// As [`kaiming_uniform`].
#[track_caller]
pub fn kaiming_normal(parameter: &Parameter, mode: FanMode, nonlinearity: Nonlinearity) -> Result<()> {
    normal(parameter, 0.0, kaiming(parameter, mode, nonlinearity)?)
}

/// The standard deviation that Glorot and Bengio give a weight.
fn xavier(parameter: &Parameter, gain: f64) -> Result<f64> {
    spread("gain", gain)?;
    let (inputs, outputs) = fans(&parameter.holds().0)?;
    // An empty weight has no numbers to draw.
    Ok(gain * (2.0 / (inputs as f64 + outputs as f64).max(1.0)).sqrt())
}

/// The standard deviation that He et al. give a weight.
fn kaiming(parameter: &Parameter, mode: FanMode, nonlinearity: Nonlinearity) -> Result<f64> {
    let gain = nonlinearity.gain();
    spread("the gain", gain)?;
    let (inputs, outputs) = fans(&parameter.holds().0)?;
    let fan = match mode {
        FanMode::FanIn => inputs,
        FanMode::FanOut => outputs,
    };
    Ok(gain / (fan.max(1) as f64).sqrt())
}

//! Gradients against differences.

use crate::error::{Error, Result};
use crate::graph::{Tensor, grad};
use crate::options::options;

options! {
    /// Options of [`gradcheck`]; the defaults are PyTorch's, for double precision: the reference.
    #[derive(Clone, Copy, Debug, PartialEq)]
    GradcheckOptions {
        /// Distance by which elements are moved up and down.
        eps: f64 = 1e-6,
        /// Allowed difference.
        atol: f64 = 1e-5,
        /// Allowed difference, relative to the slope.
        rtol: f64 = 1e-3,
    }
}

/// Compares the gradients of a function with its slopes, as PyTorch's `torch.autograd.gradcheck` does: `L` is the sum of the
/// outputs' elements, each times a fixed random number, and the gradient of `L` at each element of each float input is compared
/// with `(L(x + eps) - L(x - eps)) / 2 eps`. They may differ by `atol + rtol |slope|`.
///
/// The function is called twice for each element, and must give the same results each time. On [`Device::reference`], which
/// computes in double precision, the defaults tell a wrong gradient from a right one; on an adapter `L` has some seven digits,
/// so `eps` and the tolerances have to be larger. At a kink, such as `relu` at 0, there is no slope to compare with.
///
/// [`Device::reference`]: crate::Device::reference
///
/// # Errors
/// [`Error::WrongGradient`] for the first element that differs; [`Error::Invalid`] if no input is a float, or `eps` is too small
/// to move an element; those of the function.
///
/// ```
/// use wgrad::custom::{GradcheckOptions, gradcheck};
/// use wgrad::{Device, Tensor};
/// let x = Tensor::from_slice(&Device::reference(), &[0.5f32, -1.0, 2.0], &[3])?;
/// gradcheck(|x| Ok(vec![x[0].tanh()?]), &[x], &GradcheckOptions::default())?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn gradcheck(
    function: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>,
    inputs: &[Tensor],
    options: &GradcheckOptions,
) -> Result<()> {
    let leaves: Vec<Tensor> = inputs
        .iter()
        .map(|input| if input.dtype().is_float() { input.requires_grad() } else { input.clone() })
        .collect();
    let of_floats: Vec<usize> = (0..inputs.len()).filter(|&at| inputs[at].dtype().is_float()).collect();
    if of_floats.is_empty() {
        return Err(Error::invalid(OP, "none of the inputs is a tensor of floats"));
    }
    let outputs = floats(function(&leaves)?);
    let factors = outputs.iter().zip(0..).map(|(output, at)| factors(output.numel(), at)).collect::<Vec<_>>();
    let cotangents = outputs
        .iter()
        .zip(&factors)
        .map(|(output, factors)| Tensor::from_f64(output.device(), factors, output.shape())?.to_dtype(output.dtype()))
        .collect::<Result<Vec<_>>>()?;
    let differentiated: Vec<&Tensor> = of_floats.iter().map(|&at| &leaves[at]).collect();
    let tracked: Vec<usize> = (0..outputs.len()).filter(|&at| outputs[at].is_tracked()).collect();
    let gradients = match tracked.is_empty() {
        true => vec![None; differentiated.len()],
        false => grad(
            &tracked.iter().map(|&at| &outputs[at]).collect::<Vec<_>>(),
            &differentiated,
            &tracked.iter().map(|&at| &cotangents[at]).collect::<Vec<_>>(),
        )?,
    };
    // The weighted sum of the function's outputs with input `at` replaced.
    let contracted = |at: usize, input: Tensor| -> Result<f64> {
        let mut moved = inputs.to_vec();
        moved[at] = input;
        let mut sum = 0.0;
        for (output, factors) in floats(function(&moved)?).iter().zip(&factors) {
            sum += output.to_f64()?.iter().zip(factors).map(|(value, factor)| value * factor).sum::<f64>();
        }
        Ok(sum)
    };
    for (&at, gradient) in of_floats.iter().zip(gradients) {
        let input = &inputs[at];
        let values = input.to_f64()?;
        let gradient = match gradient {
            Some(gradient) => gradient.to_f64()?,
            None => vec![0.0; values.len()],
        };
        for (element, &got) in gradient.iter().enumerate() {
            let side = |distance: f64| -> Result<(f64, f64)> {
                let mut values = values.clone();
                values[element] += distance;
                let moved = Tensor::from_f64(input.device(), &values, input.shape())?.to_dtype(input.dtype())?;
                // Rounding to the input's type may move it.
                let place = moved.to_f64()?[element];
                Ok((place, contracted(at, moved)?))
            };
            let ((low, below), (high, above)) = (side(-options.eps)?, side(options.eps)?);
            if low == high {
                let rule = format!("eps {} does not move element {element} of input {at}, {low}", options.eps);
                return Err(Error::invalid(OP, rule));
            }
            let expected = (above - below) / (high - low);
            let allowed = options.atol + options.rtol * expected.abs();
            // A NaN is not a right gradient either.
            let is_right = (got - expected).abs() <= allowed;
            if !is_right {
                return Err(Error::WrongGradient { input: at, element, expected, got, allowed });
            }
        }
    }
    Ok(())
}

/// [`gradcheck`] of the gradients themselves, as functions of the inputs and of the outputs' cotangents: compares second
/// derivatives with differences of first ones.
///
/// # Errors
/// As [`gradcheck`]; inputs are counted before cotangents.
///
/// ```
/// use wgrad::custom::{GradcheckOptions, gradgradcheck};
/// use wgrad::{Device, Tensor};
/// let x = Tensor::from_slice(&Device::reference(), &[0.5f32, -1.0, 2.0], &[3])?;
/// gradgradcheck(|x| Ok(vec![x[0].tanh()?]), &[x], &GradcheckOptions::default())?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn gradgradcheck(
    function: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>,
    inputs: &[Tensor],
    options: &GradcheckOptions,
) -> Result<()> {
    let outputs = floats(function(inputs)?);
    let cotangents = outputs.iter().zip(0..).map(|(output, at)| {
        Tensor::from_f64(output.device(), &factors(output.numel(), at + SECOND), output.shape())?
            .to_dtype(output.dtype())
    });
    let all: Vec<Tensor> = inputs.iter().cloned().map(Ok).chain(cotangents).collect::<Result<_>>()?;
    let count = inputs.len();
    let gradients = |all: &[Tensor]| {
        // Differences are taken at values without a history: the first gradient needs one.
        let tracked = |input: &Tensor| match input.dtype().is_float() && !input.is_tracked() {
            true => input.requires_grad(),
            false => input.clone(),
        };
        let inputs: Vec<Tensor> = all[..count].iter().map(tracked).collect();
        let outputs = floats(function(&inputs)?);
        let of_floats: Vec<&Tensor> = inputs.iter().filter(|input| input.dtype().is_float()).collect();
        let gradients =
            grad(&outputs.iter().collect::<Vec<_>>(), &of_floats, &all[count..].iter().collect::<Vec<_>>())?;
        Ok(gradients.into_iter().flatten().collect())
    };
    gradcheck(gradients, &all, options)
}

const OP: &str = "gradcheck";

/// Cotangents of second derivatives use other numbers than those of first ones.
const SECOND: u64 = 1 << 32;

fn floats(mut outputs: Vec<Tensor>) -> Vec<Tensor> {
    outputs.retain(|output| output.dtype().is_float());
    outputs
}

/// Numbers from -1 to 1 that f16 holds exactly, by Weyl's sequence.
fn factors(count: usize, seed: u64) -> Vec<f64> {
    let number = |at: u64| {
        let turn = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed.wrapping_mul(0xd1b5_4a32_d192_ed03));
        (turn >> 54) as f64 / 512.0 - 1.0
    };
    (0..count as u64).map(number).collect()
}

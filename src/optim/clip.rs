//! Gradients made smaller before a step, and noise added to them, on the device.

use super::bundle::Bundle;
use super::options::at_least_zero;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Rule;

/// Changes of gradients before a step, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Clipping {
    pub value: Option<f64>,
    pub norm: Option<Norm>,
    pub adaptive: Option<Adaptive>,
    pub noise: Option<Noise>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Norm {
    pub most: f64,
    /// Added to the norm in the denominator.
    pub eps: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Adaptive {
    pub factor: f64,
    pub eps: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    pub eta: f64,
    pub gamma: f64,
}

/// NaN stays NaN.
static VALUE: Rule = Rule::new(
    "clip_value",
    "select(clamp({0}, F(bitcast<f32>({s0})), F(bitcast<f32>({s1}))), {0}, not_a_number({0}))",
    |x, n| if x[0].is_nan() { x[0] } else { x[0].max(n[0]).min(n[1]) },
)
.library(&[wgsl!("lib/not_a_number")]);

static SQUARE: Rule = Rule::new("clip_square", "({0} * {0})", |x, _| x[0] * x[0]);

/// The factor, from the square of the norm.
static BY_NORM: Rule =
    Rule::new("clip_norm", "min(F(1.0), F(bitcast<f32>({s0})) / (sqrt({0}) + F(bitcast<f32>({s1}))))", |x, n| {
        (n[0] / (x[0].sqrt() + n[1])).min(1.0)
    });

/// The factor, from the squares of a row's norm and of its gradient's.
static ADAPTIVE: Rule = Rule::new(
    "clip_adaptive",
    "min(F(1.0), max(sqrt({0}), F(bitcast<f32>({s1}))) * bitcast<f32>({s0}) / max(sqrt({1}), F(1e-6)))",
    |x, n| (x[0].sqrt().max(n[1]) * n[0] / x[1].sqrt().max(1e-6)).min(1.0),
);

impl Clipping {
    pub fn norm(most: f64, eps: f64) -> Result<Norm> {
        positive("clip_grad_norm", "max_norm", most)?;
        Ok(Norm { most, eps })
    }

    pub fn value(most: f64) -> Result<f64> {
        positive("clip_grad_value", "clip_value", most).map(|()| most)
    }

    pub fn adaptive(factor: f64, eps: f64) -> Result<Adaptive> {
        positive("adaptive_clip_grad", "clip_factor", factor)?;
        positive("adaptive_clip_grad", "eps", eps)?;
        Ok(Adaptive { factor, eps })
    }

    pub fn noise(eta: f64, gamma: f64) -> Result<Noise> {
        at_least_zero("grad_noise", "eta", eta)?;
        at_least_zero("grad_noise", "gamma", gamma)?;
        Ok(Noise { eta, gamma })
    }

    /// Changes the gradients of bundles, which have taken `steps` steps; returns the norm of all that the limit was compared
    /// with, if there is one.
    #[track_caller]
    pub fn apply(
        &self,
        bundles: &mut [Bundle],
        gradients: &mut [(usize, Tensor)],
        steps: impl Fn(&Bundle) -> u64,
    ) -> Result<Option<Tensor>> {
        if let Some(most) = self.value {
            for (_, gradient) in gradients.iter_mut() {
                *gradient = VALUE.of(&[gradient], [-most, most])?;
            }
        }
        let mut norm = None;
        if let Some(Norm { most, eps }) = self.norm {
            let mut total: Option<Tensor> = None;
            for (index, gradient) in gradients.iter() {
                let squares = bundles[*index].runs()?.total(&SQUARE.of(&[gradient], [])?)?;
                total = Some(total.map_or(Ok(squares.clone()), |total| total.add(&squares))?);
            }
            if let Some(total) = total {
                let factor = BY_NORM.of(&[&total], [most, eps])?;
                for (_, gradient) in gradients.iter_mut() {
                    *gradient = gradient.mul(&factor)?;
                }
                norm = Some(total.sqrt()?.reshape(&[])?);
            }
        }
        for (index, gradient) in gradients.iter_mut() {
            let bundle = &mut bundles[*index];
            if let Some(Adaptive { factor, eps }) = self.adaptive {
                let value = bundle.parameters.value().to_dtype(gradient.dtype())?;
                let rows = bundle.rows()?;
                let squares = [&value, &*gradient].map(|elements| rows.sums(&SQUARE.of(&[elements], [])?));
                let [of_value, of_gradient] = squares;
                let factor = ADAPTIVE.of(&[&of_value?, &of_gradient?], [factor, eps])?;
                *gradient = gradient.mul(&rows.spread(&factor, gradient)?)?;
            }
            if let Some(Noise { eta, gamma }) = self.noise {
                let spread = (eta / (1.0 + steps(bundle) as f64).powf(gamma)).sqrt();
                let noise = Tensor::randn(gradient.device(), gradient.shape())?;
                *gradient = gradient.add(&noise.mul_scalar(spread)?)?;
            }
        }
        Ok(norm)
    }
}

fn positive(op: &'static str, name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be finite and above 0")))
}

//! Muon.

use super::adam::MEAN;
use super::algorithm::{Algorithm, MINUS, Number, PLUS, Step, by_sizes};
use super::options::{hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::shape::Shape;

/// Distance that [`Muon`] moves a matrix of `rows` by `columns`, as a multiple of the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdjustLr {
    /// `sqrt(max(1, rows / columns))`.
    #[default]
    Original,
    /// `0.2 sqrt(max(rows, columns))`: elements move as far as AdamW moves them, so that its rates and decays fit.
    MatchRmsAdamw,
    /// `sqrt(rows / columns)`.
    SpectralUnclamped,
}

options! {
    /// Options of [`Muon`]; the defaults are PyTorch's.
    MuonOptions {
        /// Learning rate.
        lr: f64 = 1e-3,
        /// Pulls the parameters to 0, decoupled from the gradient.
        weight_decay: f64 = 0.1,
        /// The share of the last mean gradient that is kept.
        momentum: f64 = 0.95,
        /// Looks one step ahead (Nesterov).
        nesterov: bool = true,
        /// `a`, `b` and `c` of the iteration.
        ns_coefficients: (f64, f64, f64) = (3.4445, -4.775, 2.0315),
        /// The least norm that a direction is divided by.
        eps: f64 = 1e-7,
        /// Iterations.
        ns_steps: usize = 5,
        /// Rule that adjusts the rate to the sizes of a matrix.
        adjust_lr_fn: AdjustLr = AdjustLr::Original,
    }
}

/// Muon (Jordan et al., 2024): momentum whose direction is made orthogonal, for weights that are matrices.
///
/// A weight is a matrix `[rows, columns]` of its first dimension by all others, as for a convolution `[O, I, KH, KW]`.
/// `b = b + (1 - momentum) (g - b)`, and the direction `X` is `g + momentum (b - g)` with `nesterov` and `b` without, divided
/// by its norm. `ns_steps` times `X = a X + (b A + c A^2) X` with `A = X X^T` brings its singular values near 1 (Newton and
/// Schulz), in f32, where PyTorch rounds to bfloat16. Then `p` becomes `p - lr weight_decay p - lr s X`, where `s` is that
/// of [`AdjustLr`]. Matrices of one shape are multiplied together.
///
/// Parameters of fewer dimensions are an error: they belong to another optimizer, such as [`AdamW`](super::AdamW).
pub type Muon = Engine<MuonOptions>;

/// The formula of a Muon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    nesterov: bool,
    coefficients: (f64, f64, f64),
    eps: f64,
    steps: usize,
    adjust: AdjustLr,
}

impl Form {
    fn factor(&self, rows: usize, columns: usize) -> f64 {
        let (rows, columns) = (rows as f64, columns as f64);
        match self.adjust {
            AdjustLr::Original => (rows / columns).max(1.0).sqrt(),
            AdjustLr::MatchRmsAdamw => 0.2 * rows.max(columns).sqrt(),
            AdjustLr::SpectralUnclamped => (rows / columns).sqrt(),
        }
    }

    /// `[n, rows, columns]` with singular values near 1.
    #[track_caller]
    fn orthogonal(&self, matrices: &Tensor) -> Result<Tensor> {
        let is_tall = matrices.shape()[1] > matrices.shape()[2];
        let mut x = if is_tall { matrices.transpose(1, 2)? } else { matrices.clone() };
        let norm = x.square()?.sum_keepdim([1, 2])?.sqrt()?.clamp(Some(nearest(self.eps)), None)?;
        x = x.div(&norm)?;
        let (a, b, c) = self.coefficients;
        for _ in 0..self.steps {
            let gram = x.matmul(&x.transpose(1, 2)?)?;
            let update = gram.mul_scalar(b)?.add(&gram.matmul(&gram)?.mul_scalar(c)?)?;
            x = x.mul_scalar(a)?.add(&update.matmul(&x)?)?;
        }
        if is_tall { x.transpose(1, 2) } else { Ok(x) }
    }
}

/// The shape of a parameter as a batch of one matrix.
fn matrix(shape: &Shape) -> Result<Shape> {
    Shape::new(&[1, shape[0], shape.iter().skip(1).product()])
}

impl Algorithm for MuonOptions {
    const NAME: &'static str = "muon";
    type Form = Form;

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, weight_decay, eps; below_one: momentum)?;
        let (a, b, c) = self.ns_coefficients;
        if ![a, b, c].iter().all(|number| number.is_finite()) {
            let rule = format!("ns_coefficients are {:?}; they must be finite", self.ns_coefficients);
            return Err(Error::invalid(Self::NAME, rule));
        }
        if self.ns_steps >= 100 {
            return Err(Error::invalid(Self::NAME, format!("ns_steps is {}; it must be below 100", self.ns_steps)));
        }
        Ok(())
    }

    fn check_parameter(name: &str, shape: &Shape) -> Result<()> {
        if shape.len() > 1 && shape.numel() > 0 {
            return Ok(());
        }
        let rule = format!("{name} is {shape} and no matrix: give it to another optimizer, such as AdamW");
        Err(Error::invalid(Self::NAME, rule))
    }

    fn form(&self) -> Form {
        let MuonOptions { nesterov, ns_coefficients: coefficients, eps, ns_steps: steps, adjust_lr_fn, .. } = *self;
        Form { nesterov, coefficients, eps, steps, adjust: adjust_lr_fn }
    }

    hyper!(Lr => lr, Momentum => momentum, WeightDecay => weight_decay);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("momentum_buffer", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let MuonOptions { lr, weight_decay, momentum, .. } = *self;
        [lr, lr * weight_decay, momentum, 1.0 - momentum].map(Number::from).to_vec()
    }

    fn update(form: Form, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [lr, decay, momentum, share] = step.numbers()?;
        let [mean] = step.buffers()?;
        let mean = MEAN.of(&[mean, &step.gradient, share], [])?;
        let ahead = || PLUS.of(&[&step.gradient, momentum, &mean.sub(&step.gradient)?], []);
        let direction = if form.nesterov { ahead()? } else { mean.clone() };
        let parts = step.parts(&direction)?;
        let matrices = parts.iter().map(|part| Ok([part.reshape_to(matrix(part.shape())?)?]));
        let [orthogonal] = by_sizes(&matrices.collect::<Result<Vec<_>>>()?, |[matrices]| {
            let factor = form.factor(matrices.shape()[1], matrices.shape()[2]);
            Ok([form.orthogonal(matrices)?.mul_scalar(factor)?])
        })?;
        let value = MINUS.of(&[&step.value, decay, &step.value], [])?;
        Ok((MINUS.of(&[&value, lr, &step.packed(&orthogonal)?], [])?, vec![mean]))
    }
}

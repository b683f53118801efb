//! Adafactor.

use super::adam::MEAN;
use super::algorithm::{Algorithm, MINUS, Number, Step, by_sizes};
use super::options::{at_least_zero, hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Rule;
use crate::shape::Shape;

options! {
    /// Options of [`Adafactor`]; the defaults are PyTorch's.
    AdafactorOptions {
        /// The most that a step changes a parameter by, relative to its root mean square.
        lr: f64 = 1e-2,
        /// Exponent of the weight of a new square in the second moments, as a power of the step's number.
        beta2_decay: f64 = -0.8,
        /// The least root of a second moment, f32's epsilon if `None`; and the least root mean square that a parameter counts as.
        eps: (Option<f64>, f64) = (None, 1e-3),
        /// The largest root mean square of a direction.
        d: f64 = 1.0,
        /// Pulls the parameters to 0, decoupled from the gradient.
        weight_decay: f64 = 0.0,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Adafactor (Shazeer and Stern, 2018), as PyTorch has it: second moments as products of means over rows and columns.
///
/// The state of a weight `[.., R, C]` is `row_var`, `[.., R, 1]`, and `col_var`, `[.., 1, C]`: a linear layer's takes
/// `R + C` numbers where Adam's takes `2 R C`. At step `t`, with `b = t^beta2_decay`, `row = row + b (mean_C(g^2) - row)`,
/// `col = col + b (mean_R(g^2) - col)` and `v = row col / max(mean_R(row), eps1)`. Parameters of fewer dimensions have a
/// full `variance`: `v = v + b (g^2 - v)`.
///
/// The direction is `u = g / max(sqrt(v), eps1)`, and `p` becomes
/// `p - lr weight_decay p - min(lr, 1 / sqrt(t)) max(eps2, rms(p)) u / max(1, rms(u) / d)`, where `rms` is the root mean
/// square over a parameter. Weights that agree in `R` and `C` are reduced together. Those without elements are an error.
///
/// ```
/// use wgrad::optim::{Adafactor, AdafactorOptions, Optimizer};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let weight = Parameter::new("weight", &Tensor::full(&device, &[2, 3], 2.0f32)?);
/// let mut adafactor = Adafactor::new(vec![weight.clone()], AdafactorOptions::default().lr(0.1))?;
/// weight.value().square()?.sum_all()?.backward()?;
/// adafactor.step()?; // A tenth of 2.
/// assert!(weight.value().to_vec::<f32>()?.iter().all(|element| (element - 1.8).abs() < 1e-6));
/// let names: Vec<_> = adafactor.buffers().iter().map(|buffer| buffer.name().to_string()).collect();
/// assert_eq!(names, ["row_var.weight", "col_var.weight"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub type Adafactor = Engine<AdafactorOptions>;

/// The weight of a new square, from the number of the step.
static SHARE: Rule = Rule::new("adafactor_share", "exp2({1} * log2({0}))", |x, _| x[0].powf(x[1]));

/// The size of a step relative to a parameter.
static RELATIVE: Rule =
    Rule::new("adafactor_relative", "min({1}, F(1.0) / sqrt({0}))", |x, _| x[1].min(1.0 / x[0].sqrt()));

static VARIANCE: Rule =
    Rule::new("adafactor_variance", "({0} + ({1} * {1} - {0}) * {2})", |x, _| x[0] + (x[1] * x[1] - x[0]) * x[2]);

/// Avoids the square of eps, which may underflow in f32.
static DIRECTION: Rule =
    Rule::new("adafactor_direction", "({0} / max(sqrt({1}), {2}))", |x, _| x[0] / x[1].sqrt().max(x[2]));

/// From the mean squares of parameter and direction, the relative size, eps2 and d.
static STEP_SIZE: Rule =
    Rule::new("adafactor_step_size", "({2} * max({3}, sqrt({0})) / max(F(1.0), sqrt({1}) / {4}))", |x, _| {
        x[2] * x[3].max(x[0].sqrt()) / (x[1].sqrt() / x[4]).max(1.0)
    });

/// The second moments of weights, and the means whose products they are.
#[track_caller]
fn factored(step: &mut Step) -> Result<(Tensor, Vec<Tensor>)> {
    let [shares, _, _, eps, _, _] = step.part_numbers()?;
    let (gradients, rows, columns) = (step.parts(&step.gradient)?, step.buffer_parts(0)?, step.buffer_parts(1)?);
    let parts = (0..gradients.len()).map(|at| {
        let [gradient, row, column] = [&gradients[at], &rows[at], &columns[at]].map(matrices);
        let gradient = gradient?;
        let of_each = Shape::new(&[gradient.shape()[0], 1, 1])?;
        let [share, eps] = [&shares[at], &eps[at]].map(|number| number.expand_to(of_each, "numbers"));
        Ok([gradient, share?, eps?, row?, column?])
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let [estimates, rows, columns] = by_sizes(&parts, |[gradient, share, eps, row, column]| {
        let squares = gradient.square()?;
        let moved = |old: &Tensor, new: &Tensor| MEAN.of(&[old, new, &share.expand_to(*old.shape(), "share")?], []);
        let row = moved(row, &squares.mean_keepdim(2)?)?;
        let column = moved(column, &squares.mean_keepdim(1)?)?;
        let estimate = row.div(&row.mean_keepdim(1)?.maximum(eps)?)?.mul(&column)?;
        Ok([estimate, row, column])
    })?;
    Ok((step.packed(&estimates)?, vec![step.packed_buffer(0, &rows)?, step.packed_buffer(1, &columns)?]))
}

/// Merges all dimensions but the last two.
fn matrices(tensor: &Tensor) -> Result<Tensor> {
    let (batch, matrix) = tensor.shape().split_at(tensor.rank() - 2);
    tensor.reshape_to(Shape::new(&[batch.iter().product(), matrix[0], matrix[1]])?)
}

impl Algorithm for AdafactorOptions {
    const NAME: &'static str = "adafactor";
    type Form = ();

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, weight_decay)?;
        at_least_zero(Self::NAME, "the first eps", self.eps.0.unwrap_or_default())?;
        at_least_zero(Self::NAME, "the second eps", self.eps.1)?;
        if !(self.beta2_decay <= 0.0 && self.beta2_decay.is_finite()) {
            let rule = format!("beta2_decay is {}; it must be finite and not above 0", self.beta2_decay);
            return Err(Error::invalid(Self::NAME, rule));
        }
        if !(self.d >= 1.0 && self.d.is_finite()) {
            return Err(Error::invalid(Self::NAME, format!("d is {}; it must be finite and at least 1", self.d)));
        }
        Ok(())
    }

    fn check_parameter(name: &str, shape: &Shape) -> Result<()> {
        match shape.numel() {
            0 => Err(Error::invalid(Self::NAME, format!("{name} is {shape}: without elements it has no mean square"))),
            _ => Ok(()),
        }
    }

    fn form(&self) {}

    hyper!(Lr => lr, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("row_var", 0.0), ("col_var", 0.0), ("variance", 0.0)]
    }

    fn buffer_shape(buffer: &str, shape: &Shape) -> Option<Shape> {
        match (buffer, shape.len()) {
            ("variance", 0 | 1) => Some(*shape),
            ("row_var", rank @ 2..) => Some(shape.without(&[rank - 1], true)),
            ("col_var", rank @ 2..) => Some(shape.without(&[rank - 2], true)),
            _ => None,
        }
    }

    fn numbers(&self) -> Vec<Number> {
        let AdafactorOptions { lr, beta2_decay, eps: (least_root, least_rms), d, weight_decay, .. } = *self;
        vec![
            Number::OfStep(&SHARE, vec![beta2_decay]),
            Number::OfStep(&RELATIVE, vec![lr]),
            (lr * weight_decay).into(),
            least_root.unwrap_or(f64::from(f32::EPSILON)).into(),
            least_rms.into(),
            d.into(),
        ]
    }

    fn update((): (), mut step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [share, relative, decay, eps, least_rms, d] = step.numbers()?.map(Tensor::clone);
        let (variance, buffers) = match &step.buffers[..] {
            [variance] => {
                let variance = VARIANCE.of(&[variance, &step.gradient, &share], [])?;
                (variance.clone(), vec![variance])
            }
            _ => factored(&mut step)?,
        };
        let direction = DIRECTION.of(&[&step.gradient, &variance, &eps], [])?;
        let squares = [step.mean_squares(&step.value.clone())?, step.mean_squares(&direction)?];
        let size = STEP_SIZE.of(&[&squares[0], &squares[1], &relative, &least_rms, &d], [])?;
        let value = MINUS.of(&[&step.value, &decay, &step.value], [])?;
        Ok((MINUS.of(&[&value, &size, &direction], [])?, buffers))
    }
}

//! Floats rounded to levels, and back to floats.

use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, Vjp, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::pointwise::{Accepts, Makes, Row, apply};

/// The level of a number, by its inverse scale and a zero point, before it is clamped. Devices have to round alike, so it is
/// computed in f32 everywhere.
fn level(x: f64, inverse: f64, zero_point: f64) -> f64 {
    f64::from((nearest::<f32>(x) * nearest::<f32>(inverse)).round_ties_even()) + zero_point
}

/// The number, the inverse scale, the zero point, and the lowest and the highest level.
pub(super) static LEVEL: Row =
    Row::plain("quantize_level", 5, "clamp(round({0} * {1}) + {2}, {3}, {4})", Accepts::Float, Makes::Same, |x| {
        level(x[0], x[1], x[2]).clamp(x[3], x[4])
    });

/// The number, the scale and its inverse, the zero point, and the lowest and the highest level.
static FAKE: Row = Row::float(
    "fake_quantize",
    6,
    "(clamp(round({0} * {2}) + {3}, {4}, {5}) - {3}) * {1}",
    |x| (level(x[0], x[2], x[3]).clamp(x[4], x[5]) - x[3]) * x[1],
    straight_through,
);

/// 1 where the level lies within the bounds.
static WITHIN: Row = Row::plain(
    "fake_quantize_mask",
    5,
    "select(F(0.0), F(1.0), (round({0} * {1}) + {2} >= {3}) & (round({0} * {1}) + {2} <= {4}))",
    Accepts::Float,
    Makes::Same,
    |x| f64::from((x[3]..=x[4]).contains(&level(x[0], x[1], x[2]))),
);

/// The gradient ignores the rounding, and is 0 for clamped values.
fn straight_through(c: &Vjp) -> Result<Vec<Option<Tensor>>> {
    let mut operands: Vec<&Tensor> = (0..6).map(|at| c.input(at)).collect();
    operands.remove(1);
    let of_input = c.of(0, |g| g.mul(&apply(&WITHIN, &operands)?))?;
    Ok([of_input].into_iter().chain((1..6).map(|_| None)).collect())
}

/// A number for all elements, or a tensor that broadcasts to them.
#[derive(Clone)]
pub(crate) enum Number {
    All(f64),
    Each(Tensor),
}

impl Number {
    pub fn of(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Number::All(number) => x.everywhere(*number),
            Number::Each(tensor) => Ok(tensor.clone()),
        }
    }
}

/// The levels that numbers are rounded to.
#[derive(Clone)]
pub(crate) struct Grid {
    pub scale: Number,
    /// In f32, as kernels multiply by it.
    pub inverse: Number,
    pub zero_point: Number,
    pub low: i32,
    pub high: i32,
}

impl Grid {
    /// The levels of numbers, in f32.
    #[track_caller]
    pub fn levels(&self, x: &Tensor) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let [low, high] = self.bounds(x)?;
        apply(&LEVEL, &[x, &self.inverse.of(x)?, &self.zero_point.of(x)?, &low, &high])
    }

    /// Numbers rounded to levels and back, with a gradient that passes straight through.
    #[track_caller]
    pub fn rounded(&self, x: &Tensor) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let [low, high] = self.bounds(x)?;
        apply(&FAKE, &[x, &self.scale.of(x)?, &self.inverse.of(x)?, &self.zero_point.of(x)?, &low, &high])
    }

    fn bounds(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        Ok([x.everywhere(self.low)?, x.everywhere(self.high)?])
    }
}

/// The grid of one scale and zero point, or of one for each index of dimension `axis` of `x`.
pub(super) fn grid(
    op: &'static str,
    x: &Tensor,
    [scales, zero_points]: [&[f64]; 2],
    axis: Option<usize>,
    [low, high]: [i32; 2],
) -> Result<Grid> {
    if x.dtype() != DType::F32 {
        return Err(Error::WrongDType { op, expected: "f32", got: x.dtype() });
    }
    if low >= high {
        return Err(Error::invalid(op, format!("quant_min {low} must be below quant_max {high}")));
    }
    if let Some(scale) = scales.iter().find(|&&scale| !(scale > 0.0 && nearest::<f32>(scale).is_normal())) {
        return Err(Error::invalid(op, format!("a scale must be positive and a normal number of f32; one is {scale}")));
    }
    let is_level = |point: f64| point.fract() == 0.0 && (f64::from(low)..=f64::from(high)).contains(&point);
    if let Some(point) = zero_points.iter().find(|&&point| !is_level(point)) {
        return Err(Error::invalid(op, format!("zero_point {point} is no level from {low} to {high}")));
    }
    let count = axis.map_or(1, |axis| x.shape()[axis]);
    if [scales, zero_points].iter().any(|numbers| numbers.len() != count) {
        let rule = format!(
            "{} scales and {} zero points for {count} indices: it takes one of each an index",
            scales.len(),
            zero_points.len()
        );
        return Err(Error::invalid(op, rule));
    }
    let number = |of: &dyn Fn(usize) -> f64| match axis {
        None => Ok(Number::All(of(0))),
        Some(axis) => {
            let mut sizes = vec![1; x.rank()];
            sizes[axis] = count;
            let numbers: Vec<f64> = (0..count).map(of).collect();
            Tensor::from_f64(x.device(), &numbers, &sizes).map(Number::Each)
        }
    };
    Ok(Grid {
        scale: number(&|at| nearest::<f32>(scales[at]).into())?,
        inverse: number(&|at| (1.0 / nearest::<f32>(scales[at])).into())?,
        zero_point: number(&|at| zero_points[at])?,
        low,
        high,
    })
}

impl Tensor {
    /// Numbers as a quantized tensor would have them, PyTorch's `fake_quantize_per_tensor_affine`:
    /// `(clamp(round(x / scale) + zero_point, quant_min, quant_max) - zero_point) * scale`, rounded half to even, with
    /// `x / scale` computed as `x` times the inverse of `scale` in f32. The gradient passes straight through, and is 0 where the
    /// level was clamped (Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons").
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scale that is not positive, bounds in the wrong order and a zero point outside of them;
    /// [`Error::WrongDType`] for types other than f32.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[-9.0f32, 0.3, 0.75, 9.0], &[4])?.requires_grad();
    /// let y = x.fake_quantize_per_tensor_affine(0.5, 0, -8, 7)?;
    /// assert_eq!(y.to_vec::<f32>()?, [-4.0, 0.5, 1.0, 3.5]);
    /// y.sum_all()?.backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [0.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn fake_quantize_per_tensor_affine(
        &self,
        scale: f64,
        zero_point: i32,
        quant_min: i32,
        quant_max: i32,
    ) -> Result<Tensor> {
        const OP: &str = "fake_quantize_per_tensor_affine";
        grid(OP, self, [&[scale], &[zero_point.into()]], None, [quant_min, quant_max])?.rounded(self)
    }

    /// [`fake_quantize_per_tensor_affine`](Tensor::fake_quantize_per_tensor_affine) with a scale and a zero point for each
    /// index of dimension `axis`.
    ///
    /// # Errors
    /// As [`fake_quantize_per_tensor_affine`](Tensor::fake_quantize_per_tensor_affine); [`Error::Invalid`] unless there is one
    /// scale and zero point for each index, and if there is no such `axis`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.3f32, 0.7, 0.3, 0.7], &[2, 2])?;
    /// let y = x.fake_quantize_per_channel_affine(&[0.5, 0.25], &[0, 0], 0, -127, 127)?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.5, 0.5, 0.25, 0.75]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn fake_quantize_per_channel_affine(
        &self,
        scales: &[f64],
        zero_points: &[i32],
        axis: impl Dim,
        quant_min: i32,
        quant_max: i32,
    ) -> Result<Tensor> {
        const OP: &str = "fake_quantize_per_channel_affine";
        let points: Vec<f64> = zero_points.iter().map(|&point| point.into()).collect();
        let axis = self.shape().dim(OP, axis)?;
        grid(OP, self, [scales, &points], Some(axis), [quant_min, quant_max])?.rounded(self)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let tensor = |shape: &[usize], scale: f64, zero_point: i32, bounds: [i32; 2]| {
        Case::new("fake_quantize", &[shape], move |x| {
            Ok(vec![x[0].fake_quantize_per_tensor_affine(scale, zero_point, bounds[0], bounds[1])?])
        })
        .with("scale", scale)
        .with("zero_point", zero_point)
        .no_differences()
    };
    let channels = |shape: &[usize], axis: isize, count: u8| {
        let scales: Vec<f64> = (0..count).map(|at| 0.01 + f64::from(at) / 40.0).collect();
        let points: Vec<i32> = (0..count).map(|at| i32::from(at) - 1).collect();
        Case::new("fake_quantize", &[shape], move |x| {
            Ok(vec![x[0].fake_quantize_per_channel_affine(&scales, &points, axis, -8, 7)?])
        })
        .with("axis", axis)
        .no_differences()
    };
    let view = |x: &[Tensor]| Ok(vec![x[0].t()?.fake_quantize_per_tensor_affine(0.125, 3, -4, 5)?]);
    vec![
        tensor(&[37], 0.03, 0, [-127, 127]),
        tensor(&[3, 5], 0.25, -4, [-8, 7]),
        tensor(&[0, 4], 0.25, 0, [-8, 7]),
        channels(&[5, 3, 2], 0, 5),
        channels(&[2, 4, 3], -1, 3),
        Case::new("fake_quantize", &[&[6, 5]], view).no_differences(),
    ]
}

//! Pointwise operations without operands, computed from the index: sequences, and masks of diagonals.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Device, Op, Tensor, hash_structure, record_on};
use crate::host_tensor::HostTensor;
use crate::number::low_word;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// The elements of a matrix that a mask shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// On the diagonal and below.
    Lower,
    /// On the diagonal and above.
    Upper,
    /// On the diagonal.
    Diagonal,
}

/// Computes an element from its index.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// `start + i step`.
    Arange { start: f64, step: f64 },
    /// From `start` to `end` in `steps`, counted from the nearer end, so that both are exact.
    Linspace { start: f64, end: f64, steps: usize },
    /// True if `[.., row, column]` is on a side of `column - row = diagonal`.
    Mask { side: Side, rows: usize, columns: usize, diagonal: i32 },
}

/// Every element a function of its index. The numbers of the rule are data.
#[derive(Clone, Debug)]
struct Pattern {
    rule: Rule,
    shape: Shape,
    dtype: DType,
    words: Vec<u32>,
}

const LIBRARY: &[&str] = &[wgsl!("lib/pattern")];

const fn formula(name: &'static str, wgsl: &'static str) -> Formula {
    Formula::new(name, wgsl).library(LIBRARY)
}

static ARANGE: Formula = formula("arange", "(F(bitcast<f32>({s0})) + F({i}) * bitcast<f32>({s1}))");
static ARANGE_I32: Formula = formula("arange", "bitcast<I>(U({s0}) + {i} * {s1})");
static ARANGE_U32: Formula = formula("arange", "(U({s0}) + {i} * {s1})");
static LINSPACE: Formula =
    formula("linspace", "between({i}, bitcast<f32>({s0}), bitcast<f32>({s1}), bitcast<f32>({s2}), {s3})");
static LOWER: Formula = formula("lower", "(diagonals({i}, {s0}, {s1}) <= I(bitcast<i32>({s2})))");
static UPPER: Formula = formula("upper", "(diagonals({i}, {s0}, {s1}) >= I(bitcast<i32>({s2})))");
static DIAGONAL: Formula = formula("diagonal", "(diagonals({i}, {s0}, {s1}) == I(bitcast<i32>({s2})))");

impl Pattern {
    fn new(rule: Rule, shape: Shape, dtype: DType) -> Pattern {
        let bits = |value: f64| nearest::<f32>(value).to_bits();
        let words = match rule {
            Rule::Arange { start, step } if dtype.is_float() => vec![bits(start), bits(step)],
            // Modulo 2^32: the same for signed and unsigned.
            Rule::Arange { start, step } => {
                vec![low_word(nearest::<i64>(start).cast_unsigned()), low_word(nearest::<i64>(step).cast_unsigned())]
            }
            Rule::Linspace { start, end, steps } => {
                vec![bits(start), bits(end), bits(spacing(start, end, steps)), nearest::<u32>(steps)]
            }
            Rule::Mask { rows, columns, diagonal, .. } => {
                vec![nearest::<u32>(rows), nearest::<u32>(columns), diagonal.cast_unsigned()]
            }
        };
        Pattern { rule, shape, dtype, words }
    }

    fn formula(&self) -> &'static Formula {
        match (self.rule, self.dtype) {
            (Rule::Arange { .. }, DType::I32) => &ARANGE_I32,
            (Rule::Arange { .. }, DType::U32) => &ARANGE_U32,
            (Rule::Arange { .. }, _) => &ARANGE,
            (Rule::Linspace { .. }, _) => &LINSPACE,
            (Rule::Mask { side: Side::Lower, .. }, _) => &LOWER,
            (Rule::Mask { side: Side::Upper, .. }, _) => &UPPER,
            (Rule::Mask { side: Side::Diagonal, .. }, _) => &DIAGONAL,
        }
    }
}

fn spacing(start: f64, end: f64, steps: usize) -> f64 {
    if steps < 2 { 0.0 } else { (end - start) / (steps - 1) as f64 }
}

impl Op for Pattern {
    fn name(&self) -> &'static str {
        self.formula().name
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&self.dtype, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Pointwise(self.formula())
    }
    fn scalars(&self) -> &[u32] {
        &self.words
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(self.shape, self.dtype)])
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let value = |place: usize| match self.rule {
            Rule::Arange { start, step } => start + place as f64 * step,
            Rule::Linspace { start, end, steps } if place < steps / 2 => {
                start + place as f64 * spacing(start, end, steps)
            }
            Rule::Linspace { start, end, steps } if steps > 1 => {
                end - (steps - 1 - place) as f64 * spacing(start, end, steps)
            }
            Rule::Linspace { start, .. } => start,
            Rule::Mask { side, rows, columns, diagonal } => {
                let over = (place % columns) as i64 - (place / columns % rows) as i64 - i64::from(diagonal);
                f64::from(match side {
                    Side::Lower => over <= 0,
                    Side::Upper => over >= 0,
                    Side::Diagonal => over == 0,
                })
            }
        };
        Ok(vec![HostTensor::new(self.shape, self.dtype, (0..self.shape.numel()).map(value).collect())])
    }
}

#[track_caller]
fn record(device: &Device, rule: Rule, shape: Shape, dtype: DType) -> Result<Tensor> {
    record_on(device, Pattern::new(rule, shape, dtype))
}

impl Tensor {
    /// `start`, `start + step`, .. before `end`: `ceil((end - start) / step)` numbers. With an integer type the three numbers are
    /// truncated first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `step` is 0 or leads away from `end`, and if a number is infinite, NaN, or out of the type's range;
    /// [`Error::WrongDType`] for bool; [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{DType, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::arange(&device, 1.0, 2.5, 0.5, DType::F32)?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 1.5, 2.0]);
    /// assert_eq!(Tensor::arange(&device, 5.0, 0.0, -2.0, DType::I32)?.to_vec::<i32>()?, [5, 3, 1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn arange(device: &Device, start: f64, end: f64, step: f64, dtype: DType) -> Result<Tensor> {
        const OP: &str = "arange";
        device.check_dtype(OP, dtype)?;
        let wrong = |rule: &str| Error::invalid(OP, format!("from {start} to {end} in steps of {step}: {rule}"));
        let given = [start, end, step];
        if given.iter().any(|value| !value.is_finite()) {
            return Err(wrong("all three must be finite"));
        }
        let range = match dtype {
            DType::Bool => return Err(Error::WrongDType { op: OP, expected: "numbers", got: dtype }),
            DType::I32 => f64::from(i32::MIN)..=f64::from(i32::MAX) + 1.0,
            DType::U32 => 0.0..=f64::from(u32::MAX) + 1.0,
            DType::F32 | DType::F16 => f64::from(f32::MIN)..=f64::from(f32::MAX),
        };
        let [start, end, step] = if dtype.is_float() { given } else { given.map(f64::trunc) };
        if !range.contains(&start) || !range.contains(&end) || step.abs() > *range.end() {
            return Err(wrong(&format!("{dtype} does not hold that")));
        }
        if step == 0.0 {
            return Err(wrong("the step must not be 0"));
        }
        if (end - start) * step.signum() < 0.0 {
            return Err(wrong("the step leads away from the end"));
        }
        // A count that does not fit is an error of the shape.
        let count = nearest::<usize>(((end - start) / step).ceil());
        record(device, Rule::Arange { start, step }, Shape::new(&[count])?, dtype)
    }

    /// `steps` evenly spaced numbers from `start` to `end`, both included, in f32.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// assert_eq!(Tensor::linspace(&device, 0.0, 1.0, 5)?.to_vec::<f32>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn linspace(device: &Device, start: f64, end: f64, steps: usize) -> Result<Tensor> {
        record(device, Rule::Linspace { start, end, steps }, Shape::new(&[steps])?, DType::F32)
    }

    /// Ones on the diagonal of `[n, m]` and zeros elsewhere, in f32 (PyTorch's default `m` is `n`).
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// assert_eq!(Tensor::eye(&device, 2, 3)?.to_vec::<f32>()?, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn eye(device: &Device, n: usize, m: usize) -> Result<Tensor> {
        mask(device, Shape::new(&[n, m])?, Side::Diagonal, 0)?.to_dtype(DType::F32)
    }

    /// A new last dimension with a 1 at the index that the element holds and zeros elsewhere: i32 `[..]` becomes i32
    /// `[.., num_classes]`.
    ///
    /// Without a number of classes there is one more than the largest element, which is read back for that (PyTorch's default,
    /// -1): the recorded work runs, and this call waits for it. Give the number in a training step.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than i32; [`Error::Invalid`] for no classes, and if they cannot be counted because
    /// there is no element or only negative ones. An element outside the classes is [`Error::IndexOutOfRange`] at the next
    /// synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[2, 0], &[2])?;
    /// assert_eq!(x.one_hot(Some(3))?.to_vec::<i32>()?, [0, 0, 1, 1, 0, 0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn one_hot(&self, num_classes: Option<usize>) -> Result<Tensor> {
        const OP: &str = "one_hot";
        if self.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: OP, expected: "i32", got: self.dtype() });
        }
        let classes = match num_classes {
            Some(0) => return Err(Error::invalid(OP, "there must be at least one class")),
            Some(classes) => classes,
            None if self.numel() == 0 => {
                return Err(Error::invalid(OP, format!("{} has no elements to count classes by", self.shape())));
            }
            None => match usize::try_from(self.amax_all()?.item::<i32>()?) {
                Ok(largest) => largest + 1,
                Err(_) => return Err(Error::invalid(OP, "all elements are negative; classes count from 0")),
            },
        };
        if classes > i32::MAX as usize {
            return Err(Error::invalid(OP, format!("{classes} classes are more than i32 counts")));
        }
        let shape = Shape::new(&[&self.shape()[..], &[classes]].concat())?;
        if shape.numel() == 0 {
            return Tensor::full(self.device(), &shape, 0i32);
        }
        // A gather from ones finds the elements that are not a class.
        let ones = Tensor::full(self.device(), &[classes], 1i32)?;
        let counted = ones.gather_as(OP, 0, &self.reshape(&[-1])?)?.reshape_to(*self.shape())?.unsqueeze(-1)?;
        let places = Tensor::arange(self.device(), 0.0, classes as f64, 1.0, DType::I32)?;
        self.unsqueeze(-1)?.eq(&places)?.to_dtype(DType::I32)? * &counted
    }
}

/// True on a side of a diagonal in each matrix of the last two dimensions of a shape; diagonals are counted upwards from the main
/// one.
#[track_caller]
pub(in crate::ops) fn mask(device: &Device, shape: Shape, side: Side, diagonal: isize) -> Result<Tensor> {
    let Some(&[rows, columns]) = shape.last_chunk::<2>() else {
        return Err(Error::Internal { op: "mask", reason: format!("{shape} is no matrix") });
    };
    // All further diagonals are as empty as these.
    let diagonal = nearest::<i32>(diagonal.clamp(i32::MIN as isize, i32::MAX as isize));
    record(device, Rule::Mask { side, rows, columns, diagonal }, shape, DType::Bool)
}

pub(super) fn cases() -> Vec<Case> {
    // A case needs a tensor; these operations have none.
    let created = |op, run: fn(&Device) -> Result<Tensor>| {
        Case::new(op, &[&[]], move |x| Ok(vec![run(x[0].device())?])).no_gradient()
    };
    vec![
        created("arange", |d| Tensor::arange(d, 0.0, 37.0, 1.0, DType::F32)).with("start", 0.0).with("step", 1.0),
        created("arange", |d| Tensor::arange(d, 2.0, -3.0, -0.75, DType::F32)).with("start", 2.0).with("step", -0.75),
        created("arange", |d| Tensor::arange(d, -5.0, 50.0, 3.0, DType::I32)).with("start", -5.0).with("step", 3.0),
        created("arange", |d| Tensor::arange(d, 5.0, -50.0, -7.0, DType::I32)).with("start", 5.0).with("step", -7.0),
        created("arange", |d| Tensor::arange(d, 4e9, 4_000_000_009.0, 2.0, DType::U32))
            .with("start", 4e9)
            .with("step", 2.0),
        created("arange", |d| Tensor::arange(d, 1.0, 1.0, 1.0, DType::I32)).with("start", 1.0).with("step", 1.0),
        created("linspace", |d| Tensor::linspace(d, -1.0, 2.5, 38)).with("start", -1.0).with("steps", 38),
        created("linspace", |d| Tensor::linspace(d, 3.0, -2.0, 5)).with("start", 3.0).with("steps", 5),
        created("linspace", |d| Tensor::linspace(d, 3.0, -2.0, 1)).with("start", 3.0).with("steps", 1),
        created("linspace", |d| Tensor::linspace(d, 3.0, -2.0, 0)).with("start", 3.0).with("steps", 0),
        created("eye", |d| Tensor::eye(d, 3, 5)).with("n", 3).with("m", 5),
        created("eye", |d| Tensor::eye(d, 7, 7)).with("n", 7).with("m", 7),
        created("eye", |d| Tensor::eye(d, 0, 3)).with("n", 0).with("m", 3),
        Case::new("one_hot", &[&[3, 5]], |x| Ok(vec![x[0].one_hot(Some(7))?])).integers(0, 0, 6).no_gradient(),
        Case::new("one_hot", &[&[0, 2]], |x| Ok(vec![x[0].one_hot(Some(3))?])).integers(0, 0, 2).no_gradient(),
    ]
}

//! Tensors of signed bytes, four to a word.

use super::level::{Grid, grid};
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::pointwise::{Accepts, Makes, Row, apply};
use crate::ops::shape::pad::PadMode;
use crate::shape::Shape;

/// Bytes of a word.
pub(super) const LANES: usize = 4;

/// Packs four whole numbers as the bytes of a word, the first the lowest.
static PACK: Row = Row::plain(
    "pack_bytes",
    4,
    "((U(I({0})) & U(255u)) | ((U(I({1})) & U(255u)) << U(8u)) \
     | ((U(I({2})) & U(255u)) << U(16u)) | (U(I({3})) << U(24u)))",
    Accepts::Float,
    Makes::Type(DType::U32),
    |x| word(x).into(),
);

/// A signed byte of a word, by the number of bits below it.
static SIGNED_BYTE: Row = Row::plain(
    "signed_byte",
    2,
    "F((I({0}) << (U(24u) - {1})) >> U(24u))",
    Accepts::Number,
    Makes::Type(DType::F32),
    |x| bytes_of(x[0])[nearest::<usize>(x[1]) / 8].into(),
);

fn word(levels: &[f64]) -> u32 {
    levels.iter().rev().fold(0, |word, &level| word << 8 | nearest::<i32>(level).cast_unsigned() & 255)
}

/// The bytes of a word.
pub(super) fn bytes_of(word: f64) -> [i8; LANES] {
    nearest::<u32>(word).to_le_bytes().map(u8::cast_signed)
}

/// The scales and zero points of a [`QuantizedTensor`]: level `q` stands for `(q - zero_point) * scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizationParameters {
    /// One, or one for each index of `axis`. Rounded to f32.
    pub scale: Vec<f64>,
    /// The same number of zero points, from -128 to 127.
    pub zero_point: Vec<i32>,
    /// The dimension whose indices have their own scales, if there is one.
    pub axis: Option<usize>,
}

impl QuantizationParameters {
    /// One scale and zero point for all elements.
    pub fn per_tensor(scale: f64, zero_point: i32) -> QuantizationParameters {
        QuantizationParameters { scale: vec![scale], zero_point: vec![zero_point], axis: None }
    }

    /// A scale for each index of a dimension, and zero points of 0.
    pub fn per_channel(scale: Vec<f64>, axis: usize) -> QuantizationParameters {
        let zero_point = vec![0; scale.len()];
        QuantizationParameters { scale, zero_point, axis: Some(axis) }
    }

    /// The levels of `x`.
    pub(crate) fn grid(&self, op: &'static str, x: &Tensor) -> Result<Grid> {
        let points: Vec<f64> = self.zero_point.iter().map(|&point| point.into()).collect();
        if let Some(axis) = self.axis.filter(|&axis| axis >= x.rank()) {
            return Err(Error::invalid(op, format!("there is no dimension {axis} in {}", x.shape())));
        }
        grid(op, x, [&self.scale, &points], self.axis, [i8::MIN.into(), i8::MAX.into()])
    }
}

/// A tensor of signed bytes with scales, on a device, as PyTorch's `qint8` tensors: a quarter of f32's memory.
///
/// Bytes are stored four to a word, neighbours along dimension 1 (or along the only one); the last word of a row is padded. Made
/// by [`quantize_per_tensor`](Tensor::quantize_per_tensor) and [`quantize_per_channel`](Tensor::quantize_per_channel).
///
/// ```
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let x = Tensor::from_slice(&device, &[-1.0f32, 0.26, 0.5], &[3])?;
/// let q = x.quantize_per_tensor(0.25, 1)?;
/// assert_eq!(q.int_repr()?.to_vec::<i32>()?, [-3, 2, 3]);
/// assert_eq!(q.dequantize()?.to_vec::<f32>()?, [-1.0, 0.25, 0.5]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QuantizedTensor {
    pub(super) words: Tensor,
    pub(super) shape: Shape,
    parameters: QuantizationParameters,
}

/// The dimension along which bytes share words.
fn packed_dim(shape: &Shape) -> usize {
    usize::from(shape.len() > 1)
}

impl QuantizedTensor {
    /// A tensor of bytes from memory, in row-major order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the number of bytes is not that of the elements, or the parameters don't fit such a tensor;
    /// [`Error::TooLarge`].
    pub fn from_bytes(
        device: &Device,
        bytes: &[i8],
        shape: &[usize],
        parameters: QuantizationParameters,
    ) -> Result<QuantizedTensor> {
        let levels: Vec<f64> = bytes.iter().map(|&byte| byte.into()).collect();
        let levels = Tensor::from_f64(device, &levels, shape)?;
        // Refuses invalid parameters.
        parameters.grid("QuantizedTensor", &levels)?;
        QuantizedTensor::of_levels(&levels, parameters)
    }

    /// Whole numbers from -128 to 127, as f32.
    #[track_caller]
    pub(super) fn of_levels(levels: &Tensor, parameters: QuantizationParameters) -> Result<QuantizedTensor> {
        let words = packed(levels, |lane| Ok(lane.clone()))?;
        Ok(QuantizedTensor { words, shape: *levels.shape(), parameters })
    }

    /// Wraps words that are computed already.
    pub(super) fn of_words(words: Tensor, shape: Shape, parameters: QuantizationParameters) -> QuantizedTensor {
        QuantizedTensor { words, shape, parameters }
    }

    /// Sizes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Scales and zero points.
    pub fn parameters(&self) -> &QuantizationParameters {
        &self.parameters
    }

    /// The device it is on.
    pub fn device(&self) -> &Device {
        self.words.device()
    }

    /// The bytes as f32.
    #[track_caller]
    pub(super) fn levels(&self) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let dim = packed_dim(&self.shape);
        let rank = self.words.rank();
        let mut sizes = vec![1; rank - dim];
        sizes[0] = LANES;
        let shifts = Tensor::from_slice(self.device(), &[0u32, 8, 16, 24], &sizes)?;
        let bytes = apply(&SIGNED_BYTE, &[&self.words.unsqueeze(dim + 1)?, &shifts])?.flatten(dim, dim + 1)?;
        let count = self.shape.get(dim).copied().unwrap_or(1);
        bytes.narrow(dim, 0, count)?.reshape_to(self.shape)
    }

    /// The bytes as an i32 tensor (PyTorch's `int_repr`).
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    #[track_caller]
    pub fn int_repr(&self) -> Result<Tensor> {
        self.levels()?.to_dtype(DType::I32)
    }

    /// The bytes, in row-major order.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn to_bytes(&self) -> Result<Vec<i8>> {
        // Words of one row of bytes are not contiguous if there are inner dimensions, so the device puts bytes in order.
        Ok(self
            .int_repr()?
            .to_vec::<i32>()?
            .into_iter()
            .map(|level| bytes_of(level.cast_unsigned().into())[0])
            .collect())
    }

    /// The numbers it stands for, `(q - zero_point) * scale`, as f32 (PyTorch's `dequantize`).
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    #[track_caller]
    pub fn dequantize(&self) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let levels = self.levels()?;
        let grid = self.parameters.grid("dequantize", &levels)?;
        levels.sub(&grid.zero_point.of(&levels)?)?.mul(&grid.scale.of(&levels)?)
    }
}

/// The four tensors whose elements share words of a tensor; `None` if the tensor has no such element.
#[track_caller]
fn lanes(x: &Tensor, dim: usize) -> Result<[Option<Tensor>; LANES]> {
    let size = x.shape()[dim];
    let mut lanes = [const { None }; LANES];
    if size < LANES {
        for (at, lane) in lanes.iter_mut().enumerate().take(size) {
            *lane = Some(x.narrow(dim, at, 1)?);
        }
        return Ok(lanes);
    }
    let words = size.div_ceil(LANES);
    let mut padding = vec![0; 2 * (x.rank() - dim)];
    padding[2 * (x.rank() - dim) - 1] = nearest::<isize>(words * LANES - size);
    let x = if words * LANES == size { x.clone() } else { x.pad(&padding, PadMode::Constant(0.0))? };
    let mut sizes = x.shape().to_vec();
    sizes.splice(dim..=dim, [words, LANES]);
    let fours = x.reshape_to(Shape::new(&sizes)?)?;
    for (at, lane) in lanes.iter_mut().enumerate() {
        *lane = Some(fours.narrow(dim + 1, at, 1)?.squeeze(dim + 1)?);
    }
    Ok(lanes)
}

/// The words of a tensor whose elements `level` makes whole numbers of, a quarter of them at a time. Padding is 0 before that.
#[track_caller]
pub(super) fn packed(x: &Tensor, level: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let x = if x.rank() == 0 { x.unsqueeze(0)? } else { x.clone() };
    let dim = packed_dim(x.shape());
    if x.shape()[dim] == 0 {
        return x.to_dtype(DType::U32);
    }
    let lanes = lanes(&x, dim)?;
    let levels = lanes.iter().flatten().map(level).collect::<Result<Vec<_>>>()?;
    let nothing = levels[0].everywhere(0.0)?;
    let operands: Vec<&Tensor> = levels.iter().chain([&nothing; LANES]).take(LANES).collect();
    apply(&PACK, &operands)
}

impl Tensor {
    /// Rounded to signed bytes (PyTorch's `quantize_per_tensor` to `qint8`): `clamp(round(x / scale) + zero_point, -128, 127)`,
    /// rounded half to even, with `x / scale` computed as `x` times the inverse of `scale` in f32. NaN becomes any byte.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scale that is not positive, and for a zero point that does not fit a byte; [`Error::WrongDType`]
    /// for types other than f32.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.5f32, 1.5, 2.5, 99.0], &[4])?;
    /// assert_eq!(x.quantize_per_tensor(1.0, 100)?.to_bytes()?, [100, 102, 102, 127]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn quantize_per_tensor(&self, scale: f64, zero_point: i32) -> Result<QuantizedTensor> {
        self.quantize("quantize_per_tensor", QuantizationParameters::per_tensor(scale, zero_point))
    }

    /// Rounded to signed bytes with a scale and a zero point for each index of dimension `axis` (PyTorch's
    /// `quantize_per_channel` to `qint8`).
    ///
    /// # Errors
    /// As [`quantize_per_tensor`](Tensor::quantize_per_tensor); [`Error::Invalid`] unless there is one scale and zero point for
    /// each index, and if there is no such `axis`.
    #[track_caller]
    pub fn quantize_per_channel(&self, scales: &[f64], zero_points: &[i32], axis: impl Dim) -> Result<QuantizedTensor> {
        const OP: &str = "quantize_per_channel";
        let axis = Some(self.shape().dim(OP, axis)?);
        self.quantize(OP, QuantizationParameters { scale: scales.to_vec(), zero_point: zero_points.to_vec(), axis })
    }

    /// Rounded to signed bytes by these parameters.
    #[track_caller]
    fn quantize(&self, op: &'static str, parameters: QuantizationParameters) -> Result<QuantizedTensor> {
        let _line = ascribe_to_caller();
        let grid = parameters.grid(op, self)?;
        if parameters.axis.is_some_and(|axis| axis == packed_dim(self.shape())) {
            return QuantizedTensor::of_levels(&grid.levels(self)?, parameters);
        }
        let words = packed(self, |lane| grid.levels(lane))?;
        Ok(QuantizedTensor { words, shape: *self.shape(), parameters })
    }
}

pub(super) fn cases() -> Vec<Case> {
    let tensor = |shape: &[usize], scale: f64, zero_point: i32| {
        Case::new("quantize_per_tensor", &[shape], move |x| {
            let q = x[0].quantize_per_tensor(scale, zero_point)?;
            Ok(vec![q.int_repr()?, q.dequantize()?])
        })
        .with("scale", scale)
        .with("zero_point", zero_point)
        .no_gradient()
    };
    let channels = |shape: &[usize], axis: isize, count: u8| {
        let scales: Vec<f64> = (0..count).map(|at| 0.01 + f64::from(at) / 40.0).collect();
        let points: Vec<i32> = (0..count).map(|at| i32::from(at) - 1).collect();
        Case::new("quantize_per_channel", &[shape], move |x| {
            let q = x[0].quantize_per_channel(&scales, &points, axis)?;
            Ok(vec![q.int_repr()?, q.dequantize()?])
        })
        .with("axis", axis)
        .no_gradient()
    };
    let view = |x: &[Tensor]| Ok(vec![x[0].transpose(1, 2)?.quantize_per_tensor(0.02, -3)?.int_repr()?]);
    vec![
        tensor(&[], 0.03, 5),
        tensor(&[7], 0.03, 0),
        tensor(&[3, 1, 5, 2], 0.01, -128),
        tensor(&[2, 3, 2], 0.03, 127),
        tensor(&[2, 8, 3, 3], 0.1, 4),
        tensor(&[2, 6, 5], 0.0125, 1),
        tensor(&[0, 5], 0.1, 0),
        channels(&[5, 6, 2], 0, 5),
        channels(&[2, 5, 3], 1, 5),
        Case::new("quantize_per_tensor", &[&[2, 3, 8]], view).no_gradient(),
    ]
}

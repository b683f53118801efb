//! Convolutions and products of signed bytes, with sums in i32.

use super::kernel::{OP, QuantizedConvolution, Requantization};
use super::packed::{LANES, QuantizationParameters, QuantizedTensor, packed};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller, note_multiply_adds, record_one};
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::conv::{Conv2dOptions, Geometry, Padding};
use crate::shape::Shape;

/// The operands of a layer's sums besides the input: made once, used for every input of one scale and zero point.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    weight: QuantizedTensor,
    /// The input's zero point.
    zero_point: i32,
    /// i32 `[out]`: the sums of the weight's bytes.
    totals: Tensor,
    /// i32 `[out]`: the bias, minus the contribution of the input's zero point.
    offset: Tensor,
    /// f32 `[out]`.
    multiplier: Tensor,
}

impl Sums {
    /// The sums for inputs with this scale and zero point, times the scales of input and weight, and divided by `scale`, in f32.
    #[track_caller]
    pub fn new(
        op: &'static str,
        input: &QuantizationParameters,
        weight: &QuantizedTensor,
        bias: Option<&Tensor>,
        scale: Option<f64>,
    ) -> Result<Sums> {
        let _line = ascribe_to_caller();
        let outputs = weight.shape[0];
        let of_weight = weight.parameters();
        if input.axis.is_some() || of_weight.axis.is_some_and(|axis| axis != 0) {
            let rule = "expected an input with one scale, and a weight with one or with one for each output";
            return Err(Error::invalid(op, rule));
        }
        if of_weight.zero_point.iter().any(|&point| point != 0) {
            return Err(Error::invalid(op, "expected a weight with zero points of 0"));
        }
        if let Some(bias) = bias.filter(|bias| bias.dtype() != DType::I32 || **bias.shape() != [outputs]) {
            let rule = format!("expected an i32 bias [{outputs}]; got {} {}", bias.dtype(), bias.shape());
            return Err(Error::invalid(op, rule));
        }
        let zero_point = input.zero_point[0];
        let dims: Vec<isize> = (1..nearest::<isize>(weight.shape.len())).collect();
        let totals = weight.levels()?.sum(dims)?.to_dtype(DType::I32)?;
        let offset = (&totals * f64::from(-zero_point))?;
        let offset = bias.map_or(Ok(offset.clone()), |bias| bias.add(&offset))?;
        let factor = |of_weight: f64| {
            let product = nearest::<f32>(input.scale[0]) * nearest::<f32>(of_weight);
            scale.map_or(product, |scale| product / nearest::<f32>(scale))
        };
        let factors: Vec<f32> = (0..outputs).map(|at| factor(of_weight.scale[at % of_weight.scale.len()])).collect();
        let multiplier = Tensor::from_slice(weight.device(), &factors, &[outputs])?;
        Ok(Sums { weight: weight.clone(), zero_point, totals, offset, multiplier })
    }

    /// The sums for inputs with a scale and zero point on the device: for a scale of 1 and without a bias, for products.
    #[track_caller]
    pub fn with_levels(&self, scale: &Tensor, zero_point: &Tensor) -> Result<Sums> {
        let _line = ascribe_to_caller();
        let offset = (&self.totals * zero_point.neg()?.to_dtype(DType::I32)?)?;
        Ok(Sums { offset, multiplier: (&self.multiplier * scale)?, ..self.clone() })
    }

    /// The convolution of `[N, C, H, W]`: as f32, or as the words of bytes.
    #[track_caller]
    pub fn convolve(
        &self,
        op: &'static str,
        input: &QuantizedTensor,
        options: &Conv2dOptions,
        bytes: Option<Requantization>,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let (shape, weight) = (&input.shape, &self.weight.shape);
        if shape.len() != 4 || weight.len() != 4 {
            let rule = format!("expected input [N, C, H, W] and weight [O, C/groups, R, S]; got {shape} and {weight}");
            return Err(Error::invalid(op, rule));
        }
        let axes = options.axes(op, shape, weight)?;
        let (groups, per_group) = (options.groups, weight[1]);
        let words = per_group.div_ceil(LANES);
        let geometry = Geometry::new(groups, words, weight[0] / groups, axes);
        let image = match groups == 1 || per_group.is_multiple_of(LANES) {
            true => input.words.clone(),
            false => by_group(input, groups, per_group)?,
        };
        note_multiply_adds(|| (shape[0] * geometry.output[0] * geometry.output[1] * weight.numel()) as u64);
        self.record(geometry, per_group, &image, bytes)
    }

    /// The product with `[N, in]`.
    #[track_caller]
    pub fn multiply(&self, op: &'static str, input: &QuantizedTensor, bytes: Option<Requantization>) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let (shape, weight) = (&input.shape, &self.weight.shape);
        if shape.len() != 2 || weight.len() != 2 || shape[1] != weight[1] {
            let rule = format!("expected input [N, in] and weight [out, in]; got {shape} and {weight}");
            return Err(Error::invalid(op, rule));
        }
        let words = weight[1].div_ceil(LANES);
        let one = Conv2dOptions::default().axes(op, &Shape::new(&[1, 1, 1, 1])?, &Shape::new(&[1, 1, 1, 1])?)?;
        let image = input.words.reshape_to(Shape::new(&[shape[0], words, 1, 1])?)?;
        note_multiply_adds(|| (shape[0] * weight.numel()) as u64);
        let output = self.record(Geometry::new(1, words, weight[0], one), weight[1], &image, bytes)?;
        output.reshape_to(Shape::new(&[shape[0], output.shape()[1]])?)
    }

    #[track_caller]
    fn record(
        &self,
        geometry: Geometry,
        channels: usize,
        image: &Tensor,
        bytes: Option<Requantization>,
    ) -> Result<Tensor> {
        let of_point = self.zero_point.cast_unsigned() & 255;
        let numbers = bytes.unwrap_or(Requantization { zero_point: 0, low: -128, high: 127 });
        let [zero_point, low, high] = [numbers.zero_point, numbers.low, numbers.high].map(i32::cast_unsigned);
        // If groups' outputs share words, these are assembled from f32.
        let whole = geometry.groups == 1 || geometry.out_per_group.is_multiple_of(LANES);
        let op = QuantizedConvolution {
            geometry,
            lanes: channels.min(LANES),
            bytes: bytes.is_some() && whole,
            scalars: [of_point * 0x0101_0101, zero_point, low, high],
        };
        let filter = self.weight.words.contiguous()?;
        let sums = record_one(op, &[&image.contiguous()?, &filter, &self.offset, &self.multiplier])?;
        match bytes {
            Some(to) if !whole => packed(&sums, |lane| {
                lane.round()?.add_scalar(to.zero_point)?.clamp(Some(to.low.into()), Some(to.high.into()))
            }),
            _ => Ok(sums),
        }
    }
}

/// Words that hold channels of one group only.
#[track_caller]
fn by_group(input: &QuantizedTensor, groups: usize, per_group: usize) -> Result<Tensor> {
    let [n, _, height, width] = [0, 1, 2, 3].map(|dim| input.shape[dim]);
    let levels = input.levels()?.reshape_to(Shape::new(&[n * groups, per_group, height, width])?)?;
    let words = packed(&levels, |lane| Ok(lane.clone()))?;
    words.reshape_to(Shape::new(&[n, groups * per_group.div_ceil(LANES), height, width])?)
}

impl QuantizedTensor {
    /// A convolution of bytes, ONNX's `QLinearConv`: [`conv2d`](Tensor::conv2d) of the numbers that both stand for, rounded to
    /// the levels of `output`, whose parameters are one scale and one zero point. Products of bytes are added up in i32, so that
    /// every device gets the same bytes:
    ///
    /// `sum = bias[o] + sum over i, r, s of weight[o, i, r, s] * (input[..] - zero_point)`, with a padding of zero points;
    /// `output = clamp(round(f32(sum) * (input_scale * weight_scale[o] / output_scale)) + output_zero_point, -128, 127)`, in
    /// f32, rounded half to even.
    ///
    /// The weight `[O, C/groups, R, S]` has zero points of 0 and one scale, or one for each of its outputs; the bias is i32
    /// `[O]`, in units of `input_scale * weight_scale[o]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`conv2d`](Tensor::conv2d), and for other parameters than these; [`Error::TooLarge`] for sums of
    /// more than 65,535 terms.
    ///
    /// ```
    /// # use wgrad::{Conv2dOptions, Device, QuantizationParameters, Tensor};
    /// # let device = Device::reference();
    /// let image = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2])?.quantize_per_tensor(0.5, -10)?;
    /// let weight = Tensor::ones(&device, &[1, 1, 2, 2])?.quantize_per_channel(&[0.25], &[0], 0)?;
    /// let to = QuantizationParameters::per_tensor(0.2, 0);
    /// let sum = image.conv2d(&weight, None, &Conv2dOptions::default(), &to)?;
    /// assert_eq!(sum.to_bytes()?, [50]);
    /// assert_eq!(sum.dequantize()?.to_vec::<f32>()?, [10.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv2d(
        &self,
        weight: &QuantizedTensor,
        bias: Option<&Tensor>,
        options: &Conv2dOptions,
        output: &QuantizationParameters,
    ) -> Result<QuantizedTensor> {
        let to = requantization(OP, output)?;
        let sums = Sums::new(OP, self.parameters(), weight, bias, Some(output.scale[0]))?;
        let words = sums.convolve(OP, self, options, Some(to))?;
        let shape = Shape::new(&[words.shape()[0], weight.shape[0], words.shape()[2], words.shape()[3]])?;
        Ok(QuantizedTensor::of_words(words, shape, output.clone()))
    }

    /// A product of bytes: [`linear`](Tensor::linear) of `[N, in]` and a weight `[out, in]`, by the rules of
    /// [`conv2d`](QuantizedTensor::conv2d).
    ///
    /// # Errors
    /// As [`conv2d`](QuantizedTensor::conv2d).
    ///
    /// ```
    /// # use wgrad::{Device, QuantizationParameters, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, -2.0], &[1, 2])?.quantize_per_tensor(0.1, 3)?;
    /// let weight = Tensor::from_slice(&device, &[1.0f32, 0.5], &[1, 2])?.quantize_per_tensor(0.125, 0)?;
    /// let y = x.linear(&weight, None, &QuantizationParameters::per_tensor(0.05, 0))?;
    /// assert_eq!(y.to_bytes()?, [0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn linear(
        &self,
        weight: &QuantizedTensor,
        bias: Option<&Tensor>,
        output: &QuantizationParameters,
    ) -> Result<QuantizedTensor> {
        const OP: &str = "quantized_linear";
        let to = requantization(OP, output)?;
        let words =
            Sums::new(OP, self.parameters(), weight, bias, Some(output.scale[0]))?.multiply(OP, self, Some(to))?;
        let shape = Shape::new(&[self.shape[0], weight.shape[0]])?;
        Ok(QuantizedTensor::of_words(words, shape, output.clone()))
    }
}

/// The levels of a result with one scale and zero point.
fn requantization(op: &'static str, output: &QuantizationParameters) -> Result<Requantization> {
    let is_byte = |point: &&i32| i8::try_from(**point).is_ok();
    match (output.axis, output.zero_point.first().filter(is_byte), output.scale.first()) {
        (None, Some(&zero_point), Some(scale)) if *scale > 0.0 => {
            Ok(Requantization { zero_point, low: i8::MIN.into(), high: i8::MAX.into() })
        }
        _ => Err(Error::invalid(
            op,
            format!("expected one positive scale and one zero point for the result; got {output:?}"),
        )),
    }
}

pub(super) fn cases() -> Vec<Case> {
    // Numbers between -2 and 2, on a slightly coarser grid.
    let input = |x: &Tensor| x.quantize_per_tensor(0.014, 11);
    let filter = |w: &Tensor| {
        let scales: Vec<f64> = (0..w.shape()[0]).map(|at| 0.0151 + at as f64 / 4000.0).collect();
        w.quantize_per_channel(&scales, &vec![0; scales.len()], 0)
    };
    let both = move |image: &[usize], weight: &[usize], options: Conv2dOptions| {
        let run = move |x: &[Tensor]| {
            let (image, weight) = (input(&x[0])?, filter(&x[1])?);
            let to = QuantizationParameters::per_tensor(0.05, -3);
            let f32s = Sums::new(OP, image.parameters(), &weight, None, None)?.convolve(OP, &image, &options, None)?;
            Ok(vec![image.conv2d(&weight, Some(&x[2]), &options, &to)?.int_repr()?, f32s])
        };
        Case::new(OP, &[image, weight, &weight[..1]], run)
            .options(&options)
            .integers(2, -2000, 2000)
            .tolerance(0.0)
            .no_gradient()
    };
    let linear = move |rows: usize, [outputs, inputs]: [usize; 2]| {
        let run = move |x: &[Tensor]| {
            let to = QuantizationParameters::per_tensor(0.07, 5);
            Ok(vec![input(&x[0])?.linear(&filter(&x[1])?, Some(&x[2]), &to)?.int_repr()?])
        };
        Case::new("quantized_linear", &[&[rows, inputs], &[outputs, inputs], &[outputs]], run)
            .integers(2, -2000, 2000)
            .tolerance(0.0)
            .no_gradient()
    };
    let plain = Conv2dOptions::default();
    vec![
        both(&[2, 1, 9, 9], &[6, 1, 5, 5], plain.padding(2)),
        both(&[2, 6, 7, 7], &[10, 6, 3, 3], plain),
        both(&[1, 3, 9, 11], &[5, 3, 3, 2], plain.stride([2, 3]).padding([1, 2]).dilation([2, 1])),
        both(&[3, 16, 5, 6], &[9, 16, 1, 1], plain),
        both(&[1, 4, 5, 5], &[4, 4, 3, 3], plain.padding(Padding::Same)),
        both(&[2, 8, 6, 5], &[8, 4, 3, 3], plain.groups(2).padding(1)),
        both(&[2, 6, 5, 5], &[9, 2, 3, 3], plain.groups(3).padding(1)),
        both(&[2, 7, 6, 6], &[7, 1, 3, 3], plain.groups(7).padding(1).stride(2)),
        both(&[0, 4, 5, 5], &[4, 4, 3, 3], plain),
        both(&[1, 2, 3, 40], &[3, 2, 1, 27], plain.padding([0, 13])),
        linear(5, [7, 13]),
        linear(1, [1, 1]),
        linear(9, [20, 64]),
        // More terms than f32 adds up exactly.
        linear(2, [3, 1301]),
    ]
}

//! Convolutions and products of signed bytes, with sums in i32.

use super::packed::{LANES, QuantizationParameters, QuantizedTensor, bytes_of, packed};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, ascribe_to_caller, note_multiply_adds, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::conv::{Conv2dOptions, Geometry, Padding};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::{Hash, Hasher};

const TEMPLATE: &str = include_str!("../../../shaders/quantized_conv2d.wgsl");

const OP: &str = "quantized_conv2d";

/// Terms of a sum of which no products of bytes overflow i32, zero points included.
const MOST_TERMS: usize = 65_535;

/// Products of bytes of which sums are exact in f32.
const EXACT_TERMS: usize = 1024;

/// A sum times a multiplier as bytes: zero point, lowest and highest level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requantization {
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
}

/// The sums of `shaders/quantized_conv2d.wgsl`, of words, words, offsets and multipliers.
#[derive(Clone, Debug)]
struct QuantizedConvolution {
    /// A geometry of words, not of bytes.
    geometry: Geometry,
    /// Bytes that a word holds: fewer than four where a group has fewer channels.
    lanes: usize,
    /// True where the result is bytes, rather than f32.
    bytes: bool,
    /// Padding, and the requantization's numbers.
    scalars: [u32; 4],
}

/// The part of a result that one invocation computes, and the taps of a step.
#[derive(Clone, Copy)]
struct Tile {
    channels: usize,
    columns: usize,
    taps: usize,
}

impl QuantizedConvolution {
    fn requantization(&self) -> Requantization {
        let [_, zero_point, low, high] = self.scalars.map(u32::cast_signed);
        Requantization { zero_point, low, high }
    }

    /// The tile with the lowest predicted time. On software adapters the nanoseconds of a step follow from its loads,
    /// multiply-adds of bytes, accumulators, shuffles and words taken apart, by the measurements of `conv/tiles.rs`; compiling
    /// takes longer than is saved where more than some hundred multiply-adds are written out.
    fn tile(&self, adapter: &Adapter, sharers: usize, dynamic: bool) -> Tile {
        let g = &self.geometry;
        let (kernel, stride, dilation) = (g.kernel[1], g.stride[1], g.dilation[1]);
        let width = if dynamic { 8 } else { g.output[1] };
        let (most_products, most_sums) = if adapter.is_cpu { (840, 96) } else { (400, 32) };
        let mut best = (f64::INFINITY, Tile { channels: 1, columns: 1, taps: 1 });
        for taps in [kernel, 1] {
            for columns in 1..=width.min(16) {
                for channels in [1, 2, 3, 4, 6, 8, 12, 16] {
                    let unused =
                        channels > g.out_per_group.next_multiple_of(LANES) || (self.bytes && channels % LANES != 0);
                    let products = channels * columns * taps;
                    let segment = (columns - 1) * stride + (taps - 1) * dilation + 1;
                    let fits =
                        self.lanes * products <= most_products && channels * columns <= most_sums && segment <= 48;
                    if unused || !fits {
                        continue;
                    }
                    let (weights, sums) = (channels * taps, channels * columns);
                    let loads = segment.min(columns * taps) + weights.div_ceil(sharers);
                    let shuffles = if sharers > 1 { weights } else { 0 };
                    let step = 7.5 * loads as f64
                        + 0.6 * (self.lanes * products) as f64
                        + 0.8 * sums as f64
                        + 0.4 * shuffles as f64
                        + 1.8 * (segment + weights) as f64
                        + 20.0;
                    let steps = g.out_per_group.div_ceil(channels) * width.div_ceil(columns) * kernel / taps;
                    let time = step * steps as f64;
                    if time < best.0 {
                        best = (time, Tile { channels, columns, taps });
                    }
                }
            }
        }
        if self.bytes { Tile { channels: best.1.channels.next_multiple_of(LANES), ..best.1 } } else { best.1 }
    }
}

impl Op for QuantizedConvolution {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, mut state: &mut dyn Hasher) {
        (self.geometry, self.lanes, self.bytes).hash(&mut state);
    }
    fn scalars(&self) -> &[u32] {
        &self.scalars
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let g = &self.geometry;
        let channels = g.groups * g.out_per_group;
        let (channels, dtype) = match self.bytes {
            true => (channels.div_ceil(LANES), DType::U32),
            false => (channels, DType::F32),
        };
        let shape = Shape::new(&[inputs[0].shape[0], channels, g.output[0], g.output[1]])?;
        let terms = g.in_per_group * LANES * g.kernel[0] * g.kernel[1];
        if terms > MOST_TERMS {
            return Err(Error::TooLarge { op: OP, shape, limit: MOST_TERMS as u64, unit: "terms of a sum" });
        }
        Ok(vec![Layout::contiguous(shape, dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let g = &self.geometry;
        let batch = io.inputs[0].shape[0];
        // Lanes of a subgroup share weights where a workgroup is one subgroup.
        let sharers = if adapter.is_cpu && adapter.subgroup_size == 8 { 8 } else { 1 };
        let workgroup = if adapter.is_cpu { 8 } else { 64 };
        let tile = self.tile(adapter, sharers, io.room.dynamic);
        let strips = batch * g.output[0] * g.output[1].div_ceil(tile.columns);
        let down = g.groups * g.out_per_group.div_ceil(tile.channels);
        let groups = strips.div_ceil(workgroup).saturating_mul(down);
        let most = 65_535usize.pow(2);
        if groups > most {
            return Err(Error::TooLarge { op: OP, shape: io.outputs[0].shape, limit: most as u64, unit: "workgroups" });
        }
        let steps = g.in_per_group * g.kernel[0] * g.kernel[1] / tile.taps;
        let block = if adapter.is_cpu { EXACT_TERMS / (LANES * tile.taps) } else { MOST_TERMS };
        let mut kernel = Kernel::new(OP, TEMPLATE)
            .constant("GROUPS", g.groups)
            .size("WORDS", g.in_per_group)
            .size("OUT_PER_GROUP", g.out_per_group)
            .size("IN_HEIGHT", g.input[0])
            .size("IN_WIDTH", g.input[1])
            .size("OUT_HEIGHT", g.output[0])
            .size("OUT_WIDTH", g.output[1]);
        let constants = [
            ("KERNEL_Y", g.kernel[0]),
            ("KERNEL_X", g.kernel[1]),
            ("STRIDE_Y", g.stride[0]),
            ("STRIDE_X", g.stride[1]),
            ("PAD_Y", g.padding[0]),
            ("PAD_X", g.padding[1]),
            ("DILATION_Y", g.dilation[0]),
            ("DILATION_X", g.dilation[1]),
            ("TILE_OUT", tile.channels),
            ("TILE_X", tile.columns),
            ("STORE_OUT", (1..=LANES).rev().find(|&stored| tile.channels.is_multiple_of(stored)).unwrap_or(1)),
            ("TAPS", tile.taps),
            ("SHARERS", sharers),
            ("WORKGROUP", workgroup),
            ("LANES", self.lanes),
            ("BLOCK", block),
        ];
        for (name, value) in constants {
            kernel = kernel.constant(name, format!("{value}u"));
        }
        if sharers > 1 {
            kernel = kernel.hook("shared_word", "return subgroupShuffle(word, lane);");
        }
        if self.bytes {
            kernel = kernel.alias("Element", "u32").hook("store_output", "output[index] = Element(value);");
        }
        Ok(kernel
            .constant("BYTES", self.bytes)
            .constant("ONE_BLOCK", steps <= block)
            .constant("PACKED_DOT", !adapter.is_cpu)
            .alias("Part", if adapter.is_cpu { "f32" } else { "i32" })
            .bind("input", Operand::Input(0))
            .bind("weight", Operand::Input(1))
            .bind("offset", Operand::Input(2))
            .bind("multiplier", Operand::Input(3))
            .bind("output", Operand::Output(0))
            .values(&[batch, steps, down])
            .words((0..4).map(Word::Scalar))
            .words((0..4).map(Word::Offset))
            .grid(fold_groups(groups, 1))
            .work(2 * LANES * batch * g.output[0] * g.output[1] * g.weights())
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let g = &self.geometry;
        let outputs = g.groups * g.out_per_group;
        let [image, filter] = [0, 1].map(|at| inputs[at].values.iter().map(|&word| bytes_of(word)).collect::<Vec<_>>());
        let padding = bytes_of(self.scalars[0].into());
        let place = |d: usize, at: usize, tap: usize| {
            (at * g.stride[d] + tap * g.dilation[d]).checked_sub(g.padding[d]).filter(|&place| place < g.input[d])
        };
        let sum = |n: usize, o: usize, y: usize, x: usize| {
            let mut sum = nearest::<i64>(inputs[2].values[o]);
            for word in 0..g.in_per_group {
                let plane = (n * g.groups + o / g.out_per_group) * g.in_per_group + word;
                for r in 0..g.kernel[0] {
                    for s in 0..g.kernel[1] {
                        let tap = filter[((o * g.in_per_group + word) * g.kernel[0] + r) * g.kernel[1] + s];
                        let seen = match (place(0, y, r), place(1, x, s)) {
                            (Some(y), Some(x)) => image[(plane * g.input[0] + y) * g.input[1] + x],
                            _ => padding,
                        };
                        sum += tap.iter().zip(seen).map(|(&a, b)| i64::from(a) * i64::from(b)).sum::<i64>();
                    }
                }
            }
            nearest::<f32>(sum as f64) * nearest::<f32>(inputs[3].values[o])
        };
        let Requantization { zero_point, low, high } = self.requantization();
        let level = |value: f32| f64::from(value.round_ties_even() + zero_point as f32).clamp(low.into(), high.into());
        let layout = self.outputs(&[Layout::contiguous(inputs[0].shape, DType::U32)])?[0];
        let value = |at: &[usize]| match *at {
            [n, o, y, x] if !self.bytes => sum(n, o, y, x).into(),
            [n, word, y, x] => {
                // Lanes past the last channel repeat it.
                let channels = (word * LANES..(word + 1) * LANES).rev();
                let byte = |o: usize| nearest::<i32>(level(sum(n, o.min(outputs - 1), y, x))).cast_unsigned() & 255;
                f64::from(channels.fold(0, |word, o| word << 8 | byte(o)))
            }
            _ => 0.0,
        };
        Ok(vec![HostTensor::from_fn(layout.shape, layout.dtype, value)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// The operands of a layer's sums besides the input: made once, used with every input of one scale and zero point.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    weight: QuantizedTensor,
    /// The input's zero point.
    zero_point: i32,
    /// i32 `[out]`: the sums of the weight's bytes.
    totals: Tensor,
    /// i32 `[out]`: the bias, less what the input's zero point adds.
    offset: Tensor,
    /// f32 `[out]`.
    multiplier: Tensor,
}

impl Sums {
    /// The sums of inputs with this scale and zero point, times the scales of input and weight, and over `scale`, in f32.
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

    /// The sums for inputs of another scale and zero point, which are on the device: those of a scale of 1 and without a bias,
    /// for products.
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
        // Groups whose outputs share words are put together from f32.
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

/// Words that hold channels of one group alone.
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
    // Numbers between -2 and 2, on a grid a little coarser.
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
        Case::new(OP, &[image, weight, &weight[..1]], run).integers(2, -2000, 2000).tolerance(0.0).no_gradient()
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

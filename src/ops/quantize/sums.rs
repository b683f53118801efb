//! Sums of products of bytes: their operands, and the ways to compute them.

use super::kernel::{MOST_TERMS, OP, QuantizedConvolution, Requantization};
use super::level::Grid;
use super::packed::{LANES, QuantizationParameters, QuantizedTensor, packed};
use super::whole::Whole;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller, note_multiply_adds, record_one};
use crate::number::nearest;
use crate::ops::conv::{Conv2dOptions, Geometry};
use crate::ops::pointwise::{Accepts, Makes, Row, apply};
use crate::shape::Shape;

/// A sum times a multiplier. Devices have to round alike, so it is computed in f32 everywhere.
static SCALED: Row = Row::plain("scaled_sum", 2, "{0} * {1}", Accepts::Float, Makes::Same, |x| {
    (nearest::<f32>(x[0]) * nearest::<f32>(x[1])).into()
});

/// A layer's input.
pub(crate) enum Input<'a> {
    Bytes(&'a QuantizedTensor),
    /// Numbers that are rounded to a grid's levels.
    Rounded(&'a Tensor, &'a Grid),
}

impl Input<'_> {
    pub fn shape(&self) -> &Shape {
        match self {
            Input::Bytes(bytes) => bytes.shape(),
            Input::Rounded(x, _) => x.shape(),
        }
    }

    #[track_caller]
    fn levels(&self) -> Result<Tensor> {
        match self {
            Input::Bytes(bytes) => bytes.levels(),
            Input::Rounded(x, grid) => grid.levels(x),
        }
    }

    /// The levels above the zero point, as f32.
    #[track_caller]
    pub fn centred(&self) -> Result<Tensor> {
        let levels = self.levels()?;
        match self {
            Input::Bytes(bytes) => levels.add_scalar(-bytes.parameters().zero_point[0]),
            Input::Rounded(x, grid) => levels.sub(&grid.zero_point.of(x)?),
        }
    }

    #[track_caller]
    fn words(&self) -> Result<Tensor> {
        match self {
            Input::Bytes(bytes) => Ok(bytes.words.clone()),
            Input::Rounded(x, grid) => packed(x, |lane| grid.levels(lane)),
        }
    }

    /// Words that hold channels of one group only.
    #[track_caller]
    fn words_by_group(&self, groups: usize, per_group: usize) -> Result<Tensor> {
        if groups == 1 || per_group.is_multiple_of(LANES) {
            return self.words();
        }
        let [n, _, height, width] = [0, 1, 2, 3].map(|dim| self.shape()[dim]);
        let levels = self.levels()?.reshape_to(Shape::new(&[n * groups, per_group, height, width])?)?;
        let words = packed(&levels, |lane| Ok(lane.clone()))?;
        words.reshape_to(Shape::new(&[n, groups * per_group.div_ceil(LANES), height, width])?)
    }
}

/// The operands of a layer's sums besides the input: made once, used for every input of one scale and zero point.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    weight: QuantizedTensor,
    /// The weight for adapters that multiply bytes as f32.
    whole: Option<Whole>,
    /// The input's zero point.
    zero_point: i32,
    /// i32 `[out]`: the sums of the weight's bytes.
    totals: Tensor,
    /// i32 `[out]`.
    bias: Option<Tensor>,
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
        check(op, input, weight, bias)?;
        let zero_point = input.zero_point[0];
        let dims: Vec<isize> = (1..nearest::<isize>(weight.shape.len())).collect();
        let totals = weight.levels()?.sum(dims)?.to_dtype(DType::I32)?;
        let offset = (&totals * f64::from(-zero_point))?;
        let offset = bias.map_or(Ok(offset.clone()), |bias| bias.add(&offset))?;
        let scales = &weight.parameters().scale;
        let factor = |of_weight: f64| {
            let product = nearest::<f32>(input.scale[0]) * nearest::<f32>(of_weight);
            scale.map_or(product, |scale| product / nearest::<f32>(scale))
        };
        let factors: Vec<f32> = (0..outputs).map(|at| factor(scales[at % scales.len()])).collect();
        let multiplier = Tensor::from_slice(weight.device(), &factors, &[outputs])?;
        let (whole, bias) = (Whole::of(weight)?, bias.cloned());
        Ok(Sums { weight: weight.clone(), whole, zero_point, totals, bias, offset, multiplier })
    }

    /// The same, with its weight read, so that sums that can't grow large are not taken apart.
    pub fn measured(self) -> Result<Sums> {
        let whole = self.whole.map(Whole::measured).transpose()?;
        Ok(Sums { whole, ..self })
    }

    /// The same, computed by the kernel that multiplies words on every adapter.
    pub fn by_bytes(self) -> Sums {
        Sums { whole: None, ..self }
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
        input: &Input,
        options: &Conv2dOptions,
        bytes: Option<Requantization>,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let (shape, weight) = (input.shape(), &self.weight.shape);
        if shape.len() != 4 || weight.len() != 4 {
            let rule = format!("expected input [N, C, H, W] and weight [O, C/groups, R, S]; got {shape} and {weight}");
            return Err(Error::invalid(op, rule));
        }
        let axes = options.axes(op, shape, weight)?;
        let (groups, per_group) = (options.groups, weight[1]);
        if let Some(whole) = &self.whole {
            let geometry = Geometry::new(groups, per_group, weight[0] / groups, axes);
            return self.finished(&whole.convolve(geometry, &input.centred()?)?, bytes);
        }
        let geometry = Geometry::new(groups, per_group.div_ceil(LANES), weight[0] / groups, axes);
        let image = input.words_by_group(groups, per_group)?;
        note_multiply_adds(|| (shape[0] * geometry.output[0] * geometry.output[1] * weight.numel()) as u64);
        self.record(geometry, per_group, &image, bytes)
    }

    /// The product with `[N, in]`.
    #[track_caller]
    pub fn multiply(&self, op: &'static str, input: &Input, bytes: Option<Requantization>) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let (shape, weight) = (input.shape(), &self.weight.shape);
        if shape.len() != 2 || weight.len() != 2 || shape[1] != weight[1] {
            let rule = format!("expected input [N, in] and weight [out, in]; got {shape} and {weight}");
            return Err(Error::invalid(op, rule));
        }
        if let Some(whole) = &self.whole {
            return self.finished(&whole.multiply(&input.centred()?)?, bytes);
        }
        let words = weight[1].div_ceil(LANES);
        let one = Conv2dOptions::default().axes(op, &Shape::new(&[1, 1, 1, 1])?, &Shape::new(&[1, 1, 1, 1])?)?;
        let image = input.words()?.reshape_to(Shape::new(&[shape[0], words, 1, 1])?)?;
        note_multiply_adds(|| (shape[0] * weight.numel()) as u64);
        let output = self.record(Geometry::new(1, words, weight[0], one), weight[1], &image, bytes)?;
        output.reshape_to(Shape::new(&[shape[0], output.shape()[1]])?)
    }

    /// Sums without the bias, f32 or i32 `[N, out, ..]`, as the result.
    #[track_caller]
    fn finished(&self, sums: &Tensor, bytes: Option<Requantization>) -> Result<Tensor> {
        let along = |x: &Tensor| {
            let mut sizes = vec![1; sums.rank() - 1];
            sizes[0] = x.numel();
            x.reshape_to(Shape::new(&sizes)?)
        };
        let sums = match &self.bias {
            Some(bias) => sums.to_dtype(DType::I32)?.add(&along(bias)?)?,
            None => sums.clone(),
        };
        let product = apply(&SCALED, &[&sums.to_dtype(DType::F32)?, &along(&self.multiplier)?])?;
        bytes.map_or(Ok(product.clone()), |to| packed(&product, |lane| to.level(lane)))
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
            Some(to) if !whole => packed(&sums, |lane| to.level(lane)),
            _ => Ok(sums),
        }
    }
}

/// Refuses what no sums can be made of.
fn check(
    op: &'static str,
    input: &QuantizationParameters,
    weight: &QuantizedTensor,
    bias: Option<&Tensor>,
) -> Result<()> {
    let (outputs, of_weight) = (weight.shape[0], weight.parameters());
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
    let taps: usize = weight.shape.iter().skip(2).product();
    let terms = weight.shape.get(1).map_or(0, |channels| channels.next_multiple_of(LANES) * taps);
    if terms > MOST_TERMS {
        return Err(Error::TooLarge { op: OP, shape: weight.shape, limit: MOST_TERMS as u64, unit: "terms of a sum" });
    }
    Ok(())
}

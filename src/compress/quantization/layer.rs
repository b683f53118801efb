//! A quantized layer: bytes of its weight, and the levels of its inputs.

use super::network::OP;
use super::observer::{SMALLEST_SCALE, Scheme};
use crate::error::Result;
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;
use crate::ops::{Conv2dOptions, Grid, Input, Number, QuantizationParameters, QuantizedTensor, Sums};
use crate::shape::Shape;

/// The levels of a layer's inputs.
#[derive(Clone, Debug)]
pub(super) enum Inputs {
    /// Known beforehand, with the sums made for them.
    Known(QuantizationParameters, Sums),
    /// Those of each batch's own range.
    OfBatch(Sums),
}

/// A layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub weight: QuantizedTensor,
    pub inputs: Inputs,
}

/// A weight as bytes from -127 to 127, with a scale for each output.
pub(super) fn weight(value: &Tensor) -> Result<QuantizedTensor> {
    let dims: Vec<isize> = (1..value.rank()).map(nearest).collect();
    let largest = value.detach().abs()?.amax(dims)?.to_f64()?;
    let scales: Vec<f64> = largest.iter().map(|most| (most / 127.0).max(SMALLEST_SCALE)).collect();
    let points = vec![0; scales.len()];
    value.detach().quantize_per_channel(&scales, &points, 0)
}

impl Layer {
    /// A layer for inputs of these levels, or of each batch's own.
    pub fn new(weight: QuantizedTensor, inputs: Option<QuantizationParameters>) -> Result<Layer> {
        let inputs = no_grad(|| match inputs {
            Some(parameters) => {
                let sums = Sums::new(OP, &parameters, &weight, None, None)?.measured()?;
                Ok::<_, crate::Error>(Inputs::Known(parameters, sums))
            }
            None => {
                let unit = QuantizationParameters::per_tensor(1.0, 0);
                Ok(Inputs::OfBatch(Sums::new(OP, &unit, &weight, None, None)?.measured()?))
            }
        })?;
        Ok(Layer { weight, inputs })
    }

    /// The convolution of `[N, C, H, W]`; `None` if it is left to f32.
    #[track_caller]
    pub fn conv2d(&self, input: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Result<Option<Tensor>> {
        let Inputs::Known(parameters, sums) = &self.inputs else { return Ok(None) };
        if input.rank() != 4 {
            return Ok(None);
        }
        let grid = parameters.grid(OP, input)?;
        let output = sums.convolve("conv2d", &Input::Rounded(input, &grid), options, None)?;
        Ok(Some(match bias {
            Some(bias) => output.add(&bias.reshape(&[-1, 1, 1])?)?,
            None => output,
        }))
    }

    /// The linear map of `[.., in]`.
    #[track_caller]
    pub fn linear(&self, input: &Tensor, bias: Option<&Tensor>) -> Result<Option<Tensor>> {
        let mut sizes = input.shape().to_vec();
        let rows = match sizes.len() {
            1 => input.unsqueeze(0)?,
            _ => input.flatten(0, -2)?,
        };
        let output = match &self.inputs {
            Inputs::Known(parameters, sums) => {
                sums.multiply("linear", &Input::Rounded(&rows, &parameters.grid(OP, &rows)?), None)?
            }
            Inputs::OfBatch(sums) => of_batch(&rows, sums)?,
        };
        if let Some(last) = sizes.last_mut() {
            *last = self.weight.shape()[0];
        }
        let output = match bias {
            Some(bias) => output.add(bias)?,
            None => output,
        };
        output.reshape_to(Shape::new(&sizes)?).map(Some)
    }
}

/// The map of rows with levels of their own range, which is not read back: `scale = (max - min) / 255`.
#[track_caller]
fn of_batch(rows: &Tensor, sums: &Sums) -> Result<Tensor> {
    let grid = grid_of(&rows.amin(..)?, &rows.amax(..)?, Scheme::Affine)?;
    let sums = sums.with_levels(&grid.scale.of(rows)?, &grid.zero_point.of(rows)?)?;
    sums.multiply("linear", &Input::Rounded(rows, &grid), None)
}

/// The levels of a range that is computed on the device, by the rule of [`Scheme::parameters`] up to rounding.
pub(super) fn grid_of(low: &Tensor, high: &Tensor, scheme: Scheme) -> Result<Grid> {
    no_grad(|| {
        let (low, high) = (low.minimum_scalar(0.0)?, high.maximum_scalar(0.0)?);
        let (scale, zero_point) = match scheme {
            Scheme::Symmetric => {
                let scale = (high.maximum(&low.neg()?)? / 127.0)?.maximum_scalar(SMALLEST_SCALE)?;
                let zero_point = scale.zeros_like()?;
                (scale, zero_point)
            }
            Scheme::Affine => {
                let scale = ((high - &low)? / 255.0)?.maximum_scalar(SMALLEST_SCALE)?;
                let zero_point = ((low / &scale)?.round()?.neg()? - 128.0)?.clamp(Some(-128.0), Some(127.0))?;
                (scale, zero_point)
            }
        };
        let inverse = scale.reciprocal()?;
        let [scale, inverse, zero_point] = [scale, inverse, zero_point].map(Number::Each);
        Ok(Grid { scale, inverse, zero_point, low: scheme.low(), high: 127 })
    })
}

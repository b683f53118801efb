//! Convolutions and products of signed bytes, with sums in i32.

use super::kernel::{OP, Requantization};
use super::packed::{QuantizationParameters, QuantizedTensor};
use super::sums::{Input, Sums};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;
use crate::ops::conv::{Conv2dOptions, Padding};
use crate::shape::Shape;

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
        let words = sums.convolve(OP, &Input::Bytes(self), options, Some(to))?;
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
        let sums = Sums::new(OP, self.parameters(), weight, bias, Some(output.scale[0]))?;
        let words = sums.multiply(OP, &Input::Bytes(self), Some(to))?;
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
            let sums = Sums::new(OP, image.parameters(), &weight, None, None)?;
            let f32s = |sums: Sums| sums.convolve(OP, &Input::Bytes(&image), &options, None);
            let bytes = image.conv2d(&weight, Some(&x[2]), &options, &to)?.int_repr()?;
            Ok(vec![bytes, f32s(sums.clone())?, f32s(sums.by_bytes())?])
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
            let (rows, weight) = (input(&x[0])?, filter(&x[1])?);
            let sums = Sums::new(OP, rows.parameters(), &weight, Some(&x[2]), None)?.by_bytes();
            let f32s = sums.multiply(OP, &Input::Bytes(&rows), None)?;
            Ok(vec![rows.linear(&weight, Some(&x[2]), &to)?.int_repr()?, f32s])
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
        // By Winograd's algorithm on a software adapter, and in parts of its channels, with and without groups.
        both(&[3, 32, 9, 16], &[32, 32, 3, 3], plain.padding(1)),
        both(&[3, 72, 8, 8], &[16, 72, 3, 3], plain.padding(1)),
        both(&[1, 146, 4, 3], &[4, 73, 3, 3], plain.groups(2)),
        // More taps than f32 adds up exactly.
        both(&[1, 1, 26, 25], &[1, 1, 24, 23], plain),
        linear(5, [7, 13]),
        linear(1, [1, 1]),
        linear(9, [20, 64]),
        // More terms than f32 adds up exactly.
        linear(2, [3, 1301]),
    ]
}

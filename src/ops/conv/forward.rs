//! Convolutions over one, two and three dimensions.

use super::axis::{as_three, as_two, check};
use super::{Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions, Convolution, Geometry, Pass, add_bias};
use crate::error::Result;
use crate::graph::{Tensor, seen_through};
use crate::ops::autocast;
use crate::ops::interpose;
use crate::ops::shape::pad::PadMode;
use crate::ops::shape::unfold::Windows;
use crate::shape::Shape;

/// The convolution of `D` dimensions that `op` names, of input and weight whose shapes are written as `shapes`.
#[track_caller]
fn convolve<const D: usize>(
    op: &'static str,
    shapes: [&str; 2],
    [input, weight]: [&Tensor; 2],
    bias: Option<&Tensor>,
    options: &ConvOptions<D>,
) -> Result<Tensor> {
    if let Some(cast) = autocast::enter(op)? {
        return convolve(op, shapes, [&cast.of(input)?, &cast.of(weight)?], cast.of_some(bias)?.as_ref(), options);
    }
    check::<D>(op, shapes, input, weight, bias)?;
    if input.rank() == D + 1 {
        return convolve(op, shapes, [&input.unsqueeze(0)?, weight], bias, options)?.squeeze(0);
    }
    let axes = options.axes(op, input.shape(), weight.shape())?;
    let shape = |channels| Shape::new(&[&[input.shape()[0], channels][..], &axes.map(|axis| axis.output)].concat());
    if weight.shape()[1] == 0 {
        // Without input channels PyTorch has no output channels either. Both operands stay in the graph.
        return (input.sum_all()? + weight.sum_all()?)?.expand_to(shape(0)?, op);
    }
    let output = planes(input, weight, options.groups, as_three(axes))?.reshape_to(shape(weight.shape()[0])?)?;
    Ok(seen_through(|| axes.map(|axis| axis.window()).to_vec(), input, add_bias(op, output, weight, bias)?))
}

/// The convolution by two-dimensional ones; the result has the right elements in the right order.
#[track_caller]
fn planes(input: &Tensor, weight: &Tensor, groups: usize, axes: [super::Axis; 3]) -> Result<Tensor> {
    let (batch, channels) = (input.shape()[0], input.shape()[1]);
    let (outputs, per_group) = (weight.shape()[0], weight.shape()[1]);
    if let Some(axes) = as_two(axes) {
        let geometry = Geometry::new(groups, per_group, outputs / groups, axes);
        let [height, width] = axes;
        let input = input.reshape_to(Shape::new(&[batch, channels, height.input, width.input])?)?;
        let weight = weight.reshape_to(Shape::new(&[outputs, per_group, height.kernel, width.kernel])?)?;
        return Convolution::record(Pass::Forward, geometry, &input, &weight);
    }
    // The part of the input that each depth of the output sees becomes a separate image, with a channel for each tap in depth.
    let [depth, height, width] = axes;
    let ends = depth.padding.map(|padding| padding as isize);
    let padded = input.pad(&[0, 0, 0, 0, ends[0], ends[1]], PadMode::Constant(0.0))?;
    let taps =
        Windows { dim: 2, taps: depth.kernel, count: depth.output, stride: depth.stride, dilation: depth.dilation };
    let images = padded.windows(taps)?.permute([0, 3, 1, 2, 4, 5])?;
    let images =
        images.reshape_to(Shape::new(&[batch * depth.output, channels * depth.kernel, height.input, width.input])?)?;
    let weight = weight.reshape_to(Shape::new(&[outputs, per_group * depth.kernel, height.kernel, width.kernel])?)?;
    let geometry = Geometry::new(groups, per_group * depth.kernel, outputs / groups, [height, width]);
    let output = Convolution::record(Pass::Forward, geometry, &images, &weight)?;
    output.reshape_to(Shape::new(&[batch, depth.output, outputs, height.output, width.output])?)?.transpose(1, 2)
}

impl Tensor {
    /// One-dimensional convolution, PyTorch's `conv1d`: [`conv2d`](Tensor::conv2d) of images of one row.
    ///
    /// `output[n, o, x] = bias[o] + sum over i, s of weight[o, i, s] * input[n, g C/groups + i, x stride + s dilation -
    /// padding]` with `g` the group of `o`. Input `[N, C, L]` or `[C, L]`, weight `[O, C/groups, S]`, bias `[O]`; output
    /// `[N, O, L']` with `L' = (L + padding - dilation (S - 1) - 1) / stride + 1`, rounded down, where `padding` counts
    /// both ends.
    ///
    /// # Errors
    /// As [`conv2d`](Tensor::conv2d).
    ///
    /// ```
    /// # use wgrad::{Conv1dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let signal = Tensor::from_slice(&device, &[1.0f32, 4.0, 9.0, 16.0], &[1, 1, 4])?;
    /// let difference = Tensor::from_slice(&device, &[-1.0f32, 1.0], &[1, 1, 2])?;
    /// let output = signal.conv1d(&difference, None, &Conv1dOptions::default())?;
    /// assert_eq!(output.to_vec::<f32>()?, [3.0, 5.0, 7.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv1d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv1dOptions) -> Result<Tensor> {
        convolve("conv1d", ["[N, C, L]", "[O, C/groups, S]"], [self, weight], bias, options)
    }

    /// Two-dimensional convolution (cross-correlation, as in every deep-learning library), PyTorch's `conv2d`:
    ///
    /// `output[n, o, y, x] = bias[o] + sum over i, r, s of
    /// weight[o, i, r, s] * input[n, g C/groups + i, y stride + r dilation - padding, x stride + s dilation - padding]`
    ///
    /// with `g` the group of `o`. Input `[N, C, H, W]` or `[C, H, W]`, weight `[O, C/groups, R, S]`, bias `[O]`; output
    /// `[N, O, H', W']` with `H' = (H + padding - dilation (R - 1) - 1) / stride + 1`, rounded down, where `padding`
    /// counts both ends. Sums are f32, also of f16. The batch may be empty; so may the input channels, and then
    /// there are no output channels, as in PyTorch.
    ///
    /// Kernels of 3 x 3 with stride and dilation 1 may be computed by Winograd's algorithm, F(2x2, 3x3) or F(4x4, 3x3), and
    /// so may their gradients. Measured against f64, their largest error is at most 1/32 and 3/8 of f32's epsilon times the
    /// number of terms of a sum times the largest result; adding up in order errs by up to 1/32. Gradients
    /// of the weight of fewer than 170 terms err by up to 64 times epsilon times the largest result.
    /// [`Disable::winograd`](crate::Disable::winograd) turns both off. The algorithm adds and subtracts everything that a tile
    /// sees: an infinity or NaN makes NaN of further results, up to 3 positions away, and of the gradients of all taps of its
    /// channel.
    ///
    /// Padding is zeros that are multiplied, as in PyTorch's own kernels: if an infinite weight meets it the result is NaN. The
    /// gradient of the input is likewise a convolution of padded gradients, whereas PyTorch's on the CPU is finite.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the channels do not match, `groups` does not divide them, the
    /// kernel is larger than the padded input, or stride, dilation or groups is zero;
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than f32 and f16 or a mixture of them;
    /// [`Error::TooLarge`](crate::Error::TooLarge) past the adapter's limits.
    ///
    /// ```
    /// # use wgrad::{Conv2dOptions, Device, Padding, Tensor};
    /// # let device = Device::reference();
    /// let image = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2])?;
    /// let blur = Tensor::ones(&device, &[1, 1, 3, 3])?;
    /// let same = Conv2dOptions::default().padding(Padding::Same);
    /// let output = image.conv2d(&blur, None, &same)?;
    /// assert_eq!(output.to_vec::<f32>()?, [10.0, 10.0, 10.0, 10.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Result<Tensor> {
        if let Some(output) = interpose::ask(|by| by.conv2d(self, weight, bias, options))? {
            return Ok(output);
        }
        convolve("conv2d", ["[N, C, H, W]", "[O, C/groups, R, S]"], [self, weight], bias, options)
    }

    /// Three-dimensional convolution, PyTorch's `conv3d`:
    ///
    /// `output[n, o, z, y, x] = bias[o] + sum over i, q, r, s of weight[o, i, q, r, s] * input[n, g C/groups + i,
    /// z stride + q dilation - padding, y stride + r dilation - padding, x stride + s dilation - padding]`
    ///
    /// with `g` the group of `o`. Input `[N, C, D, H, W]` or `[C, D, H, W]`, weight `[O, C/groups, Q, R, S]`, bias `[O]`;
    /// output `[N, O, D', H', W']` with sizes as for [`conv2d`](Tensor::conv2d). It is a two-dimensional convolution of
    /// `N D'` images with `C Q` channels, which are a copy of the input `Q` times as large (`Q / stride` where the
    /// depth has a stride), kept for the gradient of the weight. Kernels `[Q, 1, 1]` with stride 1 and no padding in
    /// height and width need no copy.
    ///
    /// # Errors
    /// As [`conv2d`](Tensor::conv2d).
    ///
    /// ```
    /// # use wgrad::{Conv3dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let video = Tensor::ones(&device, &[1, 1, 3, 4, 4])?;
    /// let sum = Tensor::ones(&device, &[1, 1, 3, 3, 3])?;
    /// let output = video.conv3d(&sum, None, &Conv3dOptions::default())?;
    /// assert_eq!(output.shape()[..], [1, 1, 1, 2, 2]);
    /// assert_eq!(output.to_vec::<f32>()?, [27.0; 4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv3d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv3dOptions) -> Result<Tensor> {
        convolve("conv3d", ["[N, C, D, H, W]", "[O, C/groups, Q, R, S]"], [self, weight], bias, options)
    }
}

//! The transposed convolutions: the gradient of a convolution's input, as separate operations.

use super::axis::{as_three, as_two, check};
use super::{
    Axis, ConvTranspose1dOptions, ConvTranspose2dOptions, ConvTranspose3dOptions, ConvTransposeOptions, Convolution,
    Geometry, Pass, add_bias,
};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Tensor, seen_through};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::shape::unfold::Windows;
use crate::shape::Shape;

/// The transposed convolution of `D` dimensions that `op` names, of input and weight whose shapes are written as `shapes`.
#[track_caller]
fn spread<const D: usize>(
    op: &'static str,
    shapes: [&str; 2],
    [input, weight]: [&Tensor; 2],
    bias: Option<&Tensor>,
    options: &ConvTransposeOptions<D>,
) -> Result<Tensor> {
    if let Some(cast) = autocast::enter(op)? {
        return spread(op, shapes, [&cast.of(input)?, &cast.of(weight)?], cast.of_some(bias)?.as_ref(), options);
    }
    check::<D>(op, shapes, input, weight, bias)?;
    if input.rank() == D + 1 {
        return spread(op, shapes, [&input.unsqueeze(0)?, weight], bias, options)?.squeeze(0);
    }
    let groups = options.groups;
    let axes = options.axes(op, input.shape(), weight.shape())?;
    let sizes = [&[input.shape()[0], weight.shape()[1] * groups][..], &axes.map(|axis| axis.input)].concat();
    let shape = Shape::new(&sizes)?;
    let output = if shape.numel() == 0 {
        // Both operands stay in the graph.
        (input.sum_all()? + weight.sum_all()?)?.expand_to(shape, op)?
    } else {
        planes(input, weight, groups, as_three(axes))?.reshape_to(shape)?
    };
    let windows = || axes.map(|axis| axis.transposed_window()).to_vec();
    Ok(seen_through(windows, input, add_bias(op, output, weight, bias)?))
}

/// The transposed convolution by two-dimensional ones; the result has the right elements in the right order.
#[track_caller]
fn planes(input: &Tensor, weight: &Tensor, groups: usize, axes: [Axis; 3]) -> Result<Tensor> {
    let (batch, channels, per_group) = (input.shape()[0], input.shape()[1], weight.shape()[1]);
    if let Some(axes) = as_two(axes) {
        let geometry = Geometry::new(groups, per_group, channels / groups, axes);
        let [height, width] = axes;
        let input = input.reshape_to(Shape::new(&[batch, channels, height.output, width.output])?)?;
        let weight = weight.reshape_to(Shape::new(&[channels, per_group, height.kernel, width.kernel])?)?;
        return Convolution::record(Pass::BackwardData, geometry, &input, &weight);
    }
    if input.dtype() == DType::F16 {
        // The contributions of the taps in depth are added up in f32.
        let (input, weight) = (input.to_dtype(DType::F32)?, weight.to_dtype(DType::F32)?);
        return planes(&input, &weight, groups, axes)?.to_dtype(DType::F16);
    }
    // Each depth of the input is a separate image, spread to a channel for each tap in depth.
    let [depth, height, width] = axes;
    let images = input
        .reshape_to(Shape::new(&[batch, channels, depth.output, height.output, width.output])?)?
        .transpose(1, 2)?
        .reshape_to(Shape::new(&[batch * depth.output, channels, height.output, width.output])?)?;
    let weight = weight.reshape_to(Shape::new(&[channels, per_group * depth.kernel, height.kernel, width.kernel])?)?;
    let geometry = Geometry::new(groups, per_group * depth.kernel, channels / groups, [height, width]);
    let output = Convolution::record(Pass::BackwardData, geometry, &images, &weight)?;
    let sizes = [batch, depth.output, groups * per_group, depth.kernel, height.input, width.input];
    let taps =
        Windows { dim: 2, taps: depth.kernel, count: depth.output, stride: depth.stride, dilation: depth.dilation };
    output
        .reshape_to(Shape::new(&sizes)?)?
        .permute([0, 2, 3, 1, 4, 5])?
        .overlap_add(taps, depth.input + depth.padding[0] + depth.padding[1])?
        .narrow(2, depth.padding[0], depth.input)
}

impl Tensor {
    /// Transposed convolution over one dimension, PyTorch's `conv_transpose1d`: [`conv_transpose2d`] of images of one
    /// row.
    ///
    /// `output[n, g O/groups + o, x stride + s dilation - padding] += input[n, c, x] * weight[c, o, s]` with `g` the group
    /// of `c`, plus `bias`. Input `[N, C, L]` or `[C, L]`, weight `[C, O/groups, S]`, bias `[O]`; output `[N, O, L']` with
    /// `L' = (L - 1) stride - 2 padding + dilation (S - 1) + output_padding + 1`.
    ///
    /// # Errors
    /// As [`conv_transpose2d`].
    ///
    /// ```
    /// # use wgrad::{ConvTranspose1dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[1, 1, 2])?;
    /// let ones = Tensor::ones(&device, &[1, 1, 3])?;
    /// let twice = ConvTranspose1dOptions::default().stride(2);
    /// assert_eq!(x.conv_transpose1d(&ones, None, &twice)?.to_vec::<f32>()?, [1.0, 1.0, 3.0, 2.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// [`conv_transpose2d`]: Tensor::conv_transpose2d
    #[track_caller]
    pub fn conv_transpose1d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTranspose1dOptions,
    ) -> Result<Tensor> {
        spread("conv_transpose1d", ["[N, C, L]", "[C, O/groups, S]"], [self, weight], bias, options)
    }

    /// Transposed convolution, PyTorch's `conv_transpose2d`: each input element spreads the kernel over the output,
    ///
    /// `output[n, g O + o, y stride + r dilation - padding, ..] += input[n, c, y, x] * weight[c, o, r, s]`,
    ///
    /// plus `bias`. It is the gradient of [`conv2d`](Tensor::conv2d) with respect to its input. Input `[N, C, H, W]` or
    /// `[C, H, W]`, weight `[C, O/groups, R, S]`, bias `[O]`; output `[N, O, H', W']` with
    /// `H' = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the channels do not match, `groups` does not divide them,
    /// `output_padding` is too large, or nothing is left of the output; [`Error::WrongDType`](crate::Error::WrongDType)
    /// for types other than f32 and f16 or a mixture of them; [`Error::TooLarge`](crate::Error::TooLarge) past the
    /// adapter's limits.
    ///
    /// ```
    /// # use wgrad::{ConvTranspose2dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[1, 1, 1, 2])?;
    /// let ones = Tensor::ones(&device, &[1, 1, 1, 2])?;
    /// let twice = ConvTranspose2dOptions::default().stride([1, 2]);
    /// assert_eq!(x.conv_transpose2d(&ones, None, &twice)?.to_vec::<f32>()?, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv_transpose2d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTranspose2dOptions,
    ) -> Result<Tensor> {
        spread("conv_transpose2d", ["[N, C, H, W]", "[C, O/groups, R, S]"], [self, weight], bias, options)
    }

    /// Transposed convolution over three dimensions, PyTorch's `conv_transpose3d`; the gradient of
    /// [`conv3d`](Tensor::conv3d) with respect to its input.
    ///
    /// Input `[N, C, D, H, W]` or `[C, D, H, W]`, weight `[C, O/groups, Q, R, S]`, bias `[O]`; output
    /// `[N, O, D', H', W']` with sizes as for [`conv_transpose2d`](Tensor::conv_transpose2d). Every depth of the input is
    /// spread over `Q` channels before they are added up, which takes `D Q / D'` times the memory of the output for as
    /// long; f16 is computed as f32 there. Kernels `[Q, 1, 1]` with stride 1 and no padding in height and width need
    /// none.
    ///
    /// # Errors
    /// As [`conv_transpose2d`](Tensor::conv_transpose2d).
    ///
    /// ```
    /// # use wgrad::{ConvTranspose3dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::ones(&device, &[1, 1, 2, 1, 1])?;
    /// let cube = Tensor::ones(&device, &[1, 1, 2, 2, 2])?;
    /// let output = x.conv_transpose3d(&cube, None, &ConvTranspose3dOptions::default())?;
    /// assert_eq!(output.shape()[..], [1, 1, 3, 2, 2]);
    /// assert_eq!(output.to_vec::<f32>()?, [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv_transpose3d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTranspose3dOptions,
    ) -> Result<Tensor> {
        spread("conv_transpose3d", ["[N, C, D, H, W]", "[C, O/groups, Q, R, S]"], [self, weight], bias, options)
    }
}

pub(super) fn cases() -> Vec<Case> {
    [one_dimension(), two_dimensions(), three_dimensions()].into_iter().flatten().collect()
}

fn two_dimensions() -> Vec<Case> {
    let base = ConvTranspose2dOptions::default();
    let case = |input: &[usize], weight: &[usize], options: ConvTranspose2dOptions| {
        let channels = weight[1] * options.groups;
        Case::new("conv_transpose2d", &[input, weight, &[channels]], move |x| {
            Ok(vec![x[0].conv_transpose2d(&x[1], Some(&x[2]), &options)?])
        })
        .options(&options)
    };
    vec![
        case(&[2, 3, 4, 5], &[3, 2, 3, 3], base),
        case(&[1, 4, 5, 3], &[4, 3, 2, 4], ConvTranspose2dOptions { stride: [2, 3], ..base }),
        case(&[2, 2, 5, 5], &[2, 3, 3, 3], ConvTranspose2dOptions { stride: [2, 2], padding: [1, 1], ..base }),
        case(
            &[2, 2, 3, 4],
            &[2, 3, 3, 2],
            ConvTranspose2dOptions { stride: [3, 2], padding: [1, 0], output_padding: [2, 1], ..base },
        ),
        case(&[1, 4, 4, 3], &[4, 2, 3, 3], ConvTranspose2dOptions { groups: 2, dilation: [2, 1], ..base }),
        case(&[2, 3, 5, 4], &[3, 1, 3, 3], ConvTranspose2dOptions { groups: 3, padding: [1, 1], ..base }),
        case(
            &[1, 2, 3, 3],
            &[2, 2, 2, 2],
            ConvTranspose2dOptions { dilation: [3, 4], output_padding: [2, 3], stride: [1, 2], ..base },
        ),
        case(&[1, 2, 1, 1], &[2, 3, 4, 4], ConvTranspose2dOptions { stride: [5, 5], output_padding: [4, 1], ..base }),
        case(&[2, 5, 3, 3], &[5, 4, 1, 1], base),
        case(&[0, 2, 3, 3], &[2, 3, 3, 3], base),
        // More channels times kernel rows than one loop goes through; equal terms, which all round the same way.
        Case::new("conv_transpose2d", &[&[1, 1, 1, 2], &[1, 1, 4, 1]], move |x| {
            let (input, weight) = (x[0].expand(&[1, 17_000, 1, 2])?, x[1].expand(&[17_000, 1, 4, 1])?);
            Ok(vec![input.conv_transpose2d(&weight, None, &base)?])
        })
        .tolerance(215.0)
        .first_order(),
        Case::new("conv_transpose2d", &[&[2, 4, 3], &[2, 3, 3, 3]], move |x| {
            Ok(vec![x[0].conv_transpose2d(&x[1], None, &base)?])
        }),
        Case::new("conv_transpose2d", &[&[2, 4, 5, 3], &[4, 3, 3, 3]], move |x| {
            let (input, weight) = (x[0].to_dtype(DType::F16)?, x[1].to_dtype(DType::F16)?);
            let options = ConvTranspose2dOptions { stride: [2, 1], groups: 2, ..base };
            Ok(vec![input.conv_transpose2d(&weight, None, &options)?])
        })
        .half(),
    ]
}

fn one_dimension() -> Vec<Case> {
    let base = ConvTranspose1dOptions::default();
    let case = |input: &[usize], weight: &[usize], options: ConvTranspose1dOptions| {
        Case::new("conv_transpose1d", &[input, weight, &[weight[1] * options.groups]], move |x| {
            Ok(vec![x[0].conv_transpose1d(&x[1], Some(&x[2]), &options)?])
        })
        .options(&options)
    };
    vec![
        case(&[2, 3, 5], &[3, 2, 3], base),
        case(
            &[2, 4, 7],
            &[4, 3, 4],
            ConvTranspose1dOptions { stride: [3], padding: [2], output_padding: [1], groups: 2, ..base },
        ),
        // The same kernels again, since compiling takes longest.
        case(&[0, 3, 5], &[3, 2, 3], base),
        Case::new("conv_transpose1d", &[&[5, 3], &[3, 3, 2]], move |x| {
            Ok(vec![x[0].t()?.conv_transpose1d(&x[1].transpose(1, 2)?, None, &base)?])
        }),
    ]
}

fn three_dimensions() -> Vec<Case> {
    let base = ConvTranspose3dOptions::default();
    let case = |input: &[usize], weight: &[usize], options: ConvTranspose3dOptions| {
        Case::new("conv_transpose3d", &[input, weight, &[weight[1] * options.groups]], move |x| {
            Ok(vec![x[0].conv_transpose3d(&x[1], Some(&x[2]), &options)?])
        })
        .options(&options)
    };
    let all = ConvTranspose3dOptions {
        stride: [2, 3, 1],
        padding: [1, 0, 2],
        output_padding: [1, 2, 1],
        dilation: [1, 1, 2],
        groups: 1,
    };
    vec![
        case(&[2, 3, 3, 2, 4], &[3, 2, 2, 3, 2], base),
        case(&[1, 2, 3, 2, 3], &[2, 3, 3, 2, 3], all),
        case(&[2, 4, 2, 3, 2], &[4, 1, 3, 2, 2], ConvTranspose3dOptions { groups: 2, dilation: [2, 1, 1], ..base }),
        case(&[2, 3, 3, 2, 2], &[3, 2, 1, 3, 3], ConvTranspose3dOptions { stride: [2, 1, 1], ..base }),
        case(&[2, 3, 3, 2, 3], &[3, 2, 2, 1, 1], ConvTranspose3dOptions { padding: [1, 0, 0], ..base }),
        // The same kernels again, since compiling takes longest.
        case(&[0, 3, 3, 2, 4], &[3, 2, 2, 3, 2], base),
        Case::new("conv_transpose3d", &[&[3, 3, 2, 4], &[3, 2, 2, 2, 3]], move |x| {
            Ok(vec![x[0].transpose(0, 1)?.conv_transpose3d(&x[1].transpose(3, 4)?, None, &base)?])
        }),
        Case::new("conv_transpose3d", &[&[1, 2, 2, 3, 2], &[2, 2, 3, 2, 2]], move |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.conv_transpose3d(&x[1].to_dtype(DType::F16)?, None, &base)?])
        })
        .half(),
    ]
}

//! Two-dimensional convolution and its two gradients, each linear in both operands and each the others'
//! gradient, so that derivatives of any order are convolutions again.
//!
//! `kernels` chooses and specialises the shaders, `tiles` sizes them, `reference` is the direct loop nest.

mod cases;
mod kernels;
mod reference;
mod tiles;
mod transpose;

pub use transpose::ConvTranspose2dOptions;

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::Kernels;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// How far [`Tensor::conv2d`] pads its input with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Enough that the output has the input's size; where that is an odd number, the extra row or column is at
    /// the end. The stride must be 1.
    Same,
    /// Not at all.
    #[default]
    Valid,
    /// By so many rows above and below, and columns left and right.
    Explicit([usize; 2]),
}

/// The attributes of [`Tensor::conv2d`], with PyTorch's names and defaults; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Steps of the kernel over the padded input.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Distance between the taps of the kernel.
    pub dilation: [usize; 2],
    /// Groups of channels that are convolved apart from each other; as many as channels: depthwise.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Conv2dOptions {
        Conv2dOptions { stride: [1, 1], padding: Padding::Valid, dilation: [1, 1], groups: 1 }
    }
}

/// All sizes but the batch, which must not be part of a shader. Pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Geometry {
    groups: usize,
    in_per_group: usize,
    out_per_group: usize,
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Above and left; how far the input is padded below and right follows from the output's size.
    padding: [usize; 2],
    dilation: [usize; 2],
}

impl Geometry {
    /// The sizes of one call on `[N, C, H, W]`, or the rule it breaks.
    fn new(input: &Shape, weight: &Shape, options: &Conv2dOptions) -> Result<Geometry> {
        let Conv2dOptions { mut stride, padding, mut dilation, groups } = *options;
        let fail = |rule: String| Err(Error::invalid(OP, rule));
        if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
            return fail(format!(
                "stride {stride:?}, dilation {dilation:?} and groups {groups} must be greater than zero"
            ));
        }
        if weight.contains(&0) || input[1..].contains(&0) {
            return fail(format!("only the batch may be empty; got input {input} and weight {weight}"));
        }
        if !weight[0].is_multiple_of(groups) {
            return fail(format!("{groups} groups do not divide the {} output channels of weight {weight}", weight[0]));
        }
        if weight[1].checked_mul(groups) != Some(input[1]) {
            return fail(format!(
                "weight {weight} with {groups} groups expects {} input channels, but input {input} has {}",
                weight[1].saturating_mul(groups),
                input[1]
            ));
        }
        if padding == Padding::Same && stride != [1, 1] {
            return fail(format!("padding Same needs stride 1, not {stride:?}"));
        }
        let (mut before, mut output) = ([0; 2], [0; 2]);
        for d in 0..2 {
            let (size, taps) = (input[2 + d], weight[2 + d]);
            let reach = (taps - 1).saturating_mul(dilation[d]);
            let total = match padding {
                Padding::Same => reach,
                Padding::Valid => 0,
                Padding::Explicit(padding) => padding[d].saturating_mul(2),
            };
            before[d] = total / 2;
            let padded = size.saturating_add(total);
            if padded > LARGEST_SIZE {
                return fail(format!("the padded input's size {padded} passes {LARGEST_SIZE}"));
            }
            if reach >= padded {
                let dims = format!("{}, dilated by {} to {}", taps, dilation[d], reach.saturating_add(1));
                return fail(format!("the kernel's size {dims}, is larger than the padded input's, {padded}"));
            }
            output[d] = (padded - reach - 1) / stride[d] + 1;
            // What has no effect must not make another kernel.
            if output[d] == 1 {
                stride[d] = 1;
            }
            if taps == 1 {
                dilation[d] = 1;
            }
        }
        Ok(Geometry {
            groups,
            in_per_group: weight[1],
            out_per_group: weight[0] / groups,
            input: [input[2], input[3]],
            output,
            kernel: [weight[2], weight[3]],
            stride,
            padding: before,
            dilation,
        })
    }

    /// Elements of the weight.
    fn weights(&self) -> usize {
        self.groups * self.out_per_group * self.in_per_group * self.kernel[0] * self.kernel[1]
    }
}

const OP: &str = "conv2d";

/// Positions in a padded input are computed in 32 bits.
const LARGEST_SIZE: usize = i32::MAX as usize;

/// Which of the three tensors is computed from the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pass {
    /// The output, from input and weight.
    Forward,
    /// The input's gradient, from the output's and the weight.
    BackwardData,
    /// The weight's gradient, from the output's and the input.
    BackwardFilter,
}

impl Pass {
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => OP,
            Pass::BackwardData => "conv2d_backward_data",
            Pass::BackwardFilter => "conv2d_backward_filter",
        }
    }
}

/// `output[n, o, y, x] = sum over i, r, s of weight[o, i, r, s] * input[n, i, y * stride + r * dilation - padding, ..]`,
/// or the gradient of one operand.
#[derive(Clone, Debug, Hash)]
struct Convolution {
    pass: Pass,
    geometry: Geometry,
}

impl Convolution {
    #[track_caller]
    fn record(pass: Pass, geometry: Geometry, first: &Tensor, second: &Tensor) -> Result<Tensor> {
        record_one(Convolution { pass, geometry }, &[&first.contiguous()?, &second.contiguous()?])
    }

    fn shape(&self, batch: usize) -> Result<Shape> {
        let g = &self.geometry;
        Shape::new(&match self.pass {
            Pass::Forward => [batch, g.groups * g.out_per_group, g.output[0], g.output[1]],
            Pass::BackwardData => [batch, g.groups * g.in_per_group, g.input[0], g.input[1]],
            Pass::BackwardFilter => [g.groups * g.out_per_group, g.in_per_group, g.kernel[0], g.kernel[1]],
        })
    }
}

impl Op for Convolution {
    fn name(&self) -> &'static str {
        self.pass.name()
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        for input in inputs {
            if input.dtype != DType::F32 {
                return Err(Error::WrongDType { op: self.name(), expected: "f32", got: input.dtype });
            }
        }
        Ok(vec![Layout::contiguous(self.shape(inputs[0].shape[0])?, DType::F32)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let call = kernels::Call {
            pass: self.pass,
            geometry: &self.geometry,
            batch: io.inputs[0].shape[0],
            output: io.outputs[0].shape,
            adapter,
        };
        call.kernels()
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let batch = inputs[0].shape[0];
        let shape = self.shape(batch)?;
        let mut values = vec![0.0; shape.numel()];
        reference::compute(self.pass, &self.geometry, batch, &inputs[0].values, &inputs[1].values, &mut values);
        Ok(vec![HostTensor::new(shape, DType::F32, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (first, second) = (context.input(0), context.input(1));
        let compute = |pass, a: &Tensor, b: &Tensor| Convolution::record(pass, self.geometry, a, b);
        let (for_first, for_second) = match self.pass {
            Pass::Forward => (
                context.of(0, |g| compute(Pass::BackwardData, &g, second))?,
                context.of(1, |g| compute(Pass::BackwardFilter, &g, first))?,
            ),
            Pass::BackwardData => (
                context.of(0, |g| compute(Pass::Forward, &g, second))?,
                context.of(1, |g| compute(Pass::BackwardFilter, first, &g))?,
            ),
            Pass::BackwardFilter => (
                context.of(0, |g| compute(Pass::Forward, second, &g))?,
                context.of(1, |g| compute(Pass::BackwardData, first, &g))?,
            ),
        };
        Ok(vec![for_first, for_second])
    }
}

impl Tensor {
    /// Two-dimensional convolution (cross-correlation, as in every deep-learning library), PyTorch's `conv2d`:
    ///
    /// `output[n, o, y, x] = bias[o] + sum over i, r, s of
    /// weight[o, i, r, s] * input[n, g C/groups + i, y stride + r dilation - padding, x stride + s dilation - padding]`
    ///
    /// with `g` the group of `o`. Input `[N, C, H, W]` or `[C, H, W]`, weight `[O, C/groups, R, S]`, bias `[O]`; output
    /// `[N, O, H', W']` with `H' = (H + padding - dilation (R - 1) - 1) / stride + 1`, rounded down, where `padding`
    /// counts both ends. Sums are f32. The batch may be empty.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the channels do not match, `groups` does not divide them, the kernel is larger than
    /// the padded input, or stride, dilation or groups is zero; [`Error::WrongDType`] for types other than f32.
    ///
    /// ```
    /// # use wgrad::{Conv2dOptions, Device, Padding, Tensor};
    /// # let device = Device::reference();
    /// let image = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2])?;
    /// let blur = Tensor::ones(&device, &[1, 1, 3, 3])?;
    /// let same = Conv2dOptions { padding: Padding::Same, ..Conv2dOptions::default() };
    /// let output = image.conv2d(&blur, None, &same)?;
    /// assert_eq!(output.to_vec::<f32>()?, [10.0, 10.0, 10.0, 10.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Result<Tensor> {
        if !matches!(self.rank(), 3 | 4) || weight.rank() != 4 {
            let rule = format!(
                "expected input [N, C, H, W] or [C, H, W] and weight [O, C/groups, R, S]; got {} and {}",
                self.shape(),
                weight.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if self.rank() == 3 {
            return self.unsqueeze(0)?.conv2d(weight, bias, options)?.squeeze(0);
        }
        let geometry = Geometry::new(self.shape(), weight.shape(), options)?;
        let output = Convolution::record(Pass::Forward, geometry, self, weight)?;
        add_bias(OP, output, weight, bias, weight.shape()[0])
    }
}

/// `output[n, o, ..] + bias[o]`, where there is a bias.
#[track_caller]
fn add_bias(
    op: &'static str,
    output: Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    channels: usize,
) -> Result<Tensor> {
    let Some(bias) = bias else { return Ok(output) };
    if **bias.shape() != [channels] {
        let rule = format!("expected bias [{channels}] for weight {}; got {}", weight.shape(), bias.shape());
        return Err(Error::invalid(op, rule));
    }
    if bias.dtype() != DType::F32 {
        return Err(Error::WrongDType { op, expected: "f32", got: bias.dtype() });
    }
    output.add(&bias.reshape_to(Shape::new(&[channels, 1, 1])?)?)
}

pub(super) fn cases() -> Vec<Case> {
    [cases::cases(), transpose::cases()].into_iter().flatten().collect()
}

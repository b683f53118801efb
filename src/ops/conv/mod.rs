//! Convolution and its two gradients, each linear in both operands and each a gradient of the others, so that derivatives of any
//! order are convolutions again.
//!
//! Kernels are two-dimensional: one dimension is a height of 1, and of three the depth goes into channels and batch
//! (`forward`, `transpose`). `options` and `axis` check what the caller asks for, `call` chooses and specialises the
//! shaders, `tiles` sizes them, `reference` is the direct loop nest.

mod axis;
mod blocks;
mod call;
mod cases;
mod choice;
mod depthwise;
mod forward;
mod options;
mod reference;
mod software;
mod strips;
#[cfg(test)]
mod tests;
mod tiled;
mod tiles;
mod transpose;
mod winograd;

pub use options::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    ConvTranspose3dOptions, ConvTransposeOptions, Padding,
};

use axis::Axis;
use call::Call;

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Summing, Tensor, Vjp, ascribe_to_caller, hash_structure, note_multiply_adds, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::ops::shared::congruence::{self, Congruence};
use crate::ops::shared::constants::unsigned_all;
use crate::ops::shared::partial_sums::longest_sum;
use crate::shader::{Kernel, Kernels, MOST_GROUPS, Operand};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;
use std::ops::Range;

/// All sizes but the batch, which must not be part of a shader. Pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::ops) struct Geometry {
    pub groups: usize,
    pub in_per_group: usize,
    pub out_per_group: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Above and left; the padding below and right follows from the output's size.
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl Geometry {
    /// Numbers without a meaning are 1: the stride of a single position, and the dilation of a single tap.
    pub fn new(groups: usize, in_per_group: usize, out_per_group: usize, axes: [Axis; 2]) -> Geometry {
        Geometry {
            groups,
            in_per_group,
            out_per_group,
            input: axes.map(|axis| axis.input),
            output: axes.map(|axis| axis.output),
            kernel: axes.map(|axis| axis.kernel),
            stride: axes.map(|axis| if axis.output == 1 { 1 } else { axis.stride }),
            padding: axes.map(|axis| axis.padding[0]),
            dilation: axes.map(|axis| if axis.kernel == 1 { 1 } else { axis.dilation }),
        }
    }

    /// The same with planes as one long row, if no position sees another: a product of matrices then needs no arithmetic on rows
    /// and columns.
    fn flattened(&self) -> Geometry {
        let pointwise = self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0];
        let row = [1, self.input[0] * self.input[1]];
        if pointwise && self.input == self.output { Geometry { input: row, output: row, ..*self } } else { *self }
    }

    /// True if every tap of every position sees an element of the input.
    fn sees_no_padding(&self) -> bool {
        let last = |d: usize| (self.output[d].max(1) - 1) * self.stride[d] + (self.kernel[d] - 1) * self.dilation[d];
        (0..2).all(|d| self.padding[d] == 0 && last(d) < self.input[d])
    }

    /// The taps that meet in a position of the input, whose shape is for the error.
    fn meetings(&self, shape: &Shape) -> Result<[Congruence; 2]> {
        let meeting =
            |d: usize| congruence::meeting(Pass::BackwardData.name(), shape, self.dilation[d], self.stride[d]);
        Ok([meeting(0)?, meeting(1)?])
    }

    /// Columns of the input that `x` neighbouring positions see.
    fn columns_seen(&self, x: usize) -> usize {
        (x - 1) * self.stride[1] + (self.kernel[1] - 1) * self.dilation[1] + 1
    }

    /// Sets the constants of `shaders/import/conv_geometry.wgsl` but the channels of a group.
    pub fn specialise(&self, kernel: Kernel) -> Kernel {
        let kernel = unsigned_all(kernel, ["GROUPS"], [self.groups]);
        let kernel = unsigned_all(kernel, ["KERNEL_Y", "KERNEL_X"], self.kernel);
        let kernel = unsigned_all(kernel, ["STRIDE_Y", "STRIDE_X"], self.stride);
        let kernel = unsigned_all(kernel, ["PAD_Y", "PAD_X"], self.padding);
        unsigned_all(kernel, ["DILATION_Y", "DILATION_X"], self.dilation)
            .size("IN_HEIGHT", self.input[0])
            .size("IN_WIDTH", self.input[1])
            .size("OUT_HEIGHT", self.output[0])
            .size("OUT_WIDTH", self.output[1])
    }

    /// Elements of the weight.
    pub fn weights(&self) -> usize {
        self.groups * self.out_per_group * self.in_per_group * self.kernel[0] * self.kernel[1]
    }
}

/// Selects the tensor that is computed from the other two.
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
            Pass::Forward => "conv2d",
            Pass::BackwardData => "conv2d_backward_data",
            Pass::BackwardFilter => "conv2d_backward_filter",
        }
    }

    /// The names of the two inputs in templates, and of the hooks that load them.
    fn operands(self) -> [[&'static str; 2]; 2] {
        let [input, weight, grad] = [["input", "load_input"], ["weight", "load_weight"], ["grad", "load_grad"]];
        match self {
            Pass::Forward => [input, weight],
            Pass::BackwardData => [grad, weight],
            Pass::BackwardFilter => [grad, input],
        }
    }
}

/// `output[n, o, y, x] = sum over i, r, s of weight[o, i, r, s] * input[n, i, y * stride + r * dilation - padding, ..]`,
/// or the gradient of one operand.
#[derive(Clone, Debug, Hash)]
struct Convolution {
    pass: Pass,
    geometry: Geometry,
    /// True for whole numbers, whose sums stay below 2^24 in any order: results are exact.
    whole: bool,
}

/// The convolution of whole numbers. The magnitudes of no sum's products may add up to 2^24; then it is exact.
#[track_caller]
pub(in crate::ops) fn convolve_whole(geometry: Geometry, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Convolution { pass: Pass::Forward, geometry, whole: true }.recorded(input, weight)
}

impl Convolution {
    #[track_caller]
    fn record(pass: Pass, geometry: Geometry, first: &Tensor, second: &Tensor) -> Result<Tensor> {
        Convolution { pass, geometry, whole: false }.recorded(first, second)
    }

    #[track_caller]
    fn recorded(self, first: &Tensor, second: &Tensor) -> Result<Tensor> {
        let Convolution { pass, geometry, .. } = self;
        let channels = match pass {
            Pass::Forward => geometry.in_per_group,
            Pass::BackwardData => geometry.out_per_group,
            Pass::BackwardFilter => 1,
        };
        if channels > 1 && channels * geometry.kernel[0] > longest_sum(first) {
            return self.recorded_in_parts(channels, first, second);
        }
        let (batch, positions) = (first.shape()[0], geometry.output[0] * geometry.output[1]);
        note_multiply_adds(|| (batch * positions * geometry.weights()) as u64);
        record_one(self, &[&first.contiguous()?, &second.contiguous()?])
    }

    /// The sum over the first half of a group's channels, plus that over the others.
    #[track_caller]
    fn recorded_in_parts(self, channels: usize, image: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let Convolution { pass, geometry, whole } = self;
        let _line = ascribe_to_caller();
        if image.dtype() == DType::F16 {
            // The parts are added in f32.
            let (image, weight) = (image.to_dtype(DType::F32)?, weight.to_dtype(DType::F32)?);
            return self.recorded_in_parts(channels, &image, &weight)?.to_dtype(DType::F16);
        }
        let part = |start, length| {
            let (geometry, dim) = match pass {
                Pass::BackwardData => (Geometry { out_per_group: length, ..geometry }, 0),
                _ => (Geometry { in_per_group: length, ..geometry }, 1),
            };
            let part_of = |x, dim| channels_of_groups(x, dim, channels, start..start + length);
            let (image, weight) = (part_of(image, 1)?, part_of(weight, dim)?);
            Convolution { pass, geometry, whole }.recorded(&image, &weight)
        };
        let half = channels / 2;
        part(0, half)?.add(&part(half, channels - half)?)
    }

    fn call<'a>(&self, geometry: &'a Geometry, io: &'a Io, adapter: &'a Adapter) -> Call<'a> {
        let (inputs, output) = ([&io.inputs[0], &io.inputs[1]], &io.outputs[0]);
        let (batch, budget) = (io.inputs[0].shape[0], io.budget);
        let most_groups = MOST_GROUPS;
        let operands = [Operand::Input(0), Operand::Input(1), Operand::Output(0)];
        let Convolution { pass, whole, .. } = *self;
        Call { pass, geometry, batch, inputs, operands, output, adapter, budget, ones: false, whole, most_groups }
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
        let shape = self.shape(inputs[0].shape[0])?;
        if self.pass == Pass::BackwardData {
            self.geometry.meetings(&shape)?;
        }
        Ok(vec![Layout::contiguous(shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        self.call(&self.geometry.flattened(), io, adapter).kernels()
    }
    fn candidates(&self, io: &Io, adapter: &Adapter) -> Result<Vec<Kernels>> {
        self.call(&self.geometry.flattened(), io, adapter).candidates()
    }
    fn summing(&self, io: &Io, adapter: &Adapter) -> Result<Option<Summing>> {
        if self.pass != Pass::BackwardFilter {
            return Ok(None);
        }
        let kernels = self.call(&self.geometry.flattened(), io, adapter).summing()?;
        Ok(kernels.map(|kernels| Summing { input: 0, dim: 1, kernels }))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let batch = inputs[0].shape[0];
        let shape = self.shape(batch)?;
        let mut values = vec![0.0; shape.numel()];
        reference::compute(self.pass, &self.geometry, batch, &inputs[0].values, &inputs[1].values, &mut values);
        Ok(vec![HostTensor::new(shape, inputs[0].dtype, values)])
    }
    fn differentiable(&self) -> bool {
        !self.whole
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (first, second) = (context.input(0), context.input(1));
        let compute = |pass, a: &Tensor, b: &Tensor| Convolution::record(pass, self.geometry, a, b);
        let (first_pass, second_pass) = match self.pass {
            Pass::Forward => (Pass::BackwardData, Pass::BackwardFilter),
            Pass::BackwardData => (Pass::Forward, Pass::BackwardFilter),
            Pass::BackwardFilter => (Pass::Forward, Pass::BackwardData),
        };
        // The second operand's first: it is mostly a weight, whose gradient is small and the last to read what the first
        // operand's gradient may then take the place of.
        let for_second = context.of(1, |g| match self.pass {
            Pass::Forward => compute(second_pass, &g, first),
            _ => compute(second_pass, first, &g),
        })?;
        let for_first = context.of(0, |g| match self.pass {
            Pass::BackwardFilter => compute(first_pass, second, &g),
            _ => compute(first_pass, &g, second),
        })?;
        Ok(vec![for_first, for_second])
    }
}

/// Some channels of each group, which has `channels` of them in dimension `dim`.
#[track_caller]
pub(in crate::ops) fn channels_of_groups(
    x: &Tensor,
    dim: usize,
    channels: usize,
    part: Range<usize>,
) -> Result<Tensor> {
    let mut sizes = x.shape().to_vec();
    let groups = sizes[dim] / channels;
    sizes.splice(dim..=dim, [groups, channels]);
    let of_groups = x.reshape_to(Shape::new(&sizes)?)?.narrow(dim + 1, part.start, part.len())?;
    sizes.splice(dim..=dim + 1, [groups * part.len()]);
    of_groups.reshape_to(Shape::new(&sizes)?)
}

/// `output[n, o, ..] + bias[o]`, where there is a bias.
#[track_caller]
fn add_bias(op: &'static str, output: Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let Some(bias) = bias else { return Ok(output) };
    let channels = output.shape()[1];
    if **bias.shape() != [channels] {
        let rule = format!("expected bias [{channels}] for weight {}; got {}", weight.shape(), bias.shape());
        return Err(Error::invalid(op, rule));
    }
    let mut sizes = vec![1; output.rank() - 1];
    sizes[0] = channels;
    output.add(&bias.reshape_to(Shape::new(&sizes)?)?)
}

pub(super) fn cases() -> Vec<Case> {
    [cases::cases(), transpose::cases()].into_iter().flatten().collect()
}

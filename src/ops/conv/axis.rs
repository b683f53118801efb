//! One dimension of a convolution: sizes, and the rules they must keep.

use super::{ConvOptions, ConvTransposeOptions, Padding};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, Window};
use crate::shape::Shape;

/// Positions in a padded input are computed in 32 bits.
const LARGEST_SIZE: usize = i32::MAX as usize;

/// One dimension of a convolution; for a transposed one `input` is the size of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Axis {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Zeros before the input and after it. Kernels need only the first: the end follows from `output`.
    pub padding: [usize; 2],
    pub dilation: usize,
}

impl Axis {
    /// A dimension along which nothing happens.
    pub fn untouched(size: usize) -> Axis {
        Axis { input: size, output: size, kernel: 1, stride: 1, padding: [0, 0], dilation: 1 }
    }

    /// The window through which a position of the output sees the input.
    pub fn window(&self) -> Window {
        Window::new(self.kernel, self.stride, self.padding[0], self.dilation)
    }

    /// The same for a transposed convolution.
    pub fn transposed_window(&self) -> Window {
        let (reach, stride) = ((self.kernel - 1) * self.dilation, self.stride as f64);
        let size = (reach as f64 / stride).floor() + 1.0;
        Window { size, stride: 1.0 / stride, padding: ((reach as f64 - self.padding[0] as f64) / stride).floor() }
    }

    fn is_untouched(&self) -> bool {
        *self == Axis::untouched(self.input)
    }

    /// A parameter without effect must not make another kernel.
    fn simplified(mut self) -> Axis {
        if self.output == 1 {
            self.stride = 1;
        }
        if self.kernel == 1 {
            self.dilation = 1;
        }
        self
    }
}

/// The same convolution over three dimensions, the first ones of size 1.
pub(super) fn as_three<const D: usize>(axes: [Axis; D]) -> [Axis; 3] {
    let mut three = [Axis::untouched(1); 3];
    three[3 - D..].copy_from_slice(&axes);
    three
}

/// Three dimensions as two, if something happens along at most two of them and they are neighbours.
pub(super) fn as_two([depth, height, width]: [Axis; 3]) -> Option<[Axis; 2]> {
    let joint = |a: Axis, b: Axis| Axis::untouched(a.input * b.input);
    let pair = if depth.is_untouched() && (depth.input == 1 || height.is_untouched()) {
        [if depth.input == 1 { height } else { joint(depth, height) }, width]
    } else if height.is_untouched() && width.is_untouched() {
        [depth, joint(height, width)]
    } else {
        return None;
    };
    pair.iter().all(|axis| axis.input <= LARGEST_SIZE).then_some(pair)
}

/// Checks ranks and types; `shapes` describes the expected ones.
pub(super) fn check<const D: usize>(
    op: &'static str,
    shapes: [&str; 2],
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<()> {
    if !matches!(input.rank().checked_sub(D), Some(1 | 2)) || weight.rank() != D + 2 {
        let [image, filter] = shapes;
        let unbatched = image.replacen("N, ", "", 1);
        let rule = format!(
            "expected input {image} or {unbatched} and weight {filter}; got {} and {}",
            input.shape(),
            weight.shape()
        );
        return Err(Error::invalid(op, rule));
    }
    if !matches!(input.dtype(), DType::F32 | DType::F16) {
        return Err(Error::WrongDType { op, expected: "f32 or f16", got: input.dtype() });
    }
    for other in [Some(weight), bias].into_iter().flatten() {
        if other.dtype() != input.dtype() {
            let expected = "the type of the input for weight and bias";
            return Err(Error::WrongDType { op, expected, got: other.dtype() });
        }
    }
    Ok(())
}

/// Checks the options that all convolutions have.
fn check_positive<const D: usize>(
    op: &'static str,
    stride: [usize; D],
    dilation: [usize; D],
    groups: usize,
) -> Result<()> {
    if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
        let rule = format!("stride {stride:?}, dilation {dilation:?} and groups {groups} must be greater than zero");
        return Err(Error::invalid(op, rule));
    }
    Ok(())
}

impl<const D: usize> ConvOptions<D> {
    /// The sizes of one call on `[N, C, ..]`, or an error.
    pub(in crate::ops) fn axes(&self, op: &'static str, input: &Shape, weight: &Shape) -> Result<[Axis; D]> {
        let ConvOptions { stride, padding, dilation, groups } = *self;
        let fail = |rule: String| Err(Error::invalid(op, rule));
        check_positive(op, stride, dilation, groups)?;
        if weight[0] == 0 || weight[2..].contains(&0) || input[2..].contains(&0) {
            return fail(format!("only batch and input channels may be empty; got input {input} and weight {weight}"));
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
        if padding == Padding::Same && stride != [1; D] {
            return fail(format!("padding Same needs stride 1, not {stride:?}"));
        }
        let mut axes = [Axis::untouched(1); D];
        for (d, axis) in axes.iter_mut().enumerate() {
            let (size, taps) = (input[2 + d], weight[2 + d]);
            let reach = (taps - 1).saturating_mul(dilation[d]);
            let total = match padding {
                Padding::Same => reach,
                Padding::Valid => 0,
                Padding::Explicit(padding) => padding[d].saturating_mul(2),
                Padding::Unknown(word) => return fail(format!("padding {word:?} is neither \"same\" nor \"valid\"")),
            };
            let padded = size.saturating_add(total);
            if padded > LARGEST_SIZE {
                return fail(format!("the padded input's size {padded} passes {LARGEST_SIZE}"));
            }
            if reach >= padded {
                let dims = format!("{}, dilated by {} to {}", taps, dilation[d], reach.saturating_add(1));
                return fail(format!("the kernel's size {dims}, is larger than the padded input's, {padded}"));
            }
            *axis = Axis {
                input: size,
                output: (padded - reach - 1) / stride[d] + 1,
                kernel: taps,
                stride: stride[d],
                padding: [total / 2, total - total / 2],
                dilation: dilation[d],
            }
            .simplified();
        }
        Ok(axes)
    }
}

impl<const D: usize> ConvTransposeOptions<D> {
    /// The convolution whose input has the size of this one's output on `[N, C, ..]`, or an error.
    pub(super) fn axes(&self, op: &'static str, input: &Shape, weight: &Shape) -> Result<[Axis; D]> {
        let ConvTransposeOptions { stride, padding, output_padding, dilation, groups } = *self;
        let fail = |rule: String| Err(Error::invalid(op, rule));
        check_positive(op, stride, dilation, groups)?;
        if weight.contains(&0) || input[1..].contains(&0) {
            return fail(format!("only the batch may be empty; got input {input} and weight {weight}"));
        }
        if weight[0] != input[1] || !input[1].is_multiple_of(groups) {
            return fail(format!(
                "weight {weight} with {groups} groups expects {} input channels in whole groups, but input {input} has {}",
                weight[0], input[1]
            ));
        }
        if weight[1].checked_mul(groups).is_none() {
            return fail(format!("weight {weight} with {groups} groups makes too many output channels"));
        }
        // PyTorch has fewer rules for an empty batch.
        let is_empty = input[0] == 0;
        let mut axes = [Axis::untouched(1); D];
        for (d, axis) in axes.iter_mut().enumerate() {
            let (size, taps) = (input[2 + d], weight[2 + d]);
            if output_padding[d] >= stride[d].max(dilation[d]) && !is_empty {
                return fail(format!(
                    "output_padding {output_padding:?} must be smaller than stride {stride:?} or dilation {dilation:?}"
                ));
            }
            let reach = (taps - 1).saturating_mul(dilation[d]);
            let whole = (size - 1)
                .saturating_mul(stride[d])
                .saturating_add(reach)
                .saturating_add(output_padding[d].saturating_add(1));
            let left = whole.checked_sub(padding[d].saturating_mul(2)).filter(|&left| left > 0 || is_empty);
            let Some(left) = left.filter(|_| whole <= LARGEST_SIZE) else {
                return fail(format!(
                    "padding {padding:?} leaves nothing of an output of size {whole}, or it passes {LARGEST_SIZE}"
                ));
            };
            *axis = Axis {
                input: left,
                output: size,
                kernel: taps,
                stride: stride[d],
                padding: [padding[d]; 2],
                dilation: dilation[d],
            }
            .simplified();
        }
        Ok(axes)
    }
}

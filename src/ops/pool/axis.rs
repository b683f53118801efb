//! One dimension of a pooling.

use crate::error::{Error, Result};
use crate::graph::Window;
use crate::shape::Shape;

/// Sizes of the windows along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

/// The caller's sizes, before they meet an input.
#[derive(Clone, Copy)]
pub(super) struct Request<const D: usize> {
    pub kernel: [usize; D],
    pub stride: Option<[usize; D]>,
    pub padding: [usize; D],
    pub dilation: [usize; D],
    pub ceil_mode: bool,
}

/// Positions in a padded input are computed in 32 bits.
pub(super) const LARGEST_SIZE: usize = i32::MAX as usize;

impl Axis {
    /// The window through which a position of the output sees the input.
    pub fn seen(&self) -> Window {
        Window::new(self.kernel, self.stride, self.padding, self.dilation)
    }

    /// Windows of one element each.
    pub fn unit(size: usize) -> Axis {
        Axis { input: size, output: size, kernel: 1, stride: 1, padding: 0, dilation: 1 }
    }

    /// `output` adjacent windows over the whole input, which must be a multiple of it.
    pub fn divided(input: usize, output: usize) -> Axis {
        let kernel = input / output;
        // A parameter without effect must not make another kernel.
        let stride = if output == 1 { 1 } else { kernel };
        Axis { input, output, kernel, stride, padding: 0, dilation: 1 }
    }

    /// True if the output is the input.
    pub fn is_identity(&self) -> bool {
        self.kernel == 1 && self.output == self.input && self.padding == 0 && self.stride == 1
    }

    /// True if a window sees only padding. Without dilation half a kernel of padding leaves half a kernel inside.
    fn has_blind_window(&self) -> bool {
        let starts = if self.dilation > 1 { self.output } else { 0 };
        let is_inside = |at: usize| at >= self.padding && at < self.padding + self.input;
        (0..starts)
            .map(|window| window * self.stride)
            .take_while(|&start| start < self.padding)
            .any(|start| !(0..self.kernel).any(|tap| is_inside(start + tap * self.dilation)))
    }
}

impl<const D: usize> Request<D> {
    /// The windows over the last dimensions of `input` (`[N, C, ..]`), by PyTorch's rules, or an error.
    pub fn axes(&self, op: &'static str, input: &Shape) -> Result<[Axis; D]> {
        let Request { kernel, padding, dilation, ceil_mode, .. } = *self;
        let stride = self.stride.unwrap_or(kernel);
        let fail = |rule: String| Err(Error::invalid(op, rule));
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return fail(format!(
                "kernel size {kernel:?}, stride {stride:?} and dilation {dilation:?} must be greater than zero"
            ));
        }
        if input[1..].contains(&0) {
            return fail(format!("only the batch may be empty; got {input}"));
        }
        if input[2..].iter().product::<usize>() > LARGEST_SIZE {
            return fail(format!("a channel is limited to {LARGEST_SIZE} elements; got {input}"));
        }
        let mut axes = [Axis::unit(1); D];
        for d in 0..D {
            if padding[d] > kernel[d] / 2 {
                return fail(format!("padding {padding:?} must be at most half of the kernel size {kernel:?}"));
            }
            let size = input[2 + d];
            let reach = (kernel[d] - 1).saturating_mul(dilation[d]);
            let padded = size.saturating_add(2 * padding[d]);
            if padded > LARGEST_SIZE || reach > LARGEST_SIZE {
                return fail(format!("sizes are limited to {LARGEST_SIZE}; got a padded input of {padded}"));
            }
            let steps = if padded > reach {
                let room = padded - reach - 1;
                if ceil_mode { room.div_ceil(stride[d]) } else { room / stride[d] }
            } else if ceil_mode && padded.saturating_add(stride[d]) > reach + 1 {
                // If a window exceeds the end by less than one, division rounds up to no step at all.
                0
            } else {
                return fail(format!(
                    "kernel size {kernel:?} with dilation {dilation:?} is larger than the padded input {input}"
                ));
            };
            let mut output = steps + 1;
            // A window that would begin past the input and the padding before it is dropped.
            if ceil_mode && steps > 0 && steps * stride[d] >= size + padding[d] {
                output -= 1;
            }
            axes[d] = Axis {
                input: size,
                output,
                kernel: kernel[d],
                // A parameter without effect must not make another kernel.
                stride: if output == 1 { 1 } else { stride[d] },
                padding: padding[d],
                dilation: if kernel[d] == 1 { 1 } else { dilation[d] },
            };
            if axes[d].has_blind_window() {
                return fail(format!(
                    "a window of kernel size {kernel:?} with dilation {dilation:?} sees nothing but padding"
                ));
            }
        }
        Ok(axes)
    }
}

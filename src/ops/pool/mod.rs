//! Two-dimensional pooling: the windows that both kinds share.

mod average;
mod max;

pub use average::AvgPool2dOptions;
pub use max::MaxPool2dOptions;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, fold_groups};
use crate::shape::{Layout, Shape};

/// Sizes of a pooling, all but the number of planes. Pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Windows {
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

/// What the caller asked for, before it meets an input.
#[derive(Clone, Copy)]
struct Request {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
}

/// Positions in a padded input are computed in 32 bits.
const LARGEST_SIZE: usize = i32::MAX as usize;

/// Elements of a window that one pass of a kernel's loop takes, in each dimension.
const LARGEST_BLOCK: usize = 8;

/// Elements of a gradient that one invocation computes, in each dimension.
const LARGEST_CELL: usize = 4;

/// More passes than this, and some drivers would end the loop.
const MOST_BLOCKS: usize = 60_000;

impl Windows {
    /// The windows over `input` (`[N, C, H, W]`), by PyTorch's rules, or the rule that is broken.
    fn new(op: &'static str, input: &Shape, request: Request) -> Result<Windows> {
        let Request { kernel, padding, mut dilation, ceil_mode, .. } = request;
        let mut stride = request.stride.unwrap_or(kernel);
        let fail = |rule: String| Err(Error::invalid(op, rule));
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return fail(format!(
                "kernel size {kernel:?}, stride {stride:?} and dilation {dilation:?} must be greater than zero"
            ));
        }
        if input[1..].contains(&0) {
            return fail(format!("only the batch may be empty; got {input}"));
        }
        let mut output = [0; 2];
        for d in 0..2 {
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
                // Division rounds up to no step at all for a window that reaches past the end by less than one.
                0
            } else {
                return fail(format!(
                    "kernel size {kernel:?} with dilation {dilation:?} is larger than the padded input {input}"
                ));
            };
            output[d] = steps + 1;
            // A window that would begin past the input and the padding before it is dropped.
            if ceil_mode && steps > 0 && steps * stride[d] >= size + padding[d] {
                output[d] -= 1;
            }
            // What has no effect must not make another kernel.
            if output[d] == 1 {
                stride[d] = 1;
            }
            if kernel[d] == 1 {
                dilation[d] = 1;
            }
        }
        let windows = Windows { input: [input[2], input[3]], output, kernel, stride, padding, dilation };
        for d in 0..2 {
            let is_inside = |start: usize, tap: usize| {
                let at = start + tap * dilation[d];
                at >= padding[d] && at < padding[d] + input[2 + d]
            };
            // Without dilation half a kernel of padding always leaves half a kernel inside.
            let starts = if dilation[d] > 1 { output[d] } else { 0 };
            for start in (0..starts).map(|window| window * windows.stride[d]).take_while(|&s| s < padding[d]) {
                if !(0..kernel[d]).any(|tap| is_inside(start, tap)) {
                    return fail(format!(
                        "a window of kernel size {kernel:?} with dilation {dilation:?} sees nothing but padding"
                    ));
                }
            }
        }
        let [over, under] = windows.most_passes();
        if over > MOST_BLOCKS || under > MOST_BLOCKS {
            return fail(format!("kernel size {kernel:?} is too large"));
        }
        Ok(windows)
    }

    /// Windows that can cover one element, a dimension.
    fn covering(&self) -> [usize; 2] {
        [0, 1].map(|d| (self.kernel[d] - 1) * self.dilation[d] / self.stride[d] + 1)
    }

    /// Passes of the kernels' loops over a window and over the windows that cover an element.
    fn most_passes(&self) -> [usize; 2] {
        let blocks = |sizes: [usize; 2]| {
            let [rows, columns] = sizes.map(|size| size.div_ceil(LARGEST_BLOCK));
            rows.saturating_mul(columns.saturating_add(1))
        };
        [blocks(self.kernel), blocks(self.covering())]
    }

    fn layout(&self, shape: &Shape, sizes: [usize; 2], dtype: DType) -> Result<Layout> {
        Ok(Layout::contiguous(Shape::new(&[shape[0], shape[1], sizes[0], sizes[1]])?, dtype))
    }

    /// A kernel with the constants that all have: sizes, strides, padding, and blocks for loops that long.
    fn sized(&self, mut kernel: Kernel, loops: [usize; 2], invocations: usize) -> Kernel {
        let blocks = loops.map(|size| size.min(LARGEST_BLOCK));
        let pairs: [([&'static str; 2], [usize; 2]); 5] = [
            (["IN_HEIGHT", "IN_WIDTH"], self.input),
            (["OUT_HEIGHT", "OUT_WIDTH"], self.output),
            (["STRIDE_Y", "STRIDE_X"], self.stride),
            (["PAD_Y", "PAD_X"], self.padding),
            (["BLOCK_Y", "BLOCK_X"], blocks),
        ];
        for (names, values) in pairs {
            kernel = pair(kernel, names, values);
        }
        kernel.grid(fold_groups(invocations, 64)).work(invocations * loops[0] * loops[1]).values(&[invocations])
    }

    /// Calls `visit(window, element)` for every window of a plane and every element of the input in it.
    fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                for r in 0..self.kernel[0] {
                    for s in 0..self.kernel[1] {
                        let row = y * self.stride[0] + r * self.dilation[0];
                        let column = x * self.stride[1] + s * self.dilation[1];
                        let inside =
                            |at: usize, d: usize| at >= self.padding[d] && at - self.padding[d] < self.input[d];
                        if inside(row, 0) && inside(column, 1) {
                            let element = (row - self.padding[0]) * self.input[1] + column - self.padding[1];
                            visit(y * self.output[1] + x, element);
                        }
                    }
                }
            }
        }
    }

    /// A gradient kernel, whose invocations compute cells of the input: as large as the stride allows, so that each
    /// window is loaded once for many elements.
    fn sized_backward(&self, kernel: Kernel, planes: usize) -> Kernel {
        let cell =
            self.stride.map(|stride| (1..=LARGEST_CELL).rev().find(|&size| stride.is_multiple_of(size)).unwrap_or(1));
        let cells = |d: usize| (self.input[d] + self.padding[d]).div_ceil(cell[d]);
        let covering = self.covering();
        let kernel = self.sized(kernel, covering, planes * cells(0) * cells(1));
        pair(pair(kernel, ["WINDOWS_Y", "WINDOWS_X"], covering), ["CELL_Y", "CELL_X"], cell)
    }

    fn elements(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn windows(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

/// Sets two constants.
fn pair(kernel: Kernel, names: [&'static str; 2], values: [usize; 2]) -> Kernel {
    kernel.constant(names[0], format!("{}u", values[0])).constant(names[1], format!("{}u", values[1]))
}

fn check_rank(op: &'static str, input: &Tensor) -> Result<()> {
    if matches!(input.rank(), 3 | 4) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("expected [N, C, H, W] or [C, H, W]; got {}", input.shape())))
}

fn check_f32(op: &'static str, input: &Layout) -> Result<()> {
    if input.dtype == DType::F32 {
        return Ok(());
    }
    Err(Error::WrongDType { op, expected: "f32", got: input.dtype })
}

pub(super) fn cases() -> Vec<Case> {
    [max::cases(), average::cases()].into_iter().flatten().collect()
}

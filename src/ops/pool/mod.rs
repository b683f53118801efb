//! Pooling: the windows that all kinds share.
//!
//! The kernels pool planes. One dimension is a plane of height 1, and three take two passes: the planes of each slice, then the
//! column of slices, which is a plane as high as the volume is deep and as wide as a pooled slice has elements. Means of means
//! over windows that are boxes, and maxima of maxima in the order of a scan, are those of the volume.

mod adaptive;
mod adaptive_average;
mod adaptive_max;
mod average;
mod axis;
mod max;
mod power;
mod unpool;

pub use average::{AvgPool1dOptions, AvgPool2dOptions, AvgPool3dOptions, AvgPoolOptions};
pub use max::{MaxPool1dOptions, MaxPool2dOptions, MaxPool3dOptions, MaxPoolOptions};
pub use power::{LpPool1dOptions, LpPool2dOptions, LpPool3dOptions, LpPoolOptions};
pub use unpool::{MaxUnpool1dOptions, MaxUnpool2dOptions, MaxUnpool3dOptions, MaxUnpoolOptions};

use crate::device::LONGEST_LOOP;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;
use crate::ops::shared::congruence::Congruence;
use crate::ops::shared::constants::unsigned_all;
use crate::shader::{Kernel, Operand, fold_groups};
use crate::shape::{Layout, Shape};
use axis::Axis;

/// Sizes of a pooling of planes, all but the number of planes. Pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Windows {
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

/// One run of a plane kernel.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// The input as `[N, planes, H, W]`.
    shape: Shape,
    windows: Windows,
    /// Consecutive planes that belong to one volume: positions count through them.
    slices: usize,
}

/// Elements of a window in one pass of a kernel's loop, in each dimension.
const LARGEST_BLOCK: usize = 8;

/// Elements of a gradient that one invocation computes, in each dimension.
const LARGEST_CELL: usize = 4;

impl Windows {
    /// The windows along two dimensions, if the kernels' loops over them are short enough.
    fn new(op: &'static str, rows: Axis, columns: Axis) -> Result<Windows> {
        let pair = |size: fn(&Axis) -> usize| [size(&rows), size(&columns)];
        let windows = Windows {
            input: pair(|a| a.input),
            output: pair(|a| a.output),
            kernel: pair(|a| a.kernel),
            stride: pair(|a| a.stride),
            padding: pair(|a| a.padding),
            dilation: pair(|a| a.dilation),
        };
        if windows.most_passes().into_iter().any(|passes| passes > LONGEST_LOOP) {
            return Err(Error::invalid(op, format!("kernel size {:?} is too large", windows.kernel)));
        }
        Ok(windows)
    }

    /// The windows that see an element, in a dimension: with dilation every `step`th. `None` if all between the first and the
    /// last are visited.
    fn meeting(&self, dim: usize) -> Option<Congruence> {
        Congruence::new(self.stride[dim], self.dilation[dim]).filter(|meeting| meeting.step > 1)
    }

    /// Existing windows that are visited for one element, in each dimension.
    fn covering(&self) -> [usize; 2] {
        [0, 1].map(|d| {
            let step = self.meeting(d).map_or(1, |meeting| meeting.step);
            let between = (self.kernel[d] - 1) * self.dilation[d] / self.stride[d];
            (between / step + 1).min(self.output[d].div_ceil(step))
        })
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

    /// A kernel with the constants that all have: sizes, strides, padding, and blocks for loops this long; in each pass of them
    /// an invocation calls `load` for the first input.
    fn sized(&self, kernel: Kernel, load: &'static str, loops: [usize; 2], invocations: usize) -> Kernel {
        let blocks = loops.map(|size| size.min(LARGEST_BLOCK));
        let taken = [0, 1].map(|d| loops[d].next_multiple_of(blocks[d]));
        let kernel = unsigned_all(kernel, ["STRIDE_Y", "STRIDE_X"], self.stride);
        let kernel = unsigned_all(kernel, ["PAD_Y", "PAD_X"], self.padding);
        unsigned_all(kernel, ["BLOCK_Y", "BLOCK_X"], blocks)
            .size("IN_HEIGHT", self.input[0])
            .size("IN_WIDTH", self.input[1])
            .size("OUT_HEIGHT", self.output[0])
            .size("OUT_WIDTH", self.output[1])
            .grid(fold_groups(invocations, 64))
            .work(invocations * loops[0] * loops[1])
            .loads(load, Operand::Input(0), invocations * taken[0] * taken[1])
            .values(&[invocations])
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

    /// A gradient kernel, whose invocations compute cells of the input: as large as the stride allows, so that each window is
    /// loaded once for many elements.
    fn sized_backward(&self, kernel: Kernel, planes: usize) -> Kernel {
        let meetings = [self.meeting(0), self.meeting(1)];
        // Neighbours are seen by different windows if these are apart.
        let side = |d: usize| (1..=LARGEST_CELL).rev().find(|&size| self.stride[d].is_multiple_of(size)).unwrap_or(1);
        let cell = [0, 1].map(|d| if meetings[d].is_some() { 1 } else { side(d) });
        let cells = |d: usize| (self.input[d] + self.padding[d]).div_ceil(cell[d]);
        let covering = self.covering();
        let kernel = self.sized(kernel, "load_grad", covering, planes * cells(0) * cells(1));
        unsigned_all(unsigned_all(kernel, ["WINDOWS_Y", "WINDOWS_X"], covering), ["CELL_Y", "CELL_X"], cell)
    }

    fn elements(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn windows(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

/// The passes that pool `[N, C, ..]`, its last dimensions along `axes`: those that change something, at least one.
fn passes<const D: usize>(op: &'static str, shape: &Shape, axes: [Axis; D]) -> Result<Vec<Pass>> {
    let [z, y, x] = in_front(axes, Axis::unit(1));
    let (n, c) = (shape[0], shape[1]);
    let planes = Pass {
        shape: Shape::new(&[n, c * z.input, y.input, x.input])?,
        windows: Windows::new(op, y, x)?,
        slices: z.input,
    };
    let columns = Pass {
        shape: Shape::new(&[n, c, z.input, y.output * x.output])?,
        windows: Windows::new(op, z, Axis::unit(y.output * x.output))?,
        slices: 1,
    };
    Ok(if z.is_identity() {
        vec![planes]
    } else if y.is_identity() && x.is_identity() {
        vec![columns]
    } else {
        vec![planes, columns]
    })
}

/// `D` values as three, with `filler` in front.
fn in_front<T: Copy, const D: usize>(of: [T; D], filler: T) -> [T; 3] {
    let mut three = [filler; 3];
    for (to, from) in three.iter_mut().rev().zip(of.iter().rev()) {
        *to = *from;
    }
    three
}

/// Positions in the input of elements that `next` picks from a volume whose elements were at `previous`.
#[track_caller]
fn positions(previous: Option<Tensor>, next: Tensor, volumes: usize) -> Result<Tensor> {
    let Some(previous) = previous else { return Ok(next) };
    if next.numel() == 0 {
        return Ok(next);
    }
    let rows = |t: &Tensor| t.reshape_to(Shape::new(&[volumes, t.numel() / volumes])?);
    rows(&previous)?.gather(1, &rows(&next)?)?.reshape_to(*next.shape())
}

/// The operation's name for `D` dimensions.
fn named<const D: usize>(names: [&'static str; 3]) -> &'static str {
    names[D.clamp(1, 3) - 1]
}

/// An input of `D` dimensions besides the channels, with a batch of one if it has no batch.
#[track_caller]
fn batched<const D: usize>(op: &'static str, input: &Tensor) -> Result<Tensor> {
    if !input.dtype().is_float() {
        return Err(Error::WrongDType { op, expected: "floats", got: input.dtype() });
    }
    if input.rank() == D + 2 {
        return Ok(input.clone());
    }
    let Some(names) = D.checked_sub(1).and_then(|d| ["L", "H, W", "D, H, W"].get(d)) else {
        return Err(Error::invalid(op, format!("{D} dimensions cannot be pooled, only 1, 2 or 3")));
    };
    if input.rank() == D + 1 {
        return input.unsqueeze(0);
    }
    Err(Error::invalid(op, format!("expected [N, C, {names}] or [C, {names}]; got {}", input.shape())))
}

/// `[N, C, sizes..]` of a batched input, in the form of the caller's input: without the batch if that has none.
#[track_caller]
fn shaped<const D: usize>(result: &Tensor, batched: &Tensor, sizes: [usize; D], input: &Tensor) -> Result<Tensor> {
    let all: Vec<usize> = batched.shape()[..2].iter().copied().chain(sizes).collect();
    let skipped = all.len() - input.rank();
    result.reshape_to(Shape::new(&all[skipped..])?)
}

pub(super) fn cases() -> Vec<Case> {
    [max::cases(), average::cases(), adaptive_average::cases(), adaptive_max::cases(), power::cases(), unpool::cases()]
        .into_iter()
        .flatten()
        .collect()
}

//! Adaptive pooling: the windows, and the order in which dimensions are pooled.
//!
//! Window `i` of `to` over `from` elements is `floor(i from / to) .. ceil((i + 1) from / to)`. The windows that contain
//! element `l` are `floor(l to / from) .. ceil((l + 1) to / from)`: the same formula with the sizes exchanged.

use super::axis::{Axis, LARGEST_SIZE};
use super::{Pass, Windows, batched, in_front};
use crate::error::{Error, Result};
use crate::graph::{Tensor, Window};
use crate::shader::{Kernel, Operand, fold_groups};
use crate::shape::Shape;
use std::ops::Range;

/// One dimension of a volume, to be pooled by a kernel for windows of unequal sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along {
    /// The input as `[outer, from, inner]`.
    pub shape: Shape,
    pub to: usize,
    /// Consecutive outer indices that belong to one volume: positions count through them.
    pub slices: usize,
}

/// One step of an adaptive pooling.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Adjacent windows of equal size.
    Even(Pass),
    Along(Along),
}

/// Longer windows go to the other kernels, whose loops may be of any length: a pool's kernel is specialised for the length of its
/// windows, and here that follows from the input's size, which may differ each time.
const LONGEST_EVEN: usize = 2;

/// The kernels divide products of positions and sizes in 32 bits, with two to spare.
const LARGEST: usize = 1 << 30;

/// The windows of an adaptive pooling, represented by the longest ones.
pub(super) fn windows<const D: usize>(input: &Tensor, sizes: [usize; D]) -> Vec<Window> {
    let first = input.rank() - D;
    let along = |(d, to): (usize, usize)| {
        let from = input.shape()[first + d];
        let longest = if from.is_multiple_of(to) { from / to } else { longest(from, to) };
        Window { size: longest as f64, stride: from as f64 / to as f64, padding: 0.0 }
    };
    sizes.into_iter().enumerate().map(along).collect()
}

/// The elements of a window.
pub(super) fn window(position: usize, from: usize, to: usize) -> Range<usize> {
    position * from / to..((position + 1) * from).div_ceil(to)
}

/// Elements of the longest window.
pub(super) fn longest(from: usize, to: usize) -> usize {
    from.div_ceil(to) + 1
}

/// True if products of positions and sizes take more than 32 bits.
pub(super) fn is_wide(from: usize, to: usize) -> bool {
    let overflows = |a: usize, b: usize| a * (b % a) > u32::MAX as usize;
    overflows(from, to) || overflows(to, from)
}

/// A kernel for this many parts of a result of `[outer, to, inner]`: its grid, and the sizes, which are parameters, so that one
/// kernel serves all. It loads the first input through `load`.
pub(super) fn sized(kernel: Kernel, load: &'static str, input: &Shape, to: usize, parts: usize) -> Kernel {
    let (from, inner) = (input[1], input[2]);
    let count = input[0] * to * inner;
    // Windows overlap by at most one element, if neither size divides the other.
    let overlaps = !from.is_multiple_of(to) && !to.is_multiple_of(from);
    let along = if overlaps { from + to } else { from.max(to) };
    kernel
        .constant("WIDE", is_wide(from, to))
        .grid(fold_groups(count * parts, 64))
        .work(count * longest(from, to))
        .loads(load, Operand::Input(0), input[0] * along * inner)
        .values(&[count, from, to, inner])
}

/// The batched input of an adaptive pooling and its target sizes, `None` being the input's. Dimensions from `first` on must not
/// be empty.
#[track_caller]
pub(super) fn sizes<const D: usize>(
    op: &'static str,
    input: &Tensor,
    output_size: [Option<usize>; D],
    first: usize,
) -> Result<(Tensor, [usize; D])> {
    let batch = batched::<D>(op, input)?;
    let shape = *batch.shape();
    let fail = |rule: String| Err(Error::invalid(op, rule));
    if input.shape()[first.min(input.rank())..].contains(&0) {
        return fail(format!("only the batch may be empty; got {}", input.shape()));
    }
    let mut sizes = [0; D];
    for d in 0..D {
        sizes[d] = output_size[d].unwrap_or(shape[2 + d]);
        if sizes[d].max(shape[2 + d]) > LARGEST {
            return fail(format!("sizes are limited to {LARGEST}; got {output_size:?} from {}", input.shape()));
        }
    }
    if shape[2..].iter().product::<usize>() > LARGEST_SIZE {
        return fail(format!("a channel is limited to {LARGEST_SIZE} elements; got {}", input.shape()));
    }
    Shape::new(&[&shape[..2], &sizes[..]].concat())?;
    Ok((batch, sizes))
}

/// The steps from `[N, C, ..]` to `sizes`, none of which may be zero: innermost first, so that of equal elements the first in the
/// order of a scan is taken. At least one.
pub(super) fn stages<const D: usize>(op: &'static str, shape: &Shape, sizes: [usize; D]) -> Result<Vec<Stage>> {
    let mut spatial = [1; D];
    spatial.copy_from_slice(&shape[2..]);
    let (n, c) = (shape[0], shape[1]);
    let [d, h, w] = in_front(spatial, 1);
    let [to_d, to_h, to_w] = in_front(sizes, 1);
    let is_even = |from: usize, to: usize| from.is_multiple_of(to) && from / to <= LONGEST_EVEN;
    let along = |shape: [usize; 3], to: usize, slices: usize| -> Result<Stage> {
        Ok(Stage::Along(Along { shape: Shape::new(&shape)?, to, slices }))
    };
    let even = |shape: [usize; 4], rows: Axis, columns: Axis, slices: usize| -> Result<Stage> {
        Ok(Stage::Even(Pass { shape: Shape::new(&shape)?, windows: Windows::new(op, rows, columns)?, slices }))
    };
    let mut stages = Vec::new();
    let keeps = (d, h, w) == (to_d, to_h, to_w);
    if is_even(h, to_h) && is_even(w, to_w) {
        if (h, w) != (to_h, to_w) || keeps {
            stages.push(even([n, c * d, h, w], Axis::divided(h, to_h), Axis::divided(w, to_w), d)?);
        }
    } else {
        if w != to_w {
            stages.push(along([n * c * d * h, w, 1], to_w, d * h)?);
        }
        if h != to_h {
            stages.push(along([n * c * d, h, to_w], to_h, d)?);
        }
    }
    if d != to_d {
        stages.push(if is_even(d, to_d) {
            even([n, c, d, to_h * to_w], Axis::divided(d, to_d), Axis::unit(to_h * to_w), 1)?
        } else {
            along([n * c, d, to_h * to_w], to_d, 1)?
        });
    }
    Ok(stages)
}

/// The result of pooling to no elements: empty, of the right shape, and with zeros for the gradient.
#[track_caller]
pub(super) fn nothing<const D: usize>(input: &Tensor, batch: &Tensor, sizes: [usize; D]) -> Result<Tensor> {
    super::shaped(&batch.narrow(-1, 0, 0)?, batch, sizes, input)
}

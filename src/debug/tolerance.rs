//! Bounds how far rounding may take a kernel's result from the reference's.

use super::part::layout;
use crate::dtype::DType;
use crate::graph::{Class, Schedule};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::reference::Value;
use crate::shape::Shape;
use std::sync::Arc;

/// Roundings on the way to one term of a result, with a margin: an elementary function may be off by several units in the last
/// place.
const ROUNDINGS: f64 = 16.0;

/// The largest allowed difference between a device's result `g` and the reference's `e`:
///
/// ```text
/// |g - e| <= 16 eps sqrt(n) max|e|  +  16 sqrt(n) r  +  smallest normal number
/// ```
///
/// `eps` is that of the coarsest float type that takes part (f32 2^-23, f16 2^-10), `n` the most [`terms`] of a call: their
/// errors add up like a random walk. `max|e|` is over the whole output. `r` is how far `e` moves when every input, and
/// every value on the way that its type can't hold exactly, moves by one `eps` of itself, up or down: where terms cancel,
/// that is much more than an `eps` of what is left over, and at a jump (`floor`, `>`) it is the jump. It is the element's
/// own or the output's median, whichever is larger. Integers and truth values may differ only where `r` is not 0.
pub(super) struct Tolerance {
    pub epsilon: f64,
    tiny: f64,
    growth: f64,
}

impl Tolerance {
    pub fn of(part: &Schedule) -> Tolerance {
        let sources = part.sources.iter().map(|source| source.dtype());
        let mut dtypes = part.nodes.iter().flat_map(|node| node.outputs.iter().map(|o| o.dtype)).chain(sources);
        let half = dtypes.any(|dtype| dtype == DType::F16);
        let terms = (0..part.nodes.len()).map(|node| terms(part, node)).fold(1.0, f64::max);
        Tolerance {
            epsilon: if half { 1.0 / 1024.0 } else { f64::from(f32::EPSILON) },
            tiny: if half { 6.2e-5 } else { f64::from(f32::MIN_POSITIVE) },
            growth: ROUNDINGS * terms.sqrt(),
        }
    }

    /// The first element that `counts` and is further off than allowed, and the allowed difference there. `others` are the
    /// results for moved values.
    pub fn first_beyond(
        &self,
        got: &HostTensor,
        expected: &HostTensor,
        others: &[Arc<HostTensor>],
        counts: impl Fn(usize) -> bool,
    ) -> Option<(usize, f64)> {
        let dtype = expected.dtype;
        let expected: Vec<f64> = expected.values.iter().map(|&value| rounded(dtype, value)).collect();
        let move_of = |at: usize| {
            let moves = others.iter().map(|other| (other.values[at] - expected[at]).abs());
            moves.filter(|r| !r.is_nan()).fold(0.0, f64::max)
        };
        // There are none in the first check, which only finds out if they are needed.
        let moves: Vec<f64> = if others.is_empty() { Vec::new() } else { (0..expected.len()).map(move_of).collect() };
        let moved = |at: usize| moves.get(at).copied().unwrap_or_default();
        if !dtype.is_float() {
            let wrong = |&at: &usize| counts(at) && got.values[at] != expected[at] && moved(at) == 0.0;
            return (0..expected.len()).find(wrong).map(|at| (at, 0.0));
        }
        let counted = (0..expected.len()).filter(|&at| counts(at)).map(|at| expected[at]);
        let largest = counted.filter(|value| value.is_finite()).fold(0.0f64, |a, b| a.max(b.abs()));
        let usual = median(&moves);
        let allowed = |at: usize| self.growth * (self.epsilon * largest + moved(at).max(usual)) + self.tiny;
        let same = |at: usize| {
            let (g, e) = (got.values[at], expected[at]);
            g == e || (g.is_nan() && e.is_nan()) || (g - e).abs() <= allowed(at)
        };
        (0..expected.len()).find(|&at| counts(at) && !same(at)).map(|at| (at, allowed(at)))
    }
}

/// Approximate number of terms in one element of a call's result: 1 if it is pointwise, or a reduction, which adds up block by
/// block; otherwise the largest of these: the elements of an input for each element of the output (a sum); the square root of the
/// product of two inputs' elements over the output's (the depth of a matrix product, the window of a convolution); the longest
/// dimension of an input (a scan).
fn terms(part: &Schedule, node: usize) -> f64 {
    if !matches!(part.nodes[node].op.class(), Class::Kernel) {
        return 1.0;
    }
    let output = part.nodes[node].outputs[0].shape.numel().max(1) as f64;
    let shapes: Vec<Shape> = part.edges[node].iter().map(|&edge| layout(part, edge).shape).collect();
    let mut sizes: Vec<f64> = shapes.iter().map(|shape| shape.numel() as f64).collect();
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let sum = sizes.first().map_or(1.0, |size| size / output);
    let product = if let [first, second, ..] = sizes[..] { (first * second / output).sqrt() } else { 1.0 };
    let longest = shapes.iter().flat_map(|shape| shape.iter().copied()).max().unwrap_or(1) as f64;
    sum.max(product).max(longest)
}

/// A value as its type stores it: a float beyond the largest is infinite.
fn stored(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(nearest::<f32>(value)),
        _ => dtype.quantise(value),
    }
}

/// A value as its type stores it, with the reference's own digits where there are any.
fn rounded(dtype: DType, value: f64) -> f64 {
    let stored = stored(dtype, value);
    if dtype.is_float() && stored.is_finite() { value } else { stored }
}

fn median(values: &[f64]) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Applies the largest roundings: moves floats by `epsilon` of themselves, all up, or up and down by a random pattern.
pub(super) struct Moved {
    pattern: u64,
    state: u64,
    epsilon: f64,
}

impl Moved {
    /// Few enough to be quick, and enough that at least one almost always moves each element.
    pub const PATTERNS: u64 = 5;

    pub fn new(pattern: u64, epsilon: f64) -> Moved {
        Moved { pattern, state: pattern, epsilon }
    }

    fn value(&mut self, value: f64) -> f64 {
        // The generator of Knuth's MMIX; its highest bit is as good as random.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let up = self.pattern == 0 || self.state >> 63 == 1;
        value * if up { 1.0 + self.epsilon } else { 1.0 - self.epsilon }
    }

    /// The values that a part reads.
    pub fn sources(&mut self, sources: &[Value]) -> Vec<Value> {
        let mut moved = |(stored, layout): &Value| {
            let mut moved = HostTensor::clone(stored);
            if moved.dtype.is_float() {
                moved.values.iter_mut().for_each(|value| *value = self.value(*value));
            }
            (Arc::new(moved), *layout)
        };
        sources.iter().map(&mut moved).collect()
    }

    /// The results of a call, where its type can't hold them as they are.
    pub fn results(&mut self, results: &mut [HostTensor]) {
        for result in results.iter_mut().filter(|result| result.dtype.is_float()) {
            let dtype = result.dtype;
            let inexact = result.values.iter_mut().filter(|value| stored(dtype, **value) != **value);
            inexact.for_each(|value| *value = self.value(*value));
        }
    }
}

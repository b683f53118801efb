//! Tracing: calls are recorded for their shapes, and nothing runs or changes.
//!
//! While a thread traces, its calls are not flushed, parameters keep their values and the random stream does not move. Operations
//! note facts that a reader of the graph could not tell from their parts.

#[cfg(test)]
use crate::graph::Class;
use crate::graph::node::Tensor;
#[cfg(test)]
use crate::shader::Formula;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Positions of an input that one position of an output sees along one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// Distance from the first to the last of them, inclusive.
    pub size: f64,
    /// Distance between those of neighbouring outputs.
    pub stride: f64,
    /// Positions before the input's first.
    pub padding: f64,
}

impl Window {
    /// A window of the position alone.
    pub const SAME: Window = Window { size: 1.0, stride: 1.0, padding: 0.0 };

    /// A window of `kernel` taps.
    pub fn new(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Window {
        let size = (kernel.saturating_sub(1) * dilation + 1) as f64;
        Window { size, stride: stride as f64, padding: padding as f64 }
    }
}

/// A call as its caller made it, even if it is composed of several operations.
pub(crate) struct Seen {
    /// Its input; an edge.
    pub input: Tensor,
    /// Windows over the last dimensions of input and output; dimensions that are left out are [`Window::SAME`].
    pub windows: Vec<Window>,
}

/// The notes of a trace.
#[derive(Default)]
pub(crate) struct Trace {
    /// Calls by the node of their output.
    pub seen: HashMap<u64, Seen>,
    pub multiply_adds: u64,
    /// The formulas of all pointwise calls.
    #[cfg(test)]
    pub formulas: Vec<&'static Formula>,
}

thread_local! {
    static IS_TRACING: Cell<bool> = const { Cell::new(false) };
    static TRACE: RefCell<Trace> = RefCell::default();
}

/// Restores the earlier trace, also after a panic.
struct Restore {
    is_tracing: bool,
    trace: Trace,
}

impl Drop for Restore {
    fn drop(&mut self) {
        IS_TRACING.set(self.is_tracing);
        TRACE.replace(std::mem::take(&mut self.trace));
    }
}

/// True while this thread traces.
pub(crate) fn is_tracing() -> bool {
    IS_TRACING.get()
}

/// Runs `body` on this thread as a trace.
pub(crate) fn tracing<T>(body: impl FnOnce() -> T) -> T {
    let _restore = Restore { is_tracing: IS_TRACING.replace(true), trace: TRACE.take() };
    body()
}

/// The notes so far.
pub(crate) fn with_trace<T>(body: impl FnOnce(&Trace) -> T) -> T {
    TRACE.with_borrow(body)
}

/// Notes multiply-adds of a product or a convolution.
pub(crate) fn note_multiply_adds(count: impl FnOnce() -> u64) {
    if is_tracing() {
        TRACE.with_borrow_mut(|trace| trace.multiply_adds = trace.multiply_adds.saturating_add(count()));
    }
}

/// Notes the formula of a pointwise call.
#[cfg(test)]
pub(super) fn note_formula(class: Class) {
    if let (true, Class::Pointwise(formula)) = (is_tracing(), class) {
        TRACE.with_borrow_mut(|trace| trace.formulas.push(formula));
    }
}

/// An output, after a note of the windows through which its call sees the input.
pub(crate) fn seen_through(windows: impl FnOnce() -> Vec<Window>, input: &Tensor, output: Tensor) -> Tensor {
    if is_tracing() {
        let seen = Seen { input: input.edge(), windows: windows() };
        TRACE.with_borrow_mut(|trace| trace.seen.insert(output.node.id, seen));
    }
    output
}

/// An output, after a note that each of its positions comes from the input's same position.
pub(crate) fn in_place_of(input: &Tensor, output: Tensor) -> Tensor {
    seen_through(Vec::new, input, output)
}

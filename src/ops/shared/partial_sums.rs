//! Results that several workgroups add up in parts, and the kernel that adds up the parts.

use crate::dtype::DType;
use crate::graph::Tensor;
use crate::shader::{Kernel, Kernels, Operand, fold_groups};

const SUM_ROWS: &str = wgsl!("reduce/sum_rows");

/// The kernel that adds up the rows of f32 `[rows, columns]` into the first output, in a fixed order: for
/// operations that leave partial sums.
pub(in crate::ops) fn sum_rows(from: Operand, rows: usize, columns: usize) -> Kernel {
    Kernel::new("sum_rows", SUM_ROWS)
        .bind("input", from)
        .bind("output", Operand::Output(0))
        .values(&[columns, rows])
        .grid(fold_groups(columns, 64))
        .work(rows * columns)
}

/// A kernel that stores `parts` parts of `columns` sums, as its template's type `Sum`, and the one that adds them up.
pub(in crate::ops) fn in_parts(kernel: Kernel, parts: usize, columns: usize, result: DType) -> Kernels {
    if parts == 1 {
        return kernel.alias("Sum", result.wgsl()).bind("output", Operand::Output(0)).into();
    }
    let from = Operand::Temporary(0);
    let kernel = kernel.alias("Sum", "f32").bind("output", from);
    let sum = sum_rows(from, parts, columns).alias("Result", result.wgsl());
    Kernels { kernels: vec![kernel, sum], temporaries: vec![4 * parts * columns] }
}

/// The number of parts, and of terms of each, for sums of `terms` that take this many `turns` of a kernel's loops each, where
/// those of an invocation take `longest_loop` together at most.
pub(in crate::ops) fn parts(terms: usize, turns: usize, longest_loop: usize) -> [usize; 2] {
    let span = (longest_loop / turns).clamp(1, terms.max(1));
    [terms.div_ceil(span).max(1), span]
}

/// Terms of a sum that one invocation adds up on the device of `x`; longer sums are recorded as several.
pub(in crate::ops) fn longest_sum(x: &Tensor) -> usize {
    x.device().adapter().map_or(usize::MAX, |adapter| adapter.profile.longest_sum())
}

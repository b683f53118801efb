//! Constants of templates that are numbers, many of which come in pairs: of rows and of columns.

use crate::shader::Kernel;

/// A number as an expression of type `u32`.
pub(in crate::ops) fn unsigned(value: usize) -> String {
    format!("{value}u")
}

/// Sets constants of type `u32`.
pub(in crate::ops) fn unsigned_all<const N: usize>(
    kernel: Kernel,
    names: [&'static str; N],
    values: [usize; N],
) -> Kernel {
    names.into_iter().zip(values).fold(kernel, |kernel, (name, value)| kernel.constant(name, unsigned(value)))
}

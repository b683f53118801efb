//! From a WGSL template to a module for one case: expands imports, sets `const` values, the element type and hook bodies, unrolls
//! loops, and splits register tiles.

mod branches;
mod cost;
mod driver_math;
mod formula;
pub(crate) mod import;
mod index_expr;
mod kernel;
mod reflect;
mod scalar;
pub(crate) mod sizes;
mod specialise;
mod template;
mod unroll;
mod words;

pub(crate) use driver_math::{is_wrong as has_wrong_math, repair as repair_math};
pub(crate) use formula::Placeholder;
pub use formula::{Combine, Formula, RowFormula};
pub(crate) use index_expr::index_expr;
pub use kernel::{Fault, Kernel, Kernels, Operand, Word, fold_groups};
pub(crate) use kernel::{LoadHook, Loads, MOST_GROUPS};
pub(crate) use reflect::{Binding, Module, Role};
pub(crate) use sizes::{Sizes, size};
pub(crate) use specialise::{specialise, specialise_open};
#[cfg(test)]
pub(crate) use template::Template;
pub(crate) use words::with_words;

//! Your own operations: everything that only their authors need.
//!
//! An operation is a type that implements [`Op`]: its shape rule, its kernels in WGSL, a reference in plain Rust, and its
//! gradient. [`apply`] records a call of it, which is then planned, fused, profiled and checked as the built-in ones are;
//! `examples/custom_op.rs` is one from end to end. [`gradcheck`] compares a gradient with differences.
//!
//! An operation whose elements depend only on the inputs' elements of the same index is a [`Formula`], and one that reduces rows
//! a [`RowFormula`]: the planner writes their kernels, fused with the calls before and after them.

mod gradcheck;

pub use gradcheck::{GradcheckOptions, gradcheck, gradgradcheck};

pub use crate::device::{Adapter, AdapterProfile, Roofline};
pub use crate::graph::{Budget, Class, GradientRule, Io, Op, Summing, Vjp, apply, grad_by};
pub use crate::host_tensor::HostTensor;
pub use crate::shader::{Combine, Fault, Formula, Kernel, Kernels, Operand, RowFormula, Word, fold_groups};
pub use crate::shape::Layout;

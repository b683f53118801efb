//! Small networks that learn from large ones.
//!
//! [`Distillation`] is a task for [`Trainer`](crate::train::Trainer) with a teacher: its answers at a temperature
//! ([`soft_target_loss`]), maps of attention ([`attention_loss`]) and hints ([`hint_loss`]). The losses serve without it, too.

mod losses;
mod regressor;
mod task;

pub use losses::{attention_loss, soft_target_loss};
pub use regressor::{hint_loss, regressor};
pub use task::{Distillation, DistillationOptions};

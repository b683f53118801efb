//! Pruning: weights that are 0 and stay 0.
//!
//! A pruned parameter has a [mask](crate::Parameter::set_mask) of ones and zeros, which applies to every assigned value. So
//! pruned weights stay 0 through training with any optimizer, through averages, half precision and checkpoints, and files of
//! weights hold the zeros. The functions are those of `torch.nn.utils.prune`, and prune the same weights; a [`Pruner`] prunes a
//! network to a sparsity repeatedly, and [`Pruning`] lets a [`Trainer`](crate::train::Trainer) do so by a [`Schedule`].
//!
//! ```
//! use wgrad::compress::pruning;
//! use wgrad::nn::{Module, Scope};
//! use wgrad::{Device, models::LeNet5};
//! let net = LeNet5::new(&Scope::new(&Device::reference()))?;
//! pruning::global_unstructured(&pruning::prunable(&net), pruning::Method::L1, 0.9)?;
//! assert!((pruning::sparsity(&pruning::prunable(&net))? - 0.9).abs() < 1e-4);
//! println!("{}", net.summary(&[1, 1, 28, 28])?);
//! # Ok::<(), wgrad::Error>(())
//! ```

mod amount;
mod callback;
mod held;
mod methods;
mod movement;
mod pruner;
mod rewind;
mod schedule;

pub use amount::Amount;
pub(super) use amount::checked;
pub use callback::Pruning;
pub(super) use held::{keep, kept, lowest, norm};
pub use methods::{
    Method, custom_from_mask, global_unstructured, is_pruned, l1_unstructured, ln_structured, mask_zeros, prunable,
    random_structured, random_unstructured, remove, sparsity,
};
pub use pruner::{Criterion, Granularity, Pruner, PrunerOptions, Reach};
pub use rewind::Rewind;
pub use schedule::Schedule;

//! Data sets, and the batches they come in.

mod batches;
mod idx;
mod mnist;

pub use batches::{Batch, Batches};
pub use mnist::{Images, Mnist};

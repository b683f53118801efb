//! Event files for [TensorBoard](https://github.com/tensorflow/tensorboard): `tensorboard --logdir runs`.
//!
//! [`SummaryWriter`] writes them with PyTorch's method names; [`read`] reads them.

mod logger;
mod name;
mod proto;
mod reader;
mod record;
mod summary;
mod writer;

pub use logger::TensorBoardLogger;
pub use reader::{Entry, Value, read};
pub use summary::{ChartGroup, HyperParameter};
pub use writer::{SummaryWriter, SummaryWriterOptions};

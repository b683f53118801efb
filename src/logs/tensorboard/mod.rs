//! Event files, which [TensorBoard](https://github.com/tensorflow/tensorboard) shows: `tensorboard --logdir runs`.
//!
//! [`SummaryWriter`] writes them under the names that PyTorch's has; [`read`] reads them.

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

//! Training: an epoch, its measurements, accuracy, checkpoints. Prints nothing.

mod batch_norm;
mod checkpoint;
mod epoch;
mod mean;

pub use crate::state::{Numbers, State};
pub use batch_norm::update_batch_norm;
pub use checkpoint::{Position, load, load_parameters, save};
pub use epoch::{Epoch, Step, accuracy, epoch};
pub use mean::RunningMean;

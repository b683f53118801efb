//! Training: an epoch, its measurements, accuracy, checkpoints. Prints nothing.

mod checkpoint;
mod epoch;
mod mean;

pub use checkpoint::{Position, load, load_parameters, save};
pub use epoch::{Epoch, Step, accuracy, epoch};
pub use mean::RunningMean;

//! Training: an epoch, its measurements, accuracy, checkpoints. Prints nothing.

mod batch_norm;
mod callback;
mod checkpoint;
mod epoch;
mod lr_finder;
mod mean;
mod run;

pub use crate::state::{Numbers, State};
pub use batch_norm::update_batch_norm;
pub use callback::{Callback, Callbacks};
pub use checkpoint::{Position, load, save};
pub use epoch::{Epoch, Step, accuracy, epoch};
pub use lr_finder::{LrCurve, LrFinder, Ramp};
pub use mean::RunningMean;
pub use run::{Phase, Requests, Run, Scalars};

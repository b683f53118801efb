//! Training: runs and their parts, and checkpoints. Prints nothing.

mod batch_norm;
mod batch_size;
mod callback;
mod callbacks;
mod checkpoint;
mod evaluate;
mod finite;
mod loader;
mod lr_finder;
mod mean;
mod modes;
mod progress;
pub mod reinforcement;
mod run;
mod session;
mod snapshot;
mod stepper;
mod supervised;
mod task;
mod trainer;

pub use crate::state::{Numbers, State};
pub use batch_norm::update_batch_norm;
pub use batch_size::BatchSizeFinder;
pub use callback::{Callback, Callbacks};
pub use callbacks::{
    BestWeights, ByMetric, Checkpoints, Config, EarlyStopping, Estimate, Finetuning, Monitor, Scheduled, StopFlag,
    TimeLimit,
};
pub use checkpoint::{Position, load, save};
pub use evaluate::{Evaluation, Predictions, evaluate, predict};
pub use loader::{
    BatchPlace, FirstBatches, ImageLoader, Loader, LoaderIter, MapLoader, ReplayedBatches, ResidentLoader,
};
pub use lr_finder::{LrCurve, LrFinder, Ramp};
pub use mean::RunningMean;
pub(crate) use modes::Modes;
pub use run::{Phase, Requests, Run, Scalars};
pub use stepper::Stepper;
pub use supervised::Supervised;
pub(crate) use task::answered_by;
pub use task::{FnTask, Outcome, Task, task};
pub use trainer::{Every, Fit, Trainer, TrainerOptions};

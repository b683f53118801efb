//! Metrics that add up on the device, and are read once.

mod confusion_matrix;
mod counter;
mod counts;
mod labels;
mod metric;
mod score;
mod stat_scores;
mod tally;
mod task;

pub use confusion_matrix::{ConfusionMatrix, Normalize};
pub use counts::Counts;
pub use metric::{Metric, MetricCollection};
pub use score::{KappaWeights, Score};
pub use stat_scores::StatScores;
pub use task::{Average, ClassificationOptions, MultidimAverage, Task};

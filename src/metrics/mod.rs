//! Metrics that add up on the device, and are read once.

mod confusion_matrix;
mod counter;
mod counts;
mod curve;
mod curves;
mod labels;
mod metric;
mod naming;
mod ranking;
mod score;
mod stat_scores;
mod steps;
mod tally;
mod task;
mod thresholds;

pub use confusion_matrix::{ConfusionMatrix, Normalize};
pub use counts::Counts;
pub use curve::{PrecisionRecallCurve, RocCurve};
pub use curves::{CurveOptions, Curves, RankingScore};
pub use metric::{Metric, MetricCollection};
pub use score::{KappaWeights, Score};
pub use stat_scores::StatScores;
pub use task::{Average, ClassificationOptions, MultidimAverage, Task};
pub use thresholds::Thresholds;

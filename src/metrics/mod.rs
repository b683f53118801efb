//! Metrics that add up on the device, and are read once.

mod calibration_error;
mod confusion_matrix;
mod counter;
mod counts;
mod curve;
mod curves;
mod detection;
mod exact_match;
mod image;
mod label_check;
mod labels;
mod log_loss;
mod metric;
mod naming;
mod ranking;
mod regression;
mod score;
mod segmentation;
mod sequences;
mod stat_scores;
mod steps;
mod sums;
mod tally;
mod task;
mod thresholds;

pub use calibration_error::{CalibrationError, CalibrationNorm, CalibrationOptions};
pub use confusion_matrix::{ConfusionMatrix, Normalize};
pub use counts::Counts;
pub use curve::{PrecisionRecallCurve, RocCurve};
pub use curves::{CurveOptions, Curves, RankingScore};
pub use detection::{
    ClassPrecision, Detection, GroundTruth, MeanAveragePrecision, MeanAveragePrecisionOptions,
    MeanAveragePrecisionSummary, PrecisionAverage, VocAveragePrecision, VocAveragePrecisionOptions, VocInterpolation,
    VocSummary,
};
pub use exact_match::ExactMatch;
pub use image::{
    DataRange, MultiscaleNormalize, MultiscaleStructuralSimilarity, MultiscaleStructuralSimilarityOptions,
    PeakSignalNoiseRatio, PeakSignalNoiseRatioOptions, StructuralSimilarity, StructuralSimilarityOptions,
    multiscale_structural_similarity, peak_signal_noise_ratio, structural_similarity, total_variation,
};
pub use log_loss::LogLoss;
pub use metric::{Metric, MetricCollection};
pub use regression::{
    ExplainedVariance, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredErrorOptions,
    MeanSquaredLogError, MultiOutput, PearsonCorrCoef, R2Score, R2ScoreOptions, SymmetricMeanAbsolutePercentageError,
    WeightedMeanAbsolutePercentageError,
};
pub use score::{KappaWeights, Score};
pub use segmentation::{AggregationLevel, SegmentationOptions, SegmentationScores};
pub use sequences::{SequenceScores, edit_distance};
pub use stat_scores::StatScores;
pub use task::{Average, ClassificationOptions, MultidimAverage, Task};
pub use thresholds::Thresholds;

//! Metrics that add up on the device, and are read once.

mod metric;

pub use metric::{Metric, MetricCollection};

//! A check of labels by counting them.

use super::counter::Counter;
use super::task::Task;
use crate::error::Result;
use crate::graph::{Device, Tensor};
use crate::ops::{CountLabels, Tallied};

/// Counts of each label, for metrics that only compare labels: the counting kernel reports labels out of range.
pub(super) struct LabelCheck {
    count: CountLabels,
    counter: Counter,
}

impl LabelCheck {
    pub fn new(device: &Device, op: &'static str, task: Task, ignore_index: Option<i32>) -> Result<LabelCheck> {
        let classes = if let Task::Multiclass(classes) = task { classes } else { 2 };
        let count = CountLabels::new(op, classes, Tallied::Targets, ignore_index);
        Ok(LabelCheck { count, counter: Counter::new(device, &[1, 1, classes])? })
    }

    /// Counts i32 labels.
    #[track_caller]
    pub fn add(&self, target: &Tensor) -> Result<()> {
        self.counter.add(&self.count.clone().of(target, target)?)
    }

    /// Waits for the number of labels, without the ignored ones.
    pub fn total(&self) -> Result<u64> {
        Ok(self.counter.read()?.iter().sum())
    }

    pub fn reset(&self) -> Result<()> {
        self.counter.reset()
    }
}

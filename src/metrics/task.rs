//! The kinds of classification, and the options that all their metrics share.

use crate::error::{Error, Result};
use crate::options::options;

/// The meaning of an item's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// No or yes, 0 or 1. Predictions are truth values, or scores of yes, of the target's shape.
    Binary,
    /// One of this many classes. A target is `[N, ..]`; predictions are class numbers of its shape, or scores `[N, C, ..]`.
    Multiclass(usize),
    /// Each of this many labels holds or doesn't. Targets are `[N, L, ..]` of 0 and 1; predictions are truth values, or scores,
    /// of that shape.
    Multilabel(usize),
}

impl Task {
    /// Numbers counted for a group of elements: one in a binary task, else one a class or label.
    pub(super) fn columns(self) -> usize {
        match self {
            Task::Binary => 1,
            Task::Multiclass(count) | Task::Multilabel(count) => count,
        }
    }

    /// Refuses fewer than two classes or labels.
    pub(super) fn check(self, op: &'static str) -> Result<Task> {
        match self {
            Task::Multiclass(count) | Task::Multilabel(count) if count < 2 => {
                Err(Error::invalid(op, format!("a task of {count} classes; Multiclass and Multilabel take 2 or more")))
            }
            task => Ok(task),
        }
    }
}

/// The average of numbers by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Average {
    /// The score of all classes' counts added up.
    Micro,
    /// The mean over classes, each with the same weight. In a multiclass task, classes that were neither there nor
    /// predicted are left out.
    Macro,
    /// The mean over classes, each weighted by its number of elements.
    Weighted,
    /// None: one number a class.
    None,
}

/// The elements of a multidimensional prediction that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MultidimAverage {
    /// All dimensions together.
    Global,
    /// Each item by itself, over the dimensions behind the classes'.
    Samplewise,
}

options! {
    /// The conversion of scores to labels, and the elements that count.
    #[derive(Clone, Debug, PartialEq)]
    ClassificationOptions {
        /// In binary and multilabel tasks a probability above it is a yes.
        threshold: f32 = 0.5,
        /// In a multiclass task a prediction is right where the true class is among this many with the largest scores; otherwise
        /// it counts as the class with the largest.
        top_k: usize = 1,
        /// Elements with this target count nowhere.
        ignore_index: Option<i32> = None,
        /// Counts of everything, or of each item.
        multidim_average: MultidimAverage = MultidimAverage::Global,
        /// The value of precision, recall, F-beta, Jaccard index and negative predictive value where they are 0 / 0.
        zero_division: f64 = 0.0,
    }
}

impl ClassificationOptions {
    pub(super) fn check(&self, op: &'static str, task: Task) -> Result<()> {
        let fault = |rule: String| Err(Error::invalid(op, rule));
        if !(0.0..=1.0).contains(&self.threshold) {
            return fault(format!("threshold is {}, and must be a probability", self.threshold));
        }
        if ![0.0, 1.0].contains(&self.zero_division) {
            return fault(format!("zero_division is {}, and must be 0 or 1", self.zero_division));
        }
        match task.check(op)? {
            Task::Multiclass(classes) if (1..=classes).contains(&self.top_k) => Ok(()),
            Task::Multiclass(classes) => fault(format!("top_k is {}, of {classes} classes", self.top_k)),
            _ if self.top_k != 1 => fault(format!("top_k is {}; only multiclass tasks have one", self.top_k)),
            _ => Ok(()),
        }
    }
}

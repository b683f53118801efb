//! The state of metrics of labels: counts on the device, and the scores asked of them.

use super::counter::Counter;
use super::counts::{Counts, mean_over_groups};
use super::labels::Labels;
use super::naming::Naming;
use super::score::Score;
use super::task::{Average, ClassificationOptions, MultidimAverage, Task};
use crate::error::Result;
use crate::graph::{Device, Tensor, no_grad};
use crate::ops::{CountLabels, Tallied};

/// Counts of a task's labels.
pub(super) struct Tally {
    op: &'static str,
    task: Task,
    options: ClassificationOptions,
    is_matrix: bool,
    state: State,
    report: Vec<(Score, Average)>,
    naming: Naming,
}

enum State {
    Global(Counter),
    /// Counts of the items of each batch.
    Samplewise(Vec<Tensor>),
}

impl Tally {
    pub fn new(
        op: &'static str,
        device: &Device,
        task: Task,
        options: &ClassificationOptions,
        is_matrix: bool,
    ) -> Result<Tally> {
        options.check(op, task)?;
        let (groups, rows, classes) = match task {
            Task::Binary => (1, 2, 2),
            Task::Multilabel(labels) => (labels, 2, 2),
            Task::Multiclass(classes) => (1, if is_matrix { classes } else { 3 }, classes),
        };
        let shape = [groups, rows, classes];
        // Counts of each item of a batch have this size too.
        Counter::check(device, &shape)?;
        let state = match options.multidim_average {
            MultidimAverage::Global => State::Global(Counter::new(device, &shape)?),
            MultidimAverage::Samplewise => State::Samplewise(Vec::new()),
        };
        let is_matrix = is_matrix || !matches!(task, Task::Multiclass(_));
        let (report, naming) = (Vec::new(), Naming::new(task));
        Ok(Tally { op, task, options: options.clone(), is_matrix, state, report, naming })
    }

    pub fn report(&mut self, score: Score, average: Average) {
        self.report.push((score, average));
    }

    pub fn class_names(&mut self, names: &[String]) -> Result<()> {
        self.naming.set_classes(self.op, names)
    }

    #[track_caller]
    pub fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let masked = self.is_matrix && self.task == Task::Binary;
            let labels = Labels::new(self.op, self.task, &self.options, [preds, target], masked)?;
            let (parts, classes) = match self.task {
                Task::Binary => (1, 2),
                Task::Multilabel(labels) => (labels, 2),
                Task::Multiclass(classes) => (1, classes),
            };
            let tallied = if self.is_matrix { Tallied::Pairs } else { Tallied::Sums };
            let count = CountLabels::new(self.op, classes, tallied, self.options.ignore_index);
            match &mut self.state {
                State::Global(counter) => {
                    counter.add(&count.grouped(parts, labels.inner).of(&labels.preds, &labels.target)?)
                }
                State::Samplewise(batches) => {
                    let groups = labels.items * parts;
                    batches.push(count.grouped(groups, labels.inner).of(&labels.preds, &labels.target)?);
                    Ok(())
                }
            }
        })
    }

    pub fn counts(&self) -> Result<Counts> {
        let counted = match &self.state {
            State::Global(counter) => counter.read()?,
            State::Samplewise(batches) if batches.is_empty() => Vec::new(),
            State::Samplewise(batches) => {
                let all = no_grad(|| Tensor::cat(&batches.iter().collect::<Vec<_>>(), 0))?.to_vec::<i32>()?;
                all.into_iter().map(|count| u64::from(count.cast_unsigned())).collect()
            }
        };
        Ok(Counts::new(self.task, &self.options, counted, self.is_matrix))
    }

    pub fn compute(&self) -> Result<Vec<(String, f64)>> {
        let counts = self.counts()?;
        let mut named = Vec::new();
        for &(score, average) in &self.report {
            let values = mean_over_groups(&counts.score(score, average)?, counts.groups());
            let mut name = score.name();
            if self.options.top_k > 1 {
                name = format!("{name}/top{}", self.options.top_k);
            }
            let average = if score.is_of_all() { Average::Micro } else { average };
            named.extend(self.naming.tell(&name, average, &values));
        }
        Ok(named)
    }

    pub fn reset(&mut self) -> Result<()> {
        match &mut self.state {
            State::Global(counter) => counter.reset(),
            State::Samplewise(batches) => {
                batches.clear();
                Ok(())
            }
        }
    }
}

/// A metric that is a tally: the methods that both kinds share.
macro_rules! tallied {
    ($name:ident) => {
        impl $name {
            /// Makes [`compute`](Metric::compute) report a score too, as `"accuracy"` (micro, and scores without an
            /// average), `"f1/macro"`, `"recall/weighted"` or, with [`Average::None`], `"iou/CLASS"` for each class;
            /// with `top_k` as `"accuracy/top5"`. With counts of each item the value is the mean over items.
            #[must_use = "it returns the metric with the score"]
            pub fn report(mut self, score: Score, average: Average) -> $name {
                self.tally.report(score, average);
                self
            }

            /// Names the classes or labels in the values reported for each; without names their numbers stand there.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) if there are more or fewer classes.
            pub fn class_names(mut self, names: &[String]) -> Result<$name> {
                self.tally.class_names(names)?;
                Ok(self)
            }

            /// Waits for the counts since the last reset.
            ///
            /// # Errors
            /// Any error of the device since the last synchronisation.
            pub fn counts(&self) -> Result<Counts> {
                self.tally.counts()
            }
        }

        impl Metric for $name {
            fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
                self.tally.update(preds, target)
            }
            fn compute(&self) -> Result<Vec<(String, f64)>> {
                self.tally.compute()
            }
            fn reset(&mut self) -> Result<()> {
                self.tally.reset()
            }
        }
    };
}
pub(super) use tallied;

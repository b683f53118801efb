//! The state of curves on the device: scores that are kept, or counts of them by bin.

use super::counter::Counter;
use super::curves::CurveOptions;
use super::label_check::LabelCheck;
use super::labels::{check_shapes, counted, probabilities, scores, whole};
use super::steps::Steps;
use super::task::Task;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, no_grad};
use crate::ops::{CountLabels, Tallied};

const OP: &str = "Curves";

/// Scores with their targets.
pub(super) struct Ranking {
    task: Task,
    ignore_index: Option<i32>,
    labels: LabelCheck,
    state: State,
}

enum State {
    /// A tensor `[2, columns, elements]` for each batch: scores, and 1 for positive ones, 0 for negative ones, -1 for those to be
    /// ignored.
    Exact(Vec<Tensor>),
    Binned(Box<Bins>),
}

struct Bins {
    /// The thresholds in the given order; `sorted` has them by size, on the device.
    thresholds: Vec<f32>,
    sorted: Tensor,
    /// The position of each among the sorted ones.
    ranks: Vec<usize>,
    /// `[columns, 2, T + 1]`: negatives and positives by the number of thresholds that they reach.
    counts: Counter,
}

impl Ranking {
    pub fn new(device: &Device, task: Task, options: &CurveOptions) -> Result<Ranking> {
        let columns = task.check(OP)?.columns();
        let state = match options.thresholds.numbers(OP)? {
            None => State::Exact(Vec::new()),
            Some(thresholds) => {
                let mut order: Vec<usize> = (0..thresholds.len()).collect();
                order.sort_by(|&a, &b| thresholds[a].total_cmp(&thresholds[b]));
                let sorted: Vec<f32> = order.iter().map(|&at| thresholds[at]).collect();
                let rank = |threshold: &f32| sorted.partition_point(|other| other < threshold);
                let ranks = thresholds.iter().map(rank).collect();
                let counts = Counter::new(device, &[1, 1, columns.saturating_mul(2).saturating_mul(sorted.len() + 1)])?;
                let sorted = Tensor::from_slice(device, &sorted, &[sorted.len()])?;
                State::Binned(Box::new(Bins { thresholds, sorted, ranks, counts }))
            }
        };
        let labels = LabelCheck::new(device, OP, task, options.ignore_index)?;
        Ok(Ranking { task, ignore_index: options.ignore_index, labels, state })
    }

    #[track_caller]
    pub fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            if !check_shapes(OP, self.task, preds, target)? && matches!(self.task, Task::Multiclass(_)) {
                let rule = format!("a ranking needs scores by class, [N, C, ..]; predictions are {}", preds.shape());
                return Err(Error::invalid(OP, rule));
            }
            let (scores, target) = (scores(OP, preds)?, whole(target)?);
            self.labels.add(&target)?;
            let (scores, flags) = columns(self.task, &scores, &target, self.ignore_index)?;
            match &mut self.state {
                State::Exact(batches) => batches.push(Tensor::stack(&[&scores, &flags.to_dtype(DType::F32)?], 0)?),
                State::Binned(bins) => bins.count(&scores, &flags)?,
            }
            Ok(())
        })
    }

    /// The steps of each column, or of all of them together.
    pub fn steps(&self, together: bool) -> Result<Vec<Steps>> {
        match &self.state {
            State::Exact(batches) if batches.is_empty() => {
                let columns = if together { 1 } else { self.task.columns() };
                Ok((0..columns).map(|_| Steps::ranked(&[], &[])).collect())
            }
            State::Exact(batches) => sorted(batches, together),
            State::Binned(bins) => {
                let counts = bins.counts.read()?;
                let column = 2 * (bins.thresholds.len() + 1);
                let of = |counts: &[u64]| Steps::binned(&bins.thresholds, &bins.ranks, counts);
                if !together {
                    return Ok(counts.chunks(column).map(of).collect());
                }
                let sum = |at: usize| counts.iter().skip(at).step_by(column).sum();
                Ok(vec![of(&(0..column).map(sum).collect::<Vec<u64>>())])
            }
        }
    }

    pub fn reset(&mut self) -> Result<()> {
        self.labels.reset()?;
        match &mut self.state {
            State::Exact(batches) => {
                batches.clear();
                Ok(())
            }
            State::Binned(bins) => bins.counts.reset(),
        }
    }
}

/// Probabilities `[columns, elements]`, and for each 1 if it is positive, 0 if negative and -1 if it is ignored.
fn columns(task: Task, scores: &Tensor, target: &Tensor, ignore_index: Option<i32>) -> Result<(Tensor, Tensor)> {
    let count = task.columns();
    let counted = counted(target, ignore_index)?;
    let by_column = |of: &Tensor| -> Result<Tensor> {
        let shape = of.shape();
        let dims: Vec<usize> = [1, 0].into_iter().chain(2..shape.len()).collect();
        let elements = shape.numel() / count;
        of.permute(&dims)?.contiguous()?.reshape(&[count as isize, elements as isize])
    };
    let (scores, positive, counted) = match task {
        Task::Binary => {
            let flat = |of: &Tensor| of.contiguous()?.reshape(&[1, of.numel() as isize]);
            let scores = probabilities(scores, None, counted.as_ref())?;
            (flat(&scores)?, flat(target)?, counted.as_ref().map(flat).transpose()?)
        }
        Task::Multilabel(_) => {
            let scores = probabilities(scores, None, None)?;
            (by_column(&scores)?, by_column(target)?, counted.as_ref().map(by_column).transpose()?)
        }
        Task::Multiclass(_) => {
            let scores = probabilities(scores, Some(1), counted.as_ref())?;
            let classes = Tensor::arange(target.device(), 0.0, count as f64, 1.0, DType::I32)?.unsqueeze(1)?;
            let row = |of: &Tensor| of.contiguous()?.reshape(&[1, of.numel() as isize]);
            let positive = row(target)?.eq(&classes)?.to_dtype(DType::I32)?;
            (by_column(&scores)?, positive, counted.as_ref().map(row).transpose()?)
        }
    };
    let flags = match counted {
        None => positive,
        Some(counted) => counted.where_(&positive, &positive.full_like(-1.0)?)?,
    };
    Ok((scores, flags))
}

/// Sorts all scores on the device, column by column, and reads them with their flags, once.
fn sorted(batches: &[Tensor], together: bool) -> Result<Vec<Steps>> {
    let read = no_grad(|| {
        let all = Tensor::cat(&batches.iter().collect::<Vec<_>>(), 2)?;
        let all = if together { all.contiguous()?.reshape(&[2, 1, -1])? } else { all };
        let (scores, order) = all.narrow(0, 0, 1)?.sort(2, true)?;
        let flags = all.narrow(0, 1, 1)?.gather(2, &order)?;
        Tensor::cat(&[&scores, &flags], 0)
    })?;
    let (columns, elements) = (read.shape()[1], read.shape()[2]);
    let values = read.to_vec::<f32>()?;
    let (scores, flags) = values.split_at(values.len() / 2);
    let column = |at: usize| Steps::ranked(&scores[at * elements..][..elements], &flags[at * elements..][..elements]);
    Ok((0..columns).map(column).collect())
}

impl Bins {
    /// Counts scores `[columns, elements]` by column, flag and the number of thresholds that each reaches.
    fn count(&self, scores: &Tensor, flags: &Tensor) -> Result<()> {
        let count = self.thresholds.len() + 1;
        let reached = scores.unsqueeze(2)?.ge(&self.sorted)?.to_dtype(DType::I32)?.sum(2)?;
        let columns = scores.shape()[0];
        let first = Tensor::arange(scores.device(), 0.0, columns as f64, 1.0, DType::I32)?.unsqueeze(1)?;
        let row = (first * 2.0 + flags)?;
        let place = (row * count as f64 + reached)?;
        let is_counted = flags.ge_scalar(0.0)?;
        let place = is_counted.where_(&place, &place.full_like(-1.0)?)?.contiguous()?;
        let counted = CountLabels::new(OP, columns * 2 * count, Tallied::Targets, Some(-1)).of(&place, &place)?;
        self.counts.add(&counted)
    }
}

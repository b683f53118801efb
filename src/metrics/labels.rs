//! Predictions and targets of any form as class numbers.

use super::task::{ClassificationOptions, MultidimAverage, Task};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;

/// A batch as i32 classes of one shape, `[N, ..]` or `[N, L, ..]`.
pub(super) struct Labels {
    pub preds: Tensor,
    pub target: Tensor,
    /// Items: the first size.
    pub items: usize,
    /// Elements of an item, or of each of its labels.
    pub inner: usize,
}

/// Checks the shapes of a batch: `Ok(true)` where predictions are scores by class.
pub(super) fn check_shapes(op: &'static str, task: Task, preds: &Tensor, target: &Tensor) -> Result<bool> {
    let (said, is) = (preds.shape(), target.shape());
    let fault = |expected: &str| {
        Err(Error::invalid(op, format!("predictions {said} and targets {is}: in a task {task:?} {expected}")))
    };
    match task {
        Task::Binary if said == is && !is.is_empty() => Ok(false),
        Task::Binary => fault("they have one shape, [N, ..]"),
        Task::Multilabel(labels) if said == is && is.get(1) == Some(&labels) => Ok(false),
        Task::Multilabel(labels) => fault(&format!("they have one shape, [N, {labels}, ..]")),
        Task::Multiclass(_) if said == is && !is.is_empty() => Ok(false),
        Task::Multiclass(classes)
            if said.len() == is.len() + 1
                && said.get(1) == Some(&classes)
                && said[0] == is[0]
                && said[2..] == is[1..] =>
        {
            Ok(true)
        }
        Task::Multiclass(classes) => {
            fault(&format!("predictions are class numbers of the targets' shape [N, ..] or scores [N, {classes}, ..]"))
        }
    }
}

/// Targets as i32; floats must be whole numbers, and any others become a number that is not a class.
pub(super) fn whole(target: &Tensor) -> Result<Tensor> {
    let integers = target.to_dtype(DType::I32)?;
    if !target.dtype().is_float() {
        return Ok(integers);
    }
    let is_whole = integers.to_dtype(target.dtype())?.eq(target)?;
    is_whole.where_(&integers, &integers.full_like(f64::from(i32::MIN))?)
}

/// Scores as f32.
pub(super) fn scores(op: &'static str, preds: &Tensor) -> Result<Tensor> {
    if !preds.dtype().is_float() {
        return Err(Error::WrongDType { op, expected: "scores, which are floats", got: preds.dtype() });
    }
    preds.detach().to_dtype(DType::F32)
}

/// Scores as probabilities along `dim` (softmax), or each by itself (sigmoid): unchanged if all that count are in 0..1, and
/// computed from logits otherwise. `counted` has no dimension `dim`.
pub(super) fn probabilities(scores: &Tensor, dim: Option<usize>, counted: Option<&Tensor>) -> Result<Tensor> {
    let mut is_probability = scores.ge_scalar(0.0)?.logical_and(&scores.le_scalar(1.0)?)?;
    if let Some(counted) = counted {
        let ignored = counted.logical_not()?;
        let ignored = dim.map_or(Ok(ignored.clone()), |dim| ignored.unsqueeze(dim))?;
        is_probability = is_probability.logical_or(&ignored)?;
    }
    let computed = match dim {
        Some(dim) => scores.softmax(dim)?,
        None => scores.sigmoid()?,
    };
    is_probability.all_all()?.where_(scores, &computed)
}

/// False for ignored elements.
pub(super) fn counted(target: &Tensor, ignore_index: Option<i32>) -> Result<Option<Tensor>> {
    ignore_index.map(|ignored| target.ne(&target.full_like(f64::from(ignored))?)).transpose()
}

/// The classes' numbers along dimension 1 of scores.
fn class_numbers(scores: &Tensor) -> Result<Tensor> {
    let numbers = Tensor::arange(scores.device(), 0.0, scores.shape()[1] as f64, 1.0, DType::I32)?;
    numbers.reshape(&[&[-1], &vec![1; scores.rank() - 2][..]].concat())
}

/// True for the score, along dimension 1, of each target's own class.
pub(super) fn class_mask(scores: &Tensor, target: &Tensor) -> Result<Tensor> {
    class_numbers(scores)?.eq(&target.unsqueeze(1)?)
}

impl Labels {
    /// `masked`: ignored elements have no say in the choice between probabilities and logits.
    pub fn new(
        op: &'static str,
        task: Task,
        options: &ClassificationOptions,
        [preds, target]: [&Tensor; 2],
        masked: bool,
    ) -> Result<Labels> {
        let by_class = check_shapes(op, task, preds, target)?;
        let front = if matches!(task, Task::Multilabel(_)) { 2 } else { 1 };
        if options.multidim_average == MultidimAverage::Samplewise && target.rank() == front {
            let rule = format!("counts of each item need dimensions to count over, and targets are {}", target.shape());
            return Err(Error::invalid(op, rule));
        }
        let is_scores = preds.dtype().is_float();
        let target = whole(target)?;
        let preds = match task {
            Task::Multiclass(_) if by_class => classes(&scores(op, preds)?, &target, options.top_k)?,
            Task::Multiclass(_) if is_scores => {
                let expected = "class numbers, which are integers, or scores [N, C, ..]";
                return Err(Error::WrongDType { op, expected, got: preds.dtype() });
            }
            Task::Multiclass(_) if options.top_k > 1 => {
                let rule = format!("top_k is {}, and predictions are class numbers and no scores", options.top_k);
                return Err(Error::invalid(op, rule));
            }
            _ if is_scores => {
                let counted = if masked { counted(&target, options.ignore_index)? } else { None };
                let probabilities = probabilities(&scores(op, preds)?, None, counted.as_ref())?;
                probabilities.gt_scalar(options.threshold)?.to_dtype(DType::I32)?
            }
            _ => preds.to_dtype(DType::I32)?,
        };
        let (items, inner) = (target.shape()[0], target.shape()[front..].iter().product());
        Ok(Labels { preds, target, items, inner })
    }
}

/// The class with the largest score; or the true one if fewer than `top_k` have larger scores, or come first among equals. NaN is
/// the largest of all.
fn classes(scores: &Tensor, target: &Tensor, top_k: usize) -> Result<Tensor> {
    let largest = scores.argmax(1)?;
    if top_k == 1 {
        return Ok(largest);
    }
    let numbers = class_numbers(scores)?;
    let label = target.unsqueeze(1)?;
    let own = class_mask(scores, target)?.where_(scores, &scores.zeros_like()?)?.sum_keepdim(1)?;
    let comes_later = scores.eq(&own)?.logical_and(&numbers.ge(&label)?)?;
    let is_behind = scores.lt(&own)?.logical_or(&comes_later)?;
    let ahead = is_behind.logical_not()?.to_dtype(DType::I32)?.sum(1)?;
    ahead.lt_scalar(top_k as f32)?.where_(target, &largest)
}

//! Metrics of rankings.

use super::classification::{average, ignore_index, named, task};
use super::{Answer, Answers, Call, Refusal};
use serde_json::Value;
use wgrad::metrics::{Average, CurveOptions, Curves, Metric, Task, Thresholds};

/// The answers, if it is a metric of rankings.
pub(super) fn run(call: &Call) -> Option<Answers> {
    Some(match named(call.name).0 {
        "roc" => curves(call, |curves, average| {
            let part = |curve: wgrad::metrics::RocCurve| {
                [curve.false_positive_rate, curve.true_positive_rate, curve.thresholds]
            };
            Ok(curves.roc(average)?.into_iter().map(part).collect())
        }),
        "precision_recall_curve" => curves(call, |curves, average| {
            let part = |curve: wgrad::metrics::PrecisionRecallCurve| [curve.precision, curve.recall, curve.thresholds];
            Ok(curves.precision_recall(average)?.into_iter().map(part).collect())
        }),
        "auroc" => {
            let max_fpr = call.attributes.optional("max_fpr", None);
            max_fpr.and_then(|max_fpr| number(call, |curves, average| curves.auroc(average, max_fpr)))
        }
        "average_precision" => number(call, Curves::average_precision),
        _ => return None,
    })
}

/// Curves of the call's one batch.
fn ranked(call: &Call, task: Task) -> Result<(Curves, bool), Refusal> {
    let list = |value: &Value| match value {
        Value::Array(numbers) => {
            let number = |number: &Value| number.as_f64().map(|number| number as f32);
            Some(Thresholds::List(numbers.iter().map(number).collect::<Option<_>>()?))
        }
        value => value.as_u64().map(|count| Thresholds::Count(count as usize)),
    };
    let thresholds = call.attributes.map("thresholds", list)?.unwrap_or(Thresholds::Exact);
    let is_binned = thresholds != Thresholds::Exact;
    let options = CurveOptions::default().thresholds(thresholds).ignore_index(ignore_index(call)?);
    let mut curves = Curves::new(call.device, task, &options)?;
    curves.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    Ok((curves, is_binned))
}

/// All curves' first axes, then the second ones, then the thresholds: stacked if the thresholds are given.
fn curves(call: &Call, of: impl Fn(&Curves, Average) -> wgrad::Result<Vec<[Vec<f64>; 3]>>) -> Answers {
    let task = task(call)?;
    // Other tasks have no average, and torchmetrics ignores it.
    let given = average(call, "none")?;
    let average = if matches!(task, Task::Multiclass(_)) { given } else { Average::None };
    let (curves, is_binned) = ranked(call, task)?;
    let curves = of(&curves, average)?;
    let is_stacked = is_binned && average == Average::None && task != Task::Binary;
    let axis = |axis: usize| curves.iter().map(move |curve| curve[axis].clone());
    if !is_stacked {
        return Ok((0..3).flat_map(axis).map(Answer::list).collect());
    }
    let stacked = |at: usize| Answer {
        shape: vec![curves.len(), curves[0][at].len()],
        values: axis(at).collect::<Vec<_>>().concat(),
    };
    Ok(vec![stacked(0), stacked(1), Answer::list(curves[0][2].clone())])
}

fn number(call: &Call, of: impl Fn(&Curves, Average) -> wgrad::Result<Vec<f64>>) -> Answers {
    let task = task(call)?;
    let average = average(call, "macro")?;
    let (curves, _) = ranked(call, task)?;
    let values = of(&curves, average)?;
    Ok(vec![match task {
        Task::Multiclass(_) | Task::Multilabel(_) if average == Average::None => Answer::list(values),
        _ => Answer::number(values[0]),
    }])
}

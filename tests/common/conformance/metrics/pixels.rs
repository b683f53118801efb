//! Metrics of segmentations.

use super::classification::average;
use super::{Answer, Answers, Call, Refusal};
use wgrad::metrics::{AggregationLevel, Average, Metric, SegmentationOptions, SegmentationScores};

/// The answers, if it is a metric of segmentations.
pub(super) fn run(call: &Call) -> Option<Answers> {
    Some(match call.name {
        "mean_iou" => mean_iou(call),
        "dice_score" => dice_score(call),
        _ => return None,
    })
}

/// The scores of the call's batch, and the classes that count.
fn scores(call: &Call, level: AggregationLevel) -> Result<(SegmentationScores, usize), Refusal> {
    if !matches!(call.attributes.text("input_format", "one-hot")?, "index" | "mixed") {
        return Err(Refusal::Unsupported("input_format one-hot".into()));
    }
    let classes = call.attributes.count("num_classes", 0)? as usize;
    let background = call.attributes.flag("include_background", true)?;
    let options = SegmentationOptions::default().include_background(background).aggregation_level(level);
    let mut scores = SegmentationScores::new(call.device, classes, options)?;
    scores.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    Ok((scores, classes - usize::from(!background)))
}

fn mean_iou(call: &Call) -> Answers {
    let (scores, classes) = scores(call, AggregationLevel::Samplewise)?;
    if !call.attributes.flag("per_class", false)? {
        return Ok(vec![Answer::list(scores.mean_iou()?)]);
    }
    // torchmetrics' number for a class that does not occur.
    let values: Vec<f64> = scores.iou()?.into_iter().map(|iou| if iou.is_nan() { -1.0 } else { iou }).collect();
    Ok(vec![Answer { shape: vec![values.len() / classes, classes], values }])
}

fn dice_score(call: &Call) -> Answers {
    let level = match call.attributes.text("aggregation_level", "samplewise")? {
        "samplewise" => AggregationLevel::Samplewise,
        "global" => AggregationLevel::Global,
        _ => return Err(call.attributes.wrong("aggregation_level")),
    };
    let average = average(call, "macro")?;
    let (scores, classes) = scores(call, level)?;
    let values = scores.dice_score(average)?;
    let columns = if average == Average::None { vec![classes] } else { Vec::new() };
    let images = values.len() / columns.iter().product::<usize>();
    Ok(vec![Answer { shape: [vec![images], columns].concat(), values }])
}

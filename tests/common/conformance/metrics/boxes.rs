//! Metrics of boxes.

use super::{Answer, Answers, Call, Refusal};
use wgrad::metrics::{
    Detection, GroundTruth, MeanAveragePrecision, MeanAveragePrecisionOptions, Metric, PrecisionAverage,
    VocAveragePrecision, VocAveragePrecisionOptions, VocInterpolation,
};
use wgrad::{BoxFormat, Tensor};

/// The answers of a metric of boxes, where it is one.
pub(super) fn run(call: &Call) -> Option<Answers> {
    Some(match call.name {
        "mean_average_precision" => mean_average_precision(call),
        "coco_evaluation" => coco_evaluation(call),
        "voc_average_precision" => voc_average_precision(call),
        _ => return None,
    })
}

/// Boxes, each with its other numbers.
type Rows = Vec<Vec<f64>>;

/// The numbers of an argument for an image.
fn numbers<'a>(call: &'a Call, argument: &str, image: usize) -> Option<&'a [f64]> {
    let name = format!("{argument}.{image}");
    call.case.args.iter().find(|(arg, _)| *arg == name).map(|(_, values)| &values.values[..])
}

/// Rows `[x1, y1, x2, y2, ..]` of an image's boxes with their other numbers.
fn rows(call: &Call, image: usize, boxes: &str, rest: &[&str]) -> Option<Rows> {
    let boxes = numbers(call, boxes, image)?;
    let rest: Vec<Option<&[f64]>> = rest.iter().map(|name| numbers(call, name, image)).collect();
    let row = |(at, bounds): (usize, &[f64; 4])| {
        let more = rest.iter().map(|values| values.map_or(0.0, |values| values[at]));
        bounds.iter().copied().chain(more).collect()
    };
    Some(boxes.as_chunks().0.iter().enumerate().map(row).collect())
}

/// The boxes of an image in rows of a tensor, after a row of padding.
fn tensor(call: &Call, rows: &[Vec<f64>], columns: usize, label: usize) -> wgrad::Result<Tensor> {
    let mut filling = vec![0.0; columns];
    filling[label] = -1.0;
    let values = [filling].iter().chain(rows).flatten().map(|&value| value as f32).collect::<Vec<_>>();
    Tensor::from_slice(call.device, &values, &[1, rows.len() + 1, columns])
}

/// The detections and the objects of each image.
fn scenes(call: &Call, ignored: &str) -> Vec<(Rows, Rows)> {
    let scene = |image| {
        let found = rows(call, image, "preds.boxes", &["preds.scores", "preds.labels"])?;
        let truths = rows(call, image, "target.boxes", &["target.labels", ignored, "target.area"])?;
        Some((found, truths))
    };
    (0..).map_while(scene).collect()
}

fn detection(row: &[f64]) -> Detection {
    Detection { label: row[5] as i32, score: row[4], bounds: *row.first_chunk().unwrap() }
}

fn truth(row: &[f64]) -> GroundTruth {
    let area = Some(row[6]).filter(|&area| area > 0.0);
    GroundTruth { is_ignored: row[5] != 0.0, area, ..GroundTruth::new(row[4] as i32, *row.first_chunk().unwrap()) }
}

fn coco(call: &Call, options: MeanAveragePrecisionOptions) -> Result<MeanAveragePrecision, Refusal> {
    let mut metric = MeanAveragePrecision::new(options)?;
    for (found, truths) in scenes(call, "target.iscrowd") {
        metric.update(&tensor(call, &found, 6, 5)?, &tensor(call, &truths, 7, 4)?)?;
    }
    Ok(metric)
}

/// Numbers as torchmetrics makes them, in f32.
fn linspace(low: f32, high: f32, count: i32) -> Vec<f64> {
    let step = (high - low) / (count - 1) as f32;
    let at = |at: i32| if at < count / 2 { low + step * at as f32 } else { high - step * (count - 1 - at) as f32 };
    (0..count).map(|place| f64::from(at(place))).collect()
}

fn mean_average_precision(call: &Call) -> Answers {
    let mut options = MeanAveragePrecisionOptions::default();
    options.box_format = match call.attributes.text("box_format", "xyxy")? {
        "xyxy" => BoxFormat::Xyxy,
        "xywh" => BoxFormat::Xywh,
        "cxcywh" => BoxFormat::Cxcywh,
        _ => return Err(call.attributes.wrong("box_format")),
    };
    options.average = match call.attributes.text("average", "macro")? {
        "macro" => PrecisionAverage::Macro,
        "micro" => PrecisionAverage::Micro,
        _ => return Err(call.attributes.wrong("average")),
    };
    options.iou_thresholds =
        Some(call.attributes.numbers("iou_thresholds")?.unwrap_or_else(|| linspace(0.5, 0.95, 10)));
    options.rec_thresholds =
        Some(call.attributes.numbers("rec_thresholds")?.unwrap_or_else(|| linspace(0.0, 1.0, 101)));
    if let Some(counts) = call.attributes.numbers("max_detection_thresholds")? {
        let counts: [f64; 3] = counts.try_into().map_err(|_| call.attributes.wrong("max_detection_thresholds"))?;
        options.max_detection_thresholds = counts.map(|count| count as usize);
    }
    let values = coco(call, options)?.compute()?;
    Ok(values.into_iter().take(9).map(|(_, value)| Answer::number(value)).collect())
}

fn coco_evaluation(call: &Call) -> Answers {
    let metric = coco(call, MeanAveragePrecisionOptions::default())?;
    let values = metric.compute()?.into_iter().map(|(_, value)| value).collect();
    let classes = metric.summary()?.classes;
    let by_class = Answer {
        shape: vec![classes.len(), 2],
        values: classes.iter().flat_map(|class| [class.map, class.mar]).collect(),
    };
    Ok(vec![Answer::list(values), by_class])
}

fn voc_average_precision(call: &Call) -> Answers {
    let interpolation = match call.attributes.text("interpolation", "area")? {
        "area" => VocInterpolation::Area,
        "11-point" => VocInterpolation::ElevenPoint,
        _ => return Err(call.attributes.wrong("interpolation")),
    };
    let options = VocAveragePrecisionOptions::default()
        .iou_threshold(call.attributes.number("iou_threshold", 0.5)?)
        .interpolation(interpolation);
    let mut metric = VocAveragePrecision::new(options);
    for (found, truths) in scenes(call, "target.difficult") {
        let found: Vec<Detection> = found.iter().map(|row| detection(row)).collect();
        let truths: Vec<GroundTruth> = truths.iter().map(|row| truth(row)).collect();
        metric.add(&found, &truths);
    }
    let summary = metric.summary()?;
    let classes = summary.classes.into_iter().map(|(_, precision)| precision).collect();
    Ok(vec![Answer::number(summary.map), Answer::list(classes)])
}

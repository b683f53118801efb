//! torchvision's operations for detection.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use std::borrow::Cow;
use wgrad::{BoxFormat, RoiAlignOptions, Tensor};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["roi_align"],
        tensors: &["input", "boxes"],
        attributes: &["output_size", "spatial_scale", "sampling_ratio", "aligned"],
        run: regions,
    },
    Operation {
        names: &["roi_pool"],
        tensors: &["input", "boxes"],
        attributes: &["output_size", "spatial_scale"],
        run: regions,
    },
    Operation { names: &["nms"], tensors: &["boxes", "scores"], attributes: &["iou_threshold"], run: select },
    Operation { names: &["remove_small_boxes"], tensors: &["boxes"], attributes: &["min_size"], run: select },
    Operation { names: &["box_area"], tensors: &["boxes"], attributes: &["fmt"], run: measure },
    Operation { names: &["box_iou"], tensors: &["boxes1", "boxes2"], attributes: &["fmt"], run: measure },
    Operation { names: &["generalized_box_iou"], tensors: &["boxes1", "boxes2"], attributes: &[], run: measure },
    Operation {
        names: &["distance_box_iou", "complete_box_iou"],
        tensors: &["boxes1", "boxes2"],
        attributes: &["eps"],
        run: measure,
    },
    Operation { names: &["box_convert"], tensors: &["boxes"], attributes: &["in_fmt", "out_fmt"], run: measure },
    Operation { names: &["clip_boxes_to_image"], tensors: &["boxes"], attributes: &["size"], run: measure },
];

fn regions(call: &Call) -> Results {
    let input = call.tensor("input")?;
    // One tensor, or a list of them, one for each image.
    let boxes = match call.optional("boxes") {
        Some(boxes) => Cow::Borrowed(boxes),
        None => Cow::Owned(Tensor::convert_boxes_to_roi_format(&call.list("boxes"))?),
    };
    let size = call.pair("output_size")?.ok_or_else(|| call.wrong("output_size"))?;
    let spatial_scale = call.number("spatial_scale")?.unwrap_or(1.0);
    if call.op == "roi_pool" {
        return Ok(vec![input.roi_pool(&boxes, size, spatial_scale)?]);
    }
    let ratio = call.integers("sampling_ratio")?.and_then(|ratio| ratio.first().copied()).unwrap_or(-1);
    let options = RoiAlignOptions {
        spatial_scale,
        // torchvision takes any number that is not above 0 for "as many as needed".
        sampling_ratio: usize::try_from(ratio).ok().filter(|&ratio| ratio > 0),
        aligned: call.flag("aligned", false)?,
    };
    Ok(vec![input.roi_align(&boxes, size, &options)?])
}

fn select(call: &Call) -> Results {
    let boxes = call.tensor("boxes")?;
    if call.op == "remove_small_boxes" {
        let least = call.number("min_size")?.ok_or_else(|| call.wrong("min_size"))?;
        return Ok(vec![boxes.remove_small_boxes(least)?]);
    }
    let threshold = call.attr("iou_threshold").and_then(Value::as_f64).ok_or_else(|| call.wrong("iou_threshold"))?;
    Ok(vec![boxes.nms(call.tensor("scores")?, threshold)?])
}

fn format(call: &Call, name: &str) -> Result<BoxFormat, Refusal> {
    match call.attr(name).map_or(Some("xyxy"), Value::as_str) {
        Some("xyxy") => Ok(BoxFormat::Xyxy),
        Some("xywh") => Ok(BoxFormat::Xywh),
        Some("cxcywh") => Ok(BoxFormat::Cxcywh),
        Some("xywhr" | "cxcywhr" | "xyxyxyxy") => Err(Refusal::Unsupported(format!("{}: {name}", call.op))),
        _ => Err(call.wrong(name)),
    }
}

fn measure(call: &Call) -> Results {
    let eps = call.number("eps")?.unwrap_or(1e-7);
    let (boxes, two) = (call.optional("boxes"), call.optional("boxes1").zip(call.optional("boxes2")));
    Ok(vec![match (call.op, boxes, two) {
        ("box_area", Some(boxes), _) => boxes.box_area(format(call, "fmt")?)?,
        ("box_convert", Some(boxes), _) => boxes.box_convert(format(call, "in_fmt")?, format(call, "out_fmt")?)?,
        ("clip_boxes_to_image", Some(boxes), _) => {
            boxes.clip_boxes_to_image(call.pair("size")?.ok_or_else(|| call.wrong("size"))?)?
        }
        ("box_iou", _, Some((a, b))) => a.box_iou(b, format(call, "fmt")?)?,
        ("generalized_box_iou", _, Some((a, b))) => a.generalized_box_iou(b)?,
        ("distance_box_iou", _, Some((a, b))) => a.distance_box_iou(b, eps)?,
        ("complete_box_iou", _, Some((a, b))) => a.complete_box_iou(b, eps)?,
        _ => return Err(call.unsupported()),
    }])
}

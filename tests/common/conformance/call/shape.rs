//! The same elements in other places: padding, joining, dividing, rearranging.

use super::{Call, Operation, Results};
use serde_json::Value;
use wgrad::{PadMode, Tensor};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["pad"], tensors: &["input"], attributes: &["pad", "mode", "value"], run: pad },
    Operation { names: &["cat", "stack"], tensors: &["tensors"], attributes: &["dim"], run: join },
    Operation { names: &["split"], tensors: &["tensor"], attributes: &["split_size_or_sections", "dim"], run: divide },
    Operation { names: &["chunk"], tensors: &["input"], attributes: &["chunks", "dim"], run: divide },
    Operation { names: &["flip"], tensors: &["input"], attributes: &["dims"], run: rearrange },
    Operation { names: &["roll"], tensors: &["input"], attributes: &["shifts", "dims"], run: rearrange },
    Operation { names: &["pixel_shuffle"], tensors: &["input"], attributes: &["upscale_factor"], run: rearrange },
    Operation { names: &["pixel_unshuffle"], tensors: &["input"], attributes: &["downscale_factor"], run: rearrange },
    Operation { names: &["channel_shuffle"], tensors: &["input"], attributes: &["groups"], run: rearrange },
];

fn join(call: &Call) -> Results {
    let (tensors, dim) = (call.list("tensors"), call.dim()?.unwrap_or(0));
    Ok(vec![if call.op == "cat" { Tensor::cat(&tensors, dim) } else { Tensor::stack(&tensors, dim) }?])
}

fn rearrange(call: &Call) -> Results {
    let x = call.tensor("input")?;
    Ok(vec![match call.op {
        "flip" => x.flip(&call.signed("dims")?),
        "roll" => x.roll(&call.signed("shifts")?, &call.signed("dims")?),
        "pixel_shuffle" => x.pixel_shuffle(call.size("upscale_factor")?),
        "pixel_unshuffle" => x.pixel_unshuffle(call.size("downscale_factor")?),
        "channel_shuffle" => x.channel_shuffle(call.size("groups")?),
        _ => return Err(call.unsupported()),
    }?])
}

fn divide(call: &Call) -> Results {
    let dim = call.dim()?.unwrap_or(0);
    let name = if call.op == "chunk" { "chunks" } else { "split_size_or_sections" };
    let sizes = call.integers(name)?.ok_or_else(|| call.wrong(name))?;
    let sizes: Vec<usize> =
        sizes.into_iter().map(|v| usize::try_from(v).map_err(|_| call.wrong(name))).collect::<Result<_, _>>()?;
    Ok(if call.op == "chunk" {
        call.tensor("input")?.chunk(sizes[0], dim)?
    } else if call.attr(name).is_some_and(Value::is_array) {
        call.tensor("tensor")?.split_with_sizes(&sizes, dim)?
    } else {
        call.tensor("tensor")?.split(sizes[0], dim)?
    })
}

fn pad(call: &Call) -> Results {
    let pads = call.integers("pad")?.ok_or_else(|| call.wrong("pad"))?;
    let value = call.number("value")?.unwrap_or(0.0);
    let mode = match call.attr("mode").map_or(Some("constant"), Value::as_str) {
        Some("constant") => PadMode::Constant(value),
        _ if value != 0.0 => return Err(call.wrong("value")),
        Some("reflect") => PadMode::Reflect,
        Some("replicate") => PadMode::Replicate,
        Some("circular") => PadMode::Circular,
        _ => return Err(call.wrong("mode")),
    };
    let pads: Vec<isize> = pads.into_iter().map(|pad| pad as isize).collect();
    Ok(vec![call.tensor("input")?.pad(&pads, mode)?])
}

//! The same elements in other shapes and orders: views, padding, joining, dividing, rearranging.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{PadMode, Tensor};

const ONE: &[&str] = &["input"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["reshape"], tensors: ONE, attributes: &["shape"], run: view },
    Operation { names: &["view"], tensors: ONE, attributes: &["shape", "size"], run: view },
    Operation { names: &["expand"], tensors: ONE, attributes: &["size", "implicit"], run: view },
    Operation { names: &["permute"], tensors: ONE, attributes: &["dims"], run: view },
    Operation { names: &["transpose"], tensors: ONE, attributes: &["dim0", "dim1"], run: view },
    Operation { names: &["t"], tensors: ONE, attributes: &[], run: view },
    Operation { names: &["flatten"], tensors: ONE, attributes: &["start_dim", "end_dim"], run: view },
    Operation { names: &["unflatten"], tensors: ONE, attributes: &["dim", "sizes"], run: view },
    Operation { names: &["squeeze", "unsqueeze"], tensors: ONE, attributes: &["dim"], run: view },
    Operation { names: &["narrow"], tensors: &["input", "start"], attributes: &["dim", "start", "length"], run: part },
    Operation { names: &["slice"], tensors: ONE, attributes: &["dim", "start", "end", "step"], run: part },
    Operation { names: &["diagonal"], tensors: ONE, attributes: &["offset", "dim1", "dim2"], run: part },
    Operation { names: &["diag", "tril", "triu"], tensors: ONE, attributes: &["diagonal"], run: part },
    Operation { names: &["repeat"], tensors: ONE, attributes: &["repeats"], run: rearrange },
    Operation { names: &["tile"], tensors: ONE, attributes: &["dims"], run: rearrange },
    Operation { names: &["pad"], tensors: &["input"], attributes: &["pad", "mode", "value"], run: pad },
    Operation { names: &["cat", "stack"], tensors: &["tensors"], attributes: &["dim", "tensors"], run: join },
    Operation { names: &["split"], tensors: &["tensor"], attributes: &["split_size_or_sections", "dim"], run: divide },
    Operation { names: &["chunk"], tensors: &["input"], attributes: &["chunks", "dim"], run: divide },
    Operation { names: &["flip"], tensors: &["input"], attributes: &["dims"], run: rearrange },
    Operation { names: &["roll"], tensors: &["input"], attributes: &["shifts", "dims"], run: rearrange },
    Operation { names: &["pixel_shuffle"], tensors: &["input"], attributes: &["upscale_factor"], run: rearrange },
    Operation { names: &["pixel_unshuffle"], tensors: &["input"], attributes: &["downscale_factor"], run: rearrange },
    Operation { names: &["channel_shuffle"], tensors: &["input"], attributes: &["groups"], run: rearrange },
];

fn view(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let or = |name: &str, default: isize| -> Result<isize, Refusal> {
        Ok(call.signed(name)?.first().copied().unwrap_or(default))
    };
    let one = |name: &str| call.signed(name)?.first().copied().ok_or_else(|| call.wrong(name));
    Ok(vec![match call.op {
        "reshape" => x.reshape(&call.signed("shape")?),
        "view" => x.view(&call.signed(if call.attr("size").is_some() { "size" } else { "shape" })?),
        "expand" => x.expand(&call.signed("size")?),
        "permute" => x.permute(&call.signed("dims")?),
        "transpose" => x.transpose(one("dim0")?, one("dim1")?),
        "t" => x.t(),
        "flatten" => x.flatten(or("start_dim", 0)?, or("end_dim", -1)?),
        "unflatten" => x.unflatten(one("dim")?, &call.signed("sizes")?),
        "squeeze" => match call.attr("dim") {
            Some(_) => x.squeeze(&call.dims()?),
            None => x.squeeze(..),
        },
        "unsqueeze" => x.unsqueeze(one("dim")?),
        _ => return Err(call.unsupported()),
    }?])
}

fn part(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let or = |name: &str, default: isize| -> Result<isize, Refusal> {
        Ok(call.signed(name)?.first().copied().unwrap_or(default))
    };
    Ok(vec![match call.op {
        "narrow" => narrow(call, x)?,
        "slice" => {
            let step = call.attr("step").map_or(Ok(1), |_| call.size("step"))?;
            x.slice(or("dim", 0)?, or("start", 0)?, or("end", isize::MAX)?, step)?
        }
        "diagonal" => x.diagonal(or("offset", 0)?, or("dim1", 0)?, or("dim2", 1)?)?,
        "diag" => x.diag(or("diagonal", 0)?)?,
        "tril" => x.tril(or("diagonal", 0)?)?,
        "triu" => x.triu(or("diagonal", 0)?)?,
        _ => return Err(call.unsupported()),
    }])
}

/// The start may be a tensor of one integer, and may count from the end.
fn narrow(call: &Call, x: &Tensor) -> Result<Tensor, Refusal> {
    let dim = call.dim()?.ok_or_else(|| call.wrong("dim"))?;
    let start = match call.optional("start") {
        Some(start) if start.rank() == 0 && !start.dtype().is_float() => start.item::<i32>()? as isize,
        Some(_) => return Err(call.wrong("start")),
        None => call.signed("start")?.first().copied().ok_or_else(|| call.wrong("start"))?,
    };
    let at = if dim < 0 { dim + x.rank() as isize } else { dim };
    let size = usize::try_from(at).ok().and_then(|at| x.shape().get(at)).map_or(0, |&size| size as isize);
    let start = usize::try_from(if start < 0 { start + size } else { start }).map_err(|_| call.wrong("start"))?;
    Ok(x.narrow(dim, start, call.size("length")?)?)
}

fn join(call: &Call) -> Results {
    let (tensors, dim) = (call.list("tensors"), call.dim()?.unwrap_or(0));
    Ok(vec![if call.op == "cat" { Tensor::cat(&tensors, dim) } else { Tensor::stack(&tensors, dim) }?])
}

fn rearrange(call: &Call) -> Results {
    let x = call.tensor("input")?;
    Ok(vec![match call.op {
        "flip" => x.flip(&call.signed("dims")?),
        "repeat" => x.repeat(&call.sizes("repeats")?),
        "tile" => x.tile(&call.sizes("dims")?),
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

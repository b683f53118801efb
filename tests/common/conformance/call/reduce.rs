//! Reductions.

use super::{Call, Operation, Results};
use serde_json::Value;
use wgrad::DType;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["sum", "mean", "prod", "amax", "amin", "argmax", "argmin", "logsumexp", "all", "any", "count_nonzero"],
        tensors: &["input"],
        attributes: &["dim", "keepdim"],
        run: reduce,
    },
    Operation { names: &["max", "min"], tensors: &["input", "other"], attributes: &["dim", "keepdim"], run: extreme },
    Operation { names: &["cumsum", "cumprod"], tensors: &["input"], attributes: &["dim"], run: scan },
    Operation {
        names: &["sort", "argsort"],
        tensors: &["input"],
        attributes: &["dim", "descending", "stable"],
        run: sort,
    },
    Operation { names: &["kthvalue"], tensors: &["input"], attributes: &["k", "dim", "keepdim"], run: kthvalue },
    Operation { names: &["topk"], tensors: &["input"], attributes: &["k", "dim", "largest", "sorted"], run: topk },
    Operation {
        names: &["var", "std"],
        tensors: &["input"],
        attributes: &["dim", "correction", "unbiased", "keepdim"],
        run: reduce,
    },
];

fn kthvalue(call: &Call) -> Results {
    let (x, dim) = (call.tensor("input")?, call.dim()?.unwrap_or(-1));
    let (value, index) = x.kthvalue(call.size("k")?, dim, call.flag("keepdim", false)?)?;
    Ok(vec![value, index])
}

fn reduce(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let (dims, keepdim) = (call.dims()?, call.flag("keepdim", false)?);
    let unbiased = f32::from(u8::from(call.flag("unbiased", true)?));
    let correction = call.number("correction")?.unwrap_or(unbiased);
    // Over no dimensions, which these two distinguish from all of them.
    if matches!(call.op, "all" | "any") && call.attr("dim").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return Ok(vec![x.to_dtype(DType::Bool)?]);
    }
    Ok(vec![match call.op {
        "sum" => x.sum(&dims, keepdim),
        "mean" => x.mean(&dims, keepdim),
        "prod" => x.prod(call.dim()?.as_slice(), keepdim),
        "logsumexp" => x.logsumexp(&dims, keepdim),
        "all" => x.all(&dims, keepdim),
        "any" => x.any(&dims, keepdim),
        "count_nonzero" => x.count_nonzero(&dims),
        "var" => x.var(&dims, correction, keepdim),
        "std" => x.std(&dims, correction, keepdim),
        "amax" => x.amax(&dims, keepdim),
        "amin" => x.amin(&dims, keepdim),
        "argmax" => x.argmax(call.dim()?, keepdim),
        "argmin" => x.argmin(call.dim()?, keepdim),
        _ => return Err(call.unsupported()),
    }?])
}

fn extreme(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let keepdim = call.flag("keepdim", false)?;
    if let Some(other) = call.optional("other") {
        return Ok(vec![if call.op == "max" { x.maximum(other) } else { x.minimum(other) }?]);
    }
    Ok(match (call.op, call.dim()?) {
        ("max", None) => vec![x.amax(&[], false)?],
        ("min", None) => vec![x.amin(&[], false)?],
        ("max", Some(dim)) => x.max(dim, keepdim).map(|(values, indices)| vec![values, indices])?,
        _ => x.min(call.dim()?.unwrap_or(0), keepdim).map(|(values, indices)| vec![values, indices])?,
    })
}

fn scan(call: &Call) -> Results {
    let (x, dim) = (call.tensor("input")?, call.dim()?.ok_or_else(|| call.wrong("dim"))?);
    Ok(vec![if call.op == "cumsum" { x.cumsum(dim) } else { x.cumprod(dim) }?])
}

fn sort(call: &Call) -> Results {
    let (x, dim) = (call.tensor("input")?, call.dim()?.unwrap_or(-1));
    let descending = call.flag("descending", false)?;
    // Always stable.
    call.flag("stable", false)?;
    if call.op == "argsort" {
        return Ok(vec![x.argsort(dim, descending)?]);
    }
    let (values, indices) = x.sort(dim, descending)?;
    Ok(vec![values, indices])
}

fn topk(call: &Call) -> Results {
    let (x, dim) = (call.tensor("input")?, call.dim()?.unwrap_or(-1));
    // Always sorted.
    call.flag("sorted", true)?;
    let (values, indices) = x.topk(call.size("k")?, dim, call.flag("largest", true)?)?;
    Ok(vec![values, indices])
}

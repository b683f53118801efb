//! Reductions.

use super::{Call, Operation, Results};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["sum", "mean", "amax", "amin", "argmax", "argmin"],
        tensors: &["input"],
        attributes: &["dim", "keepdim"],
        run: reduce,
    },
    Operation { names: &["max", "min"], tensors: &["input"], attributes: &["dim", "keepdim"], run: extreme },
    Operation {
        names: &["var", "std"],
        tensors: &["input"],
        attributes: &["dim", "correction", "unbiased", "keepdim"],
        run: reduce,
    },
];

fn reduce(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let (dims, keepdim) = (call.dims()?, call.flag("keepdim", false)?);
    let unbiased = call.flag("unbiased", true)?;
    let correction = call.number("correction")?.unwrap_or(f32::from(u8::from(unbiased)));
    Ok(vec![match call.op {
        "sum" => x.sum(&dims, keepdim),
        "mean" => x.mean(&dims, keepdim),
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
    Ok(match (call.op, call.dim()?) {
        ("max", None) => vec![x.amax(&[], false)?],
        ("min", None) => vec![x.amin(&[], false)?],
        ("max", Some(dim)) => x.max(dim, keepdim).map(|(values, indices)| vec![values, indices])?,
        _ => x.min(call.dim()?.unwrap_or(0), keepdim).map(|(values, indices)| vec![values, indices])?,
    })
}

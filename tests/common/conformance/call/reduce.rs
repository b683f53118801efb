//! Reductions.

use super::{Call, Operation, Results};

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

/// A reduction, in the variant that keeps the dimensions if `keepdim` is set.
macro_rules! reduction {
    ($call:ident, $x:ident.$name:ident, $keeping:ident($($arg:expr),*)) => {
        if $call.flag("keepdim", false)? { $x.$keeping($($arg),*) } else { $x.$name($($arg),*) }
    };
}
pub(super) use reduction;

fn kthvalue(call: &Call) -> Results {
    let (x, dim) = (call.tensor("input")?, call.dim()?.unwrap_or(-1));
    let (value, index) = reduction!(call, x.kthvalue, kthvalue_keepdim(call.size("k")?, dim))?;
    Ok(vec![value, index])
}

fn reduce(call: &Call) -> Results {
    let x = call.tensor("input")?;
    // These two tell no dimensions from all of them.
    let takes_none = matches!(call.op, "all" | "any") && call.attr("dim").is_some();
    let dims = &if takes_none { call.dims()? } else { call.dims_of(x)? };
    let unbiased = f64::from(u8::from(call.flag("unbiased", true)?));
    let correction = call.number("correction")?.unwrap_or(unbiased);
    Ok(vec![match call.op {
        "sum" => reduction!(call, x.sum, sum_keepdim(dims)),
        "mean" => reduction!(call, x.mean, mean_keepdim(dims)),
        "prod" => reduction!(call, x.prod, prod_keepdim(dims)),
        "logsumexp" => reduction!(call, x.logsumexp, logsumexp_keepdim(dims)),
        "all" => reduction!(call, x.all, all_keepdim(dims)),
        "any" => reduction!(call, x.any, any_keepdim(dims)),
        "count_nonzero" => reduction!(call, x.count_nonzero, count_nonzero_keepdim(dims)),
        "var" => reduction!(call, x.var, var_keepdim(dims, correction)),
        "std" => reduction!(call, x.std, std_keepdim(dims, correction)),
        "amax" => reduction!(call, x.amax, amax_keepdim(dims)),
        "amin" => reduction!(call, x.amin, amin_keepdim(dims)),
        "argmax" => reduction!(call, x.argmax, argmax_keepdim(dims)),
        "argmin" => reduction!(call, x.argmin, argmin_keepdim(dims)),
        _ => return Err(call.unsupported()),
    }?])
}

fn extreme(call: &Call) -> Results {
    let x = call.tensor("input")?;
    if let Some(other) = call.optional("other") {
        return Ok(vec![if call.op == "max" { x.maximum(other) } else { x.minimum(other) }?]);
    }
    Ok(match (call.op, call.dim()?) {
        ("max", None) => vec![x.amax_all()?],
        (_, None) => vec![x.amin_all()?],
        ("max", Some(dim)) => {
            reduction!(call, x.max, max_keepdim(dim)).map(|(values, indices)| vec![values, indices])?
        }
        (_, Some(dim)) => reduction!(call, x.min, min_keepdim(dim)).map(|(values, indices)| vec![values, indices])?,
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

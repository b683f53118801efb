//! Picking and placing by index.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{EmbeddingOptions, ScatterReduction, Tensor};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["gather"], tensors: &["input", "index"], attributes: &["dim", "sparse_grad"], run: gather },
    Operation { names: &["index_select"], tensors: &["input", "index"], attributes: &["dim"], run: gather },
    Operation { names: &["take_along_dim"], tensors: &["input", "indices"], attributes: &["dim"], run: take_along_dim },
    Operation {
        names: &["scatter", "scatter_add"],
        tensors: &["input", "index", "src"],
        attributes: &["dim", "value", "reduce"],
        run: scatter,
    },
    Operation {
        names: &["index_add"],
        tensors: &["input", "index", "source"],
        attributes: &["dim", "alpha"],
        run: index_add,
    },
    Operation {
        names: &["embedding"],
        tensors: &["input", "weight"],
        attributes: &["padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"],
        run: embedding,
    },
    Operation { names: &["masked_select"], tensors: &["input", "mask"], attributes: &[], run: masked_select },
];

fn dim(call: &Call) -> Result<isize, Refusal> {
    call.dim()?.ok_or_else(|| call.wrong("dim"))
}

fn gather(call: &Call) -> Results {
    let (input, index) = (call.tensor("input")?, call.tensor("index")?);
    Ok(vec![match call.op {
        "gather" => input.gather(dim(call)?, index),
        "index_select" => input.index_select(dim(call)?, index),
        _ => return Err(call.unsupported()),
    }?])
}

fn take_along_dim(call: &Call) -> Results {
    Ok(vec![call.tensor("input")?.take_along_dim(call.tensor("indices")?, call.dim()?)?])
}

fn scatter(call: &Call) -> Results {
    let (input, index, dim) = (call.tensor("input")?, call.tensor("index")?, dim(call)?);
    let reduction = match call.attr("reduce").map(Value::as_str) {
        None => None,
        Some(Some("add")) => Some(ScatterReduction::Add),
        Some(Some("multiply")) => Some(ScatterReduction::Multiply),
        Some(_) => return Err(call.wrong("reduce")),
    };
    // A number means a source of the index's shape, filled with it.
    let src = match (call.optional("src"), call.number("value")?) {
        (Some(src), None) => src.clone(),
        (None, Some(value)) if reduction.is_none() => return Ok(vec![input.scatter_value(dim, index, value)?]),
        (None, Some(value)) => Tensor::full(input.device(), index.shape(), value as f32)?.to_dtype(input.dtype())?,
        _ => return Err(call.wrong("value")),
    };
    Ok(vec![match (call.op, reduction) {
        ("scatter_add", None) => input.scatter_add(dim, index, &src),
        ("scatter", None) => input.scatter(dim, index, &src),
        ("scatter", Some(reduction)) => input.scatter_reduce(dim, index, &src, reduction),
        _ => return Err(call.unsupported()),
    }?])
}

fn index_add(call: &Call) -> Results {
    let (index, source) = (call.tensor("index")?, call.tensor("source")?);
    let alpha = call.number("alpha")?.unwrap_or(1.0);
    Ok(vec![call.tensor("input")?.index_add(dim(call)?, index, source, alpha)?])
}

fn embedding(call: &Call) -> Results {
    if call.attr("max_norm").is_some() {
        return Err(call.wrong("max_norm"));
    }
    let padding_idx = call.attr("padding_idx").map(|v| v.as_i64().ok_or_else(|| call.wrong("padding_idx")));
    let options = EmbeddingOptions {
        padding_idx: padding_idx.transpose()?.map(|row| row as isize),
        scale_grad_by_freq: call.flag("scale_grad_by_freq", false)?,
    };
    Ok(vec![call.tensor("input")?.embedding(call.tensor("weight")?, &options)?])
}

fn masked_select(call: &Call) -> Results {
    Ok(vec![call.tensor("input")?.masked_select(call.tensor("mask")?)?])
}

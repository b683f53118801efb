//! Normalizations, and the norms and softmax beside them.

use super::{Call, Operation, Results};
use serde_json::Value;
use wgrad::{BatchNormOptions, Parameter};

const AFFINE: &[&str] = &["input", "weight", "bias"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["layer_norm"], tensors: AFFINE, attributes: &["normalized_shape", "eps"], run: normalize },
    Operation { names: &["group_norm"], tensors: AFFINE, attributes: &["num_groups", "eps"], run: normalize },
    Operation {
        names: &["batch_norm"],
        tensors: &["input", "running_mean", "running_var", "weight", "bias"],
        attributes: &["training", "momentum", "eps"],
        run: normalize,
    },
    Operation { names: &["softmax", "log_softmax"], tensors: &["input"], attributes: &["dim"], run: softmax },
    Operation { names: &["norm"], tensors: &["input"], attributes: &["p", "dim", "keepdim"], run: norm },
];

fn softmax(call: &Call) -> Results {
    let (x, dim) = (call.tensor("input")?, call.dim()?.ok_or_else(|| call.wrong("dim"))?);
    Ok(vec![if call.op == "softmax" { x.softmax(dim) } else { x.log_softmax(dim) }?])
}

fn norm(call: &Call) -> Results {
    let p = match call.attr("p").and_then(Value::as_str) {
        Some("fro") => 2.0,
        Some(text) => text.parse().map_err(|_| call.wrong("p"))?,
        None => call.number("p")?.unwrap_or(2.0),
    };
    Ok(vec![call.tensor("input")?.norm(p, &call.dims()?, call.flag("keepdim", false)?)?])
}

fn normalize(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let (weight, bias) = (call.optional("weight"), call.optional("bias"));
    let eps = call.number("eps")?.unwrap_or(1e-5);
    Ok(vec![match call.op {
        "layer_norm" => x.layer_norm(&call.sizes("normalized_shape")?, weight, bias, eps)?,
        "group_norm" => x.group_norm(call.sizes("num_groups")?[0], weight, bias, eps)?,
        _ => {
            let running = |name: &str| call.optional(name).map(|value| Parameter::buffer(name, value));
            let options = BatchNormOptions {
                training: call.flag("training", false)?,
                momentum: call.number("momentum")?.unwrap_or(0.1),
                eps,
            };
            let (mean, variance) = (running("running_mean"), running("running_var"));
            x.batch_norm(mean.as_ref(), variance.as_ref(), weight, bias, &options)?
        }
    }])
}

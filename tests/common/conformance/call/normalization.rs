//! Normalizations and dropout, with norms and softmax.

use super::reduce::reduction;
use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{BatchNormOptions, InstanceNormOptions, Parameter, Tensor};

const AFFINE: &[&str] = &["input", "weight", "bias"];
const AFFINE_RUNNING: &[&str] = &["input", "running_mean", "running_var", "weight", "bias"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["layer_norm"], tensors: AFFINE, attributes: &["normalized_shape", "eps"], run: statistics },
    Operation {
        names: &["rms_norm"],
        tensors: &["input", "weight"],
        attributes: &["normalized_shape", "eps"],
        run: statistics,
    },
    Operation { names: &["group_norm"], tensors: AFFINE, attributes: &["num_groups", "eps"], run: statistics },
    Operation {
        names: &["batch_norm"],
        tensors: AFFINE_RUNNING,
        attributes: &["training", "momentum", "eps"],
        run: running,
    },
    Operation {
        names: &["instance_norm"],
        tensors: AFFINE_RUNNING,
        attributes: &["use_input_stats", "momentum", "eps"],
        run: running,
    },
    Operation {
        names: &["local_response_norm"],
        tensors: &["input"],
        attributes: &["size", "alpha", "beta", "k"],
        run: local_response_norm,
    },
    Operation {
        names: &["softmax", "log_softmax", "softmin"],
        tensors: &["input"],
        attributes: &["dim"],
        run: softmax,
    },
    Operation { names: &["norm"], tensors: &["input"], attributes: &["p", "dim", "keepdim"], run: norm },
    Operation { names: &["normalize"], tensors: &["input"], attributes: &["p", "dim", "eps"], run: normalize },
    Operation {
        names: &["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"],
        tensors: &["input"],
        attributes: &["p", "training", "inplace"],
        run: dropout,
    },
];

fn softmax(call: &Call) -> Results {
    let x = call.tensor("input")?;
    // Without a dimension PyTorch takes one of two, and warns.
    let dim = call.dim()?.unwrap_or(if matches!(x.rank(), 0 | 1 | 3) { 0 } else { 1 });
    Ok(vec![match call.op {
        "softmax" => x.softmax(dim),
        "log_softmax" => x.log_softmax(dim),
        _ => x.softmin(dim),
    }?])
}

/// The order of a norm, which is a text if it is infinite.
fn order(call: &Call) -> Result<f64, Refusal> {
    match call.attr("p").and_then(Value::as_str) {
        // The Frobenius norm, of all elements.
        Some("fro") => Ok(2.0),
        Some(text) => text.parse().map_err(|_| call.wrong("p")),
        None => Ok(call.number("p")?.unwrap_or(2.0)),
    }
}

fn norm(call: &Call) -> Results {
    let x = call.tensor("input")?;
    Ok(vec![reduction!(call, x.norm, norm_keepdim(order(call)?, &call.dims_of(x)?))?])
}

fn normalize(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let dims = if call.attrs.contains_key("dim") { call.dims_of(x)? } else { vec![1] };
    Ok(vec![x.normalize(order(call)?, &dims, call.number("eps")?.unwrap_or(1e-12))?])
}

fn statistics(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let (weight, bias) = (call.optional("weight"), call.optional("bias"));
    let eps = call.number("eps")?;
    Ok(vec![match call.op {
        "layer_norm" => x.layer_norm(&call.sizes("normalized_shape")?, weight, bias, eps.unwrap_or(1e-5))?,
        "rms_norm" => x.rms_norm(&call.sizes("normalized_shape")?, weight, eps)?,
        _ => x.group_norm(call.size("num_groups")?, weight, bias, eps.unwrap_or(1e-5))?,
    }])
}

fn running(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let (weight, bias) = (call.optional("weight"), call.optional("bias"));
    let running = |name: &str| call.optional(name).map(|value| Parameter::buffer(name, value));
    let (mean, variance) = (running("running_mean"), running("running_var"));
    let (mean, variance) = (mean.as_ref(), variance.as_ref());
    let momentum = call.number("momentum")?.unwrap_or(0.1);
    let eps = call.number("eps")?.unwrap_or(1e-5);
    Ok(vec![if call.op == "batch_norm" {
        let options = BatchNormOptions { training: call.flag("training", false)?, momentum, eps };
        x.batch_norm(mean, variance, weight, bias, &options)?
    } else {
        let use_input_stats = call.flag("use_input_stats", true)?;
        let options = InstanceNormOptions { use_input_stats, momentum, eps };
        x.instance_norm(mean, variance, weight, bias, &options)?
    }])
}

fn local_response_norm(call: &Call) -> Results {
    let number = |name: &str, default| Ok::<f64, Refusal>(call.number(name)?.unwrap_or(default));
    let (alpha, beta, k) = (number("alpha", 1e-4)?, number("beta", 0.75)?, number("k", 1.0)?);
    Ok(vec![call.tensor("input")?.local_response_norm(call.size("size")?, alpha, beta, k)?])
}

fn dropout(call: &Call) -> Results {
    let method: fn(&Tensor, f64, bool) -> wgrad::Result<Tensor> = match call.op {
        "dropout" => Tensor::dropout,
        "dropout1d" => Tensor::dropout1d,
        "dropout2d" => Tensor::dropout2d,
        "dropout3d" => Tensor::dropout3d,
        "alpha_dropout" => Tensor::alpha_dropout,
        _ => Tensor::feature_alpha_dropout,
    };
    let is_alpha = call.op.contains("alpha");
    let p = call.number("p")?.unwrap_or(0.5);
    // In-place is a matter of memory, and changes no result.
    call.flag("inplace", false)?;
    Ok(vec![method(call.tensor("input")?, p, call.flag("training", !is_alpha)?)?])
}

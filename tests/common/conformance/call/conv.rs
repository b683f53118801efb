//! Convolutions.

use super::{Call, Operation, Results};
use serde_json::Value;
use wgrad::{Conv2dOptions, ConvTranspose2dOptions, Padding};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["conv2d"],
        tensors: &["input", "weight", "bias"],
        attributes: &["stride", "padding", "dilation", "groups"],
        run: conv2d,
    },
    Operation {
        names: &["conv_transpose2d"],
        tensors: &["input", "weight", "bias"],
        attributes: &["stride", "padding", "output_padding", "groups", "dilation"],
        run: conv_transpose2d,
    },
];

fn conv2d(call: &Call) -> Results {
    let padding = match call.attr("padding").and_then(Value::as_str) {
        Some("same") => Padding::Same,
        Some("valid") => Padding::Valid,
        Some(_) => return Err(call.wrong("padding")),
        None => Padding::Explicit(call.pair("padding")?.unwrap_or([0, 0])),
    };
    let groups = call.pair("groups")?.map_or(1, |pair| pair[0]);
    let options = Conv2dOptions {
        stride: call.pair("stride")?.unwrap_or([1, 1]),
        padding,
        dilation: call.pair("dilation")?.unwrap_or([1, 1]),
        groups,
    };
    Ok(vec![call.tensor("input")?.conv2d(call.tensor("weight")?, call.optional("bias"), &options)?])
}

fn conv_transpose2d(call: &Call) -> Results {
    let options = ConvTranspose2dOptions {
        stride: call.pair("stride")?.unwrap_or([1, 1]),
        padding: call.pair("padding")?.unwrap_or([0, 0]),
        output_padding: call.pair("output_padding")?.unwrap_or([0, 0]),
        dilation: call.pair("dilation")?.unwrap_or([1, 1]),
        groups: call.pair("groups")?.map_or(1, |pair| pair[0]),
    };
    Ok(vec![call.tensor("input")?.conv_transpose2d(call.tensor("weight")?, call.optional("bias"), &options)?])
}

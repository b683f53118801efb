//! Convolutions, and their windows.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{ConvOptions, ConvTransposeOptions, Padding, UnfoldOptions};

const TENSORS: &[&str] = &["input", "weight", "bias"];

const fn conv(names: &'static [&'static str], run: fn(&Call) -> Results) -> Operation {
    Operation { names, tensors: TENSORS, attributes: &["stride", "padding", "dilation", "groups"], run }
}

const fn conv_transpose(names: &'static [&'static str], run: fn(&Call) -> Results) -> Operation {
    let attributes = &["stride", "padding", "output_padding", "groups", "dilation"];
    Operation { names, tensors: TENSORS, attributes, run }
}

pub(super) const OPERATIONS: &[Operation] = &[
    conv(&["conv1d"], |call| {
        let (x, weight) = operands(call)?;
        Ok(vec![x.conv1d(weight, call.optional("bias"), &options(call)?)?])
    }),
    conv(&["conv2d"], |call| {
        let (x, weight) = operands(call)?;
        Ok(vec![x.conv2d(weight, call.optional("bias"), &options(call)?)?])
    }),
    conv(&["conv3d"], |call| {
        let (x, weight) = operands(call)?;
        Ok(vec![x.conv3d(weight, call.optional("bias"), &options(call)?)?])
    }),
    conv_transpose(&["conv_transpose1d"], |call| {
        let (x, weight) = operands(call)?;
        Ok(vec![x.conv_transpose1d(weight, call.optional("bias"), &transposed(call)?)?])
    }),
    conv_transpose(&["conv_transpose2d"], |call| {
        let (x, weight) = operands(call)?;
        Ok(vec![x.conv_transpose2d(weight, call.optional("bias"), &transposed(call)?)?])
    }),
    conv_transpose(&["conv_transpose3d"], |call| {
        let (x, weight) = operands(call)?;
        Ok(vec![x.conv_transpose3d(weight, call.optional("bias"), &transposed(call)?)?])
    }),
    Operation {
        names: &["unfold"],
        tensors: &["input"],
        attributes: &["kernel_size", "dilation", "padding", "stride"],
        run: unfold,
    },
    Operation {
        names: &["fold"],
        tensors: &["input"],
        attributes: &["output_size", "kernel_size", "dilation", "padding", "stride"],
        run: fold,
    },
];

fn operands<'a>(call: &'a Call) -> Result<(&'a wgrad::Tensor, &'a wgrad::Tensor), Refusal> {
    Ok((call.tensor("input")?, call.tensor("weight")?))
}

fn options<const D: usize>(call: &Call) -> Result<ConvOptions<D>, Refusal> {
    let padding = match call.attr("padding").and_then(Value::as_str) {
        Some("same") => Padding::Same,
        Some("valid") => Padding::Valid,
        Some(_) => return Err(call.wrong("padding")),
        None => Padding::Explicit(call.each("padding")?.unwrap_or([0; D])),
    };
    Ok(ConvOptions {
        stride: call.each("stride")?.unwrap_or([1; D]),
        padding,
        dilation: call.each("dilation")?.unwrap_or([1; D]),
        groups: call.each("groups")?.map_or(1, |[groups]| groups),
    })
}

fn transposed<const D: usize>(call: &Call) -> Result<ConvTransposeOptions<D>, Refusal> {
    Ok(ConvTransposeOptions {
        stride: call.each("stride")?.unwrap_or([1; D]),
        padding: call.each("padding")?.unwrap_or([0; D]),
        output_padding: call.each("output_padding")?.unwrap_or([0; D]),
        dilation: call.each("dilation")?.unwrap_or([1; D]),
        groups: call.each("groups")?.map_or(1, |[groups]| groups),
    })
}

/// The windows of `unfold` and `fold`, whose lists of numbers have two.
fn windows(call: &Call) -> Result<([usize; 2], UnfoldOptions), Refusal> {
    for name in ["output_size", "kernel_size", "dilation", "padding", "stride"] {
        if call.attr(name).and_then(Value::as_array).is_some_and(|list| list.len() != 2) {
            return Err(call.wrong(name));
        }
    }
    let options = UnfoldOptions {
        dilation: call.pair("dilation")?.unwrap_or([1, 1]),
        padding: call.pair("padding")?.unwrap_or([0, 0]),
        stride: call.pair("stride")?.unwrap_or([1, 1]),
    };
    Ok((call.pair("kernel_size")?.ok_or_else(|| call.wrong("kernel_size"))?, options))
}

fn unfold(call: &Call) -> Results {
    let (kernel_size, options) = windows(call)?;
    Ok(vec![call.tensor("input")?.unfold(kernel_size, &options)?])
}

fn fold(call: &Call) -> Results {
    let (kernel_size, options) = windows(call)?;
    let output_size = call.pair("output_size")?.ok_or_else(|| call.wrong("output_size"))?;
    Ok(vec![call.tensor("input")?.fold(output_size, kernel_size, &options)?])
}

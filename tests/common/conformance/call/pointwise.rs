//! Pointwise operations.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::Tensor;

const ONE: &[&str] = &["input"];
const TWO: &[&str] = &["input", "other"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &[
            "abs",
            "neg",
            "sign",
            "exp",
            "expm1",
            "log",
            "log1p",
            "log2",
            "log10",
            "sqrt",
            "rsqrt",
            "reciprocal",
            "square",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "erf",
            "floor",
            "ceil",
            "round",
            "trunc",
            "isnan",
            "isinf",
            "isfinite",
            "logical_not",
            "relu",
            "sigmoid",
            "silu",
            "mish",
            "softsign",
            "relu6",
            "hardsigmoid",
            "hardswish",
            "selu",
            "tanhshrink",
            "logsigmoid",
        ],
        tensors: ONE,
        attributes: &[],
        run: unary,
    },
    Operation { names: &["add", "sub"], tensors: TWO, attributes: &["alpha", "other"], run: binary },
    Operation {
        names: &["mul", "div", "maximum", "minimum", "atan2", "fmod", "remainder", "eq", "ne", "lt", "le", "gt", "ge"],
        tensors: TWO,
        attributes: &["other"],
        run: binary,
    },
    Operation { names: &["logical_and", "logical_or", "logical_xor"], tensors: TWO, attributes: &[], run: binary },
    Operation { names: &["pow"], tensors: &["input", "exponent"], attributes: &["exponent"], run: binary },
    Operation { names: &["where"], tensors: &["condition", "input", "other"], attributes: &[], run: choose },
    Operation { names: &["clamp"], tensors: ONE, attributes: &["min", "max"], run: activation },
    Operation { names: &["leaky_relu"], tensors: ONE, attributes: &["negative_slope"], run: activation },
    Operation { names: &["elu", "celu"], tensors: ONE, attributes: &["alpha"], run: activation },
    Operation { names: &["hardtanh"], tensors: ONE, attributes: &["min_val", "max_val"], run: activation },
    Operation { names: &["softshrink", "hardshrink"], tensors: ONE, attributes: &["lambd"], run: activation },
    Operation { names: &["threshold"], tensors: ONE, attributes: &["threshold", "value"], run: activation },
    Operation { names: &["prelu"], tensors: &["input", "weight"], attributes: &[], run: activation },
    Operation { names: &["glu"], tensors: ONE, attributes: &["dim"], run: activation },
    Operation { names: &["softplus"], tensors: ONE, attributes: &["beta", "threshold"], run: activation },
    Operation { names: &["gelu"], tensors: ONE, attributes: &["approximate"], run: activation },
];

fn unary(call: &Call) -> Results {
    let x = call.tensor("input")?;
    Ok(vec![match call.op {
        "abs" => x.abs(),
        "neg" => x.neg(),
        "sign" => x.sign(),
        "exp" => x.exp(),
        "expm1" => x.expm1(),
        "log" => x.log(),
        "log1p" => x.log1p(),
        "log2" => x.log2(),
        "log10" => x.log10(),
        "sqrt" => x.sqrt(),
        "rsqrt" => x.rsqrt(),
        "reciprocal" => x.reciprocal(),
        "square" => x.square(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tan" => x.tan(),
        "asin" => x.asin(),
        "acos" => x.acos(),
        "atan" => x.atan(),
        "sinh" => x.sinh(),
        "cosh" => x.cosh(),
        "tanh" => x.tanh(),
        "erf" => x.erf(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round" => x.round(),
        "trunc" => x.trunc(),
        "isnan" => x.isnan(),
        "isinf" => x.isinf(),
        "isfinite" => x.isfinite(),
        "logical_not" => x.logical_not(),
        "relu" => x.relu(),
        "sigmoid" => x.sigmoid(),
        "silu" => x.silu(),
        "mish" => x.mish(),
        "softsign" => x.softsign(),
        "relu6" => x.relu6(),
        "hardsigmoid" => x.hardsigmoid(),
        "hardswish" => x.hardswish(),
        "selu" => x.selu(),
        "tanhshrink" => x.tanhshrink(),
        "logsigmoid" => x.logsigmoid(),
        _ => return Err(call.unsupported()),
    }?])
}

fn binary(call: &Call) -> Results {
    let (x, other) = (call.tensor("input")?, other(call)?);
    Ok(vec![match call.op {
        "add" => x.add(&other),
        "sub" => x.sub(&other),
        "mul" => x.mul(&other),
        "div" => x.div(&other),
        "maximum" => x.maximum(&other),
        "minimum" => x.minimum(&other),
        "atan2" => x.atan2(&other),
        "fmod" => x.fmod(&other),
        "remainder" => x.remainder(&other),
        "eq" => x.eq(&other),
        "ne" => x.ne(&other),
        "lt" => x.lt(&other),
        "le" => x.le(&other),
        "gt" => x.gt(&other),
        "ge" => x.ge(&other),
        "logical_and" => x.logical_and(&other),
        "logical_or" => x.logical_or(&other),
        "logical_xor" => x.logical_xor(&other),
        "pow" => x.pow(&other),
        _ => return Err(call.unsupported()),
    }?])
}

/// The second operand, scaled by `alpha` in `add` and `sub`; a number where it is an attribute.
fn other(call: &Call) -> Result<Tensor, Refusal> {
    let name = if call.op == "pow" { "exponent" } else { "other" };
    let other = match (call.optional(name), call.number(name)?) {
        (Some(other), _) => other.clone(),
        (None, Some(number)) => Tensor::scalar(call.tensor("input")?.device(), number)?,
        (None, None) => call.tensor(name)?.clone(),
    };
    match (call.op, call.number("alpha")?) {
        ("add" | "sub", Some(alpha)) => Ok(other.mul_scalar(alpha)?),
        _ => Ok(other),
    }
}

fn choose(call: &Call) -> Results {
    Ok(vec![call.tensor("condition")?.where_(call.tensor("input")?, call.tensor("other")?)?])
}

fn activation(call: &Call) -> Results {
    let x = call.tensor("input")?;
    Ok(vec![match call.op {
        "celu" => x.celu(call.number("alpha")?.unwrap_or(1.0)),
        "hardtanh" => x.hardtanh(call.number("min_val")?.unwrap_or(-1.0), call.number("max_val")?.unwrap_or(1.0)),
        "softshrink" => x.softshrink(call.number("lambd")?.unwrap_or(0.5)),
        "hardshrink" => x.hardshrink(call.number("lambd")?.unwrap_or(0.5)),
        "threshold" => x.threshold(
            call.number("threshold")?.ok_or_else(|| call.wrong("threshold"))?,
            call.number("value")?.ok_or_else(|| call.wrong("value"))?,
        ),
        "prelu" => x.prelu(call.tensor("weight")?),
        "glu" => x.glu(call.dim()?.unwrap_or(-1)),
        "clamp" => x.clamp(call.number("min")?, call.number("max")?),
        "leaky_relu" => x.leaky_relu(call.number("negative_slope")?.unwrap_or(0.01)),
        "elu" => x.elu(call.number("alpha")?.unwrap_or(1.0)),
        "softplus" => x.softplus(call.number("beta")?.unwrap_or(1.0), call.number("threshold")?.unwrap_or(20.0)),
        "gelu" => match call.attr("approximate").map_or(Some("none"), Value::as_str) {
            Some("none") => x.gelu(),
            Some("tanh") => x.gelu_tanh(),
            _ => return Err(call.wrong("approximate")),
        },
        _ => return Err(call.unsupported()),
    }?])
}

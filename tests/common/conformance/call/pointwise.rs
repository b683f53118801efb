//! Pointwise operations.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{DType, RoundingMode, Tensor};

const ONE: &[&str] = &["input"];
/// `a` and `b` are numbers, or a number and a tensor, which some of these do not take.
const TWO: &[&str] = &["input", "other", "a", "b"];

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
            "erfinv",
            "floor",
            "ceil",
            "trunc",
            "frac",
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
    Operation { names: &["round"], tensors: ONE, attributes: &["decimals"], run: activation },
    Operation { names: &["div"], tensors: TWO, attributes: &["other", "rounding_mode"], run: binary },
    Operation { names: &["lerp"], tensors: &["input", "end", "weight"], attributes: &["weight"], run: blend },
    Operation {
        names: &["addcmul", "addcdiv"],
        tensors: &["input", "tensor1", "tensor2"],
        attributes: &["value"],
        run: blend,
    },
    Operation { names: &["masked_fill"], tensors: &["input", "mask", "value"], attributes: &["value"], run: blend },
    Operation {
        names: &[
            "mul",
            "floor_divide",
            "maximum",
            "minimum",
            "atan2",
            "fmod",
            "remainder",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
        ],
        tensors: TWO,
        attributes: &["other", "a", "b"],
        run: binary,
    },
    Operation { names: &["logical_and", "logical_or", "logical_xor"], tensors: TWO, attributes: &[], run: binary },
    Operation {
        names: &["pow"],
        tensors: &["input", "exponent", "a", "b"],
        attributes: &["input", "exponent", "a", "b"],
        run: binary,
    },
    Operation {
        names: &["where"],
        tensors: &["condition", "input", "other"],
        attributes: &["input", "other"],
        run: choose,
    },
    Operation { names: &["clamp"], tensors: &["input", "min", "max"], attributes: &["min", "max"], run: activation },
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
        "erfinv" => x.erfinv(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "trunc" => x.trunc(),
        "frac" => x.frac(),
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
    let name = if call.op == "pow" { "exponent" } else { "other" };
    let x = match (call.optional("input"), call.optional(name)) {
        (None, Some(other)) => number(call, "input", other)?,
        _ => call.tensor("input")?.clone(),
    };
    let other = match call.optional(name) {
        Some(other) => other.clone(),
        None => number(call, name, &x)?,
    };
    let whole_divisor = other.rank() == 0 && !x.dtype().is_float() && !other.dtype().is_float();
    if matches!(call.op, "fmod" | "remainder" | "floor_divide") && call.attr(name).is_some() && whole_divisor {
        // A divisor of 0 is refused before anything runs.
        let divisor = call.number(name)?.ok_or_else(|| call.wrong(name))?;
        return Ok(vec![match call.op {
            "fmod" => x.fmod_scalar(divisor),
            "remainder" => x.remainder_scalar(divisor),
            _ => x.floor_divide_scalar(divisor),
        }?]);
    }
    let other = scaled(call, &x, other)?;
    Ok(vec![match call.op {
        "add" => x.add(&other),
        "sub" => x.sub(&other),
        "mul" => x.mul(&other),
        "div" => match call.attr("rounding_mode").map(Value::as_str) {
            None => x.div(&other),
            Some(Some("floor")) => x.div_rounded(&other, RoundingMode::Floor),
            Some(Some("trunc")) => x.div_rounded(&other, RoundingMode::Trunc),
            Some(_) => return Err(call.wrong("rounding_mode")),
        },
        "floor_divide" => x.floor_divide(&other),
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
        "pow" if call.attr(name).is_some() => x.pow_scalar(call.number(name)?.ok_or_else(|| call.wrong(name))?),
        "pow" => x.pow(&other),
        _ => return Err(call.unsupported()),
    }?])
}

/// A number among tensors: of their type if that is a float, otherwise of its own.
fn number(call: &Call, name: &str, among: &Tensor) -> Result<Tensor, Refusal> {
    let value = call.number(name)?.ok_or_else(|| Refusal::Argument(format!("{}: no {name} given", call.op)))?;
    Ok(match call.attr(name) {
        _ if among.dtype().is_float() => Tensor::scalar(call.device, value as f32)?.to_dtype(among.dtype())?,
        Some(Value::Bool(value)) => Tensor::scalar(call.device, *value)?,
        Some(number) if number.is_i64() => Tensor::scalar(call.device, value as i32)?,
        _ => Tensor::scalar(call.device, value as f32)?,
    })
}

/// The second operand of `add` and `sub`, times `alpha`, which has a fraction only among floats.
fn scaled(call: &Call, x: &Tensor, other: Tensor) -> Result<Tensor, Refusal> {
    let ("add" | "sub", Some(alpha)) = (call.op, call.number("alpha")?) else { return Ok(other) };
    let floats = x.dtype().is_float() || other.dtype().is_float();
    let given = call.attr("alpha");
    if !floats && given.is_some_and(Value::is_f64) {
        return Err(call.wrong("alpha"));
    }
    let truth = x.dtype() == DType::Bool && other.dtype() == DType::Bool;
    Ok(match (truth, floats) {
        (true, _) => other.logical_and(&Tensor::scalar(call.device, alpha != 0.0)?)?,
        (_, true) if !other.dtype().is_float() => other.to_dtype(DType::F32)?.mul_scalar(alpha)?,
        _ if other.dtype() == DType::Bool => other.to_dtype(DType::I32)?.mul_scalar(alpha)?,
        _ => other.mul_scalar(alpha)?,
    })
}

fn choose(call: &Call) -> Results {
    let (x, other) = (call.optional("input"), call.optional("other"));
    let condition = call.tensor("condition")?;
    let among = x.or(other).unwrap_or(condition);
    let value = |given: Option<&Tensor>, name: &str| given.map_or_else(|| number(call, name, among), |t| Ok(t.clone()));
    Ok(vec![condition.where_(&value(x, "input")?, &value(other, "other")?)?])
}

fn blend(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let value = call.number("value")?;
    Ok(vec![match call.op {
        "lerp" => match call.number("weight")? {
            Some(weight) => x.lerp(call.tensor("end")?, weight),
            None => x.lerp_tensor(call.tensor("end")?, call.tensor("weight")?),
        },
        "addcmul" => x.addcmul(call.tensor("tensor1")?, call.tensor("tensor2")?, value.unwrap_or(1.0)),
        "addcdiv" => x.addcdiv(call.tensor("tensor1")?, call.tensor("tensor2")?, value.unwrap_or(1.0)),
        "masked_fill" => match value {
            Some(value) => x.masked_fill(call.tensor("mask")?, value),
            None => x.masked_fill_tensor(call.tensor("mask")?, call.tensor("value")?),
        },
        _ => return Err(call.unsupported()),
    }?])
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
        "clamp" => match (call.optional("min"), call.optional("max")) {
            (None, None) => x.clamp(call.number("min")?, call.number("max")?),
            // A number beside a tensor.
            (min, max) => {
                let bound = |given: Option<&Tensor>, name: &str| -> Result<Option<Tensor>, Refusal> {
                    match (given, call.attr(name)) {
                        (Some(tensor), _) => Ok(Some(tensor.clone())),
                        (None, Some(_)) => number(call, name, x).map(Some),
                        (None, None) => Ok(None),
                    }
                };
                let (min, max) = (bound(min, "min")?, bound(max, "max")?);
                x.clamp_tensor(min.as_ref(), max.as_ref())
            }
        },
        "round" => match call.integers("decimals")?.as_deref() {
            None => x.round(),
            Some(&[decimals]) => x.round_decimals(decimals as i32),
            Some(_) => return Err(call.wrong("decimals")),
        },
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

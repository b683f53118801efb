//! Operations that make tensors.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{DType, Device, Tensor};

const NONE: &[&str] = &[];
const ONE: &[&str] = &["input"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["arange"], tensors: NONE, attributes: &["start", "end", "step", "dtype"], run: sequence },
    Operation {
        names: &["linspace"],
        tensors: &["start", "end"],
        attributes: &["start", "end", "steps", "dtype"],
        run: sequence,
    },
    Operation { names: &["eye"], tensors: NONE, attributes: &["n", "m", "dtype"], run: sequence },
    Operation { names: &["zeros", "ones"], tensors: NONE, attributes: &["size", "dtype"], run: constant },
    Operation { names: &["full"], tensors: NONE, attributes: &["size", "fill_value", "dtype"], run: constant },
    Operation { names: &["zeros_like", "ones_like"], tensors: ONE, attributes: &["dtype"], run: constant },
    Operation { names: &["full_like"], tensors: ONE, attributes: &["fill_value", "dtype"], run: constant },
    Operation { names: &["one_hot"], tensors: &["input", "tensor"], attributes: &["num_classes"], run: one_hot },
    Operation { names: &["rand", "randn"], tensors: NONE, attributes: &["size"], run: random },
    Operation { names: &["randint"], tensors: NONE, attributes: &["low", "high", "size"], run: random },
    Operation { names: &["randperm"], tensors: NONE, attributes: &["n"], run: random },
    Operation { names: &["rand_like", "randn_like"], tensors: ONE, attributes: NONE, run: random },
    Operation { names: &["randint_like"], tensors: ONE, attributes: &["low", "high"], run: random },
    Operation { names: &["bernoulli"], tensors: ONE, attributes: &["p"], run: random },
];

/// The type an attribute names, as PyTorch prints it, with or without `torch.` in front.
fn dtype(call: &Call) -> Result<Option<DType>, Refusal> {
    let Some(value) = call.attr("dtype") else { return Ok(None) };
    Ok(Some(match value.as_str().map(|name| name.trim_start_matches("torch.")) {
        Some("float32" | "float64" | "float") => DType::F32,
        Some("float16" | "half") => DType::F16,
        Some("int64" | "int32" | "long" | "int") => DType::I32,
        Some("bool") => DType::Bool,
        _ => return Err(call.wrong("dtype")),
    }))
}

/// A number that may also come as a tensor of one element.
fn end(call: &Call, name: &str) -> Result<Option<f64>, Refusal> {
    match call.optional(name) {
        Some(tensor) if tensor.rank() == 0 => Ok(tensor.to_f64()?.first().copied()),
        Some(_) => Err(Refusal::Argument(format!("{}: {name} must have no dimensions", call.op))),
        None => call.number(name),
    }
}

fn sequence(call: &Call) -> Results {
    let device = call.device;
    let needed = |name: &str| end(call, name)?.ok_or_else(|| call.wrong(name));
    let dtype = dtype(call)?;
    Ok(vec![match call.op {
        "arange" => {
            let whole = |name: &str| call.attr(name).is_none_or(|v| v.is_i64() || v.is_boolean());
            let given = if ["start", "end", "step"].into_iter().all(whole) { DType::I32 } else { DType::F32 };
            let (start, step) = (end(call, "start")?.unwrap_or(0.0), end(call, "step")?.unwrap_or(1.0));
            Tensor::arange(device, start, needed("end")?, step, dtype.unwrap_or(given))
        }
        "linspace" => Tensor::linspace(device, needed("start")?, needed("end")?, call.size("steps")?)?
            .to_dtype(dtype.unwrap_or(DType::F32)),
        "eye" => {
            let n = call.size("n")?;
            let m = if call.attr("m").is_some() { call.size("m")? } else { n };
            Tensor::eye(device, n, m)?.to_dtype(dtype.unwrap_or(DType::F32))
        }
        _ => return Err(call.unsupported()),
    }?])
}

fn constant(call: &Call) -> Results {
    let dtype = dtype(call)?;
    // The number determines the type of `full`.
    let (value, given) = match call.attr("fill_value") {
        Some(Value::Bool(value)) => (f64::from(*value), DType::Bool),
        Some(value) if value.is_i64() => (call.number("fill_value")?.unwrap_or(0.0), DType::I32),
        _ => (call.number("fill_value")?.unwrap_or(0.0), DType::F32),
    };
    Ok(vec![match (call.optional("input"), call.op) {
        (Some(x), _) => {
            let x = if let Some(dtype) = dtype { x.to_dtype(dtype)? } else { x.clone() };
            match call.op {
                "zeros_like" => x.zeros_like(),
                "ones_like" => x.ones_like(),
                _ => x.full_like(value),
            }
        }
        (None, "zeros") => Tensor::zeros(call.device, &call.sizes("size")?)?.to_dtype(dtype.unwrap_or(DType::F32)),
        (None, "ones") => Tensor::ones(call.device, &call.sizes("size")?)?.to_dtype(dtype.unwrap_or(DType::F32)),
        (None, "full") => full(call.device, &call.sizes("size")?, value, dtype.unwrap_or(given)),
        (None, _) => return Err(call.unsupported()),
    }?])
}

fn full(device: &Device, shape: &[usize], value: f64, dtype: DType) -> wgrad::Result<Tensor> {
    match dtype {
        DType::I32 => Tensor::full(device, shape, value as i32),
        DType::Bool => Tensor::full(device, shape, value != 0.0),
        _ => Tensor::full(device, shape, value as f32)?.to_dtype(dtype),
    }
}

fn one_hot(call: &Call) -> Results {
    let x = call.optional("tensor").map_or_else(|| call.tensor("input"), Ok)?;
    let classes = match call.integers("num_classes")?.as_deref() {
        None | Some([-1]) => None,
        Some(_) => Some(call.size("num_classes")?),
    };
    Ok(vec![x.one_hot(classes)?])
}

fn random(call: &Call) -> Results {
    let device = call.device;
    let whole = |name: &str, default: Option<i32>| match call.number(name)? {
        Some(value) => Ok(value as i32),
        None => default.ok_or_else(|| call.wrong(name)),
    };
    let x = || call.tensor("input");
    Ok(vec![match call.op {
        "rand" => Tensor::rand(device, &call.sizes("size")?),
        "randn" => Tensor::randn(device, &call.sizes("size")?),
        "randint" => Tensor::randint(device, whole("low", Some(0))?, whole("high", None)?, &call.sizes("size")?),
        "randperm" => Tensor::randperm(device, call.size("n")?),
        "rand_like" => x()?.rand_like(),
        "randn_like" => x()?.randn_like(),
        "randint_like" => x()?.randint_like(whole("low", Some(0))?, whole("high", None)?),
        "bernoulli" => match call.number("p")? {
            Some(p) => x()?.bernoulli_p(p),
            None => x()?.bernoulli(),
        },
        _ => return Err(call.unsupported()),
    }?])
}

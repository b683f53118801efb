//! Linear algebra.

use super::{Call, Operation, Results};
use serde_json::Value;
use wgrad::Tensor;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["matmul"], tensors: &["input", "other"], attributes: &[], run: matmul },
    Operation { names: &["mm", "bmm"], tensors: &["input", "mat2"], attributes: &[], run: product },
    Operation { names: &["mv"], tensors: &["input", "vec"], attributes: &[], run: product },
    Operation { names: &["dot"], tensors: &["input", "tensor"], attributes: &[], run: product },
    Operation { names: &["outer"], tensors: &["input", "vec2"], attributes: &[], run: product },
    Operation { names: &["addmm"], tensors: &["input", "mat1", "mat2"], attributes: &["beta", "alpha"], run: add },
    Operation {
        names: &["baddbmm"],
        tensors: &["input", "batch1", "batch2"],
        attributes: &["beta", "alpha"],
        run: add,
    },
    Operation { names: &["linear"], tensors: &["input", "weight", "bias"], attributes: &[], run: linear },
    Operation { names: &["bilinear"], tensors: &["input1", "input2", "weight", "bias"], attributes: &[], run: linear },
    Operation { names: &["einsum"], tensors: &["operands"], attributes: &["equation"], run: einsum },
];

fn matmul(call: &Call) -> Results {
    Ok(vec![call.tensor("input")?.matmul(call.tensor("other")?)?])
}

fn product(call: &Call) -> Results {
    let input = call.tensor("input")?;
    Ok(vec![match call.op {
        "mm" => input.mm(call.tensor("mat2")?),
        "bmm" => input.bmm(call.tensor("mat2")?),
        "mv" => input.mv(call.tensor("vec")?),
        "dot" => input.dot(call.tensor("tensor")?),
        "outer" => input.outer(call.tensor("vec2")?),
        _ => return Err(call.unsupported()),
    }?])
}

fn add(call: &Call) -> Results {
    let (input, beta, alpha) =
        (call.tensor("input")?, call.number("beta")?.unwrap_or(1.0), call.number("alpha")?.unwrap_or(1.0));
    Ok(vec![match call.op {
        "addmm" => input.addmm(call.tensor("mat1")?, call.tensor("mat2")?, beta, alpha),
        "baddbmm" => input.baddbmm(call.tensor("batch1")?, call.tensor("batch2")?, beta, alpha),
        _ => return Err(call.unsupported()),
    }?])
}

fn linear(call: &Call) -> Results {
    let (weight, bias) = (call.tensor("weight")?, call.optional("bias"));
    Ok(vec![match call.op {
        "linear" => call.tensor("input")?.linear(weight, bias),
        "bilinear" => call.tensor("input1")?.bilinear(call.tensor("input2")?, weight, bias),
        _ => return Err(call.unsupported()),
    }?])
}

fn einsum(call: &Call) -> Results {
    let equation = call.attr("equation").and_then(Value::as_str).ok_or_else(|| call.wrong("equation"))?;
    Ok(vec![Tensor::einsum(equation, &call.list("operands"))?])
}

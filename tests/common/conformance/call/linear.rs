//! Linear algebra.

use super::{Call, Operation, Results};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation { names: &["linear"], tensors: &["input", "weight", "bias"], attributes: &[], run: linear },
    Operation { names: &["matmul"], tensors: &["input", "other"], attributes: &[], run: matmul },
];

fn linear(call: &Call) -> Results {
    Ok(vec![call.tensor("input")?.linear(call.tensor("weight")?, call.optional("bias"))?])
}

fn matmul(call: &Call) -> Results {
    Ok(vec![call.tensor("input")?.matmul(call.tensor("other")?)?])
}

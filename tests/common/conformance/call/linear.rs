//! Linear algebra.

use super::{Call, Operation, Results};

pub(super) const OPERATIONS: &[Operation] =
    &[Operation { names: &["matmul"], tensors: &["input", "other"], attributes: &[], run: matmul }];

fn matmul(call: &Call) -> Results {
    Ok(vec![call.tensor("input")?.matmul(call.tensor("other")?)?])
}

//! Picking elements by index.

use super::{Call, Operation, Results};

pub(super) const OPERATIONS: &[Operation] =
    &[Operation { names: &["gather"], tensors: &["input", "index"], attributes: &["dim", "sparse_grad"], run: gather }];

fn gather(call: &Call) -> Results {
    let dim = call.dim()?.ok_or_else(|| call.wrong("dim"))?;
    Ok(vec![call.tensor("input")?.gather(dim, call.tensor("index")?)?])
}

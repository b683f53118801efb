//! The type of a computation with operands of several types, by PyTorch's rules.
//!
//! Truth values are below integers, integers below floats, and f16 below f32. An operand without dimensions counts only if its
//! kind is higher than that of all operands with dimensions: a 0-d f32 does not turn f16 into f32, but does so with i32.

use super::{Accepts, Row};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;

/// 0 for truth values, 1 for integers, 2 for floats.
fn kind(dtype: DType) -> u8 {
    match dtype {
        DType::Bool => 0,
        DType::I32 | DType::U32 => 1,
        DType::F16 | DType::F32 => 2,
    }
}

/// The common type of two tensors; `None` for signed and unsigned integers, neither of which holds the other.
fn joint(a: DType, b: DType) -> Option<DType> {
    match (a, b) {
        _ if a == b => Some(a),
        (DType::F16, DType::F32) | (DType::F32, DType::F16) => Some(DType::F32),
        _ if kind(a) != kind(b) => Some(if kind(a) > kind(b) { a } else { b }),
        _ => None,
    }
}

/// The common type of several tensors.
pub(in crate::ops) fn joint_dtype(op: &'static str, tensors: &[&Tensor]) -> Result<DType> {
    let of = |scalars: bool| {
        let mut dtypes = tensors.iter().filter(|t| (t.rank() == 0) == scalars).map(|t| t.dtype());
        let Some(first) = dtypes.next() else { return Ok(None) };
        let mixed = |got| Error::WrongDType { op, expected: "i32 or u32, not both (see to_dtype)", got };
        dtypes.try_fold(first, |a, b| joint(a, b).ok_or(mixed(b))).map(Some)
    };
    Ok(match (of(false)?, of(true)?) {
        (Some(dtype), Some(scalar)) => {
            if kind(scalar) > kind(dtype) {
                scalar
            } else {
                dtype
            }
        }
        (Some(dtype), None) | (None, Some(dtype)) => dtype,
        (None, None) => DType::F32,
    })
}

/// The row for the operands' common type, and the operands in it.
#[track_caller]
pub(super) fn promote(row: &'static Row, operands: &[&Tensor]) -> Result<(&'static Row, Vec<Tensor>)> {
    let op = row.formula.name;
    let all = || operands.iter().map(|&operand| operand.clone()).collect::<Vec<_>>();
    if matches!(row.accepts, Accepts::Float | Accepts::Truth) {
        return Ok((row, all()));
    }
    let values = row.values(operands);
    let mut dtype = joint_dtype(op, values)?;
    if row.accepts == Accepts::NeverTruth && values.iter().any(|value| value.dtype() == DType::Bool) {
        return Err(Error::WrongDType { op, expected: "numbers", got: DType::Bool });
    }
    dtype = match (row.accepts, kind(dtype)) {
        (Accepts::Floated, 0 | 1) => DType::F32,
        (Accepts::Counted, 0) => DType::I32,
        _ => dtype,
    };
    let chosen = match kind(dtype) {
        0 => row.over_truth,
        1 => row.over_integers,
        _ => None,
    };
    let row = chosen.unwrap_or(row);
    row.check(&[dtype]).map_err(|error| match error {
        Error::WrongDType { expected, got, .. } => Error::WrongDType { op, expected, got },
        other => other,
    })?;
    let mut operands = all();
    let start = operands.len() - values.len();
    for value in &mut operands[start..] {
        *value = value.to_dtype(dtype)?;
    }
    Ok((row, operands))
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("add", &[&[3, 5], &[5]], |x| Ok(vec![x[0].add(&x[1])?])).integers(1, -9, 9),
        Case::new("mul", &[&[7], &[]], |x| Ok(vec![x[0].mul(&x[1])?])).integers(0, -9, 9),
        Case::new("mul", &[&[7], &[7]], |x| Ok(vec![x[0].mul(&x[1])?])).truth(1),
        Case::new("add", &[&[7], &[7]], |x| Ok(vec![x[0].add(&x[1])?])).truth(0).truth(1).no_gradient(),
        Case::new("mul", &[&[7], &[7]], |x| Ok(vec![x[0].mul(&x[1])?])).truth(0).truth(1).no_gradient(),
        Case::new("maximum", &[&[7], &[7]], |x| Ok(vec![x[0].maximum(&x[1])?])).truth(0).truth(1).no_gradient(),
        Case::new("minimum", &[&[9], &[9]], |x| Ok(vec![x[0].minimum(&x[1])?]))
            .integers(0, -9, 9)
            .integers(1, -9, 9)
            .no_gradient(),
        Case::new("exp", &[&[9]], |x| Ok(vec![x[0].exp()?])).integers(0, -9, 2).no_gradient(),
        Case::new("lt", &[&[9], &[9]], |x| Ok(vec![x[0].lt(&x[1])?])).truth(0).integers(1, -2, 2).no_gradient(),
        Case::new("lt", &[&[9], &[9]], |x| Ok(vec![x[0].lt(&x[1])?])).truth(0).truth(1).no_gradient(),
        Case::new("sign", &[&[9]], |x| Ok(vec![x[0].sign()?])).integers(0, -2, 2).no_gradient(),
        Case::new("floor", &[&[9]], |x| Ok(vec![x[0].floor()?])).integers(0, -2, 2).no_gradient(),
        Case::new("relu", &[&[9]], |x| Ok(vec![x[0].relu()?])).integers(0, -2, 2).no_gradient(),
        Case::new("pow", &[&[40], &[40]], |x| Ok(vec![x[0].pow(&x[1])?]))
            .integers(0, -4, 4)
            .integers(1, -3, 9)
            .no_gradient(),
        Case::new("where", &[&[9], &[9], &[]], |x| Ok(vec![x[0].where_(&x[1], &x[2])?])).truth(0).integers(1, -2, 2),
        Case::new("isnan", &[&[9]], |x| Ok(vec![x[0].isnan()?, x[0].isfinite()?])).integers(0, -2, 2).no_gradient(),
    ]
}

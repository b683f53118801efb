//! Bytes, four in a word, since WGSL stores none by themselves.

use super::{Accepts, Makes, Row, apply};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::case::Case;

static BYTE: Row = Row::plain("byte", 2, "F(({0} >> {1}) & U(255u))", Accepts::Number, Makes::Type(DType::F32), |x| {
    f64::from((nearest::<u32>(x[0]) >> nearest::<u32>(x[1])) & 255)
});

impl Tensor {
    /// The bytes of u32 words as f32, the lowest first: `[.., W]` becomes `[.., 4 W]`.
    #[track_caller]
    pub(crate) fn unpack_bytes(&self) -> Result<Tensor> {
        let shifts = Tensor::from_slice(self.device(), &[0u32, 8, 16, 24], &[4])?;
        apply(&BYTE, &[&self.unsqueeze(-1)?, &shifts])?.flatten(-2, -1)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |shape: &[usize]| {
        Case::new("unpack_bytes", &[shape], |x| Ok(vec![x[0].to_dtype(DType::U32)?.unpack_bytes()?])).no_gradient()
    };
    // High bytes come from large numbers, low ones from numbers that f32 holds exactly.
    vec![case(&[3, 5]).domain(0, 0.0, 4.29e9), case(&[7]).domain(0, 0.0, 16_777_215.0)]
}

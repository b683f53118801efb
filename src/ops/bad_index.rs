//! The flag of bad indices that the device has found.

use crate::device::Adapter;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::Layout;
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("device/bad_index");

/// `output = 1` if a bad index waits to be reported, otherwise the input. On the reference such an index is an error before this
/// could run.
#[derive(Debug)]
struct BadIndex;

impl Op for BadIndex {
    fn name(&self) -> &'static str {
        "bad_index"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn kernels(&self, _: &Io, _: &Adapter) -> Result<Kernels> {
        Ok(Kernel::new("bad_index", TEMPLATE)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .bind("fault", Operand::BadIndex)
            .words([Word::Offset(0)])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// `flag`, one number of f32, or 1 if an earlier kernel has found a bad index that has not been reported.
#[track_caller]
pub(crate) fn or_bad_index(flag: &Tensor) -> Result<Tensor> {
    record_one(BadIndex, &[flag])
}

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("bad_index", &[&[1]], |x| Ok(vec![or_bad_index(&x[0])?])).no_gradient()]
}

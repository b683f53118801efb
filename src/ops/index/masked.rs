//! Picking elements by a mask.

use super::gather::Gather;
use super::sort::scan;
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, ascribe_to_caller, hash_structure, no_grad, record, record_one};
use crate::host_tensor::HostTensor;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const COUNT: &str = wgsl!("index/masked_count");
const POSITIONS: &str = wgsl!("index/masked_positions");

/// The positions of true elements of a flat mask in order, then zeros; and their number.
#[derive(Clone, Debug, Hash)]
struct MaskPositions;

impl Op for MaskPositions {
    fn name(&self) -> &'static str {
        "masked_select"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn differentiable(&self) -> bool {
        false
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let total = Shape::new(&[1])?;
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::I32), Layout::contiguous(total, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let count = io.inputs[0].shape.numel();
        let ranks = Operand::Temporary(0);
        let mut kernels = Kernels { temporaries: vec![4 * count], ..Kernels::default() };
        let on_elements = |kernel: Kernel| {
            kernel
                .bind("mask", Operand::Input(0))
                .bind("ranks", ranks)
                .values(&[count])
                .words([Word::Offset(0)])
                .grid(fold_groups(count, 64))
                .work(count)
        };
        kernels.kernels.push(on_elements(Kernel::new("masked_count", COUNT)));
        scan(&mut kernels, ranks, count);
        let place = on_elements(Kernel::new("masked_positions", POSITIONS))
            .bind("positions", Operand::Output(0))
            .bind("total", Operand::Output(1));
        kernels.kernels.push(place);
        Ok(kernels)
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let mask = &inputs[0];
        let chosen = (0..mask.values.len()).filter(|&n| mask.values[n] != 0.0);
        let mut positions: Vec<f64> = chosen.map(|n| n as f64).collect();
        let total = HostTensor::new(Shape::new(&[1])?, DType::I32, vec![positions.len() as f64]);
        positions.resize(mask.values.len(), 0.0);
        Ok(vec![HostTensor::new(mask.shape, DType::I32, positions), total])
    }
}

impl Tensor {
    /// The elements where the bool tensor `mask` is true, in row-major order, as one dimension; the two broadcast.
    ///
    /// Reads the number of elements back, since the result's shape depends on it: a synchronisation point, which runs the
    /// recorded work and waits for it. [`where_`](Tensor::where_) and a product with a mask need none.
    ///
    /// # Errors
    /// [`Error::Broadcast`], [`Error::WrongDType`], and all errors on the device since the last synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, -2.0, 3.0], &[3])?;
    /// assert_eq!(x.masked_select(&x.gt_scalar(0.0)?)?.to_vec::<f32>()?, [1.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor) -> Result<Tensor> {
        const OP: &str = "masked_select";
        let _line = ascribe_to_caller();
        if mask.dtype() != DType::Bool {
            return Err(Error::WrongDType { op: OP, expected: "a bool mask", got: mask.dtype() });
        }
        let joint = self.shape().broadcast(mask.shape(), OP)?;
        let source = self.expand_to(joint, OP)?.contiguous()?.reshape_to(Shape::new(&[1, joint.numel(), 1])?)?;
        let positions = no_grad(|| -> Result<Tensor> {
            if joint.numel() == 0 {
                return Tensor::full(self.device(), &[0], 0i32);
            }
            let mask = mask.expand_to(joint, OP)?.contiguous()?.reshape_to(Shape::new(&[joint.numel()])?)?;
            let mut found = record(MaskPositions, &[&mask])?;
            let total = found.swap_remove(1).item::<i32>()?;
            // wgpu's noop adapter, on which plans are tested, reads back arbitrary values.
            let length = usize::try_from(total).unwrap_or(0).min(joint.numel());
            found.swap_remove(0).narrow(0, 0, length)
        })?;
        record_one(Gather { fault: OP.into() }, &[&source, &positions])?.reshape_to(*positions.shape())
    }
}

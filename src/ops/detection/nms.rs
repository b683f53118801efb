//! Non-maximum suppression.

use super::check_boxes;
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, record};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::reduce::MOST_TURNS;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::cmp::Ordering;
use std::hash::Hasher;

const OP: &str = "nms";

const RANK: &str = include_str!("../../../shaders/nms_order.wgsl");
const SUPPRESS: &str = include_str!("../../../shaders/nms.wgsl");

/// The kernel that orders the scores compares sixteen a turn.
const MOST_BOXES: usize = 16 * MOST_TURNS;

/// The order of the scores, the largest first, and for each box in that order 1 where it stays, else 0.
#[derive(Clone, Debug)]
struct Nms {
    /// The threshold's bits.
    threshold: [u32; 1],
}

fn overlap(a: &[f64], b: &[f64]) -> f64 {
    let area = |corners: &[f64]| (corners[2] - corners[0]) * (corners[3] - corners[1]);
    let side = |d: usize| (a[d + 2].min(b[d + 2]) - a[d].max(b[d])).max(0.0);
    let shared = side(0) * side(1);
    shared / (area(a) + area(b) - shared)
}

impl Op for Nms {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn scalars(&self) -> &[u32] {
        &self.threshold
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[1].shape, DType::I32); 2])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let count = io.inputs[1].shape.numel();
        let rank = Kernel::new("nms_order", RANK)
            .bind("scores", Operand::Input(1))
            .bind("order", Operand::Output(0))
            .values(&[count])
            .words([Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count.saturating_mul(count));
        let suppress = |first: usize, end: usize| {
            Kernel::new("nms", SUPPRESS)
                .bind("boxes", Operand::Input(0))
                .bind("order", Operand::Output(0))
                .bind("keep", Operand::Output(1))
                .values(&[count])
                .words([Word::Scalar(0), Word::Offset(0)])
                .values(&[first, end])
                .grid([1, 1, 1])
                .work((end - first).saturating_mul(count).saturating_mul(8))
        };
        let each = count.div_ceil(256);
        let span = (MOST_TURNS / (each + 1)).saturating_sub(1).max(1);
        let spans = (0..count.max(1)).step_by(span).map(|first| suppress(first, (first + span).min(count)));
        Ok(Kernels { kernels: [rank].into_iter().chain(spans).collect(), ..Kernels::default() })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (boxes, scores) = (&inputs[0].values, &inputs[1].values);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // Stable: of equal scores the earlier one comes first. NaN comes before all others.
        order.sort_by(|&a, &b| match (scores[a].is_nan(), scores[b].is_nan()) {
            (false, false) => scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal),
            (a, b) => b.cmp(&a),
        });
        let threshold = f64::from(f32::from_bits(self.threshold[0]));
        let corners = |at: usize| &boxes[4 * at..4 * at + 4];
        let mut keep = vec![1.0; order.len()];
        for i in 0..order.len() {
            for j in i + 1..order.len() {
                if keep[i] == 1.0 && overlap(corners(order[i]), corners(order[j])) > threshold {
                    keep[j] = 0.0;
                }
            }
        }
        let order = order.into_iter().map(|at| at as f64).collect();
        let shape = inputs[1].shape;
        Ok(vec![HostTensor::new(shape, DType::I32, order), HostTensor::new(shape, DType::I32, keep)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// The largest f32 that is not above `value`: an f32 is above the one where it is above the other.
fn round_down(value: f64) -> f32 {
    let rounded = nearest::<f32>(value);
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

impl Tensor {
    /// The boxes that stay when each one removes those of lower score that it covers by more than `iou_threshold`
    /// (intersection over union), torchvision's `nms`: their indices (i32), by falling score.
    ///
    /// Boxes are `[N, 4]`, as x1, y1, x2, y2; scores are `[N]`. The suppression runs on the device; how many boxes stay
    /// is part of the result's shape, so this call waits for the device and reads that back.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes; [`Error::WrongDType`] for types other than f32; [`Error::TooLarge`] past
    /// 960,000 boxes; those of a readback.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let corners = [0.0f32, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 1.8, 3.0, 3.0, 4.0, 4.0];
    /// let boxes = Tensor::from_slice(&device, &corners, &[3, 4])?;
    /// let scores = Tensor::from_slice(&device, &[0.5f32, 0.9, 0.1], &[3])?;
    /// assert_eq!(boxes.nms(&scores, 0.5)?.to_vec::<i32>()?, [1, 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn nms(&self, scores: &Tensor, iou_threshold: f64) -> Result<Tensor> {
        check_boxes(OP, self)?;
        if self.rank() != 2 || scores.shape()[..] != [self.shape()[0]] {
            let rule = format!("boxes {} and scores {} must be [N, 4] and [N]", self.shape(), scores.shape());
            return Err(Error::invalid(OP, rule));
        }
        for tensor in [self, scores] {
            if tensor.dtype() != DType::F32 {
                return Err(Error::WrongDType { op: OP, expected: "f32", got: tensor.dtype() });
            }
        }
        if scores.numel() > MOST_BOXES {
            let (limit, unit) = (MOST_BOXES as u64, "boxes");
            return Err(Error::TooLarge { op: OP, shape: *scores.shape(), limit, unit });
        }
        let op = Nms { threshold: [round_down(iou_threshold).to_bits()] };
        let outputs = record(op, &[&self.contiguous()?, &scores.contiguous()?])?;
        let (order, keep) = (outputs[0].to_vec::<i32>()?, outputs[1].to_vec::<i32>()?);
        let kept: Vec<i32> = order.into_iter().zip(keep).filter(|&(_, keep)| keep == 1).map(|(at, _)| at).collect();
        Tensor::from_slice(self.device(), &kept, &[kept.len()])
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |count: usize, threshold: f64| {
        let run = move |x: &[Tensor]| {
            let (from, size) = (x[0].narrow(1, 0, 2)?, x[0].narrow(1, 2, 2)?);
            let boxes = Tensor::cat(&[&from, &from.add(&size)?], 1)?;
            Ok(vec![boxes.nms(&x[1].narrow(0, 1, count)?, threshold)?])
        };
        Case::new(OP, &[&[count, 4], &[count + 1]], run).domain(0, 0.1, 2.0).distinct().no_gradient()
    };
    vec![case(1, 0.5), case(7, 0.3), case(67, 0.2), case(301, 0.1), case(5, 0.0), case(0, 0.5)]
}

//! Non-maximum suppression.

use super::check_boxes;
use crate::device::{Adapter, LONGEST_LOOP};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, ascribe_to_caller, record};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::PadMode;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::cmp::Ordering;
use std::hash::Hasher;

const OP: &str = "nms";

const RANK: &str = wgsl!("detection/nms_order");
const SUPPRESS: &str = wgsl!("detection/nms");

/// The kernel that orders the scores compares sixteen in an iteration.
const MOST_BOXES: usize = 16 * LONGEST_LOOP;

/// The order of each row's scores, the largest first, and for each box in that order 1 if it is kept, otherwise 0: from boxes
/// `[N, K, 4]`, scores `[N, K]` and labels `[N, K]`. Only boxes with equal labels suppress each other.
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
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let [rows, count] = [0, 1].map(|d| io.inputs[1].shape[d]);
        let total = rows * count;
        let rank = Kernel::new("nms_order", RANK)
            .bind("scores", Operand::Input(1))
            .bind("order", Operand::Output(0))
            .values(&[total, count])
            .words([Word::Offset(1)])
            .grid(fold_groups(total, 64))
            .work(total.saturating_mul(count));
        let suppress = |first: usize, end: usize| {
            Kernel::new("nms", SUPPRESS)
                .bind("boxes", Operand::Input(0))
                .bind("labels", Operand::Input(2))
                .bind("order", Operand::Output(0))
                .bind("keep", Operand::Output(1))
                .values(&[rows, count])
                .words([Word::Scalar(0), Word::Offset(0), Word::Offset(2)])
                .values(&[first, end])
                .grid(fold_groups(rows, 1))
                .work((end - first).saturating_mul(total).saturating_mul(8))
        };
        let each = count.div_ceil(256);
        let span = (adapter.profile.longest_loop / (each + 1)).saturating_sub(1).max(1);
        let spans = (0..count.max(1)).step_by(span).map(|first| suppress(first, (first + span).min(count)));
        Ok(Kernels { kernels: [rank].into_iter().chain(spans).collect(), ..Kernels::default() })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let shape = inputs[1].shape;
        let threshold = f64::from(f32::from_bits(self.threshold[0]));
        let (mut orders, mut keeps) = (Vec::new(), Vec::new());
        for row in 0..shape[0] {
            let part = |input: usize, each: usize| {
                let size = each * shape[1];
                &inputs[input].values[row * size..(row + 1) * size]
            };
            let (boxes, scores, labels) = (part(0, 4), part(1, 1), part(2, 1));
            let mut order: Vec<usize> = (0..scores.len()).collect();
            // Stable: of equal scores the earlier one comes first. NaN comes before all others.
            order.sort_by(|&a, &b| match (scores[a].is_nan(), scores[b].is_nan()) {
                (false, false) => scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal),
                (a, b) => b.cmp(&a),
            });
            let corners = |at: usize| &boxes[4 * at..4 * at + 4];
            let mut keep = vec![1.0; order.len()];
            for i in 0..order.len() {
                for j in i + 1..order.len() {
                    let (a, b) = (order[i], order[j]);
                    if keep[i] == 1.0 && labels[a] == labels[b] && overlap(corners(a), corners(b)) > threshold {
                        keep[j] = 0.0;
                    }
                }
            }
            orders.extend(order.into_iter().map(|at| at as f64));
            keeps.extend(keep);
        }
        Ok(vec![HostTensor::new(shape, DType::I32, orders), HostTensor::new(shape, DType::I32, keeps)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// The largest f32 that is not above `value`: an f32 exceeds one of them exactly when it exceeds the other.
fn round_down(value: f64) -> f32 {
    let rounded = nearest::<f32>(value);
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

impl Tensor {
    /// The boxes that remain when each one removes those of lower score with which it overlaps by more than `iou_threshold`
    /// (intersection over union), torchvision's `nms`: their indices (i32), by falling score.
    ///
    /// Boxes are `[N, 4]`, as x1, y1, x2, y2; scores are `[N]`. The suppression runs on the device; the number of remaining boxes
    /// is part of the result's shape, so this call waits for the device and reads it back.
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
        let alike = Tensor::full(self.device(), &[1, self.shape()[0]], 0i32)?;
        let [order, keep] = suppress(OP, &self.unsqueeze(0)?, &scores.unsqueeze(0)?, &alike, iou_threshold)?;
        let (order, keep) = (order.to_vec::<i32>()?, keep.to_vec::<i32>()?);
        let kept: Vec<i32> = order.into_iter().zip(keep).filter(|&(_, keep)| keep == 1).map(|(at, _)| at).collect();
        Tensor::from_slice(self.device(), &kept, &[kept.len()])
    }

    /// [`nms`](Tensor::nms) within each class and image of a batch, torchvision's `batched_nms` with a fixed number of results:
    /// boxes `[N, K, 4]` with scores `[N, K]` and labels `[N, K]` (i32) become indices `[N, max_detections]` (i32), by falling
    /// score, then -1 if fewer boxes remain. Boxes of score -inf never do. Nothing is read back.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes; [`Error::WrongDType`] for other types; [`Error::TooLarge`] past 960,000 boxes an
    /// image.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let corners = [0.0f32, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 1.8, 0.0, 0.0, 2.0, 1.9];
    /// let boxes = Tensor::from_slice(&device, &corners, &[1, 3, 4])?;
    /// let scores = Tensor::from_slice(&device, &[0.5f32, 0.9, 0.7], &[1, 3])?;
    /// let labels = Tensor::from_slice(&device, &[0, 0, 1], &[1, 3])?;
    /// assert_eq!(boxes.batched_nms(&scores, &labels, 0.5, 4)?.to_vec::<i32>()?, [1, 2, -1, -1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn batched_nms(
        &self,
        scores: &Tensor,
        labels: &Tensor,
        iou_threshold: f64,
        max_detections: usize,
    ) -> Result<Tensor> {
        const OP: &str = "batched_nms";
        let _line = ascribe_to_caller();
        check_boxes(OP, self)?;
        let shape = *scores.shape();
        if self.rank() != 3 || shape[..] != self.shape()[..2] || labels.shape() != scores.shape() {
            let rule = format!(
                "boxes {}, scores {shape} and labels {} must be [N, K, 4], [N, K] and [N, K]",
                self.shape(),
                labels.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if labels.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: OP, expected: "i32", got: labels.dtype() });
        }
        let [order, keep] = suppress(OP, self, scores, labels, iou_threshold)?;
        let found = max_detections.min(shape[1]);
        // Remaining boxes have larger numbers the better they are, and the others 0.
        let is_real = scores.gather(1, &order)?.gt_scalar(f32::NEG_INFINITY)?;
        let places = Tensor::arange(self.device(), shape[1] as f64, 0.0, -1.0, DType::I32)?;
        let ranks = (keep * &is_real.to_dtype(DType::I32)?)? * &places;
        let (best, at) = ranks?.topk(found, 1, true)?;
        let kept = order.gather(1, &at)?.masked_fill(&best.eq_scalar(0.0)?, -1.0)?;
        kept.pad(&[0, nearest(max_detections - found)], PadMode::Constant(-1.0))
    }
}

/// The order of each row, and 1 for each box in that order that remains.
#[track_caller]
fn suppress(
    asked: &'static str,
    boxes: &Tensor,
    scores: &Tensor,
    labels: &Tensor,
    iou_threshold: f64,
) -> Result<[Tensor; 2]> {
    for tensor in [boxes, scores] {
        if tensor.dtype() != DType::F32 {
            return Err(Error::WrongDType { op: asked, expected: "f32", got: tensor.dtype() });
        }
    }
    if scores.shape()[1] > MOST_BOXES {
        let (limit, unit) = (MOST_BOXES as u64, "boxes");
        return Err(Error::TooLarge { op: asked, shape: *scores.shape(), limit, unit });
    }
    let op = Nms { threshold: [round_down(iou_threshold).to_bits()] };
    let outputs = record(op, &[&boxes.contiguous()?, &scores.contiguous()?, &labels.contiguous()?])?;
    Ok([outputs[0].clone(), outputs[1].clone()])
}

pub(super) fn cases() -> Vec<Case> {
    let case = |count: usize, threshold: f64| {
        let run = move |x: &[Tensor]| {
            let (from, size) = (x[0].narrow(1, 0, 2)?, x[0].narrow(1, 2, 2)?);
            let boxes = Tensor::cat(&[&from, &from.add(&size)?], 1)?;
            Ok(vec![boxes.nms(&x[1].narrow(0, 1, count)?, threshold)?])
        };
        let case = Case::new(OP, &[&[count, 4], &[count + 1]], run).with("iou_threshold", threshold);
        case.domain(0, 0.1, 2.0).distinct().no_gradient()
    };
    let batched = |[rows, count]: [usize; 2], threshold: f64, found: usize| {
        let run = move |x: &[Tensor]| {
            let (from, size) = (x[0].narrow(2, 0, 2)?, x[0].narrow(2, 2, 2)?);
            let boxes = Tensor::cat(&[&from, &from.add(&size)?], 2)?;
            let scores = x[1].masked_fill(&x[1].lt_scalar(-0.7)?, f64::NEG_INFINITY)?;
            Ok(vec![boxes.batched_nms(&scores, &x[2], threshold, found)?])
        };
        let shapes: [&[usize]; 3] = [&[rows, count, 4], &[rows, count], &[rows, count]];
        let case = Case::new("batched_nms", &shapes, run).with("iou_threshold", threshold).with("most", found);
        case.domain(0, 0.1, 2.0).distinct().integers(2, 0, 2).no_gradient()
    };
    vec![
        case(1, 0.5),
        case(7, 0.3),
        case(67, 0.2),
        case(301, 0.1),
        case(5, 0.0),
        case(0, 0.5),
        batched([1, 1], 0.5, 2),
        batched([3, 41], 0.2, 13),
        batched([7, 19], 0.1, 23),
        batched([2, 301], 0.3, 40),
        batched([0, 5], 0.5, 3),
    ]
}

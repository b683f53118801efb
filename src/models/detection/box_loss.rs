//! The cost of a predicted box.

use super::BoxCoder;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Reduction;

/// Added to areas and to squared diagonals, so that none is 0.
const EPS: f64 = 1e-7;

/// The cost of a predicted box, torchvision's `_box_loss`: of offsets from anchors, or of the overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum BoxLoss {
    /// The absolute differences of offsets.
    #[default]
    L1,
    /// Huber's loss of offsets by `beta`.
    SmoothL1 {
        /// The error at which the loss turns from a square into a line.
        beta: f64,
    },
    /// `1 - iou + (hull - union) / hull` (Rezatofighi et al. 2019), with the smallest box around both.
    Giou,
    /// `1 - iou + d^2 / c^2` (Zheng et al. 2020), with the distance of centres and the diagonal of the smallest box around both.
    Diou,
    /// [`Diou`](BoxLoss::Diou) and `alpha v` for the difference of aspect ratios.
    Ciou,
}

impl BoxLoss {
    /// The cost of each box, `[N, A]`: from predicted offsets `codes` (`[N, A, 4]`) from anchors, and the true boxes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a last dimension is not 4; [`Error::Broadcast`].
    #[track_caller]
    pub fn of_codes(self, coder: &BoxCoder, codes: &Tensor, anchors: &Tensor, boxes: &Tensor) -> Result<Tensor> {
        let offsets = || coder.encode(boxes, anchors);
        match self {
            BoxLoss::L1 => codes.l1_loss(&offsets()?, Reduction::None)?.sum(-1),
            BoxLoss::SmoothL1 { beta } => codes.smooth_l1_loss(&offsets()?, beta, Reduction::None)?.sum(-1),
            _ => self.of_boxes(&coder.decode(codes, anchors)?, boxes),
        }
    }

    /// The cost of each box by its overlap, `[..]` of corners `[.., 4]`: torchvision's `generalized_box_iou_loss`,
    /// `distance_box_iou_loss` and `complete_box_iou_loss`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a loss of offsets, and if a last dimension is not 4; [`Error::Broadcast`].
    #[track_caller]
    pub fn of_boxes(self, predicted: &Tensor, boxes: &Tensor) -> Result<Tensor> {
        let pair = Pair::new(predicted, boxes)?;
        match self {
            BoxLoss::L1 | BoxLoss::SmoothL1 { .. } => {
                Err(Error::invalid("BoxLoss", format!("{self:?} compares offsets; call `of_codes`")))
            }
            BoxLoss::Giou => {
                let hull = product(&pair.hull)?;
                let waste = (&hull - &pair.union)? / (hull + EPS)?;
                (1.0 - pair.iou()?)? + waste?
            }
            BoxLoss::Diou => pair.distance_loss(),
            BoxLoss::Ciou => {
                let angle = |size: &Tensor| -> Result<Tensor> { (column(size, 0)? / column(size, 1)?)?.atan() };
                let turned = (angle(&pair.sizes[1])? - angle(&pair.sizes[0])?)?.square()?;
                let scale = 4.0 / (std::f64::consts::PI * std::f64::consts::PI);
                let v = (turned * Tensor::from_f64(predicted.device(), &[scale], &[])?)?;
                let alpha = (v.detach() / ((1.0 - pair.iou()?.detach())? + (v.detach() + EPS)?)?)?;
                pair.distance_loss()? + alpha * v
            }
        }
    }
}

/// Two boxes of each row, taken apart.
struct Pair {
    sizes: [Tensor; 2],
    centres: [Tensor; 2],
    /// The area of both together.
    union: Tensor,
    /// The area that they share.
    shared: Tensor,
    /// Width and height of the smallest box around both.
    hull: Tensor,
}

impl Pair {
    #[track_caller]
    fn new(a: &Tensor, b: &Tensor) -> Result<Pair> {
        let ends = |boxes: &Tensor| Ok::<_, Error>([boxes.narrow(-1, 0, 2)?, boxes.narrow(-1, 2, 2)?]);
        let ([a1, a2], [b1, b2]) = (ends(a)?, ends(b)?);
        let shared = product(&(a2.minimum(&b2)? - a1.maximum(&b1)?)?.clamp(Some(0.0), None)?)?;
        let sizes = [(&a2 - &a1)?, (&b2 - &b1)?];
        let union = (product(&sizes[0])? + product(&sizes[1])? - &shared)?;
        let centre = |from: &Tensor, to: &Tensor| (from + to)? * 0.5;
        let centres = [centre(&a1, &a2)?, centre(&b1, &b2)?];
        Ok(Pair { sizes, centres, union, shared, hull: (a2.maximum(&b2)? - a1.minimum(&b1)?)? })
    }

    fn iou(&self) -> Result<Tensor> {
        &self.shared / (&self.union + EPS)?
    }

    fn distance_loss(&self) -> Result<Tensor> {
        let diagonal = (self.hull.square()?.sum(-1)? + EPS)?;
        let distance = (&self.centres[0] - &self.centres[1])?.square()?.sum(-1)?;
        (1.0 - self.iou()?)? + distance / diagonal
    }
}

fn column(pairs: &Tensor, at: usize) -> Result<Tensor> {
    pairs.narrow(-1, at, 1)?.squeeze(-1)
}

/// Width times height.
fn product(size: &Tensor) -> Result<Tensor> {
    column(size, 0)? * column(size, 1)?
}

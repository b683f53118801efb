//! Predictions at the positions of several maps, in one row of anchors.

use super::targets::rows_at;
use super::{Detections, ImageList};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;

/// Height and width of each map.
pub(super) fn grids(maps: &[Tensor]) -> Vec<[usize; 2]> {
    maps.iter().map(|map| [map.shape()[2], map.shape()[3]]).collect()
}

/// Predictions of `columns` numbers an anchor, `[N, A columns, H, W]`, as `[N, H W A, columns]`.
#[track_caller]
pub(super) fn flattened(map: &Tensor, columns: usize) -> Result<Tensor> {
    let shape = map.shape();
    let [images, anchors, height, width, columns] =
        [shape[0], shape[1] / columns, shape[2], shape[3], columns].map(nearest::<isize>);
    let split = map.reshape(&[images, anchors, columns, height, width])?;
    split.permute([0, 3, 4, 1, 2])?.reshape(&[images, height * width * anchors, columns])
}

/// [`flattened`] maps concatenated.
#[track_caller]
pub(super) fn joined(maps: &[Tensor], columns: usize) -> Result<Tensor> {
    let flat = maps.iter().map(|map| flattened(map, columns)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&flat.iter().collect::<Vec<_>>(), 1)
}

/// The bias of logits at first, for a probability of 0.01, so that the many anchors without an object cost little.
pub(super) fn rare() -> f64 {
    const PRIOR_PROBABILITY: f64 = 0.01;
    -((1.0 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY).ln()
}

/// The target of class `c` at each anchor, 1 or 0: `[N, A, classes]` of labels `[N, A]`, of which -1 is not a class.
#[track_caller]
pub(super) fn one_hot(labels: &Tensor, classes: usize) -> Result<Tensor> {
    let numbers = Tensor::arange(labels.device(), 0.0, classes as f64, 1.0, DType::I32)?;
    labels.unsqueeze(2)?.eq(&numbers)?.to_dtype(DType::F32)
}

/// The best candidates of a level.
pub(super) struct Candidates {
    /// The number of each one's anchor, `[N, K]`.
    pub anchors: Tensor,
    /// `[N, K]`, -inf where there are fewer.
    pub scores: Tensor,
    /// `[N, K]`.
    pub labels: Tensor,
}

impl Candidates {
    /// At most `topk` pairs of an anchor and a class whose score, of `[N, A, C]`, is above `score_thresh`.
    #[track_caller]
    pub fn new(scores: &Tensor, score_thresh: f64, topk: usize) -> Result<Candidates> {
        let classes = scores.shape()[2];
        let scores = scores.flatten(1, 2)?;
        let known = scores.masked_fill(&scores.le_scalar(score_thresh)?, f64::NEG_INFINITY)?;
        let (scores, places) = known.topk(topk.min(known.shape()[1]), 1, true)?;
        let anchors = places.floor_divide_scalar(classes as f64)?;
        let labels = (places - (&anchors * classes as f64)?)?;
        Ok(Candidates { anchors, scores, labels })
    }

    /// The rows of `[N, A, C]`, or of `[1, A, C]` for all images, that belong to the candidates: `[N, K, C]`.
    #[track_caller]
    pub fn rows(&self, of: &Tensor) -> Result<Tensor> {
        let [images, anchors, columns] = [self.anchors.shape()[0], of.shape()[1], of.shape()[2]].map(nearest::<isize>);
        rows_at(&of.expand(&[images, anchors, columns])?, &self.anchors)
    }
}

/// The detections among the candidates of all levels, each with its boxes `[N, K, 4]`, which are cut to their image here.
#[track_caller]
pub(super) fn best_of(
    images: &ImageList,
    levels: &[(Candidates, Tensor)],
    nms_thresh: f64,
    detections_per_img: usize,
) -> Result<Detections> {
    let joined =
        |each: fn(&(Candidates, Tensor)) -> &Tensor| Tensor::cat(&levels.iter().map(each).collect::<Vec<_>>(), 1);
    let boxes = images.clip(&joined(|(_, boxes)| boxes)?)?;
    let (scores, labels) = (joined(|(found, _)| &found.scores)?, joined(|(found, _)| &found.labels)?);
    Detections::suppressed(&boxes, &scores, &labels, nms_thresh, detections_per_img)
}

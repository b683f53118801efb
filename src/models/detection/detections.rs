//! The objects that a detector found.

use super::targets::rows_at;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::metrics::Detection;
use crate::number::nearest;

/// The objects found in a batch of images, the best first: a fixed number of rows for each image, of which those that hold
/// nothing have label -1 and score -inf.
#[derive(Clone, Debug)]
pub struct Detections {
    /// Corners `x1, y1, x2, y2` in pixels: `[N, D, 4]`, f32.
    pub boxes: Tensor,
    /// The detector's confidence: `[N, D]`, f32.
    pub scores: Tensor,
    /// Classes: `[N, D]`, i32.
    pub labels: Tensor,
    /// Each object's pixels: `[N, D, H, W]`, f32.
    pub masks: Option<Tensor>,
    /// Points of each object: `[N, D, K, 3]`, f32.
    pub keypoints: Option<Tensor>,
    /// The heatmap's value at each of these points: `[N, D, K]`, f32.
    pub keypoints_scores: Option<Tensor>,
}

impl Detections {
    /// Non-maximum suppression of candidates within each class: at most `detections_per_img` of boxes `[N, K, 4]`, scores
    /// `[N, K]` and labels `[N, K]`. Candidates of score -inf are none.
    ///
    /// # Errors
    /// Those of [`batched_nms`](Tensor::batched_nms).
    pub fn suppressed(
        boxes: &Tensor,
        scores: &Tensor,
        labels: &Tensor,
        nms_thresh: f64,
        detections_per_img: usize,
    ) -> Result<Detections> {
        let kept = boxes.batched_nms(scores, labels, nms_thresh, detections_per_img)?;
        if boxes.shape()[1] == 0 {
            let shape = kept.shape();
            let none = Tensor::full(boxes.device(), shape, f32::NEG_INFINITY)?;
            let boxes = Tensor::zeros(boxes.device(), &[shape[0], shape[1], 4])?;
            return Ok(Detections {
                boxes,
                scores: none,
                labels: kept,
                masks: None,
                keypoints: None,
                keypoints_scores: None,
            });
        }
        let (place, is_none) = (kept.maximum_scalar(0.0)?, kept.lt_scalar(0.0)?);
        Ok(Detections {
            boxes: rows_at(boxes, &kept)?.masked_fill(&is_none.unsqueeze(2)?, 0.0)?,
            scores: scores.gather(1, &place)?.masked_fill(&is_none, f64::NEG_INFINITY)?,
            labels: labels.gather(1, &place)?.masked_fill(&is_none, -1.0)?,
            masks: None,
            keypoints: None,
            keypoints_scores: None,
        })
    }

    /// A box, its score and its label in each row, `[N, D, 6]`, as [`MeanAveragePrecision`](crate::metrics::MeanAveragePrecision)
    /// takes them.
    ///
    /// # Errors
    /// Those of the device.
    pub fn rows(&self) -> Result<Tensor> {
        let labels = self.labels.to_dtype(DType::F32)?;
        Tensor::cat(&[&self.boxes, &self.scores.unsqueeze(2)?, &labels.unsqueeze(2)?], 2)
    }

    /// Waits for the device and reads the objects of each image, the best first.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn to_vec(&self) -> Result<Vec<Vec<Detection>>> {
        let rows = self.rows()?;
        let values = rows.to_f64()?;
        let found =
            |row: &[f64]| Detection { label: nearest(row[5]), score: row[4], bounds: [row[0], row[1], row[2], row[3]] };
        let image = |rows: &[f64]| rows.chunks(6).map(found).filter(|found| found.label >= 0).collect();
        Ok(match rows.shape()[1] {
            0 => vec![Vec::new(); rows.shape()[0]],
            count => values.chunks(6 * count).map(image).collect(),
        })
    }
}

/// The losses of a batch by torchvision's names, each a scalar.
#[derive(Clone, Debug)]
pub struct DetectionLosses {
    losses: Vec<(&'static str, Tensor)>,
}

impl DetectionLosses {
    /// Losses by name.
    pub fn new(losses: impl Into<Vec<(&'static str, Tensor)>>) -> DetectionLosses {
        DetectionLosses { losses: losses.into() }
    }

    /// Names and losses, in torchvision's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.losses.iter().map(|(name, loss)| (*name, loss))
    }

    /// A loss by its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the detector has no such loss.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let names = || self.iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let loss = self.iter().find(|(known, _)| *known == name);
        let missing = || Error::invalid("DetectionLosses", format!("there is no loss {name:?}; there are {}", names()));
        Ok(loss.ok_or_else(missing)?.1)
    }

    /// The sum of all, which is trained on.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none.
    pub fn total(&self) -> Result<Tensor> {
        let mut losses = self.iter().map(|(_, loss)| loss.clone());
        let first = losses.next().ok_or_else(|| Error::invalid("DetectionLosses", "there are no losses to add up"))?;
        losses.try_fold(first, |total, loss| total.add(&loss))
    }
}

//! Images with their detections and their objects.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::BoxFormat;

/// An object that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The number of its class.
    pub label: i32,
    /// The detector's confidence.
    pub score: f64,
    /// Its box, in the metric's format.
    pub bounds: [f64; 4],
}

/// A true object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroundTruth {
    /// The number of its class.
    pub label: i32,
    /// Its box, in the metric's format.
    pub bounds: [f64; 4],
    /// A crowd (COCO) or a difficult object (VOC): finding it is neither right nor wrong.
    pub is_ignored: bool,
    /// The object's area in pixels, by which COCO tells small objects from large ones; the box's area where `None`.
    pub area: Option<f64>,
}

impl GroundTruth {
    /// An object that counts, as large as its box.
    pub fn new(label: i32, bounds: [f64; 4]) -> GroundTruth {
        GroundTruth { label, bounds, is_ignored: false, area: None }
    }
}

/// For metrics in the format [`BoxFormat::Xyxy`].
#[cfg(feature = "images")]
impl From<&crate::data::BoundingBox> for GroundTruth {
    fn from(of: &crate::data::BoundingBox) -> GroundTruth {
        let (bounds, area) = (of.corners.map(f64::from), Some(of.area.into()));
        GroundTruth { label: of.class, bounds, is_ignored: of.is_ignored, area }
    }
}

/// An image, its boxes as corner and size.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    pub found: Vec<Detection>,
    pub truths: Vec<GroundTruth>,
}

/// A batch as it came.
enum Batch {
    Host(Scene),
    Device { found: Tensor, truths: Tensor },
}

/// All images so far, in order. Tensors stay on the device until they are read.
pub(super) struct Scenes {
    format: BoxFormat,
    batches: Vec<Batch>,
}

/// A box as corner and size, rounded as its numbers are.
fn corner_and_size(format: BoxFormat, [a, b, c, d]: [f64; 4], round: fn(f64) -> f64) -> [f64; 4] {
    match format {
        BoxFormat::Xywh => [a, b, c, d],
        BoxFormat::Xyxy => [a, b, round(c - a), round(d - b)],
        BoxFormat::Cxcywh => {
            let [left, top] = [round(a - 0.5 * c), round(b - 0.5 * d)];
            let [right, bottom] = [round(a + 0.5 * c), round(b + 0.5 * d)];
            [left, top, round(right - left), round(bottom - top)]
        }
    }
}

impl Scenes {
    pub fn new(format: BoxFormat) -> Scenes {
        Scenes { format, batches: Vec::new() }
    }

    /// Adds an image.
    pub fn add(&mut self, found: &[Detection], truths: &[GroundTruth]) {
        let bounds = |of| corner_and_size(self.format, of, |exact| exact);
        let found = found.iter().map(|of| Detection { bounds: bounds(of.bounds), ..*of }).collect();
        let truths = truths.iter().map(|of| GroundTruth { bounds: bounds(of.bounds), ..*of }).collect();
        self.batches.push(Batch::Host(Scene { found, truths }));
    }

    /// Adds images: `[N, M, 6]` and `[N, G, 5]` to `[N, G, 7]`.
    pub fn update(&mut self, op: &'static str, found: &Tensor, truths: &Tensor) -> Result<()> {
        match (&found.shape()[..], &truths.shape()[..]) {
            ([images, _, 6], [same, _, 5..=7]) if images == same => {
                let (found, truths) = (found.detach(), truths.detach());
                self.batches.push(Batch::Device { found, truths });
                Ok(())
            }
            (found, truths) => {
                let rule = format!(
                    "preds {found:?} and target {truths:?} must be [N, M, 6] and [N, G, 5], [.., 6] or [.., 7]"
                );
                Err(Error::invalid(op, rule))
            }
        }
    }

    /// Waits for all images.
    pub fn read(&self) -> Result<Vec<Scene>> {
        let mut scenes = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            match batch {
                Batch::Host(scene) => scenes.push(scene.clone()),
                Batch::Device { found, truths } => {
                    let (found, truths) = (rows(found)?, rows(truths)?);
                    for (found, truths) in found.iter().zip(&truths) {
                        let found = found.iter().filter_map(|row| self.detection(row)).collect();
                        let truths = truths.iter().filter_map(|row| self.truth(row)).collect();
                        scenes.push(Scene { found, truths });
                    }
                }
            }
        }
        Ok(scenes)
    }

    fn bounds(&self, row: &[f64]) -> Option<[f64; 4]> {
        let single = |exact: f64| f64::from(nearest::<f32>(exact));
        Some(corner_and_size(self.format, *row.first_chunk()?, single))
    }

    /// The object of a row; rows with a label below 0 are padding.
    fn detection(&self, row: &[f64]) -> Option<Detection> {
        let &[_, _, _, _, score, label] = row else { return None };
        (label >= 0.0).then_some(Detection { label: nearest(label), score, bounds: self.bounds(row)? })
    }

    fn truth(&self, row: &[f64]) -> Option<GroundTruth> {
        let (label, is_ignored) = (row[4], row.get(5).is_some_and(|&flag| flag != 0.0));
        let area = row.get(6).copied().filter(|&area| area > 0.0);
        (label >= 0.0).then_some(GroundTruth { label: nearest(label), bounds: self.bounds(row)?, is_ignored, area })
    }
}

/// The rows of each image.
fn rows(batch: &Tensor) -> Result<Vec<Vec<Vec<f64>>>> {
    let (images, count, width) = (batch.shape()[0], batch.shape()[1], batch.shape()[2]);
    if count == 0 {
        return Ok(vec![Vec::new(); images]);
    }
    let values = batch.to_f64()?;
    Ok(values.chunks(count * width).map(|image| image.chunks(width).map(<[f64]>::to_vec).collect()).collect())
}

//! Average precision as PASCAL VOC computes it.

use super::matching::overlap;
use super::scenes::{Detection, GroundTruth, Scene, Scenes};
use super::{envelope, mean, ranking};
use crate::error::Result;
use crate::graph::Tensor;
use crate::metrics::Metric;
use crate::ops::BoxFormat;
use crate::options::options;
use std::collections::BTreeSet;

/// The definition of a curve's average precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VocInterpolation {
    /// The mean over the recalls 0, 0.1, .., 1 of the highest precision at that recall or beyond: until VOC2009.
    ElevenPoint,
    /// The area under the curve of the highest precision at a recall or beyond: since VOC2010.
    #[default]
    Area,
}

options! {
    /// Options of [`VocAveragePrecision`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[non_exhaustive]
    VocAveragePrecisionOptions {
        /// The format of a box's four numbers.
        box_format: BoxFormat = BoxFormat::Xyxy,
        /// The least overlap at which an object counts as found.
        iou_threshold: f64 = 0.5,
        /// The definition of a curve's average precision.
        interpolation: VocInterpolation = VocInterpolation::Area,
    }
}

/// The scores of [`VocAveragePrecision`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VocSummary {
    /// The mean over the classes; NaN of none.
    pub map: f64,
    /// The number of each class with an object that isn't difficult, and its average precision.
    pub classes: Vec<(i32, f64)>,
}

/// Average precision as PASCAL VOC computes it (Everingham et al. 2010; the development kit's `VOCevaldet`).
///
/// Each detection of a class, from the highest score down, is compared with the object of its image that it overlaps
/// most. It is right where the overlap reaches the threshold and no earlier detection found the object, wrong where the
/// overlap falls short or an earlier one did, and neither where the object is difficult.
/// `precision = right / (right + wrong)`, `recall = right / objects`, difficult ones left out.
///
/// Boxes are edges: VOC's `xmin` and `xmax` are the first and last pixel, so that `xmin - 1` and `xmax` are the edges,
/// as `data::voc` reads them. Images are given as for [`MeanAveragePrecision`](super::MeanAveragePrecision); its column
/// of crowds marks the difficult objects.
///
/// Classes without an object that isn't difficult count for nothing. Computed as `voc_map`, NaN where there is no class.
///
/// ```
/// use wgrad::metrics::{Detection, GroundTruth, VocAveragePrecision, VocAveragePrecisionOptions};
/// let mut metric = VocAveragePrecision::new(VocAveragePrecisionOptions::default());
/// let cat = [10.0, 10.0, 50.0, 40.0];
/// let found = [Detection { label: 7, score: 0.9, bounds: cat }, Detection { label: 7, score: 0.8, bounds: [0.0, 0.0, 9.0, 9.0] }];
/// metric.add(&found, &[GroundTruth::new(7, cat), GroundTruth::new(7, [60.0, 10.0, 80.0, 40.0])]);
/// assert_eq!(metric.summary()?.classes, [(7, 0.5)]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct VocAveragePrecision {
    options: VocAveragePrecisionOptions,
    scenes: Scenes,
}

impl VocAveragePrecision {
    /// An empty metric.
    pub fn new(options: VocAveragePrecisionOptions) -> VocAveragePrecision {
        VocAveragePrecision { scenes: Scenes::new(options.box_format), options }
    }

    /// Counts an image.
    pub fn add(&mut self, found: &[Detection], truths: &[GroundTruth]) {
        self.scenes.add(found, truths);
    }

    /// Waits for the images, and matches them.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn summary(&self) -> Result<VocSummary> {
        let scenes = self.scenes.read()?;
        let counted = scenes.iter().flat_map(|scene| &scene.truths).filter(|truth| !truth.is_ignored);
        let labels: BTreeSet<i32> = counted.map(|truth| truth.label).collect();
        let classes: Vec<(i32, f64)> = labels.into_iter().map(|label| (label, self.of_class(&scenes, label))).collect();
        Ok(VocSummary { map: mean(classes.iter().map(|class| class.1)).unwrap_or(f64::NAN), classes })
    }

    /// The average precision of a class with objects.
    fn of_class(&self, scenes: &[Scene], label: i32) -> f64 {
        let truths = |scene: &Scene| -> Vec<GroundTruth> {
            scene.truths.iter().filter(|truth| truth.label == label).copied().collect()
        };
        let truths: Vec<Vec<GroundTruth>> = scenes.iter().map(truths).collect();
        let found: Vec<(usize, &Detection)> = scenes
            .iter()
            .enumerate()
            .flat_map(|(image, scene)| scene.found.iter().filter(|of| of.label == label).map(move |of| (image, of)))
            .collect();
        let objects = truths.iter().flatten().filter(|truth| !truth.is_ignored).count() as f64;
        let mut is_taken: Vec<Vec<bool>> = truths.iter().map(|truths| vec![false; truths.len()]).collect();
        let (mut right, mut wrong, mut recall, mut precision) = (0.0, 0.0, Vec::new(), Vec::new());
        for at in ranking(&found.iter().map(|(_, of)| of.score).collect::<Vec<_>>()) {
            let (image, of) = found[at];
            let overlaps = truths[image].iter().map(|truth| overlap(of, truth, false)).enumerate();
            // The first one of equal overlaps counts.
            let most = overlaps.fold(None, |most: Option<(usize, f64)>, (at, overlap)| match most {
                Some((_, before)) if overlap <= before => most,
                _ => Some((at, overlap)),
            });
            match most.filter(|&(_, overlap)| overlap > 0.0 && overlap >= self.options.iou_threshold) {
                Some((at, _)) if truths[image][at].is_ignored => {}
                Some((at, _)) if !is_taken[image][at] => {
                    is_taken[image][at] = true;
                    right += 1.0;
                }
                _ => wrong += 1.0,
            }
            recall.push(right / objects);
            // Before anything is right or wrong, precision is undefined and recall is 0.
            precision.push(if right + wrong > 0.0 { right / (right + wrong) } else { 0.0 });
        }
        envelope(&mut precision);
        match self.options.interpolation {
            VocInterpolation::ElevenPoint => {
                let at = |wanted: f64| precision.get(recall.partition_point(|&reached| reached < wanted)).copied();
                mean((0..=10).map(|tenth| at(f64::from(tenth) / 10.0).unwrap_or(0.0))).unwrap_or(0.0)
            }
            VocInterpolation::Area => {
                let before = [0.0].into_iter().chain(recall.iter().copied());
                recall.iter().zip(before).zip(&precision).map(|((to, from), precision)| (to - from) * precision).sum()
            }
        }
    }
}

impl Metric for VocAveragePrecision {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        self.scenes.update("voc_average_precision", preds, target)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(vec![("voc_map".to_string(), self.summary()?.map)])
    }

    fn reset(&mut self) -> Result<()> {
        self.scenes = Scenes::new(self.options.box_format);
        Ok(())
    }
}

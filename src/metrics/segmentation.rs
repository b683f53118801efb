//! Scores of segmentations: pixels and their classes.

use super::counts::Counts;
use super::metric::Metric;
use super::stat_scores::StatScores;
use super::task::{Average, ClassificationOptions, MultidimAverage, Task};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::options::options;

/// The images whose pixels are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AggregationLevel {
    /// Each image by itself; a score is the mean over images: torchmetrics' default.
    #[default]
    Samplewise,
    /// All images together, as most papers report it.
    Global,
}

options! {
    /// Options of [`SegmentationScores`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    SegmentationOptions {
        /// False to leave class 0 out of all scores but pixel accuracy.
        include_background: bool = true,
        /// Pixels with this target count nowhere.
        ignore_index: Option<i32> = None,
        /// Images by themselves, or all together.
        aggregation_level: AggregationLevel = AggregationLevel::Samplewise,
        /// True to report the intersection over union of each class too.
        per_class: bool = false,
    }
}

/// Pixel accuracy, intersection over union and Dice score, all from one count on the device.
///
/// With the true positives, false positives and false negatives of a class in pixels (`tp`, `fp`, `fn`):
/// * pixel accuracy, `sum tp / pixels`, of all images together,
/// * intersection over union, `tp / (tp + fp + fn)` (Jaccard index), and its mean over classes,
/// * Dice score, `2 tp / (2 tp + fp + fn)` (F1), by class or averaged.
///
/// Predictions are scores `[N, C, H, W]`, of which the largest counts, or class numbers `[N, H, W]` (i32) as targets are.
///
/// A class that is neither in an image's target nor in its prediction has no score there and is left out of the means, as in
/// torchmetrics' `mean_iou` and `dice_score`. A score is NaN if nothing is left, and such images are left out of the mean over
/// images. Computed as `pixel_accuracy`, `mean_iou` and `dice_score` (macro), and `iou/CLASS` with `per_class`. Other scores of
/// pixels are those of [`StatScores`](super::StatScores) and [`ConfusionMatrix`](super::ConfusionMatrix).
///
/// ```
/// use wgrad::metrics::{Average, Metric, SegmentationScores};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut scores = SegmentationScores::new(&device, 3, Default::default())?;
/// let preds = Tensor::from_slice(&device, &[0, 0, 1, 1], &[1, 2, 2])?;
/// let target = Tensor::from_slice(&device, &[0, 1, 1, 1], &[1, 2, 2])?;
/// scores.update(&preds, &target)?;
/// assert_eq!(scores.pixel_accuracy()?, 0.75);
/// // One half of the background, two thirds of class 1, and there is no class 2.
/// assert!((scores.mean_iou()?[0] - (1.0 / 2.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
/// assert_eq!(scores.dice_score(Average::Micro)?, [0.75]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct SegmentationScores {
    pixels: StatScores,
    classes: usize,
    options: SegmentationOptions,
    names: Vec<String>,
}

/// Pixels of a class in an image, or in all.
#[derive(Clone, Copy, Default)]
struct Pixels {
    both: f64,
    predicted: f64,
    actual: f64,
}

impl Pixels {
    /// Intersection over union; NaN where the class is nowhere.
    fn iou(self) -> f64 {
        self.both / (self.predicted + self.actual - self.both)
    }

    fn dice(self) -> f64 {
        2.0 * self.both / (self.predicted + self.actual)
    }
}

/// The weighted mean of the defined values; NaN if there are none.
fn mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let add = |(sum, weights): (f64, f64), (value, weight): (f64, f64)| (sum + value * weight, weights + weight);
    let (sum, weights) = values.filter(|(value, _)| !value.is_nan()).fold((0.0, 0.0), add);
    sum / weights
}

fn accuracy(counts: &Counts) -> f64 {
    let (right, all) = (counts.true_positives.iter().sum::<u64>(), counts.support().into_iter().sum::<u64>());
    right as f64 / all as f64
}

fn plain(values: &[f64]) -> f64 {
    mean(values.iter().map(|&value| (value, 1.0)))
}

impl SegmentationScores {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two classes; errors of the device.
    pub fn new(device: &Device, classes: usize, options: SegmentationOptions) -> Result<SegmentationScores> {
        let multidim = match options.aggregation_level {
            AggregationLevel::Samplewise => MultidimAverage::Samplewise,
            AggregationLevel::Global => MultidimAverage::Global,
        };
        let counted = ClassificationOptions::default().ignore_index(options.ignore_index).multidim_average(multidim);
        let pixels = StatScores::new(device, Task::Multiclass(classes), &counted)?;
        let names = (0..classes).map(|class| class.to_string()).collect();
        Ok(SegmentationScores { pixels, classes, options, names })
    }

    /// Names the classes in the values reported for each; without names they are numbered.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are more or fewer classes.
    pub fn class_names(mut self, names: &[String]) -> Result<SegmentationScores> {
        if names.len() != self.classes {
            let rule = format!("{} names for {} classes", names.len(), self.classes);
            return Err(Error::invalid("SegmentationScores", rule));
        }
        self.names = names.to_vec();
        Ok(self)
    }

    /// The first class that counts.
    fn first(&self) -> usize {
        usize::from(!self.options.include_background)
    }

    /// The pixels of each class that counts, of each image or of all.
    fn groups(&self, counts: &Counts) -> Vec<Vec<Pixels>> {
        let of = |at: usize| Pixels {
            both: counts.true_positives[at] as f64,
            predicted: (counts.true_positives[at] + counts.false_positives[at]) as f64,
            actual: (counts.true_positives[at] + counts.false_negatives[at]) as f64,
        };
        let groups = counts.true_positives.len() / self.classes;
        let group = |group: usize| (self.first()..self.classes).map(|class| of(group * self.classes + class)).collect();
        (0..groups).map(group).collect()
    }

    /// The fraction of pixels with the right class; NaN without pixels.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn pixel_accuracy(&self) -> Result<f64> {
        Ok(accuracy(&self.pixels.counts()?))
    }

    /// Intersection over union of each class that counts, of each image after the other or of all; NaN where the class is nowhere
    /// (torchmetrics says -1).
    ///
    /// # Errors
    /// As [`pixel_accuracy`](SegmentationScores::pixel_accuracy).
    pub fn iou(&self) -> Result<Vec<f64>> {
        Ok(self.groups(&self.pixels.counts()?).into_iter().flatten().map(Pixels::iou).collect())
    }

    /// The mean of intersection over union over the classes that occur, of each image or of all.
    ///
    /// # Errors
    /// As [`pixel_accuracy`](SegmentationScores::pixel_accuracy).
    pub fn mean_iou(&self) -> Result<Vec<f64>> {
        Ok(self
            .groups(&self.pixels.counts()?)
            .iter()
            .map(|group| mean(group.iter().map(|of| (of.iou(), 1.0))))
            .collect())
    }

    /// The Dice score of each image or of all: one number, or with [`Average::None`] one for each class that counts.
    ///
    /// # Errors
    /// As [`pixel_accuracy`](SegmentationScores::pixel_accuracy).
    pub fn dice_score(&self, average: Average) -> Result<Vec<f64>> {
        let score = |group: Vec<Pixels>| match average {
            Average::None => group.into_iter().map(Pixels::dice).collect(),
            Average::Macro => vec![mean(group.iter().map(|of| (of.dice(), 1.0)))],
            Average::Weighted => vec![mean(group.iter().map(|of| (of.dice(), of.actual)))],
            Average::Micro => {
                let add = |sum: Pixels, of: &Pixels| Pixels {
                    both: sum.both + of.both,
                    predicted: sum.predicted + of.predicted,
                    actual: sum.actual + of.actual,
                };
                vec![group.iter().fold(Pixels::default(), add).dice()]
            }
        };
        Ok(self.groups(&self.pixels.counts()?).into_iter().flat_map(score).collect())
    }
}

impl Metric for SegmentationScores {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        self.pixels.update(preds, target)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let counts = self.pixels.counts()?;
        let groups = self.groups(&counts);
        let over_images =
            |score: &dyn Fn(&[Pixels]) -> f64| plain(&groups.iter().map(|group| score(group)).collect::<Vec<_>>());
        let over_classes =
            |score: fn(Pixels) -> f64| over_images(&|group| mean(group.iter().map(|&of| (score(of), 1.0))));
        let mut values = vec![
            ("pixel_accuracy".to_string(), accuracy(&counts)),
            ("mean_iou".to_string(), over_classes(Pixels::iou)),
            ("dice_score".to_string(), over_classes(Pixels::dice)),
        ];
        if self.options.per_class {
            for (at, name) in self.names[self.first()..].iter().enumerate() {
                values.push((format!("iou/{name}"), over_images(&|group| group[at].iou())));
            }
        }
        Ok(values)
    }

    fn reset(&mut self) -> Result<()> {
        self.pixels.reset()
    }
}

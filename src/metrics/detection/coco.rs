//! Mean average precision and recall as COCO computes them.

use super::matching::{Curve, Matched, Pairs, curves};
use super::mean;
use super::scenes::{Detection, GroundTruth, Scene, Scenes};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::metrics::Metric;
use crate::ops::BoxFormat;
use crate::options::options;
use std::collections::BTreeMap;

/// Areas of all objects, and of small, medium and large ones.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
const ALL: usize = 0;

/// An undefined score: pycocotools' answer where there was nothing to find.
const UNDEFINED: f64 = -1.0;

/// The average over classes, or over all objects as one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionAverage {
    /// The mean over classes.
    #[default]
    Macro,
    /// All objects as if of one class.
    Micro,
}

options! {
    /// Options of [`MeanAveragePrecision`].
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    MeanAveragePrecisionOptions {
        /// The format of a box's four numbers.
        box_format: BoxFormat = BoxFormat::Xyxy,
        /// The overlaps from which an object counts as found; `None` means 0.5, 0.55, .., 0.95.
        iou_thresholds: Option<Vec<f64>> = None,
        /// Recalls at which precision is read; 0, 0.01, .., 1 where `None`.
        rec_thresholds: Option<Vec<f64>> = None,
        /// Limits on the detections of an image and class, highest scores first. They are in rising order; average
        /// precision takes the last.
        max_detection_thresholds: [usize; 3] = [1, 10, 100],
        /// The average over classes.
        average: PrecisionAverage = PrecisionAverage::Macro,
        /// True to report each class too.
        class_metrics: bool = false,
    }
}

/// The scores of [`MeanAveragePrecision`]. Numbers are -1 where there were no objects to find.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MeanAveragePrecisionSummary {
    /// Average precision over thresholds and classes.
    pub map: f64,
    /// At the threshold 0.5, if it is among them.
    pub map_50: f64,
    /// At the threshold 0.75, if it is among them.
    pub map_75: f64,
    /// Average precision on objects of at most 32 x 32 pixels.
    pub map_small: f64,
    /// Average precision on objects of 32 x 32 to 96 x 96 pixels.
    pub map_medium: f64,
    /// Average precision on objects of at least 96 x 96 pixels.
    pub map_large: f64,
    /// Average recall over thresholds and classes, for each limit of `max_detection_thresholds`.
    pub mar: [f64; 3],
    /// Average recall of objects of at most 32 x 32 pixels.
    pub mar_small: f64,
    /// Average recall of objects of 32 x 32 to 96 x 96 pixels.
    pub mar_medium: f64,
    /// Average recall of objects of at least 96 x 96 pixels.
    pub mar_large: f64,
    /// Each class that was found or should have been, in the order of their numbers.
    pub classes: Vec<ClassPrecision>,
}

/// The scores of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassPrecision {
    /// The number of the class.
    pub label: i32,
    /// Average precision over thresholds.
    pub map: f64,
    /// Average recall over thresholds.
    pub mar: f64,
}

/// Curves of a class at each threshold, by area; none where there was nothing to find.
struct ClassCurves {
    /// With the highest limit of detections.
    by_area: [Option<Vec<Curve>>; 4],
    /// Curves over all areas, with the lower limits.
    fewer: [Option<Vec<Curve>>; 2],
}

/// Mean average precision and recall as COCO computes them (Lin et al. 2014; pycocotools' `COCOeval` for boxes).
///
/// For each class and each threshold of intersection over union, each of an image's detections, from the highest score down,
/// takes the remaining object that it overlaps most. `precision = right / (right + wrong)` and `recall = right / objects` are
/// computed after each detection of all images, in order of falling score; average precision is the mean over 101 recalls of the
/// highest precision at that recall or beyond. Crowds, and objects outside a range of areas, are neither right nor wrong; a crowd
/// may be found several times, and its overlap is the covered fraction of the detection.
///
/// Images are given as tensors by [`Metric::update`], or one by one with [`MeanAveragePrecision::add`]:
/// * `preds`, `[N, M, 6]`: a box, its score and the number of its class,
/// * `target`, `[N, G, 5]`: a box and the number of its class; then, where there are such columns, 1 for a crowd, and
///   the object's area (0 where it is the box's).
///
/// Rows with a class below 0 fill up a batch and count for nothing. Tensors stay on the device until [`Metric::compute`], which
/// matches them on the host.
///
/// Scores are -1 where there was nothing to find, and classes without objects don't count. With `maxDets` that do not
/// go up to 100, pycocotools' summary answers -1 for the mean; here the mean is that of the last. Computed as `map`,
/// `map_50`, `map_75`, `map_small`, `map_medium`, `map_large`, `mar_1`, `mar_10`, `mar_100`, `mar_small`, `mar_medium`,
/// `mar_large`, with `class_metrics` also `map/3`, `mar_100/3`, .. for class 3.
///
/// ```
/// use wgrad::metrics::{Detection, GroundTruth, MeanAveragePrecision, MeanAveragePrecisionOptions, Metric};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut metric = MeanAveragePrecision::new(MeanAveragePrecisionOptions::default())?;
/// let preds = Tensor::from_slice(&device, &[258.0f32, 41.0, 606.0, 285.0, 0.536, 0.0], &[1, 1, 6])?;
/// let target = Tensor::from_slice(&device, &[214.0f32, 41.0, 562.0, 285.0, 0.0], &[1, 1, 5])?;
/// metric.update(&preds, &target)?;
/// assert!((metric.summary()?.map - 0.6).abs() < 1e-12);
///
/// // The same image from numbers on the host.
/// metric.reset()?;
/// let found = Detection { label: 0, score: 0.536, bounds: [258.0, 41.0, 606.0, 285.0] };
/// metric.add(&[found], &[GroundTruth::new(0, [214.0, 41.0, 562.0, 285.0])]);
/// assert!((metric.summary()?.map_75 - 1.0).abs() < 1e-12);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct MeanAveragePrecision {
    options: MeanAveragePrecisionOptions,
    iou_thresholds: Vec<f64>,
    rec_thresholds: Vec<f64>,
    scenes: Scenes,
}

impl MeanAveragePrecision {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for empty lists of thresholds, recalls that are not in rising order, and limits of detections
    /// that are below 1 or not in rising order.
    pub fn new(options: MeanAveragePrecisionOptions) -> Result<MeanAveragePrecision> {
        // The values of NumPy's `linspace`.
        let steps = |low: f64, high: f64, count: i32| {
            let step = (high - low) / f64::from(count);
            (0..count).map(|at| low + f64::from(at) * step).chain([high]).collect()
        };
        let iou_thresholds = options.iou_thresholds.clone().unwrap_or_else(|| steps(0.5, 0.95, 9));
        let rec_thresholds = options.rec_thresholds.clone().unwrap_or_else(|| steps(0.0, 1.0, 100));
        let is_rising = options.max_detection_thresholds.is_sorted() && rec_thresholds.is_sorted();
        if iou_thresholds.is_empty()
            || rec_thresholds.is_empty()
            || !is_rising
            || options.max_detection_thresholds[0] == 0
        {
            let rule = format!(
                "iou_thresholds {iou_thresholds:?} must be some, rec_thresholds {rec_thresholds:?} some in rising order, and \
                 max_detection_thresholds {:?} from 1 on in rising order",
                options.max_detection_thresholds
            );
            return Err(Error::invalid("mean_average_precision", rule));
        }
        let scenes = Scenes::new(options.box_format);
        Ok(MeanAveragePrecision { options, iou_thresholds, rec_thresholds, scenes })
    }

    /// Counts an image.
    pub fn add(&mut self, found: &[Detection], truths: &[GroundTruth]) {
        self.scenes.add(found, truths);
    }

    /// Waits for the images, and matches them.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn summary(&self) -> Result<MeanAveragePrecisionSummary> {
        let scenes = self.scenes.read()?;
        let apart = self.by_class(&scenes, false);
        let classes = apart.iter().map(|(&label, curves)| {
            let of = |value: fn(&Curve) -> f64| average([&curves.by_area[ALL]].into_iter(), value);
            ClassPrecision { label, map: of(|curve| curve.precision), mar: of(|curve| curve.recall) }
        });
        let classes = classes.collect();
        let counted = match self.options.average {
            PrecisionAverage::Macro => apart,
            PrecisionAverage::Micro => self.by_class(&scenes, true),
        };
        let over = |area: usize, value: fn(&Curve) -> f64| average(counted.values().map(|of| &of.by_area[area]), value);
        let precision = |area| over(area, |curve| curve.precision);
        let recall = |area| over(area, |curve| curve.recall);
        let at = |threshold: f64| {
            let place = self.iou_thresholds.iter().position(|&one| one == threshold);
            let precision =
                |place: usize| mean(counted.values().filter_map(|of| Some(of.by_area[ALL].as_ref()?[place].precision)));
            place.and_then(precision).unwrap_or(UNDEFINED)
        };
        let fewer = |most: usize| average(counted.values().map(|of| &of.fewer[most]), |curve| curve.recall);
        Ok(MeanAveragePrecisionSummary {
            map: precision(ALL),
            map_50: at(0.5),
            map_75: at(0.75),
            map_small: precision(1),
            map_medium: precision(2),
            map_large: precision(3),
            mar: [fewer(0), fewer(1), recall(ALL)],
            mar_small: recall(1),
            mar_medium: recall(2),
            mar_large: recall(3),
            classes,
        })
    }

    /// The curves of each class, or of all objects as if they were of class 0.
    fn by_class(&self, scenes: &[Scene], is_one: bool) -> BTreeMap<i32, ClassCurves> {
        let mut pairs: BTreeMap<i32, Vec<Pairs>> = BTreeMap::new();
        let [few, some, most] = self.options.max_detection_thresholds;
        for scene in scenes {
            let mut objects: BTreeMap<i32, (Vec<Detection>, Vec<GroundTruth>)> = BTreeMap::new();
            let class = |label: i32| if is_one { 0 } else { label };
            scene.found.iter().for_each(|of| objects.entry(class(of.label)).or_default().0.push(*of));
            scene.truths.iter().for_each(|of| objects.entry(class(of.label)).or_default().1.push(*of));
            for (label, (found, truths)) in objects {
                pairs.entry(label).or_default().extend(Pairs::new(found, truths, most));
            }
        }
        let of_class = |images: Vec<Pairs>| {
            let matched = |area| -> Vec<(&Pairs, Matched)> {
                images.iter().map(|pairs| (pairs, pairs.matched(&self.iou_thresholds, area))).collect()
            };
            let curves = |matched: &[(&Pairs, Matched)], most| {
                curves(matched, self.iou_thresholds.len(), &self.rec_thresholds, most)
            };
            let fewer = matched(AREAS[ALL]);
            ClassCurves {
                by_area: AREAS.map(|area| curves(&matched(area), most)),
                fewer: [few, some].map(|most| curves(&fewer, most)),
            }
        };
        pairs.into_iter().map(|(label, images)| (label, of_class(images))).collect()
    }
}

/// The mean over classes and thresholds.
fn average<'a>(classes: impl Iterator<Item = &'a Option<Vec<Curve>>>, value: fn(&Curve) -> f64) -> f64 {
    mean(classes.flatten().flatten().map(value)).unwrap_or(UNDEFINED)
}

impl Metric for MeanAveragePrecision {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        self.scenes.update("mean_average_precision", preds, target)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let summary = self.summary()?;
        let most = self.options.max_detection_thresholds;
        let mut values = vec![
            ("map".to_string(), summary.map),
            ("map_50".to_string(), summary.map_50),
            ("map_75".to_string(), summary.map_75),
            ("map_small".to_string(), summary.map_small),
            ("map_medium".to_string(), summary.map_medium),
            ("map_large".to_string(), summary.map_large),
        ];
        values.extend(most.iter().zip(summary.mar).map(|(most, mar)| (format!("mar_{most}"), mar)));
        values.push(("mar_small".to_string(), summary.mar_small));
        values.push(("mar_medium".to_string(), summary.mar_medium));
        values.push(("mar_large".to_string(), summary.mar_large));
        if self.options.class_metrics {
            for ClassPrecision { label, map, mar } in summary.classes {
                values.push((format!("map/{label}"), map));
                values.push((format!("mar_{}/{label}", most[2]), mar));
            }
        }
        Ok(values)
    }

    fn reset(&mut self) -> Result<()> {
        self.scenes = Scenes::new(self.options.box_format);
        Ok(())
    }
}

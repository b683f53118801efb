//! Transforms for boxes.

use super::functional::{InterpolationMode, Region};
use super::pending::Step;
use super::{Draws, Stream, Transform, Views};
use crate::data::BoundingBox;
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::options::options;

options! {
    /// Options of [`RandomIoUCrop`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomIoUCropOptions {
        /// Least side of the part, relative to the image's.
        min_scale: f64 = 0.3,
        /// Largest side of the part, relative to the image's.
        max_scale: f64 = 1.0,
        /// Least ratio of its width to its height.
        min_aspect_ratio: f64 = 0.5,
        /// Largest ratio of its width to its height.
        max_aspect_ratio: f64 = 2.0,
        /// Overlaps to draw from, which some box must have with the part; 1 and more leave the image as it is.
        sampler_options: Vec<f64> = vec![0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0],
        /// Parts tried for an overlap before another overlap is drawn.
        trials: usize = 40,
    }
}

/// A part of each image that overlaps some box by a random measure (Liu et al., "SSD: Single Shot MultiBox Detector",
/// 2016). Boxes with their middle outside are dropped. The sizes of images then differ; an image without boxes stays.
#[derive(Clone, Debug)]
pub struct RandomIoUCrop {
    options: RandomIoUCropOptions,
}

impl RandomIoUCrop {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for scales or ratios that descend or are not positive, scales above 1, and an empty list of
    /// overlaps.
    pub fn new(options: RandomIoUCropOptions) -> Result<RandomIoUCrop> {
        let o = &options;
        let scales = 0.0 < o.min_scale && o.min_scale <= o.max_scale && o.max_scale <= 1.0;
        let ratios = 0.0 < o.min_aspect_ratio && o.min_aspect_ratio <= o.max_aspect_ratio;
        if !scales || !ratios || o.sampler_options.is_empty() {
            let rule = format!(
                "{options:?}: scales must ascend from above 0 to 1, ratios from above 0, and overlaps be given"
            );
            return Err(Error::invalid("RandomIoUCrop", rule));
        }
        Ok(RandomIoUCrop { options })
    }

    /// The part of an image; none where the image stays as it is.
    fn region(&self, image: &mut Stream, [height, width]: [usize; 2], boxes: &[BoundingBox]) -> Option<Region> {
        let o = &self.options;
        if boxes.is_empty() {
            return None;
        }
        // Enough rounds to make it all but certain that each overlap had its turn.
        for _ in 0..100 * o.sampler_options.len() {
            let overlap = o.sampler_options[image.below(o.sampler_options.len())];
            if overlap >= 1.0 {
                return None;
            }
            for _ in 0..o.trials {
                let [columns, rows] =
                    [width, height].map(|size| nearest::<usize>(size as f64 * image.uniform(o.min_scale, o.max_scale)));
                let ratio = columns as f64 / rows as f64;
                if !(o.min_aspect_ratio..=o.max_aspect_ratio).contains(&ratio) {
                    continue;
                }
                let left = nearest::<usize>((width - columns) as f64 * image.uniform(0.0, 1.0));
                let top = nearest::<usize>((height - rows) as f64 * image.uniform(0.0, 1.0));
                if columns == 0 || rows == 0 {
                    continue;
                }
                let region = Region { top: top as isize, left: left as isize, height: rows, width: columns };
                let inner = boxes.iter().filter(|one| has_middle_of(&region, one));
                let most = inner.map(|one| iou(&region, one)).fold(f64::NEG_INFINITY, f64::max);
                if most >= overlap {
                    return Some(region);
                }
            }
        }
        None
    }
}

/// Left, upper, right and lower edge.
fn edges(region: &Region) -> [f64; 4] {
    let (left, top) = (region.left as f64, region.top as f64);
    [left, top, left + region.width as f64, top + region.height as f64]
}

fn has_middle_of(region: &Region, one: &BoundingBox) -> bool {
    let ([left, top, right, bottom], [x0, y0, x1, y1]) = (edges(region), one.corners.map(f64::from));
    let (x, y) = (0.5 * (x0 + x1), 0.5 * (y0 + y1));
    left < x && x < right && top < y && y < bottom
}

/// The intersection over the union.
fn iou(region: &Region, one: &BoundingBox) -> f64 {
    let (a, b) = (edges(region), one.corners.map(f64::from));
    let area = |[x0, y0, x1, y1]: [f64; 4]| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    both / (area(a) + area(b) - both)
}

impl Transform for RandomIoUCrop {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let Some(boxes) = views.boxes() else {
            return Err(Error::invalid("RandomIoUCrop", "the images have no boxes; see Views::with_boxes"));
        };
        let mut images = views.sizes().into_iter().zip(boxes);
        let regions = draws.each(|image| images.next().and_then(|(size, boxes)| self.region(image, size, boxes)));
        views.retain_boxes(|image, one, _| regions[image].is_none_or(|region| has_middle_of(&region, one)));
        let cut = |region: Option<Region>| region.map_or(Step::Stay, |region| Step::Cut(region, None));
        views.step(regions.into_iter().map(cut).collect(), InterpolationMode::Nearest, false)
    }
}

/// Removes boxes that are too small, with their classes.
///
/// ```
/// use wgrad::data::BoundingBox;
/// use wgrad::transforms::{Draws, SanitizeBoundingBoxes, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let one = |corners, area| BoundingBox { class: 0, corners, area, is_ignored: false };
/// let boxes = vec![one([0.0, 0.0, 4.0, 4.0], 16.0), one([2.0, 2.0, 2.5, 4.0], 1.0)];
/// let mut views = Views::new(Tensor::ones(&Device::reference(), &[1, 3, 8, 8])?)?.with_boxes(vec![boxes])?;
/// SanitizeBoundingBoxes::default().apply(&mut views, &mut Draws::new(0, 0, &[0]))?;
/// assert_eq!(views.boxes().unwrap()[0].len(), 1);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SanitizeBoundingBoxes {
    min_size: f32,
    min_area: f32,
}

impl Default for SanitizeBoundingBoxes {
    fn default() -> SanitizeBoundingBoxes {
        SanitizeBoundingBoxes { min_size: 1.0, min_area: 1.0 }
    }
}

impl SanitizeBoundingBoxes {
    /// With the least side and the least area, in elements; torchvision's defaults are 1.
    pub fn new(min_size: f32, min_area: f32) -> SanitizeBoundingBoxes {
        SanitizeBoundingBoxes { min_size, min_area }
    }
}

impl Transform for SanitizeBoundingBoxes {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        views.retain_boxes(|_, one, [height, width]| {
            let [left, top, right, bottom] = one.corners;
            let (columns, rows) = (right - left, bottom - top);
            let is_inside = left >= 0.0 && top >= 0.0 && right <= width as f32 && bottom <= height as f32;
            columns >= self.min_size && rows >= self.min_size && columns * rows >= self.min_area && is_inside
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{check, check_frequency, drawn};
    use super::*;

    /// Moments of 6,000 regions that torchvision 0.29 draws for these boxes.
    #[test]
    fn regions_are_torchvisions() {
        let one = |corners| BoundingBox { class: 0, corners, area: 1.0, is_ignored: false };
        let boxes = [one([10.0, 10.0, 30.0, 30.0]), one([40.0, 5.0, 60.0, 40.0])];
        let crop = RandomIoUCrop::new(RandomIoUCropOptions::default()).unwrap();
        let regions = drawn(|image| crop.region(image, [48, 64], &boxes));
        check_frequency("stay", regions.iter().map(Option::is_none), 0.1958);
        let regions: Vec<Region> = regions.into_iter().flatten().collect();
        check("top", regions.iter().map(|region| region.top as f64), 6.145, 5.006);
        check("left", regions.iter().map(|region| region.left as f64), 16.682, 13.012);
        check("height", regions.iter().map(|region| region.height as f64), 33.3, 8.023);
        check("width", regions.iter().map(|region| region.width as f64), 34.968, 12.124);
        assert!(drawn(|image| crop.region(image, [48, 64], &[])).iter().all(Option::is_none));
    }
}

//! Boxes at each position of the feature maps, from which predictions start.

use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};

/// Anchors of whole pixels at each position of feature maps (Ren et al., "Faster R-CNN", 2015), torchvision's `AnchorGenerator`.
///
/// Each map has sizes and aspect ratios (`height / width`), and an anchor for each pair of them, ratio by ratio.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorGenerator {
    /// Corners of each map's anchors around (0, 0).
    cells: Vec<Vec<[f32; 4]>>,
}

impl AnchorGenerator {
    /// Anchors of sizes and aspect ratios for each feature map.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not as many lists of ratios as of sizes.
    ///
    /// ```
    /// # use wgrad::{Device, models::detection::AnchorGenerator};
    /// # let device = Device::reference();
    /// let generator = AnchorGenerator::new(&[vec![8.0], vec![16.0]], &[vec![0.5, 1.0], vec![1.0]])?;
    /// let anchors = generator.anchors(&device, [32, 32], &[[2, 2], [1, 1]])?;
    /// assert_eq!(anchors.shape()[..], [2 * 2 * 2 + 1, 4]);
    /// assert_eq!(anchors.narrow(0, 1, 1)?.to_vec::<f32>()?, [-4.0, -4.0, 4.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(sizes: &[Vec<f32>], aspect_ratios: &[Vec<f32>]) -> Result<AnchorGenerator> {
        if sizes.len() != aspect_ratios.len() {
            let rule = format!("{} lists of sizes need as many of ratios, not {}", sizes.len(), aspect_ratios.len());
            return Err(Error::invalid("AnchorGenerator", rule));
        }
        let cell = |(sizes, ratios): (&Vec<f32>, &Vec<f32>)| {
            let pairs = ratios.iter().flat_map(|&ratio| sizes.iter().map(move |&size| (size, ratio)));
            let corners = pairs.map(|(size, ratio)| {
                let (width, height) = (1.0 / ratio.sqrt() * size, ratio.sqrt() * size);
                [-width, -height, width, height].map(|side| (side / 2.0).round_ties_even())
            });
            corners.collect()
        };
        Ok(AnchorGenerator { cells: sizes.iter().zip(aspect_ratios).map(cell).collect() })
    }

    /// Anchors at a position of each feature map.
    pub fn num_anchors_per_location(&self) -> Vec<usize> {
        self.cells.iter().map(Vec::len).collect()
    }

    /// All anchors, `[A, 4]`: map by map, row by row, position by position. The step between positions of a map is the
    /// image's size by the map's, rounded down. Sizes are (height, width).
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not as many feature maps as lists of sizes, or one is empty.
    pub fn anchors(&self, device: &Device, image: [usize; 2], grids: &[[usize; 2]]) -> Result<Tensor> {
        check_grids("AnchorGenerator", self.cells.len(), grids)?;
        let mut anchors = Vec::new();
        for (cell, &[rows, columns]) in self.cells.iter().zip(grids) {
            let step = [image[0] / rows, image[1] / columns];
            for (row, column) in places(rows, columns) {
                let [y, x] = [row * step[0], column * step[1]].map(|at| at as f32);
                anchors.extend(cell.iter().map(|[x1, y1, x2, y2]| [x1 + x, y1 + y, x2 + x, y2 + y]));
            }
        }
        Tensor::from_slice(device, anchors.as_flattened(), &[anchors.len(), 4])
    }
}

/// Default boxes of SSD (Liu et al. 2016), torchvision's `DefaultBoxGenerator`: at each position of map `k` squares of scale
/// `s_k` and of `sqrt(s_k s_(k+1))`, and for each aspect ratio `a` a box of `s_k sqrt(a)` by `s_k / sqrt(a)` and the same
/// rotated, as fractions of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultBoxGenerator {
    /// Widths and heights of each map's boxes.
    sizes: Vec<Vec<[f32; 2]>>,
    /// Pixels between positions of each map; the image's size by the map's where `None`.
    steps: Option<Vec<usize>>,
}

impl DefaultBoxGenerator {
    /// Boxes of aspect ratios for each feature map, with one more scale than maps. Boxes are cut to the image's size.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other numbers of scales or steps.
    pub fn new(aspect_ratios: &[Vec<f64>], scales: &[f64], steps: Option<Vec<usize>>) -> Result<DefaultBoxGenerator> {
        let maps = aspect_ratios.len();
        if scales.len() != maps + 1 || steps.as_ref().is_some_and(|steps| steps.len() != maps) {
            let steps = steps.map_or(maps, |steps| steps.len());
            let rule = format!(
                "{maps} lists of ratios need {} scales and {maps} steps, not {} and {steps}",
                maps + 1,
                scales.len()
            );
            return Err(Error::invalid("DefaultBoxGenerator", rule));
        }
        let sizes = aspect_ratios.iter().zip(scales.windows(2)).map(|(ratios, scale)| {
            let between = (scale[0] * scale[1]).sqrt();
            let turned = ratios.iter().flat_map(|ratio| {
                let (long, short) = (scale[0] * ratio.sqrt(), scale[0] / ratio.sqrt());
                [[long, short], [short, long]]
            });
            let all = [[scale[0]; 2], [between; 2]].into_iter().chain(turned);
            all.map(|size| size.map(|side| crate::number::nearest::<f32>(side).clamp(0.0, 1.0))).collect()
        });
        Ok(DefaultBoxGenerator { sizes: sizes.collect(), steps })
    }

    /// Evenly spaced scales from `min_ratio` to `max_ratio` for `maps` feature maps, and one more after them.
    pub fn even_scales(maps: usize, min_ratio: f64, max_ratio: f64) -> Vec<f64> {
        let step = |k: usize| min_ratio + (max_ratio - min_ratio) * k as f64 / (maps as f64 - 1.0);
        if maps == 1 { vec![min_ratio, max_ratio] } else { (0..maps).map(step).chain([1.0]).collect() }
    }

    /// Boxes at a position of each feature map.
    pub fn num_anchors_per_location(&self) -> Vec<usize> {
        self.sizes.iter().map(Vec::len).collect()
    }

    /// All boxes, `[A, 4]`: map by map, row by row, position by position, as corners in pixels. Sizes are (height, width).
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not as many feature maps as lists of ratios, or one is empty.
    ///
    /// ```
    /// # use wgrad::{Device, models::detection::DefaultBoxGenerator};
    /// # let device = Device::reference();
    /// let generator = DefaultBoxGenerator::new(&[vec![]], &[0.25, 1.0], None)?;
    /// let boxes = generator.anchors(&device, [32, 32], &[[1, 1]])?;
    /// assert_eq!(boxes.to_vec::<f32>()?, [12.0, 12.0, 20.0, 20.0, 8.0, 8.0, 24.0, 24.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn anchors(&self, device: &Device, image: [usize; 2], grids: &[[usize; 2]]) -> Result<Tensor> {
        check_grids("DefaultBoxGenerator", self.sizes.len(), grids)?;
        let [height, width] = image.map(|size| size as f64);
        let mut boxes = Vec::new();
        for (map, (sizes, &[rows, columns])) in self.sizes.iter().zip(grids).enumerate() {
            let counts = match &self.steps {
                Some(steps) => image.map(|size| size as f32 / steps[map] as f32),
                None => [rows as f32, columns as f32],
            };
            for (row, column) in places(rows, columns) {
                let [y, x] = [(row as f32 + 0.5) / counts[0], (column as f32 + 0.5) / counts[1]].map(f64::from);
                boxes.extend(sizes.iter().map(|size| {
                    let [w, h] = size.map(|side| 0.5 * f64::from(side));
                    [(x - w) * width, (y - h) * height, (x + w) * width, (y + h) * height]
                }));
            }
        }
        Tensor::from_f64(device, boxes.as_flattened(), &[boxes.len(), 4])
    }
}

fn places(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

fn check_grids(op: &'static str, maps: usize, grids: &[[usize; 2]]) -> Result<()> {
    if grids.len() == maps && !grids.as_flattened().contains(&0) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("needs {maps} feature maps that are not empty; got {grids:?}")))
}

//! Attributions as maps from -1 to 1 that pictures show.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::options::options;

/// The side of attributions that a map shows: captum's `sign`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Both, without their sign.
    #[default]
    Absolute,
    /// Those for the answer.
    Positive,
    /// Those against it.
    Negative,
    /// Both, with their sign.
    Both,
}

options! {
    /// Options of [`HeatMap::read`], with captum's defaults.
    #[derive(Clone, Copy, Debug)]
    HeatMapOptions {
        /// The sign of the values to show.
        sign: Sign = Sign::Absolute,
        /// The percentage of the map's sum that its largest numbers may hold and be cut off: captum's `outlier_perc`.
        outliers: f64 = 2.0,
    }
}

/// A map of one image: a number for each pixel, divided by the largest that is not an outlier.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    size: [usize; 2],
    values: Vec<f64>,
    limit: f64,
    is_signed: bool,
}

impl HeatMap {
    /// The maps of attributions `[N, C, H, W]`, as captum's `visualize_image_attr` makes them: added up over channels, one side
    /// taken, and divided by the smallest number that, with all smaller ones, holds `100 - outliers` percent of the sum of
    /// absolute values. Larger values are clipped to it. A map of zeros stays one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, maps without pixels, attributions that are not finite and percentages outside of
    /// 0 to 100; errors that the device met.
    ///
    /// ```
    /// use wgrad::explain::{HeatMap, HeatMapOptions};
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let attributions = Tensor::from_slice(&device, &[1.0f32, -2.0, 3.0, -4.0], &[1, 2, 1, 2])?;
    /// let map = &HeatMap::read(&attributions, &HeatMapOptions::default().outliers(0.0))?[0];
    /// assert_eq!((map.values(), map.limit()), (&[4.0 / 6.0, 1.0][..], 6.0));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn read(attributions: &Tensor, options: &HeatMapOptions) -> Result<Vec<HeatMap>> {
        const OP: &str = "HeatMap";
        let &[_, channels, height, width] = &attributions.shape()[..] else {
            return Err(Error::invalid(OP, format!("attributions are [N, C, H, W], not {}", attributions.shape())));
        };
        let plane = height * width;
        if plane * channels == 0 || !(0.0..=100.0).contains(&options.outliers) {
            let rule = format!(
                "attributions {} of which {} percent are outliers; expected pixels, and 0 to 100",
                attributions.shape(),
                options.outliers
            );
            return Err(Error::invalid(OP, rule));
        }
        let values = attributions.detach().to_f64()?;
        if let Some(odd) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::invalid(OP, format!("an attribution is {odd}; maps show finite numbers")));
        }
        let sum = |image: &[f64]| (0..plane).map(|pixel| image[pixel..].iter().step_by(plane).sum()).collect();
        let map = |image: &[f64]| HeatMap::new([height, width], sum(image), options);
        Ok(values.chunks(channels * plane).map(map).collect())
    }

    fn new(size: [usize; 2], sums: Vec<f64>, options: &HeatMapOptions) -> HeatMap {
        let (side, direction): (fn(f64) -> f64, f64) = match options.sign {
            Sign::Absolute => (f64::abs, 1.0),
            Sign::Positive => (|sum| sum.max(0.0), 1.0),
            Sign::Negative => (|sum| sum.min(0.0), -1.0),
            Sign::Both => (|sum| sum, 1.0),
        };
        let sums: Vec<f64> = sums.into_iter().map(side).collect();
        let limit = direction * threshold(&sums, options.outliers);
        let scaled = |sum: f64| if limit == 0.0 { 0.0 } else { (sum / limit).clamp(-1.0, 1.0) };
        let values = sums.into_iter().map(scaled).collect();
        HeatMap { size, values, limit, is_signed: options.sign == Sign::Both }
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The numbers, row by row: 0 to 1, or -1 to 1 of a map with signs.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The attribution that is mapped to 1.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// True if numbers are -1 to 1.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// The map in another size, bilinear between the centres of pixels, as papers on class activation maps draw them.
    pub fn resized(&self, size: [usize; 2]) -> HeatMap {
        let [rows, columns] = [0, 1].map(|dim| places(self.size[dim], size[dim]));
        let at = |y: usize, x: usize| self.values[y * self.size[1] + x];
        let along = |y: usize, &(left, right, part): &Place| at(y, left) * (1.0 - part) + at(y, right) * part;
        let value = |&(top, bottom, part): &Place, column: &Place| {
            along(top, column) * (1.0 - part) + along(bottom, column) * part
        };
        let values = rows.iter().flat_map(|row| columns.iter().map(move |column| value(row, column))).collect();
        HeatMap { size, values, ..*self }
    }
}

/// The smallest absolute value that, with all smaller ones, makes up so much of the sum.
fn threshold(sums: &[f64], outliers: f64) -> f64 {
    let mut sorted: Vec<f64> = sums.iter().map(|sum| sum.abs()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut sum = 0.0;
    let add = |value: &f64| {
        sum += value;
        sum
    };
    let parts: Vec<f64> = sorted.iter().map(add).collect();
    let wanted = parts.last().copied().unwrap_or(0.0) * 0.01 * (100.0 - outliers);
    let first = parts.iter().position(|&part| part >= wanted);
    first.or(sorted.len().checked_sub(1)).map_or(0.0, |at| sorted[at])
}

/// Two neighbours, and the weight of the second.
type Place = (usize, usize, f64);

/// The places of `to` pixels among `from`.
fn places(from: usize, to: usize) -> Vec<Place> {
    let place = |at: usize| {
        let centre = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let first: usize = nearest(centre);
        (first, (first + 1).min(from - 1), centre - first as f64)
    };
    (0..to).map(place).collect()
}

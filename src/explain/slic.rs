//! Superpixels: parts of pictures along their edges.

use crate::error::{Error, Result};
use crate::explain::ablation::sizes;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::options::options;
use std::collections::VecDeque;

options! {
    /// Options of [`slic`], with scikit-image's defaults.
    #[derive(Clone, Copy, Debug)]
    SlicOptions {
        /// Superpixels of an image, about.
        segments: usize = 100,
        /// The difference in colour, on the scale of Lab, that counts as much as a superpixel's width.
        compactness: f64 = 10.0,
        /// Turns of the clustering at most.
        turns: usize = 10,
    }
}

/// The superpixels of some images, for [`feature_ablation`](crate::explain::Explainer::feature_ablation) and
/// [`lime`](crate::explain::Explainer::lime).
#[derive(Clone, Debug)]
pub struct Superpixels {
    /// The number of each pixel's superpixel from 0 on, i32 `[N, 1, H, W]`.
    pub features: Tensor,
    /// Superpixels of the image that has the most.
    pub count: usize,
}

/// Divides images `[N, C, H, W]` into superpixels by SLIC (Achanta et al., "SLIC Superpixels Compared to State-of-the-Art
/// Superpixel Methods", 2012): k-means of colour and position from a grid of centres `S` apart, where a pixel belongs to the
/// centre within `2 S` with the least `(d_colour / compactness)^2 + (d_place / S)^2`; then pieces of less than half of the mean
/// size join a neighbour. Numbers are scaled to 0 to 1 in each image, so normalized ones do as well; three channels are sRGB, and
/// one is grey, of which Lab is compared; of others the numbers, from 0 to 100 as Lab's lightness. Runs on the host; equal to
/// scikit-image's.
///
/// # Errors
/// [`Error::Invalid`] for other shapes, images without pixels or with numbers that are not finite, no segments and a compactness
/// that is not above 0; errors that the device met.
///
/// ```
/// use wgrad::explain::{SlicOptions, slic};
/// # use wgrad::{Device, Tensor};
/// let images = Tensor::rand(&Device::reference(), &[2, 3, 20, 30])?;
/// let superpixels = slic(&images, &SlicOptions::default().segments(6))?;
/// assert_eq!(superpixels.features.shape()[..], [2, 1, 20, 30]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn slic(images: &Tensor, options: &SlicOptions) -> Result<Superpixels> {
    const OP: &str = "slic";
    let [count, channels, height, width] = sizes(OP, images)?;
    let &SlicOptions { segments, compactness, .. } = options;
    if channels * height * width == 0 || segments == 0 || !(compactness > 0.0 && compactness.is_finite()) {
        let rule = format!("{segments} segments of a compactness of {compactness} for images {}", images.shape());
        return Err(Error::invalid(OP, rule));
    }
    let values = images.detach().to_f64()?;
    if let Some(odd) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::invalid(OP, format!("a pixel is {odd}; superpixels are of finite numbers")));
    }
    let mut labels = Vec::with_capacity(count * height * width);
    for image in values.chunks(channels * height * width) {
        labels.extend(Picture::new(image, [height, width], compactness).superpixels(options));
    }
    let most = labels.iter().max().map_or(0, |most| most + 1);
    let labels: Vec<i32> = labels.into_iter().map(nearest).collect();
    let features = Tensor::from_slice(images.device(), &labels, &[count, 1, height, width])?;
    Ok(Superpixels { features, count: most })
}

/// Colours, divided by the compactness.
struct Picture {
    size: [usize; 2],
    colours: Vec<Vec<f64>>,
}

/// The mean position and colour of a superpixel.
#[derive(Clone)]
struct Centre {
    place: [f64; 2],
    colour: Vec<f64>,
}

impl Picture {
    fn new(image: &[f64], size: [usize; 2], compactness: f64) -> Picture {
        let plane = size[0] * size[1];
        let (low, high) =
            image.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        let range = if high > low { high - low } else { 1.0 };
        let colour = |pixel: usize| -> Vec<f64> {
            let channels: Vec<f64> = image[pixel..].iter().step_by(plane).map(|value| (value - low) / range).collect();
            let colour = match channels[..] {
                [grey] => lab([grey; 3]).into(),
                [red, green, blue] => lab([red, green, blue]).into(),
                _ => channels.into_iter().map(|value| 100.0 * value).collect::<Vec<f64>>(),
            };
            colour.into_iter().map(|channel| channel / compactness).collect()
        };
        Picture { size, colours: (0..plane).map(colour).collect() }
    }

    fn superpixels(&self, options: &SlicOptions) -> Vec<usize> {
        let [rows, columns] = grid(self.size, options.segments);
        let along = |dim: usize, (start, step): (usize, usize)| (start..self.size[dim]).step_by(step);
        let mut centres: Vec<Centre> = along(0, rows)
            .flat_map(|y| along(1, columns).map(move |x| [y as f64, x as f64]))
            // Colours count from the second turn on.
            .map(|place| Centre { place, colour: vec![0.0; self.colours[0].len()] })
            .collect();
        let mut labels = vec![0; self.colours.len()];
        // The grid of a number of centres that is not a multiple may hold more of them, closer together.
        let reach = grid(self.size, centres.len()).map(|(_, step)| 2.0 * step as f64);
        for _ in 0..options.turns {
            self.assign(&mut labels, &centres, reach, rows.1.max(columns.1) as f64);
            self.update(&mut centres, &labels);
        }
        let mean = self.colours.len() as f64 / centres.len() as f64;
        connected(&labels, self.size, nearest(0.5 * mean), nearest(3.0 * mean))
    }

    /// Gives each pixel the number of its nearest centre; the first of several, and the one of before where none is near.
    fn assign(&self, labels: &mut [usize], centres: &[Centre], reach: [f64; 2], step: f64) {
        let (width, weight) = (self.size[1], 1.0 / (step * step));
        let mut distances = vec![f64::INFINITY; labels.len()];
        for (label, centre) in centres.iter().enumerate() {
            let [rows, columns] = [0, 1].map(|dim| {
                let end: usize = nearest(centre.place[dim] + reach[dim] + 1.0);
                nearest(centre.place[dim] - reach[dim])..end.min(self.size[dim])
            });
            for (y, x) in rows.flat_map(|y| columns.clone().map(move |x| (y, x))) {
                let [down, across] = [centre.place[0] - y as f64, centre.place[1] - x as f64];
                let pixel = y * width + x;
                let colour: f64 = self.colours[pixel].iter().zip(&centre.colour).map(|(a, b)| (a - b) * (a - b)).sum();
                let distance = (down * down + across * across) * weight + colour;
                if distance < distances[pixel] {
                    (labels[pixel], distances[pixel]) = (label, distance);
                }
            }
        }
    }

    /// Moves centres to the means of their pixels; one without pixels stays.
    fn update(&self, centres: &mut [Centre], labels: &[usize]) {
        let none = Centre { place: [0.0; 2], colour: vec![0.0; self.colours[0].len()] };
        let mut sums = vec![(none, 0usize); centres.len()];
        for (pixel, &label) in labels.iter().enumerate() {
            let (sum, count) = &mut sums[label];
            sum.place[0] += (pixel / self.size[1]) as f64;
            sum.place[1] += (pixel % self.size[1]) as f64;
            sum.colour.iter_mut().zip(&self.colours[pixel]).for_each(|(sum, channel)| *sum += channel);
            *count += 1;
        }
        for (centre, (sum, count)) in centres.iter_mut().zip(sums).filter(|(_, (_, count))| *count > 0) {
            let count = count as f64;
            centre.place = sum.place.map(|place| place / count);
            centre.colour = sum.colour.into_iter().map(|channel| channel / count).collect();
        }
    }
}

/// First centres along both dimensions, and the steps between them: squares, unless a side is too short for one.
fn grid(size: [usize; 2], segments: usize) -> [(usize, usize); 2] {
    let area = (size[0] * size[1]) as f64;
    if area <= segments as f64 {
        return [(0, 1); 2];
    }
    let side = (area / segments as f64).sqrt();
    let short = usize::from(size[1] < size[0]);
    let mut steps = [side; 2];
    if (size[short] as f64) < side {
        steps[short] = size[short] as f64;
        steps[1 - short] = size[1 - short] as f64 / segments as f64;
    }
    steps.map(|step| (nearest((step / 2.0).floor()), nearest::<usize>(step.round_ties_even()).max(1)))
}

/// Renumbers connected pieces, row by row. A piece of less than `least` pixels joins the neighbour that a search through it finds
/// last; one of more than `most` is divided.
fn connected(labels: &[usize], [height, width]: [usize; 2], least: usize, most: usize) -> Vec<usize> {
    let mut pieces: Vec<Option<usize>> = vec![None; labels.len()];
    let mut next = 0;
    for start in 0..labels.len() {
        if pieces[start].is_some() {
            continue;
        }
        pieces[start] = Some(next);
        let (mut piece, mut waiting, mut beside) = (vec![start], VecDeque::from([start]), next);
        while let Some(pixel) = waiting.pop_front().filter(|_| piece.len() < most) {
            let (y, x) = (pixel / width, pixel % width);
            let near = [
                (x + 1 < width).then(|| pixel + 1),
                (x > 0).then(|| pixel - 1),
                (y + 1 < height).then(|| pixel + width),
                (y > 0).then(|| pixel - width),
            ];
            for near in near.into_iter().flatten() {
                match pieces[near] {
                    None if labels[near] == labels[pixel] => {
                        pieces[near] = Some(next);
                        piece.push(near);
                        waiting.push_back(near);
                        if piece.len() >= most {
                            break;
                        }
                    }
                    Some(other) if other != next => beside = other,
                    _ => {}
                }
            }
        }
        match piece.len() < least {
            true => piece.into_iter().for_each(|pixel| pieces[pixel] = Some(beside)),
            false => next += 1,
        }
    }
    pieces.into_iter().map(Option::unwrap_or_default).collect()
}

/// CIE Lab of sRGB from 0 to 1, for daylight (D65).
fn lab(rgb: [f64; 3]) -> [f64; 3] {
    const XYZ: [[f64; 3]; 3] =
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]];
    const WHITE: [f64; 3] = [0.95047, 1.0, 1.08883];
    let linear = rgb.map(|value| if value > 0.04045 { ((value + 0.055) / 1.055).powf(2.4) } else { value / 12.92 });
    let [x, y, z] = [0, 1, 2].map(|at| {
        let sum: f64 = XYZ[at].iter().zip(linear).map(|(weight, value)| weight * value).sum();
        let share = sum / WHITE[at];
        if share > 0.008856 { share.cbrt() } else { 7.787 * share + 16.0 / 116.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

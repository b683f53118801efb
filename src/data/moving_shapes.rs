//! Drawn clips: a set for networks over video that needs no files.

use super::dataset::{check_index, check_pixels};
use super::random::Words;
use super::{Dataset, Image, Sample};
use crate::error::{Error, Result};
use crate::number::nearest;

/// The shortest side of a frame, in which a shape moves by five pixels at least.
const SMALLEST: usize = 16;
/// The most by which noise changes a byte.
const NOISE: usize = 24;

/// Clips of a disc or a square that moves on a noisy background; its motion is the class, so that no single frame tells it.
///
/// An item follows from the seed and its number alone, with the same bytes on every machine. Its image is `[3, T H, W]`, the
/// frames one below the other, and its target the number of the motion in [`CLASSES`](MovingShapes::CLASSES). A shape that moves
/// goes through a third to a half of the shorter side; one that grows or shrinks is between a fifth and a half as wide. A set of
/// other clips, for a test, has another seed.
///
/// ```
/// use wgrad::data::{DataLoader, DataLoaderOptions, Dataset, MovingShapes, Normalization, SequentialSampler, stack_images};
/// # use wgrad::Device;
/// # let device = Device::reference();
/// let clips = MovingShapes::new(20, 8, [32, 32], 0)?;
/// println!("{}", MovingShapes::CLASSES[clips.get(3)?.target as usize]);
/// let loader = DataLoader::new(clips, SequentialSampler::new(20), stack_images, DataLoaderOptions::default())?;
/// let normalization = Normalization::new(&[0.5; 3], &[0.25; 3])?;
/// for batch in loader.epoch(0)? {
///     let batch = batch?.to_device(&device, &normalization)?;
///     let clips = batch.images.unflatten(2, &[8, 32])?;
///     assert_eq!(clips.shape()[..], [20, 3, 8, 32, 32]);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovingShapes {
    count: usize,
    frames: usize,
    size: [usize; 2],
    seed: u64,
}

impl MovingShapes {
    /// Names of the motions.
    pub const CLASSES: [&str; 6] = ["left", "right", "up", "down", "grows", "shrinks"];

    /// `count` clips of `frames` frames of a height and a width.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are fewer than two frames, a side is below 16, or there are more than 16,777,216 pixels.
    pub fn new(count: usize, frames: usize, size: [usize; 2], seed: u64) -> Result<MovingShapes> {
        if frames < 2 || size.iter().any(|&side| side < SMALLEST) {
            let rule = format!(
                "{frames} frames of {} x {}; motion takes two frames, and a side has at least {SMALLEST} pixels",
                size[0], size[1]
            );
            return Err(Error::invalid("MovingShapes", rule));
        }
        check_pixels("MovingShapes", &[frames, size[0], size[1]])?;
        Ok(MovingShapes { count, frames, size, seed })
    }
}

impl Dataset for MovingShapes {
    type Item = Sample<i32>;

    fn len(&self) -> usize {
        self.count
    }

    fn get(&self, index: usize) -> Result<Sample<i32>> {
        check_index("get", index, self.count)?;
        let [shape, colours, noise] = [0, 1, 2].map(|part| Words::new(self.seed, index as u64).under(part));
        let motion = shape.below(0, MovingShapes::CLASSES.len());
        let path = Path::draw(shape, motion, self.size);
        let (frames, [height, width]) = (self.frames, self.size);
        let strip = frames * height;
        let byte = |channel: usize, row: usize, column: usize| {
            let time = (row / height) as f64 / (frames - 1) as f64;
            let background = colours.below(channel, 256);
            let colour = match path.contains(time, [row % height, column]) {
                true => (background + 64 + colours.below(3 + channel, 129)) % 256,
                false => background,
            };
            let noise = noise.below((channel * strip + row) * width + column, 2 * NOISE + 1);
            nearest((colour + noise).saturating_sub(NOISE))
        };
        let pixels = (0..3).flat_map(|channel| (0..strip * width).map(move |at| (channel, at / width, at % width)));
        let bytes = pixels.map(|(channel, row, column)| byte(channel, row, column)).collect();
        Ok(Sample { image: Image::new([3, strip, width], bytes)?, target: nearest(motion) })
    }
}

/// A shape's way from the first frame to the last.
struct Path {
    is_disc: bool,
    /// Row and column of the middle, at both ends.
    centres: [[f64; 2]; 2],
    /// Half of the width, at both ends.
    radii: [f64; 2],
}

impl Path {
    fn draw(words: Words, motion: usize, size: [usize; 2]) -> Path {
        let side = size[0].min(size[1]) as f64;
        let between = |at: usize, low: f64, high: f64| low + (high - low) * words.unit(at);
        // Left and right are motions along the columns, up and down along the rows; left, up and shrinking go backwards.
        let axis = [1, 1, 0, 0].get(motion).copied();
        let (radii, way) = match axis {
            Some(_) => ([between(1, side / 8.0, side / 5.0); 2], between(2, side / 3.0, side / 2.0)),
            None => ([side / 10.0, between(1, side / 5.0, side / 4.0)], 0.0),
        };
        let start = [0, 1].map(|d| {
            let way = if axis == Some(d) { way } else { 0.0 };
            between(3 + d, radii[1], size[d] as f64 - radii[1] - way)
        });
        let end = [0, 1].map(|d| start[d] + if axis == Some(d) { way } else { 0.0 });
        let mut path = Path { is_disc: words.below(5, 2) == 0, centres: [start, end], radii };
        if [0, 2, 5].contains(&motion) {
            path.centres.reverse();
            path.radii.reverse();
        }
        path
    }

    /// True if the middle of a pixel is in the shape at a time from 0 to 1.
    fn contains(&self, time: f64, pixel: [usize; 2]) -> bool {
        let at = |ends: [f64; 2]| ends[0] + (ends[1] - ends[0]) * time;
        let radius = at(self.radii);
        let [down, right] =
            [0, 1].map(|d| (pixel[d] as f64 + 0.5 - at([self.centres[0][d], self.centres[1][d]])).abs());
        match self.is_disc {
            true => down * down + right * right <= radius * radius,
            false => down.max(right) <= radius,
        }
    }
}

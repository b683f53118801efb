//! Drawn shapes: a set for segmentation and detection that needs no files.

use super::dataset::{check_index, check_pixels};
use super::random::Words;
use super::{BoundingBox, Dataset, Image};
use crate::error::{Error, Result};
use crate::number::nearest;

/// The shortest side of an image, whose smallest shape is two pixels wide then.
const SMALLEST: usize = 8;
/// The most by which noise changes a byte.
const NOISE: usize = 24;
/// Positions that are tried for a shape before it is dropped.
const TRIES: usize = 20;

/// A picture of shapes, and the answers to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// The picture, `[3, H, W]`.
    pub image: Image,
    /// The class of each pixel, `[1, H, W]`: 0 for the background, 1 to 3 for circles, squares and triangles.
    pub mask: Image,
    /// The box around each shape, of class 0 to 2, and its pixels as area.
    pub boxes: Vec<BoundingBox>,
    /// The pixels of each shape, `[1, H, W]`: 1 where it is, else 0.
    pub masks: Vec<Image>,
}

/// Filled circles, squares and triangles of random colour, size and position on a noisy background.
///
/// An item follows from the seed and its number alone, with the same bytes on every machine. A shape is between a quarter and
/// half as wide as the image's shorter side, none overlaps another, and each channel of its colour differs from the background's
/// by 64 or more before the noise. A set of other shapes, for a test, has another seed.
///
/// ```
/// use wgrad::data::{Dataset, Sample, Shapes};
/// let shapes = Shapes::new(100, [64, 64], 0)?.most(2)?;
/// let drawing = shapes.get(7)?;
/// assert_eq!((drawing.image.shape(), drawing.mask.shape()), ([3, 64, 64], [1, 64, 64]));
/// for found in &drawing.boxes {
///     println!("{} in {:?}", Shapes::CLASSES[found.class as usize], found.corners);
/// }
/// // For segmentation.
/// let pixels = shapes.map(|drawing| Ok(Sample { image: drawing.image, target: drawing.mask }));
/// # pixels.get(99)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    count: usize,
    size: [usize; 2],
    seed: u64,
    most: usize,
}

impl Shapes {
    /// Names of the shapes, by the classes of boxes; in a mask these follow after 0.
    pub const CLASSES: [&str; 3] = ["circle", "square", "triangle"];

    /// `count` drawings of a height and a width, of one to three shapes each.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a side is below 8, or there are more than 16,777,216 pixels.
    pub fn new(count: usize, size: [usize; 2], seed: u64) -> Result<Shapes> {
        if size.iter().any(|&side| side < SMALLEST) {
            let rule = format!("drawings of {} x {}; a side has at least {SMALLEST} pixels", size[0], size[1]);
            return Err(Error::invalid("Shapes", rule));
        }
        check_pixels("Shapes", &size)?;
        Ok(Shapes { count, size, seed, most: 3 })
    }

    /// One to `most` shapes each, or fewer if they don't fit.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `most` is 0.
    pub fn most(self, most: usize) -> Result<Shapes> {
        if most == 0 {
            return Err(Error::invalid("Shapes", "at most 0 shapes; expected at least 1"));
        }
        Ok(Shapes { most, ..self })
    }

    /// The shapes of a drawing.
    fn placed(&self, words: Words) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = Vec::new();
        for number in 0..=words.below(0, self.most) {
            let class = words.below(1 + number, Shapes::CLASSES.len());
            let tries = words.under(number as u64);
            let mut candidates = (0..TRIES).map(|at| Shape::draw(tries.under(at as u64), class, self.size));
            shapes.extend(candidates.find(|shape| shapes.iter().all(|other| shape.is_apart(other))));
        }
        shapes
    }
}

impl Dataset for Shapes {
    type Item = Drawing;

    fn len(&self) -> usize {
        self.count
    }

    fn get(&self, index: usize) -> Result<Drawing> {
        check_index("get", index, self.count)?;
        let [places, colours, noise] = [0, 1, 2].map(|part| Words::new(self.seed, index as u64).under(part));
        let [height, width] = self.size;
        let shapes = self.placed(places);
        let at = |pixel: usize| [pixel / width, pixel % width];
        let owner =
            |pixel: usize| shapes.iter().position(|shape| shape.contains(at(pixel))).map_or(0, |shape| shape + 1);
        // The number of each pixel's shape, or 0.
        let owners: &[usize] = &(0..height * width).map(owner).collect::<Vec<_>>();
        let byte = |channel: usize, pixel: usize| {
            let background = colours.below(channel, 256);
            let colour = match owners[pixel] {
                0 => background,
                owner => (background + 64 + colours.below(3 * owner + channel, 129)) % 256,
            };
            let noise = noise.below(channel * owners.len() + pixel, 2 * NOISE + 1);
            nearest((colour + noise).saturating_sub(NOISE))
        };
        let bytes = (0..3).flat_map(|channel| (0..owners.len()).map(move |pixel| (channel, pixel)));
        let plane = |value: &dyn Fn(usize) -> usize| {
            Image::new([1, height, width], owners.iter().map(|&owner| nearest(value(owner))).collect())
        };
        let pixels_of = |shape: usize| (0..owners.len()).filter(move |&pixel| owners[pixel] == shape).map(at);
        Ok(Drawing {
            image: Image::new([3, height, width], bytes.map(|(channel, pixel)| byte(channel, pixel)).collect())?,
            mask: plane(&|owner| if owner == 0 { 0 } else { shapes[owner - 1].class + 1 })?,
            boxes: shapes.iter().zip(1..).map(|(shape, number)| round(shape.class, pixels_of(number))).collect(),
            masks: (1..=shapes.len())
                .map(|number| plane(&|owner| usize::from(owner == number)))
                .collect::<Result<_>>()?,
        })
    }
}

/// A shape at its position.
struct Shape {
    class: usize,
    /// Row and column, between pixels.
    centre: [usize; 2],
    /// Half of its width and height.
    radius: usize,
}

impl Shape {
    fn draw(words: Words, class: usize, size: [usize; 2]) -> Shape {
        let side = size[0].min(size[1]);
        let radius = side / 8 + words.below(0, side / 4 - side / 8 + 1);
        let centre = [0, 1].map(|d| radius + words.below(1 + d, size[d] - 2 * radius + 1));
        Shape { class, centre, radius }
    }

    /// True if the squares around two shapes share no pixel.
    fn is_apart(&self, other: &Shape) -> bool {
        (0..2).any(|d| self.centre[d].abs_diff(other.centre[d]) >= self.radius + other.radius)
    }

    /// True if the middle of a pixel is in the shape. Lengths are counted in half pixels.
    fn contains(&self, pixel: [usize; 2]) -> bool {
        let radius = 2 * self.radius;
        let [down, right] = [0, 1].map(|d| (2 * pixel[d] + 1).abs_diff(2 * self.centre[d]));
        match self.class {
            0 => down * down + right * right <= radius * radius,
            1 => down.max(right) <= radius,
            // Its tip is at the top, and its base as wide as it is high.
            _ => down <= radius && 2 * (self.centre[0] + right) <= 2 * pixel[0] + 1 + radius,
        }
    }
}

/// The box around some pixels.
fn round(class: usize, pixels: impl Iterator<Item = [usize; 2]> + Clone) -> BoundingBox {
    let edge = |value: Option<usize>| nearest::<f32>(value.unwrap_or(0) as f64);
    let axis = |d: usize| pixels.clone().map(move |pixel| pixel[d]);
    let corners = [axis(1).min(), axis(0).min(), axis(1).max().map(|x| x + 1), axis(0).max().map(|y| y + 1)].map(edge);
    let area = nearest(pixels.clone().count() as f64);
    BoundingBox { class: nearest(class), corners, area, is_ignored: false }
}

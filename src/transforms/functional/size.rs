//! Images in other sizes.

use super::{Region, crop_one, each, is_images};
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::{Beyond, Filter, ImageMap, InterpolateMode, InterpolateOptions, Projective, Sampling};
use crate::options::options;
use crate::transforms::pixels;

/// Interpolation between elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterpolationMode {
    /// The nearest; in resizing, the one at `floor(position)` with positions counted from edges, as in
    /// [`InterpolateMode::Nearest`].
    Nearest,
    /// The one whose centre is nearest.
    NearestExact,
    /// A straight line between two neighbours per dimension.
    #[default]
    Bilinear,
    /// Cubic convolution over four neighbours per dimension.
    Bicubic,
}

impl InterpolationMode {
    pub(in crate::transforms) fn is_nearest(self) -> bool {
        matches!(self, InterpolationMode::Nearest | InterpolationMode::NearestExact)
    }

    pub(in crate::transforms) fn filter(self, antialias: bool) -> Filter {
        match self {
            InterpolationMode::Nearest | InterpolationMode::NearestExact => Filter::Nearest,
            InterpolationMode::Bilinear => Filter::Linear,
            InterpolationMode::Bicubic if antialias => Filter::SmoothCubic,
            InterpolationMode::Bicubic => Filter::Cubic,
        }
    }
}

/// A size to bring images to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSize {
    /// The shorter side; the other keeps the proportion, rounded down.
    Shortest(usize),
    /// The longer side.
    Longest(usize),
    /// Height and width.
    Exact([usize; 2]),
}

impl From<usize> for ImageSize {
    fn from(shortest: usize) -> ImageSize {
        ImageSize::Shortest(shortest)
    }
}

impl From<[usize; 2]> for ImageSize {
    fn from(size: [usize; 2]) -> ImageSize {
        ImageSize::Exact(size)
    }
}

impl ImageSize {
    /// Height and width of a resized image, by torchvision's rules; `max_size` bounds the longer side.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a size is 0, or `max_size` is not above the shorter side or is given with another rule.
    pub fn of(self, [height, width]: [usize; 2], max_size: Option<usize>) -> Result<[usize; 2]> {
        const OP: &str = "resize";
        let (short, long) = (height.min(width), height.max(width));
        let scaled = |by: usize, of: usize, to: usize| nearest::<usize>(by as u128 * to as u128 / of.max(1) as u128);
        let (new_short, new_long) = match (self, max_size) {
            (ImageSize::Exact(size), None) => {
                return if size.contains(&0) {
                    Err(Error::invalid(OP, format!("a size of {size:?}")))
                } else {
                    Ok(size)
                };
            }
            (ImageSize::Longest(new), None) => (scaled(new, long, short), new),
            (ImageSize::Shortest(new), None) => (new, scaled(new, short, long)),
            (ImageSize::Shortest(new), Some(most)) if most > new => match scaled(new, short, long) {
                new_long if new_long > most => (scaled(most, new_long, new), most),
                new_long => (new, new_long),
            },
            (size, Some(most)) => {
                let rule = format!("max_size = {most} goes with a shorter side that is smaller; got {size:?}");
                return Err(Error::invalid(OP, rule));
            }
        };
        if new_short == 0 {
            return Err(Error::invalid(OP, format!("{self:?} leaves nothing of an image of {height} x {width}")));
        }
        Ok(if height <= width { [new_short, new_long] } else { [new_long, new_short] })
    }
}

options! {
    /// The options of [`resize`] and [`resized_crop`], with torchvision's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ResizeOptions {
        /// Interpolation between elements.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Upper bound of the longer side, where the shorter is given.
        max_size: Option<usize> = None,
        /// Widens the filter as the image shrinks; for bilinear and bicubic.
        antialias: bool = true,
    }
}

impl ResizeOptions {
    /// The mode and `antialias` of [`Tensor::interpolate`].
    pub(in crate::transforms) fn of_interpolate(&self) -> (InterpolateMode, bool) {
        match self.interpolation {
            InterpolationMode::Nearest => (InterpolateMode::Nearest, false),
            InterpolationMode::NearestExact => (InterpolateMode::NearestExact, false),
            InterpolationMode::Bilinear => (InterpolateMode::Bilinear, self.antialias),
            InterpolationMode::Bicubic => (InterpolateMode::Bicubic, self.antialias),
        }
    }
}

/// Images in another size: `[N, C, H, W]` becomes `[N, C, H', W']`.
///
/// # Errors
/// As [`ImageSize::of`] and [`Tensor::interpolate`].
///
/// ```
/// use wgrad::transforms::functional::{ResizeOptions, resize};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0, 100, 200, 40], &[1, 1, 1, 4])?;
/// let small = resize(&images, [1, 2], &ResizeOptions::default().antialias(false))?;
/// assert_eq!(small.to_vec::<i32>()?, [50, 120]);
/// assert_eq!(resize(&images, 2, &ResizeOptions::default())?.shape()[..], [1, 1, 2, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn resize(images: &Tensor, size: impl Into<ImageSize>, options: &ResizeOptions) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let [_, _, height, width] = is_images("resize", images)?;
    let size = size.into().of([height, width], options.max_size)?;
    if size == [height, width] {
        return Ok(images.clone());
    }
    let (mode, antialias) = options.of_interpolate();
    let overshoots = mode == InterpolateMode::Bicubic;
    let to = |images: &Tensor, size: [usize; 2]| {
        let options = InterpolateOptions::default().size(size).mode(mode).antialias(antialias);
        pixels::rounded(&pixels::as_floats(images)?.interpolate(&options)?, images.dtype(), overshoots)
    };
    // A filter that may overshoot resizes bytes in rows and then in columns, and cuts them to bytes in between, as in
    // PyTorch.
    let images = if overshoots && !images.dtype().is_float() { to(images, [height, size[1]])? } else { images.clone() };
    to(&images, size)
}

/// A region of each image, resized: one region for all images, or one for each.
///
/// # Errors
/// As [`crop`](super::crop) and [`resize`]; [`Error::Invalid`] if there is neither one region nor one for each image.
///
/// ```
/// use wgrad::transforms::functional::{Region, ResizeOptions, resized_crop};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0, 100, 200, 40, 1, 2, 3, 4], &[2, 1, 1, 4])?;
/// let regions = [Region { top: 0, left: 0, height: 1, width: 2 }, Region { top: 0, left: 2, height: 1, width: 1 }];
/// let crops = resized_crop(&images, &regions, [1, 2], &ResizeOptions::default())?;
/// assert_eq!(crops.to_vec::<i32>()?, [0, 100, 3, 3]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn resized_crop(
    images: &Tensor,
    regions: &[Region],
    size: impl Into<ImageSize>,
    options: &ResizeOptions,
) -> Result<Tensor> {
    const OP: &str = "resized_crop";
    let _line = ascribe_to_caller();
    let [count, channels, height, width] = is_images(OP, images)?;
    if let [region] = regions {
        return resize(&crop_one(images, *region)?, size, options);
    }
    let size = size.into();
    let regions: Vec<Region> = (0..count).map(each(OP, regions, count)?).collect();
    let sizes = regions.iter().map(|region| size.of([region.height, region.width], options.max_size));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    if let Some(other) = sizes.iter().find(|&&size| size != sizes[0]) {
        let rule = format!("regions of {:?} and of {other:?} after resizing; give a height and a width", sizes[0]);
        return Err(Error::invalid(OP, rule));
    }
    let Some(&size) = sizes.first() else { return images.narrow(2, 0, 0) };
    let maps: Vec<ImageMap> =
        regions.iter().map(|region| region.map([height, width], size, channels, options)).collect();
    let filter = options.interpolation.filter(options.antialias);
    let sampled = images.warp(&maps, None, Sampling { filter, beyond: Beyond::Ignore, size })?;
    pixels::rounded(&sampled, images.dtype(), options.interpolation == InterpolationMode::Bicubic)
}

impl Region {
    /// The map from an output of size `size` to the region in an image of size `source`.
    fn map(&self, source: [usize; 2], size: [usize; 2], channels: usize, options: &ResizeOptions) -> ImageMap {
        let region = [self.height as f64, self.width as f64];
        let scale = [region[1] / size[1] as f64, region[0] / size[0] as f64];
        let canvas = [self.left as f64, self.top as f64, self.left as f64 + region[1], self.top as f64 + region[0]];
        let [height, width] = source.map(|size| size as f64);
        let window = [canvas[0].max(0.0), canvas[1].max(0.0), canvas[2].min(width), canvas[3].min(height)];
        let smooth = options.antialias && !options.interpolation.is_nearest();
        // The plain nearest mode takes the positions of an element's edge.
        let edge = if options.interpolation == InterpolationMode::Nearest { 0.5 } else { 0.0 };
        ImageMap {
            size: [size[1] as f64, size[0] as f64],
            map: Projective::scaling(scale, [canvas[0] - edge * scale[0], canvas[1] - edge * scale[1]]),
            window,
            canvas,
            widths: if smooth { scale.map(widened) } else { [1.0; 2] },
            inner_fill: vec![0.0; channels],
            fill: vec![0.0; channels],
            outer: None,
            clips: Vec::new(),
        }
    }
}

/// The factor by which a filter widens where this many elements become one. The filter reaches 120 elements to each
/// side at most, since one invocation visits all of them, in loops that every adapter must run in full.
pub(in crate::transforms) fn widened(scale: f64) -> f64 {
    scale.clamp(1.0, 60.0)
}

//! Images rotated, sheared and bent.

use super::{InterpolationMode, each, is_images};
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::{Beyond, GridSampleMode, GridSampleOptions, ImageMap, Projective, Sampling};
use crate::options::options;
use crate::transforms::maps::{self, AffineNumbers, Corners};
use crate::transforms::pixels;

options! {
    /// The options of [`affine`], [`perspective`] and [`elastic`], with torchvision's names.
    #[derive(Clone, Debug, PartialEq)]
    WarpOptions {
        /// Interpolation between elements: nearest or bilinear. torchvision's default is bilinear for `perspective` and
        /// `elastic` and nearest for the others.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Values past the edges: one number, or one per channel. Zeros if left out, as with a 0; a given number is
        /// blended by the square of the weight that is missing at an edge, as in torchvision.
        fill: Option<Vec<f32>> = None,
        /// The fixed point, `[x, y]`; the middle if left out. For `affine` alone.
        center: Option<[f64; 2]> = None,
    }

    /// The options of [`rotate`], with torchvision's names.
    #[derive(Clone, Debug, PartialEq)]
    RotateOptions {
        /// Interpolation between elements: nearest or bilinear.
        interpolation: InterpolationMode = InterpolationMode::Nearest,
        /// Enlarges the result to hold all corners.
        expand: bool = false,
        /// The fixed point, `[x, y]`; the middle if left out.
        center: Option<[f64; 2]> = None,
        /// As [`WarpOptions::fill`].
        fill: Option<Vec<f32>> = None,
    }
}

/// Images sampled through a map each.
#[track_caller]
fn warp(
    op: &'static str,
    images: &Tensor,
    maps: Vec<(Projective, [usize; 2])>,
    interpolation: InterpolationMode,
    fill: Option<&[f32]>,
) -> Result<Tensor> {
    let [_, channels, height, width] = is_images(op, images)?;
    check_mode(op, interpolation)?;
    let values = spread(op, fill.unwrap_or(&[0.0]), channels)?;
    let size = maps.iter().fold([0, 0], |[h, w], (_, size)| [h.max(size[0]), w.max(size[1])]);
    let whole = [0.0, 0.0, width as f64, height as f64];
    let map = |(map, size): (Projective, [usize; 2])| ImageMap {
        size: [size[1] as f64, size[0] as f64],
        map,
        window: whole,
        canvas: whole,
        widths: [1.0; 2],
        inner_fill: values.clone(),
        fill: values.clone(),
        outer: None,
        clips: Vec::new(),
    };
    let maps: Vec<ImageMap> = maps.into_iter().map(map).collect();
    let beyond = if fill.is_some() && !interpolation.is_nearest() { Beyond::Twice } else { Beyond::Fill };
    let sampled = images.warp(&maps, None, Sampling { filter: interpolation.filter(false), beyond, size })?;
    pixels::rounded(&sampled, images.dtype(), false)
}

fn check_mode(op: &'static str, interpolation: InterpolationMode) -> Result<()> {
    if matches!(interpolation, InterpolationMode::Nearest | InterpolationMode::Bilinear) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{interpolation:?} is neither Nearest nor Bilinear")))
}

/// One fill value for each channel.
pub(in crate::transforms) fn spread(op: &'static str, fill: &[f32], channels: usize) -> Result<Vec<f32>> {
    match fill {
        [value] => Ok(vec![*value; channels]),
        _ if fill.len() == channels => Ok(fill.to_vec()),
        _ => Err(Error::invalid(op, format!("{} fill values for {channels} channels", fill.len()))),
    }
}

/// Images rotated anticlockwise by angles in degrees: one for all, or one for each. With `expand` and several angles, smaller
/// results are in the upper left corner, with zeros around them.
///
/// # Errors
/// [`Error::Invalid`] for modes other than nearest and bilinear, and if angles or fill values are too few or too many.
///
/// ```
/// use wgrad::transforms::functional::{RotateOptions, rotate};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[1, 2, 3, 4], &[1, 1, 2, 2])?;
/// assert_eq!(rotate(&images, &[90.0], &RotateOptions::default())?.to_vec::<i32>()?, [2, 4, 1, 3]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn rotate(images: &Tensor, angles: &[f64], options: &RotateOptions) -> Result<Tensor> {
    const OP: &str = "rotate";
    let _line = ascribe_to_caller();
    let [count, _, height, width] = is_images(OP, images)?;
    let map = |angle| maps::rotation(angle, options.center, options.expand, [height, width]);
    let maps = (0..count).map(each(OP, angles, count)?).map(map).collect();
    warp(OP, images, maps, options.interpolation, options.fill.as_deref())
}

/// Images rotated, scaled, sheared and moved, by numbers for all or for each.
///
/// # Errors
/// As [`rotate`]; [`Error::Invalid`] if a scale is not positive.
///
/// ```
/// use wgrad::transforms::functional::{AffineNumbers, WarpOptions, affine};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[1, 2, 3, 4], &[2, 1, 1, 2])?;
/// let right = AffineNumbers { translate: [1.0, 0.0], ..AffineNumbers::default() };
/// let moved = affine(&images, &[right, AffineNumbers::default()], &WarpOptions::default().fill([9.0]))?;
/// assert_eq!(moved.to_vec::<i32>()?, [9, 1, 3, 4]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn affine(images: &Tensor, numbers: &[AffineNumbers], options: &WarpOptions) -> Result<Tensor> {
    const OP: &str = "affine";
    let _line = ascribe_to_caller();
    let [count, _, height, width] = is_images(OP, images)?;
    if let Some(wrong) = numbers.iter().find(|numbers| numbers.scale.is_nan() || numbers.scale <= 0.0) {
        return Err(Error::invalid(OP, format!("the scale {} is not positive", wrong.scale)));
    }
    let map = |numbers| (maps::affine(&numbers, options.center, [height, width]), [height, width]);
    let maps = (0..count).map(each(OP, numbers, count)?).map(map).collect();
    warp(OP, images, maps, options.interpolation, options.fill.as_deref())
}

/// Images in another perspective, which moves the content at the corners `start` to `end`: a pair of them for all images, or one
/// for each.
///
/// # Errors
/// As [`rotate`]; [`Error::Invalid`] if three corners are collinear.
///
/// ```
/// use wgrad::transforms::functional::{WarpOptions, perspective};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::ones(&Device::reference(), &[1, 3, 8, 8])?;
/// let start = [[0.0, 0.0], [7.0, 0.0], [7.0, 7.0], [0.0, 7.0]];
/// let end = [[1.0, 0.0], [6.0, 1.0], [7.0, 7.0], [0.0, 6.0]];
/// assert_eq!(perspective(&images, &[(start, end)], &WarpOptions::default())?.shape(), images.shape());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn perspective(images: &Tensor, corners: &[(Corners, Corners)], options: &WarpOptions) -> Result<Tensor> {
    const OP: &str = "perspective";
    let _line = ascribe_to_caller();
    let [count, _, height, width] = is_images(OP, images)?;
    let map = |(start, end)| Ok((maps::perspective(&start, &end)?, [height, width]));
    let maps = (0..count).map(each(OP, corners, count)?).map(map).collect::<Result<_>>()?;
    warp(OP, images, maps, options.interpolation, options.fill.as_deref())
}

/// Images whose element `(x, y)` comes from `(x, y)` plus a displacement: `[1, H, W, 2]` for all, or `[N, H, W, 2]`, in
/// halves of the width and the height. Gradients flow to the displacement too.
///
/// # Errors
/// [`Error::Invalid`] for other shapes, and for modes other than nearest and bilinear; as [`Tensor::grid_sample`].
///
/// ```
/// use wgrad::transforms::functional::{WarpOptions, elastic};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let images = Tensor::from_slice(&device, &[1, 2, 3, 4], &[1, 1, 1, 4])?;
/// // One element to the right is half of half the width.
/// let by = Tensor::from_slice(&device, &[0.5f32, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0], &[1, 1, 4, 2])?;
/// assert_eq!(elastic(&images, &by, &WarpOptions::default())?.to_vec::<i32>()?, [2, 3, 4, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn elastic(images: &Tensor, displacement: &Tensor, options: &WarpOptions) -> Result<Tensor> {
    const OP: &str = "elastic";
    let _line = ascribe_to_caller();
    let [count, channels, height, width] = is_images(OP, images)?;
    check_mode(OP, options.interpolation)?;
    if displacement.rank() != 4
        || ![1, count].contains(&displacement.shape()[0])
        || displacement.shape()[1..] != [height, width, 2]
    {
        let rule =
            format!("a displacement {} for images {}; expected [N, H, W, 2]", displacement.shape(), images.shape());
        return Err(Error::invalid(OP, rule));
    }
    let axis = |size: usize| (0..size).map(|i| (2 * i + 1) as f32 / size as f32 - 1.0).collect::<Vec<_>>();
    let x = Tensor::from_slice(images.device(), &axis(width), &[1, 1, width])?.expand(&[
        1,
        height as isize,
        width as isize,
    ])?;
    let y = Tensor::from_slice(images.device(), &axis(height), &[1, height, 1])?.expand(&[
        1,
        height as isize,
        width as isize,
    ])?;
    let grid = Tensor::stack(&[&x, &y], 3)?.add(displacement)?;
    let grid = grid.expand(&[count as isize, height as isize, width as isize, 2])?;
    let mode = if options.interpolation.is_nearest() { GridSampleMode::Nearest } else { GridSampleMode::Bilinear };
    let sampling = GridSampleOptions::default().mode(mode);
    let floats = pixels::as_floats(images)?;
    let sampled = floats.grid_sample(&grid, &sampling)?;
    let Some(fill) = &options.fill else { return pixels::rounded(&sampled, images.dtype(), false) };
    let fill = Tensor::from_slice(images.device(), &spread(OP, fill, channels)?, &[1, channels, 1, 1])?;
    let ones = Tensor::ones(images.device(), &[count, 1, height, width])?;
    let visible = ones.grid_sample(&grid, &sampling)?;
    let blended = match mode {
        GridSampleMode::Nearest => visible.lt_scalar(0.5)?.where_(&fill, &sampled)?,
        _ => sampled.sub(&fill)?.mul(&visible)?.add(&fill)?,
    };
    pixels::rounded(&blended, images.dtype(), false)
}

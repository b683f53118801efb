//! Crops, padding and mirror images: nothing is interpolated.

use super::{each, is_images};
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::{Beyond, Filter, ImageMap, PadMode, Projective, Sampling};
use crate::transforms::pixels;

/// A part of an image. Zeros fill it where it reaches past the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first row.
    pub top: isize,
    /// The first column.
    pub left: isize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Region {
    /// An image with a border, whose widths are `[left, top, right, bottom]`.
    pub(in crate::transforms) fn bordered([height, width]: [usize; 2], border: [usize; 4]) -> Region {
        let [left, top, right, bottom] = border;
        let (first_row, first_column) = (-(top as isize), -(left as isize));
        Region { top: first_row, left: first_column, height: height + top + bottom, width: width + left + right }
    }

    /// The part in the middle, by torchvision's rounding.
    pub(in crate::transforms) fn central([height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Region {
        let first = |all: usize, part: usize| match all.checked_sub(part) {
            Some(rest) => nearest::<isize>((rest as f64 / 2.0).round_ties_even()),
            None => -(((part - all) / 2) as isize),
        };
        Region { top: first(height, rows), left: first(width, columns), height: rows, width: columns }
    }
}

/// A region of each image: one for all, or one for each, all of one size.
///
/// # Errors
/// [`Error::Invalid`] if the regions' sizes differ, or there is neither one nor one for each image.
///
/// ```
/// use wgrad::transforms::functional::{Region, crop};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[1, 2, 3, 4, 5, 6], &[2, 1, 1, 3])?;
/// let region = |left| Region { top: 0, left, height: 1, width: 2 };
/// assert_eq!(crop(&images, &[region(1)])?.to_vec::<i32>()?, [2, 3, 5, 6]);
/// assert_eq!(crop(&images, &[region(-1), region(0)])?.to_vec::<i32>()?, [0, 1, 4, 5]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn crop(images: &Tensor, regions: &[Region]) -> Result<Tensor> {
    const OP: &str = "crop";
    let _line = ascribe_to_caller();
    let [count, channels, height, width] = is_images(OP, images)?;
    if let [region] = regions {
        return crop_one(images, *region);
    }
    let regions: Vec<Region> = (0..count).map(each(OP, regions, count)?).collect();
    let Some(first) = regions.first() else { return Ok(images.clone()) };
    let size = [first.height, first.width];
    if let Some(other) = regions.iter().find(|region| [region.height, region.width] != size) {
        let rule = format!("regions of {size:?} and of {:?} in one batch", [other.height, other.width]);
        return Err(Error::invalid(OP, rule));
    }
    let map = |region: &Region| {
        let shift = [region.left as f64, region.top as f64];
        ImageMap {
            size: [size[1] as f64, size[0] as f64],
            map: Projective::translation(shift),
            window: [0.0, 0.0, width as f64, height as f64],
            canvas: [-1e6, -1e6, 1e6, 1e6],
            widths: [1.0; 2],
            inner_fill: vec![0.0; channels],
            fill: vec![0.0; channels],
            outer: None,
            clips: Vec::new(),
        }
    };
    let maps: Vec<ImageMap> = regions.iter().map(map).collect();
    let sampled = images.warp(&maps, None, Sampling { filter: Filter::Nearest, beyond: Beyond::Fill, size })?;
    pixels::rounded(&sampled, images.dtype(), false)
}

/// One region of all images.
#[track_caller]
pub(in crate::transforms) fn crop_one(images: &Tensor, region: Region) -> Result<Tensor> {
    let [_, _, height, width] = is_images("crop", images)?;
    // The padding on both sides of an edge; cropped elements count as negative padding.
    let sides = |first: isize, size: usize, all: usize| {
        [first.saturating_neg(), first.saturating_add(nearest(size)).saturating_sub(nearest(all))]
    };
    let ([left, right], [top, bottom]) =
        (sides(region.left, region.width, width), sides(region.top, region.height, height));
    // A region entirely outside touches no element: it is cut to one side first.
    let within =
        |before: isize, size: usize, all: usize| before < nearest(size) && before.saturating_neg() < nearest(all);
    if within(left, region.width, width) && within(top, region.height, height) {
        return images.pad(&[left, right, top, bottom], PadMode::Constant(0.0));
    }
    let [n, c] = [images.shape()[0], images.shape()[1]];
    images
        .narrow(2, 0, 0)?
        .pad(&[0, 0, 0, region.height as isize], PadMode::Constant(0.0))?
        .narrow(3, 0, 0)?
        .pad(&[0, region.width as isize], PadMode::Constant(0.0))?
        .reshape(&[n as isize, c as isize, region.height as isize, region.width as isize])
}

/// The centre of each image, `[height, width]`, with zeros around smaller images.
///
/// # Errors
/// [`Error::Invalid`] for other shapes than `[N, C, H, W]`.
///
/// ```
/// use wgrad::transforms::functional::center_crop;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[1, 2, 3], &[1, 1, 1, 3])?;
/// assert_eq!(center_crop(&images, [1, 1])?.to_vec::<i32>()?, [2]);
/// assert_eq!(center_crop(&images, [1, 5])?.to_vec::<i32>()?, [0, 1, 2, 3, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn center_crop(images: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let [_, _, height, width] = is_images("center_crop", images)?;
    crop_one(images, Region::central([height, width], size))
}

/// The content of an image's border.
#[derive(Clone, Debug, PartialEq)]
pub enum PaddingMode {
    /// A number, or one per channel.
    Constant(Vec<f32>),
    /// The nearest element.
    Edge,
    /// The image mirrored at its outermost element: `c b | a b c | b a`.
    Reflect,
    /// The image mirrored at its edge: `b a | a b c | c b`.
    Symmetric,
}

impl Default for PaddingMode {
    fn default() -> PaddingMode {
        PaddingMode::Constant(vec![0.0])
    }
}

/// Images with a border, whose widths are `[left, top, right, bottom]`.
///
/// # Errors
/// [`Error::Invalid`] if a reflected border is not smaller than the image, a symmetric one is larger, or fill values
/// are neither one nor one per channel.
///
/// ```
/// use wgrad::transforms::functional::{PaddingMode, pad};
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[1, 2, 3], &[1, 1, 1, 3])?;
/// let with = |mode| pad(&images, [2, 0, 1, 0], &mode)?.to_vec::<i32>();
/// assert_eq!(with(PaddingMode::Constant(vec![9.0]))?, [9, 9, 1, 2, 3, 9]);
/// assert_eq!(with(PaddingMode::Symmetric)?, [2, 1, 1, 2, 3, 3]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn pad(images: &Tensor, padding: [usize; 4], mode: &PaddingMode) -> Result<Tensor> {
    const OP: &str = "pad";
    let _line = ascribe_to_caller();
    let [_, channels, height, width] = is_images(OP, images)?;
    let [left, top, right, bottom] = padding.map(|side| side as isize);
    let pads = [left, right, top, bottom];
    match mode {
        PaddingMode::Constant(fill) if fill.len() == 1 => images.pad(&pads, PadMode::Constant(fill[0].into())),
        PaddingMode::Constant(fill) if fill.len() == channels => {
            // Fill values are cut to the images' type before they are added.
            let values = Tensor::from_slice(images.device(), fill, &[1, channels, 1, 1])?.to_dtype(images.dtype())?;
            let inside = images.ones_like()?.pad(&pads, PadMode::Constant(0.0))?.gt_scalar(0.0)?;
            inside.where_(&images.pad(&pads, PadMode::Constant(0.0))?, &values)
        }
        PaddingMode::Constant(fill) => {
            Err(Error::invalid(OP, format!("{} fill values for {channels} channels", fill.len())))
        }
        PaddingMode::Edge => images.pad(&pads, PadMode::Replicate),
        PaddingMode::Reflect => images.pad(&pads, PadMode::Reflect),
        PaddingMode::Symmetric => {
            if left.max(right) > width as isize || top.max(bottom) > height as isize {
                let rule = format!("a symmetric border {padding:?} is larger than the image, {height} x {width}");
                return Err(Error::invalid(OP, rule));
            }
            let columns = mirrored(padding[0], width, padding[2]);
            let rows = mirrored(padding[1], height, padding[3]);
            let index = |places: &[i32]| Tensor::from_slice(images.device(), places, &[places.len()]);
            images.index_select(3, &index(&columns)?)?.index_select(2, &index(&rows)?)
        }
    }
}

/// The positions `.. 1 0 | 0 1 .. | n-1 n-2 ..`.
fn mirrored(before: usize, size: usize, after: usize) -> Vec<i32> {
    let places = (0..before).rev().chain(0..size).chain((size - after..size).rev());
    places.map(nearest).collect()
}

/// Images mirrored from left to right.
///
/// # Errors
/// [`Error::Invalid`] for other shapes than `[N, C, H, W]`.
#[track_caller]
pub fn horizontal_flip(images: &Tensor) -> Result<Tensor> {
    is_images("horizontal_flip", images)?;
    images.flip(3)
}

/// Images mirrored from top to bottom.
///
/// # Errors
/// [`Error::Invalid`] for other shapes than `[N, C, H, W]`.
#[track_caller]
pub fn vertical_flip(images: &Tensor) -> Result<Tensor> {
    is_images("vertical_flip", images)?;
    images.flip(2)
}

/// The four corners of each image and its middle: upper left, upper right, lower left, lower right, middle.
///
/// # Errors
/// [`Error::Invalid`] if an image is smaller than `size`.
///
/// ```
/// use wgrad::transforms::functional::five_crop;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[1, 2, 3], &[1, 1, 1, 3])?;
/// let crops = five_crop(&images, [1, 1])?;
/// let values = crops.iter().map(|crop| Ok(crop.to_vec::<i32>()?[0])).collect::<wgrad::Result<Vec<_>>>()?;
/// assert_eq!(values, [1, 3, 1, 3, 2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn five_crop(images: &Tensor, size: [usize; 2]) -> Result<[Tensor; 5]> {
    const OP: &str = "five_crop";
    let _line = ascribe_to_caller();
    let [_, _, height, width] = is_images(OP, images)?;
    let [rows, columns] = size;
    if rows > height || columns > width {
        return Err(Error::invalid(OP, format!("crops of {rows} x {columns} from images of {height} x {width}")));
    }
    let corner = |top: usize, left: usize| images.narrow(2, top, rows)?.narrow(3, left, columns);
    let (bottom, right) = (height - rows, width - columns);
    Ok([corner(0, 0)?, corner(0, right)?, corner(bottom, 0)?, corner(bottom, right)?, center_crop(images, size)?])
}

/// The crops of [`five_crop`], and those of the mirror images: mirrored from left to right, or upside down.
///
/// # Errors
/// As [`five_crop`].
#[track_caller]
pub fn ten_crop(images: &Tensor, size: [usize; 2], vertical_flip: bool) -> Result<[Tensor; 10]> {
    let _line = ascribe_to_caller();
    let [a, b, c, d, e] = five_crop(images, size)?;
    let [f, g, h, i, j] = five_crop(&images.flip(if vertical_flip { 2 } else { 3 })?, size)?;
    Ok([a, b, c, d, e, f, g, h, i, j])
}

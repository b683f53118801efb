//! Boxes and their contents: torchvision's operations for detection.

mod boxes;
mod heatmaps;
mod nms;
mod roi_align;
mod roi_pool;

pub use boxes::BoxFormat;
pub use roi_align::RoiAlignOptions;

use crate::device::{Adapter, LONGEST_LOOP};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::shared::partial_sums;
use crate::shader::Kernel;
use crate::shape::{Layout, Shape};

/// Columns that one iteration takes in large images.
const BLOCK: usize = 32;

/// Checks that boxes hold four numbers each, in the last dimension.
fn check_boxes(op: &'static str, boxes: &Tensor) -> Result<()> {
    if boxes.shape().last() == Some(&4) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("boxes are [.., 4]; got {}", boxes.shape())))
}

/// Sizes of images and of the bins that their regions are divided into. Pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Regions {
    images: usize,
    channels: usize,
    size: [usize; 2],
    bins: [usize; 2],
}

impl Regions {
    /// The layout of the images, or of `count` regions.
    fn layout(&self, images: bool, count: usize, dtype: DType) -> Result<Layout> {
        let (outer, [height, width]) = if images { (self.images, self.size) } else { (count, self.bins) };
        Ok(Layout::contiguous(Shape::new(&[outer, self.channels, height, width])?, dtype))
    }

    /// Columns of an image that one iteration of a kernel's loop takes.
    fn block(&self) -> usize {
        let [height, width] = self.size;
        if height * (width + 1) > LONGEST_LOOP { BLOCK } else { 1 }
    }

    /// Parts of a gradient that are added up separately, and regions of each.
    fn parts(&self, regions: usize, adapter: &Adapter) -> [usize; 2] {
        partial_sums::parts(regions, 1 + self.bins[0] * (1 + self.bins[1]), adapter.profile.longest_loop)
    }

    /// A kernel with the constants that all kernels here share.
    fn sized(&self, kernel: Kernel) -> Kernel {
        kernel
            .constant("CHANNELS", format!("{}u", self.channels.max(1)))
            .size("HEIGHT", self.size[0])
            .size("WIDTH", self.size[1])
            .constant("BINS_Y", format!("{}u", self.bins[0]))
            .constant("BINS_X", format!("{}u", self.bins[1]))
    }

    /// The image of region `k`, whose index comes first in its row.
    fn image(&self, op: &'static str, rows: &HostTensor, k: usize) -> Result<usize> {
        let image = rows.at(&[k, 0]).trunc();
        if (0.0..self.images as f64).contains(&image) {
            return Ok(nearest::<usize>(image));
        }
        Err(Error::IndexOutOfRange { op, index: nearest::<i64>(image), size: self.images })
    }
}

/// An f16 input and its boxes in f32, whose results are rounded once.
#[track_caller]
fn wide_halves(input: &Tensor, boxes: &Tensor) -> Result<Option<[Tensor; 2]>> {
    if input.dtype() != DType::F16 || !boxes.dtype().is_float() {
        return Ok(None);
    }
    Ok(Some([input.to_dtype(DType::F32)?, boxes.to_dtype(DType::F32)?]))
}

/// The regions of `boxes` (`[K, columns]`) in `input` (`[N, C, H, W]`), or an error.
fn check_regions(
    op: &'static str,
    input: &Tensor,
    boxes: &Tensor,
    columns: usize,
    bins: [usize; 2],
) -> Result<Regions> {
    for tensor in [input, boxes] {
        if tensor.dtype() != DType::F32 {
            return Err(Error::WrongDType { op, expected: "f32", got: tensor.dtype() });
        }
    }
    let shape = input.shape();
    let fits = shape.len() == 4 && boxes.rank() == 2 && boxes.shape()[1] == columns;
    if !fits || shape[2..].contains(&0) {
        let rule = format!(
            "images {shape} and boxes {} must be [N, C, H, W] and [K, {columns}], with images of some height and width",
            boxes.shape()
        );
        return Err(Error::invalid(op, rule));
    }
    let turns = |[height, width]: [usize; 2]| height.saturating_mul(width.saturating_add(1));
    if turns([shape[2], shape[3].div_ceil(BLOCK)]) > LONGEST_LOOP || turns(bins) > LONGEST_LOOP {
        let rule = format!(
            "{shape} and {bins:?}: images end at some {} pixels, and a region at {LONGEST_LOOP} bins",
            BLOCK * LONGEST_LOOP
        );
        return Err(Error::invalid(op, rule));
    }
    Ok(Regions { images: shape[0], channels: shape[1], size: [shape[2], shape[3]], bins })
}

impl Tensor {
    /// One tensor of boxes `[K, 5]`, with the number of the image first, of a list `[L, 4]` for each image:
    /// torchvision's `convert_boxes_to_roi_format`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, and for no list at all; [`Error::WrongDType`] for types other than f32.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let first = Tensor::zeros(&device, &[0, 4])?;
    /// let second = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[1, 4])?;
    /// let boxes = Tensor::convert_boxes_to_roi_format(&[&first, &second])?;
    /// assert_eq!(boxes.to_vec::<f32>()?, [1.0, 1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn convert_boxes_to_roi_format(boxes: &[&Tensor]) -> Result<Tensor> {
        const OP: &str = "convert_boxes_to_roi_format";
        let mut numbered = Vec::with_capacity(boxes.len());
        for (image, &boxes) in boxes.iter().enumerate() {
            check_boxes(OP, boxes)?;
            if boxes.rank() != 2 {
                return Err(Error::invalid(OP, format!("boxes are [L, 4]; got {}", boxes.shape())));
            }
            if boxes.dtype() != DType::F32 {
                return Err(Error::WrongDType { op: OP, expected: "f32", got: boxes.dtype() });
            }
            let numbers = Tensor::full(boxes.device(), &[boxes.shape()[0], 1], image as f32)?;
            numbered.push(Tensor::cat(&[&numbers, boxes], 1)?);
        }
        Tensor::cat(&numbered.iter().collect::<Vec<_>>(), 0)
    }
}

/// The empty result, if there are no bins, channels or boxes.
#[track_caller]
fn nothing(input: &Tensor, regions: &Regions, boxes: &Tensor) -> Result<Option<Tensor>> {
    let shape = regions.layout(false, boxes.shape()[0], DType::F32)?.shape;
    if shape.numel() > 0 {
        return Ok(None);
    }
    input.reshape(&[input.numel() as isize])?.narrow(0, 0, 0)?.reshape_to(shape).map(Some)
}

/// Boxes for tests, of whole numbers from 0 to 999: images, corners from -2 to 4, and sides of up to 5.
#[track_caller]
fn regions_of(x: &Tensor, images: f64) -> Result<Tensor> {
    let x = (x.to_dtype(DType::F32)? / 1024.0)?;
    let image = (x.narrow(1, 0, 1)? * images)?.floor()?;
    let first = ((x.narrow(1, 1, 2)? * 6.0)? - 2.0)?;
    let last = (x.narrow(1, 3, 2)? * 5.0 + &first)?;
    Tensor::cat(&[&image, &first, &last], 1)
}

pub(super) fn cases() -> Vec<Case> {
    [boxes::cases(), heatmaps::cases(), nms::cases(), roi_align::cases(), roi_pool::cases()]
        .into_iter()
        .flatten()
        .collect()
}

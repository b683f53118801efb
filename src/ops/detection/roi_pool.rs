//! The largest element of the bins of regions.

use super::{Regions, check_regions, nothing, wide_halves};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::shared::partial_sums;
use crate::options::As;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::hash::Hasher;

const OP: &str = "roi_pool";

const FORWARD: &str = wgsl!("detection/roi_pool");
const BACKWARD: &str = wgsl!("detection/roi_pool_backward");

/// The largest element of each bin and its index in its plane, from the input and the bounds of the bins: the image, the first
/// row of each bin, one past the last, and the same for columns.
#[derive(Clone, Debug, Hash)]
struct RoiPool {
    regions: Regions,
}

/// The gradient of the input, from that of the output, the indices and the bounds.
#[derive(Clone, Debug, Hash)]
struct RoiPoolBackward {
    regions: Regions,
}

impl Op for RoiPool {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let layout = |dtype| self.regions.layout(false, inputs[1].shape[0], dtype);
        Ok(vec![layout(DType::F32)?, layout(DType::I32)?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let count = io.outputs[0].shape.numel();
        Ok(self
            .regions
            .sized(Kernel::new("roi_pool", FORWARD))
            .constant("BLOCK", format!("{}u", self.regions.block()))
            .bind("input", Operand::Input(0))
            .bind("bounds", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .bind("index", Operand::Output(1))
            .bind("fault", Operand::BadIndex)
            .values(&[count, self.regions.images])
            .words([Word::Fault(OP.into()), Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(32 * count)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, bounds) = (&inputs[0], &inputs[1]);
        let r = &self.regions;
        let shape = r.layout(false, bounds.shape[0], DType::F32)?.shape;
        let bound = |k: usize, at: usize| nearest::<usize>(bounds.at(&[k, at]));
        let (mut values, mut index) = (Vec::new(), Vec::new());
        for k in 0..bounds.shape[0] {
            let image = r.image(OP, bounds, k)?;
            for c in 0..r.channels {
                for (i, j) in (0..r.bins[0]).flat_map(|i| (0..r.bins[1]).map(move |j| (i, j))) {
                    let rows = bound(k, 1 + i)..bound(k, 1 + r.bins[0] + i);
                    let first = 1 + 2 * r.bins[0];
                    let columns = bound(k, first + j)..bound(k, first + r.bins[1] + j);
                    let lowest = if rows.is_empty() || columns.is_empty() { 0.0 } else { f64::from(f32::MIN) };
                    let mut best = (lowest, -1.0);
                    for (y, x) in rows.flat_map(|y| columns.clone().map(move |x| (y, x))) {
                        let value = input.at(&[image, c, y, x]);
                        if value > best.0 {
                            best = (value, (y * r.size[1] + x) as f64);
                        }
                    }
                    values.push(best.0);
                    index.push(best.1);
                }
            }
        }
        Ok(vec![HostTensor::new(shape, DType::F32, values), HostTensor::new(shape, DType::I32, index)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let backward = RoiPoolBackward { regions: self.regions };
        let (index, bounds) = (context.output(1), context.input(1));
        Ok(vec![context.of(0, |g| record_one(backward, &[&g.contiguous()?, index, bounds]))?, None])
    }
}

impl Op for RoiPoolBackward {
    fn name(&self) -> &'static str {
        "roi_pool_backward"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![self.regions.layout(true, inputs[2].shape[0], DType::F32)?])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let (count, regions) = (io.outputs[0].shape.numel(), io.inputs[2].shape[0]);
        let [parts, span] = self.regions.parts(regions, adapter);
        let kernel = self
            .regions
            .sized(Kernel::new("roi_pool_backward", BACKWARD))
            .bind("grad", Operand::Input(0))
            .bind("index", Operand::Input(1))
            .bind("bounds", Operand::Input(2))
            .values(&[count, regions])
            .words((0..3).map(Word::Offset))
            .values(&[parts, span])
            .grid(fold_groups(count * parts, 64))
            .work(count.saturating_mul(regions));
        Ok(partial_sums::in_parts(kernel, parts, count, DType::F32))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (grad, index, bounds) = (&inputs[0], &inputs[1], &inputs[2]);
        let r = &self.regions;
        let layout = r.layout(true, bounds.shape[0], DType::F32)?;
        let (bins, plane) = (r.bins[0] * r.bins[1], r.size[0] * r.size[1]);
        let mut values = vec![0.0; layout.shape.numel()];
        for (at, value) in grad.values.iter().enumerate().filter(|&(at, _)| index.values[at] >= 0.0) {
            let image = r.image(OP, bounds, at / bins / r.channels)?;
            let c = at / bins % r.channels;
            values[(image * r.channels + c) * plane + nearest::<usize>(index.values[at])] += value;
        }
        Ok(vec![HostTensor::new(layout.shape, DType::F32, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (index, bounds) = (context.input(1), context.input(2));
        let gradient = context.of(0, |g| {
            // The indices among all elements of the input.
            let r = &self.regions;
            let plane = (r.size[0] * r.size[1]) as f64;
            let channels: Vec<i32> = (0..nearest::<i32>(r.channels)).collect();
            let channels = Tensor::from_slice(g.device(), &channels, &[1, r.channels, 1, 1])?;
            let images = bounds.narrow(1, 0, 1)?.reshape(&[-1, 1, 1, 1])?;
            let planes = (&images * r.channels as f64 + &channels)?;
            let is_empty = index.lt_scalar(0.0)?;
            let places = (&planes * plane + index)?;
            let places = is_empty.where_(&places.zeros_like()?, &places)?.reshape(&[places.numel() as isize])?;
            let picked = g.reshape(&[g.numel() as isize])?.gather_as(OP, 0, &places)?.reshape_to(*index.shape())?;
            is_empty.where_(&picked.zeros_like()?, &picked)
        })?;
        Ok(vec![gradient, None, None])
    }
}

/// The nearest whole number, halves away from 0.
#[track_caller]
fn round(x: &Tensor) -> Result<Tensor> {
    (x.abs()? + 0.5)?.floor()? * x.sign()?
}

/// The first element of each bin along a dimension (1 for y, 0 for x) and one past the last, `[K, 2 bins]`.
#[track_caller]
fn bounds(boxes: &Tensor, dim: usize, bins: usize, size: usize, scale: f64) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let edge = |column: usize| round(&(boxes.narrow(1, column + dim, 1)? * scale)?);
    let start = edge(1)?;
    let extent = ((edge(3)? - &start)? + 1.0)?.clamp(Some(1.0), None)?;
    let numbers: Vec<f32> = (0..=bins).map(|bin| bin as f32).collect();
    let numbers = Tensor::from_slice(boxes.device(), &numbers, &[1, bins + 1])?;
    // Quotients of whole numbers; the added term keeps their floors and ceilings safe from a division's error.
    let quotient = |from: usize, more: f64| -> Result<Tensor> {
        let numerator = ((numbers.narrow(1, from, bins)? * &extent)? + more)?;
        let place = ((&numerator / bins as f64)?.floor()? + &start)?;
        let place = place.clamp(Some(0.0), Some(size as f64))?.to_dtype(DType::I32)?;
        // NaN becomes any integer.
        place.clamp(Some(0.0), Some(size as f64))
    };
    Tensor::cat(&[&quotient(0, 0.5)?, &quotient(1, bins as f64 - 0.5)?], 1)
}

impl Tensor {
    /// The largest element of each bin of regions of images, torchvision's `roi_pool`: `[N, C, H, W]` with boxes
    /// `[K, 5]` becomes `[K, C, height, width]`.
    ///
    /// A box holds the index of its image, x1, y1, x2 and y2 (see [`Tensor::convert_boxes_to_roi_format`]), which are multiplied
    /// by `spatial_scale` and rounded. A bin outside of the image gives 0. Gradients flow to the first largest element, not to
    /// the boxes, which may be f16 with f16 images.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for other shapes, images above some 1.9 million pixels and 60,000 bins;
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than f32 and f16. A number of an image that does not
    /// exist makes its region NaN and is [`Error::IndexOutOfRange`](crate::Error::IndexOutOfRange) at the next
    /// synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2])?;
    /// let boxes = Tensor::from_slice(&device, &[0.0f32, 0.0, 0.0, 1.0, 1.0], &[1, 5])?;
    /// assert_eq!(x.roi_pool(&boxes, [1, 2], 1.0)?.to_vec::<f32>()?, [3.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn roi_pool(&self, boxes: &Tensor, output_size: impl As<[usize; 2]>, spatial_scale: f64) -> Result<Tensor> {
        let output_size = output_size.convert();
        if let Some(cast) = autocast::enter(OP)? {
            let pooled = cast.of(self)?.roi_pool(&cast.of(boxes)?, output_size, spatial_scale)?;
            return pooled.to_dtype(self.dtype());
        }
        let _line = ascribe_to_caller();
        if let Some([input, boxes]) = wide_halves(self, boxes)? {
            return input.roi_pool(&boxes, output_size, spatial_scale)?.to_dtype(DType::F16);
        }
        let regions = check_regions(OP, self, boxes, 5, output_size)?;
        if let Some(empty) = nothing(self, &regions, boxes)? {
            return Ok(empty);
        }
        let boxes = boxes.detach();
        let images = boxes.narrow(1, 0, 1)?.clamp(Some(-1.0), Some(1e9))?.to_dtype(DType::I32)?;
        let along = |d: usize| bounds(&boxes, 1 - d, output_size[d], regions.size[d], spatial_scale);
        let bounds = Tensor::cat(&[&images, &along(0)?, &along(1)?], 1)?;
        Ok(record(RoiPool { regions }, &[&self.contiguous()?, &bounds])?.swap_remove(0))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |input: &[usize], count: usize, bins: [usize; 2], scale: f64| {
        let images = input[0] as f64;
        let run = move |x: &[Tensor]| Ok(vec![x[0].roi_pool(&super::regions_of(&x[1], images)?, bins, scale)?]);
        let mut case = Case::new(OP, &[input, &[count, 5]], run).integers(1, 0, 999);
        case.inputs[0].distinct = true;
        case.with("output_size", bins).with("spatial_scale", scale)
    };
    vec![case(&[2, 3, 5, 7], 3, [2, 3], 1.0), case(&[1, 2, 6, 5], 4, [3, 1], 0.7), case(&[1, 2, 4, 4], 0, [2, 2], 1.0)]
}

//! The mean of an image over the bins of regions, sampled between its elements; of images of several sizes, too, where each
//! region lies in one of them.
//!
//! A bin's weights are a product of one factor a dimension: `RoiWeights` makes both factors, `RoiAlign` sums with them,
//! forward and backward.

use super::{Regions, check_regions, nothing, wide_halves};
use crate::device::{Adapter, LONGEST_LOOP};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::shared::partial_sums;
use crate::options::{As, options};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const OP: &str = "roi_align";

/// The numbers of a box: its image, x1, y1, x2, y2.
const BOX: usize = 5;

const WEIGHTS: &str = wgsl!("detection/roi_weights");
const FORWARD: &str = wgsl!("detection/roi_align");
const BACKWARD: &str = wgsl!("detection/roi_align_backward");

options! {
    /// The options of [`Tensor::roi_align`], with torchvision's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    RoiAlignOptions {
        /// Factor that makes boxes positions in the input.
        spatial_scale: f64 = 1.0,
        /// Samples a bin in each dimension; by default the length of the bin, rounded up.
        sampling_ratio: Option<usize> = None,
        /// Moves positions by half an element, so that they count from the centres.
        aligned: bool = false,
    }
}

/// `output[k, bin, y]`: the weight of element `y` of a dimension in a bin of region `k`, from the boxes; 0 past the end of the
/// region's level.
#[derive(Clone, Debug)]
struct RoiWeights {
    /// 1 for y, 0 for x.
    dim: usize,
    bins: usize,
    /// The length of the dimension, by level.
    sizes: Vec<usize>,
    samples: usize,
    aligned: bool,
    /// The bits of the spatial scale, by level.
    scales: Vec<u32>,
}

impl RoiWeights {
    fn layout(&self, regions: usize) -> Result<Layout> {
        let longest = self.sizes.iter().copied().max().unwrap_or(0);
        Ok(Layout::contiguous(Shape::new(&[regions, self.bins, longest])?, DType::F32))
    }
}

impl Op for RoiWeights {
    fn name(&self) -> &'static str {
        "roi_weights"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.dim, self.bins, &self.sizes, self.samples, self.aligned), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.scales
    }
    fn differentiable(&self) -> bool {
        false
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![self.layout(inputs[0].shape[0])?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let shape = &io.outputs[0].shape;
        let count = shape.numel();
        let of_level = |(level, &size): (usize, &usize)| {
            on_level(Kernel::new("roi_weights", WEIGHTS), level, self.sizes.len())
                .constant("LOW", format!("{}u", 1 + self.dim))
                .constant("HIGH", format!("{}u", 3 + self.dim))
                .constant("SAMPLES", format!("{}u", self.samples))
                .constant("ALIGNED", self.aligned)
                .constant("BINS", format!("{}u", self.bins))
                .size("SIZE", size)
                .size("ROW", shape[2])
                .bind("boxes", Operand::Input(0))
                .bind("output", Operand::Output(0))
                .values(&[count])
                .words([Word::Scalar(level), Word::Offset(0)])
                .grid(fold_groups(count, 64))
                .work(16 * count)
        };
        Ok(Kernels { kernels: self.sizes.iter().enumerate().map(of_level).collect(), ..Kernels::default() })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let boxes = &inputs[0];
        let layout = self.layout(boxes.shape[0])?;
        let shift = if self.aligned { 0.5 } else { 0.0 };
        let mut values = vec![0.0; layout.shape.numel()];
        for (at, weights) in values.chunks_exact_mut(layout.shape[2]).enumerate() {
            let (k, bin) = (at / self.bins, at % self.bins);
            let level = level(boxes, k);
            let (scale, size) = (f64::from(f32::from_bits(self.scales[level])), self.sizes[level]);
            let edge = |column: usize| boxes.at(&[k, column + self.dim]) * scale - shift;
            let extent = edge(3) - edge(1);
            let bin_size = if self.aligned { extent } else { extent.max(1.0) } / self.bins as f64;
            let samples = if self.samples == 0 { nearest::<usize>(bin_size.ceil()) } else { self.samples };
            for sample in 0..samples {
                let position = edge(1) + bin as f64 * bin_size + (sample as f64 + 0.5) * bin_size / samples as f64;
                if (-1.0..=size as f64).contains(&position) {
                    let position = position.clamp(0.0, size as f64 - 1.0);
                    let low = nearest::<usize>(position);
                    weights[low] += (1.0 - position.fract()) / samples as f64;
                    if low + 1 < size {
                        weights[low + 1] += position.fract() / samples as f64;
                    }
                }
            }
        }
        Ok(vec![HostTensor::new(layout.shape, DType::F32, values)])
    }
}

/// A kernel that computes what lies on one of several levels and leaves the rest to their kernels.
fn on_level(kernel: Kernel, level: usize, levels: usize) -> Kernel {
    if levels == 1 {
        return kernel;
    }
    let is_elsewhere = format!("return boxes[first + {BOX}u] != {level}.0;");
    kernel.constant("BOX", format!("{}u", BOX + 1)).hook("is_elsewhere", is_elsewhere)
}

/// The level of region `k`: the last number of its row, if there are several levels.
fn level(boxes: &HostTensor, k: usize) -> usize {
    if boxes.shape[1] == BOX { 0 } else { nearest(boxes.at(&[k, BOX])) }
}

/// `output[k, c, i, j] = sum over y and x of rows[k, i, y] columns[k, j, x] level(k)[image(k), c, y, x]`, or the gradient of one
/// level. Inputs: the levels or the gradient of the output, boxes, rows, columns.
#[derive(Clone, Debug)]
struct RoiAlign {
    levels: Vec<Regions>,
    /// The level whose gradient it is.
    gradient_of: Option<usize>,
    aligned: bool,
    /// The bits of the spatial scale, by level.
    scales: Vec<u32>,
}

impl RoiAlign {
    /// A kernel with the constants and operands that the forward and backward pass share; boxes are input `boxes`.
    fn sized(&self, kernel: Kernel, level: usize, boxes: usize) -> Kernel {
        let longest = |d: usize| self.levels.iter().map(|r| r.size[d]).max().unwrap_or(0);
        on_level(self.levels[level].sized(kernel), level, self.levels.len())
            .size("ROW", longest(0))
            .size("COLUMN", longest(1))
            .bind("boxes", Operand::Input(boxes))
            .bind("rows", Operand::Input(boxes + 1))
            .bind("columns", Operand::Input(boxes + 2))
    }

    fn forward(&self, io: &Io, level: usize) -> Kernel {
        let (count, boxes) = (io.outputs[0].shape.numel(), self.levels.len());
        self.sized(Kernel::new("roi_align", FORWARD), level, boxes)
            .constant("BLOCK", format!("{}u", self.levels[level].block()))
            .constant("ALIGNED", self.aligned)
            .bind("input", Operand::Input(level))
            .bind("fault", Operand::BadIndex)
            .alias("Sum", DType::F32.wgsl())
            .bind("output", Operand::Output(0))
            .values(&[count, self.levels[level].images])
            .words([Word::Scalar(level), Word::Fault(OP.into()), Word::Offset(level)])
            .words((boxes..boxes + 3).map(Word::Offset))
            .grid(fold_groups(count, 64))
            .work(32 * count)
    }
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        if self.gradient_of.is_some() { "roi_align_backward" } else { OP }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.gradient_of, &self.levels, self.aligned), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.scales
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let regions = inputs[inputs.len() - 1].shape[0];
        let layout = self.levels[self.gradient_of.unwrap_or(0)];
        Ok(vec![layout.layout(self.gradient_of.is_some(), regions, DType::F32)?])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let Some(level) = self.gradient_of else {
            let kernels = (0..self.levels.len()).map(|level| self.forward(io, level)).collect();
            return Ok(Kernels { kernels, ..Kernels::default() });
        };
        let (count, regions) = (io.outputs[0].shape.numel(), io.inputs[1].shape[0]);
        let [parts, span] = self.levels[level].parts(regions, adapter);
        let kernel = self
            .sized(Kernel::new("roi_align_backward", BACKWARD), level, 1)
            .bind("grad", Operand::Input(0))
            .values(&[count, regions])
            .words((0..4).map(Word::Offset))
            .values(&[parts, span])
            .grid(fold_groups(count * parts, 64))
            .work(count.saturating_mul(regions));
        Ok(partial_sums::in_parts(kernel, parts, count, DType::F32))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (from, others) = inputs.split_at(inputs.len() - 3);
        let [boxes, rows, columns] = [0, 1, 2].map(|input| &others[input]);
        let of_output = self.levels[self.gradient_of.unwrap_or(0)];
        let layout = of_output.layout(self.gradient_of.is_some(), boxes.shape[0], DType::F32)?;
        let mut values = vec![0.0; layout.shape.numel()];
        for k in 0..boxes.shape[0] {
            let level = level(boxes, k);
            if self.gradient_of.is_some_and(|of| of != level) {
                continue;
            }
            let r = &self.levels[level];
            let from = if self.gradient_of.is_some() { &from[0] } else { &from[level] };
            let image = r.image(OP, boxes, k)?;
            for c in 0..r.channels {
                for (i, j) in (0..r.bins[0]).flat_map(|i| (0..r.bins[1]).map(move |j| (i, j))) {
                    let region = ((k * r.channels + c) * r.bins[0] + i) * r.bins[1] + j;
                    for (y, x) in (0..r.size[0]).flat_map(|y| (0..r.size[1]).map(move |x| (y, x))) {
                        let weight = rows.at(&[k, i, y]) * columns.at(&[k, j, x]);
                        let element = ((image * r.channels + c) * r.size[0] + y) * r.size[1] + x;
                        if weight != 0.0 {
                            let is_backward = self.gradient_of.is_some();
                            let (to, at) = if is_backward { (element, region) } else { (region, element) };
                            values[to] += weight * from.values[at];
                        }
                    }
                }
            }
        }
        Ok(vec![HostTensor::new(layout.shape, DType::F32, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let data = context.inputs.len() - 3;
        let [boxes, rows, columns] = [0, 1, 2].map(|input| context.input(data + input));
        let Some(level) = self.gradient_of else {
            let of_level = |level: usize| {
                let backward = RoiAlign { gradient_of: Some(level), ..self.clone() };
                context.of(level, |g| record_one(backward, &[&g.contiguous()?, boxes, rows, columns]))
            };
            return (0..data).map(of_level).chain((0..3).map(|_| Ok(None))).collect();
        };
        // The output, where the other levels are 0.
        let gradient = context.of(0, |g| {
            let mut levels = Vec::with_capacity(self.levels.len());
            for r in &self.levels {
                levels.push(Tensor::zeros(g.device(), &r.layout(true, 0, DType::F32)?.shape)?.contiguous()?);
            }
            levels[level] = g.contiguous()?;
            let forward = RoiAlign { gradient_of: None, ..self.clone() };
            record_one(forward, &levels.iter().chain([boxes, rows, columns]).collect::<Vec<_>>())
        })?;
        Ok(vec![gradient, None, None, None])
    }
}

impl Tensor {
    /// The mean of regions of images over the bins of a grid, torchvision's `roi_align`: `[N, C, H, W]` with boxes
    /// `[K, 5]` becomes `[K, C, height, width]`.
    ///
    /// A box holds the index of its image, x1, y1, x2 and y2; [`Tensor::convert_boxes_to_roi_format`] makes such boxes of a list
    /// for each image. Samples are spread evenly over each bin and interpolated between the four elements around them. Gradients
    /// flow to the input, not to the boxes. Where a sample lies on an element, those beside it have no part in it, be they infinite
    /// or NaN; torchvision multiplies them by 0. Regions of f16 are computed in f32 and rounded once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, images above some 1.9 million pixels, 60,000 bins, and for sampling ratios
    /// above 60,000 and a ratio of 0;
    /// [`Error::WrongDType`] for types other than f32 and f16. A number of an image that does not exist makes its region NaN
    /// and is [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, RoiAlignOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2])?;
    /// let boxes = Tensor::from_slice(&device, &[0.0f32, 0.0, 0.0, 1.0, 1.0], &[1, 5])?;
    /// let y = x.roi_align(&boxes, [1, 1], &RoiAlignOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [2.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn roi_align(
        &self,
        boxes: &Tensor,
        output_size: impl As<[usize; 2]>,
        options: &RoiAlignOptions,
    ) -> Result<Tensor> {
        Tensor::roi_align_levels(&[(self, options.spatial_scale)], boxes, output_size.convert(), options)
    }

    /// [`roi_align`](Tensor::roi_align) of regions that each lie on one of several levels `[N, C, H_i, W_i]`, which are given with
    /// their spatial scales. With several levels a box is followed by the index of its level, `[K, 6]`.
    #[track_caller]
    pub(crate) fn roi_align_levels(
        levels: &[(&Tensor, f64)],
        boxes: &Tensor,
        bins: [usize; 2],
        options: &RoiAlignOptions,
    ) -> Result<Tensor> {
        let Some(&(first, _)) = levels.first() else {
            return Err(Error::invalid(OP, "there is no level to pool from"));
        };
        if let Some(cast) = autocast::enter(OP)? {
            let wide: Vec<Tensor> = levels.iter().map(|(level, _)| cast.of(level)).collect::<Result<_>>()?;
            let wide: Vec<(&Tensor, f64)> = wide.iter().zip(levels).map(|(wide, level)| (wide, level.1)).collect();
            return Tensor::roi_align_levels(&wide, &cast.of(boxes)?, bins, options)?.to_dtype(first.dtype());
        }
        let _line = ascribe_to_caller();
        if let (&[(_, scale)], Some([input, boxes])) = (levels, wide_halves(first, boxes)?) {
            return Tensor::roi_align_levels(&[(&input, scale)], &boxes, bins, options)?.to_dtype(DType::F16);
        }
        let columns = BOX + usize::from(levels.len() > 1);
        let of_levels = levels.iter().map(|(level, _)| check_regions(OP, level, boxes, columns, bins));
        let regions: Vec<Regions> = of_levels.collect::<Result<_>>()?;
        if let Some(at) =
            regions.iter().position(|r| [r.images, r.channels] != [regions[0].images, regions[0].channels])
        {
            let rule = format!("level {at} is {}, where the first one is {}", levels[at].0.shape(), first.shape());
            return Err(Error::invalid(OP, rule));
        }
        if options.sampling_ratio.is_some_and(|ratio| !(1..=LONGEST_LOOP).contains(&ratio)) {
            let rule = format!("a sampling ratio of {:?} is not within 1 and {LONGEST_LOOP}", options.sampling_ratio);
            return Err(Error::invalid(OP, rule));
        }
        if let Some(empty) = nothing(first, &regions[0], boxes)? {
            return Ok(empty);
        }
        let boxes = boxes.detach().contiguous()?;
        let aligned = options.aligned;
        let scales: Vec<u32> = levels.iter().map(|&(_, scale)| nearest::<f32>(scale).to_bits()).collect();
        let weights = |d: usize| {
            let (samples, scales) = (options.sampling_ratio.unwrap_or(0), scales.clone());
            let sizes = regions.iter().map(|r| r.size[d]).collect();
            record_one(RoiWeights { dim: 1 - d, bins: bins[d], sizes, samples, aligned, scales }, &[&boxes])
        };
        let (rows, columns) = (weights(0)?, weights(1)?);
        let stored: Vec<Tensor> = levels.iter().map(|(level, _)| level.contiguous()).collect::<Result<_>>()?;
        let op = RoiAlign { levels: regions, gradient_of: None, aligned, scales };
        record_one(op, &stored.iter().chain([&boxes, &rows, &columns]).collect::<Vec<_>>())
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |input: &[usize], count: usize, bins: [usize; 2], options: RoiAlignOptions| {
        let images = input[0] as f64;
        let run = move |x: &[Tensor]| Ok(vec![x[0].roi_align(&super::regions_of(&x[1], images)?, bins, &options)?]);
        Case::new(OP, &[input, &[count, 5]], run).with("output_size", bins).options(&options).integers(1, 0, 999)
    };
    // Regions that lie on the levels in turn.
    let levels = |sizes: &[[usize; 2]], count: usize, bins: [usize; 2], options: RoiAlignOptions| {
        let of_level = |size: &[usize; 2]| [2, 3, size[0], size[1]];
        let shapes: Vec<[usize; 4]> = sizes.iter().map(of_level).collect();
        let boxes = [count, BOX];
        let inputs: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).chain([&boxes[..]]).collect();
        let run = move |x: &[Tensor]| {
            let (boxes, levels) = x.split_last().ok_or_else(|| Error::invalid(OP, "no boxes"))?;
            let boxes = super::regions_of(boxes, 2.0)?;
            let turns: Vec<f32> = (0..count).map(|k| (k % levels.len()) as f32).collect();
            let turns = Tensor::from_slice(boxes.device(), &turns, &[count, 1])?;
            let boxes = Tensor::cat(&[&boxes, &turns], 1)?;
            let scaled: Vec<_> = levels.iter().zip(0..).map(|(level, at)| (level, f64::exp2(f64::from(-at)))).collect();
            Ok(vec![Tensor::roi_align_levels(&scaled, &boxes, bins, &options)?])
        };
        Case::new(OP, &inputs, run).with("output_size", bins).options(&options).integers(sizes.len(), 0, 999)
    };
    let plain = RoiAlignOptions::default();
    let fixed = RoiAlignOptions { sampling_ratio: Some(2), ..plain };
    vec![
        case(&[2, 3, 5, 7], 3, [2, 3], plain),
        case(&[1, 2, 6, 5], 2, [3, 1], fixed),
        case(&[2, 1, 6, 5], 4, [2, 2], RoiAlignOptions { aligned: true, spatial_scale: 0.7, ..plain }),
        case(&[1, 2, 1, 1], 2, [1, 2], RoiAlignOptions { aligned: true, ..fixed }),
        case(&[1, 2, 4, 4], 0, [2, 2], plain),
        levels(&[[5, 7], [3, 2], [6, 1]], 7, [2, 3], fixed),
        levels(&[[4, 4], [2, 2]], 4, [1, 2], RoiAlignOptions { aligned: true, ..plain }),
    ]
}

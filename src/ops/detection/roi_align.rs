//! The mean of an image over the bins of regions, sampled between its elements.
//!
//! A bin's weights are a product of one factor a dimension: `RoiWeights` makes both factors, `RoiAlign` sums with them,
//! forward and backward.

use super::{Regions, check_regions, nothing};
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

/// `output[k, bin, y]`: the weight of element `y` of a dimension in a bin of region `k`, from the boxes.
#[derive(Clone, Debug)]
struct RoiWeights {
    /// 1 for y, 0 for x.
    dim: usize,
    bins: usize,
    size: usize,
    samples: usize,
    aligned: bool,
    /// The spatial scale's bits.
    scale: [u32; 1],
}

impl Op for RoiWeights {
    fn name(&self) -> &'static str {
        "roi_weights"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.dim, self.bins, self.size, self.samples, self.aligned), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.scale
    }
    fn differentiable(&self) -> bool {
        false
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let shape = Shape::new(&[inputs[0].shape[0], self.bins, self.size])?;
        Ok(vec![Layout::contiguous(shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let count = io.outputs[0].shape.numel();
        Ok(Kernel::new("roi_weights", WEIGHTS)
            .constant("LOW", format!("{}u", 1 + self.dim))
            .constant("HIGH", format!("{}u", 3 + self.dim))
            .constant("SAMPLES", format!("{}u", self.samples))
            .constant("ALIGNED", self.aligned)
            .constant("BINS", format!("{}u", self.bins))
            .size("SIZE", self.size)
            .bind("boxes", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[count])
            .words([Word::Scalar(0), Word::Offset(0)])
            .grid(fold_groups(count, 64))
            .work(16 * count)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let boxes = &inputs[0];
        let (scale, last) = (f64::from(f32::from_bits(self.scale[0])), self.size as f64 - 1.0);
        let shift = if self.aligned { 0.5 } else { 0.0 };
        let mut values = vec![0.0; boxes.shape[0] * self.bins * self.size];
        for (at, weights) in values.chunks_exact_mut(self.size).enumerate() {
            let (k, bin) = (at / self.bins, at % self.bins);
            let edge = |column: usize| boxes.at(&[k, column + self.dim]) * scale - shift;
            let extent = edge(3) - edge(1);
            let bin_size = if self.aligned { extent } else { extent.max(1.0) } / self.bins as f64;
            let samples = if self.samples == 0 { nearest::<usize>(bin_size.ceil()) } else { self.samples };
            for sample in 0..samples {
                let position = edge(1) + bin as f64 * bin_size + (sample as f64 + 0.5) * bin_size / samples as f64;
                if (-1.0..=self.size as f64).contains(&position) {
                    let position = position.clamp(0.0, last);
                    let low = nearest::<usize>(position);
                    weights[low] += (1.0 - position.fract()) / samples as f64;
                    if low + 1 < self.size {
                        weights[low + 1] += position.fract() / samples as f64;
                    }
                }
            }
        }
        Ok(vec![HostTensor::new(Shape::new(&[boxes.shape[0], self.bins, self.size])?, DType::F32, values)])
    }
}

/// `output[k, c, i, j] = sum over y and x of rows[k, i, y] columns[k, j, x] input[image(k), c, y, x]`, or the gradient of the
/// input. Inputs: the image or the gradient of the output, boxes, rows, columns.
#[derive(Clone, Debug)]
struct RoiAlign {
    backward: bool,
    regions: Regions,
    aligned: bool,
    scale: [u32; 1],
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        if self.backward { "roi_align_backward" } else { OP }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.backward, self.regions, self.aligned), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.scale
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![self.regions.layout(self.backward, inputs[1].shape[0], DType::F32)?])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let count = io.outputs[0].shape.numel();
        let (regions, r) = (io.inputs[1].shape[0], &self.regions);
        let [parts, span] = if self.backward { r.parts(regions, adapter) } else { [1, 0] };
        let kernel = if self.backward {
            Kernel::new("roi_align_backward", BACKWARD)
                .bind("grad", Operand::Input(0))
                .values(&[count, regions])
                .words((0..4).map(Word::Offset))
                .values(&[parts, span])
                .work(count.saturating_mul(regions))
        } else {
            Kernel::new("roi_align", FORWARD)
                .constant("BLOCK", format!("{}u", r.block()))
                .bind("input", Operand::Input(0))
                .bind("fault", Operand::BadIndex)
                .constant("ALIGNED", self.aligned)
                .values(&[count, self.regions.images])
                .words([Word::Scalar(0), Word::Fault(OP.into())])
                .words((0..4).map(Word::Offset))
                .work(32 * count)
        };
        let kernel = r
            .sized(kernel)
            .bind("boxes", Operand::Input(1))
            .bind("rows", Operand::Input(2))
            .bind("columns", Operand::Input(3))
            .grid(fold_groups(count * parts, 64));
        Ok(partial_sums::in_parts(kernel, parts, count, DType::F32))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let [from, boxes, rows, columns] = [0, 1, 2, 3].map(|input| &inputs[input]);
        let r = &self.regions;
        let layout = r.layout(self.backward, boxes.shape[0], DType::F32)?;
        let mut values = vec![0.0; layout.shape.numel()];
        for k in 0..boxes.shape[0] {
            let image = r.image(OP, boxes, k)?;
            for c in 0..r.channels {
                for (i, j) in (0..r.bins[0]).flat_map(|i| (0..r.bins[1]).map(move |j| (i, j))) {
                    let region = ((k * r.channels + c) * r.bins[0] + i) * r.bins[1] + j;
                    for (y, x) in (0..r.size[0]).flat_map(|y| (0..r.size[1]).map(move |x| (y, x))) {
                        let weight = rows.at(&[k, i, y]) * columns.at(&[k, j, x]);
                        let element = ((image * r.channels + c) * r.size[0] + y) * r.size[1] + x;
                        if weight != 0.0 {
                            let (to, at) = if self.backward { (element, region) } else { (region, element) };
                            values[to] += weight * from.values[at];
                        }
                    }
                }
            }
        }
        Ok(vec![HostTensor::new(layout.shape, DType::F32, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let other = RoiAlign { backward: !self.backward, ..self.clone() };
        let [boxes, rows, columns] = [1, 2, 3].map(|input| context.input(input));
        let gradient = context.of(0, |g| record_one(other, &[&g.contiguous()?, boxes, rows, columns]))?;
        Ok(vec![gradient, None, None, None])
    }
}

impl Tensor {
    /// The mean of regions of images over the bins of a grid, torchvision's `roi_align`: `[N, C, H, W]` with boxes
    /// `[K, 5]` becomes `[K, C, height, width]`.
    ///
    /// A box holds the index of its image, x1, y1, x2 and y2; [`Tensor::convert_boxes_to_roi_format`] makes such boxes of a list
    /// for each image. Samples are spread evenly over each bin and interpolated between the four elements around them. Gradients
    /// flow to the input, not to the boxes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, images above some 1.9 million pixels, 60,000 bins, and for sampling ratios
    /// above 60,000 and a ratio of 0;
    /// [`Error::WrongDType`] for types other than f32. A number of an image that does not exist makes its region NaN
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
        let output_size = output_size.convert();
        if let Some(cast) = autocast::enter(OP)? {
            let aligned = cast.of(self)?.roi_align(&cast.of(boxes)?, output_size, options)?;
            return aligned.to_dtype(self.dtype());
        }
        let _line = ascribe_to_caller();
        let regions = check_regions(OP, self, boxes, output_size)?;
        if options.sampling_ratio.is_some_and(|ratio| !(1..=LONGEST_LOOP).contains(&ratio)) {
            let rule = format!("a sampling ratio of {:?} is not within 1 and {LONGEST_LOOP}", options.sampling_ratio);
            return Err(Error::invalid(OP, rule));
        }
        if let Some(empty) = nothing(self, &regions, boxes)? {
            return Ok(empty);
        }
        let boxes = boxes.detach().contiguous()?;
        let (aligned, scale) = (options.aligned, [nearest::<f32>(options.spatial_scale).to_bits()]);
        let weights = |d: usize| {
            let samples = options.sampling_ratio.unwrap_or(0);
            let (bins, size) = (output_size[d], regions.size[d]);
            record_one(RoiWeights { dim: 1 - d, bins, size, samples, aligned, scale }, &[&boxes])
        };
        let op = RoiAlign { backward: false, regions, aligned, scale };
        record_one(op, &[&self.contiguous()?, &boxes, &weights(0)?, &weights(1)?])
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |input: &[usize], count: usize, bins: [usize; 2], options: RoiAlignOptions| {
        let images = input[0] as f64;
        let run = move |x: &[Tensor]| Ok(vec![x[0].roi_align(&super::regions_of(&x[1], images)?, bins, &options)?]);
        Case::new(OP, &[input, &[count, 5]], run).with("output_size", bins).options(&options).integers(1, 0, 999)
    };
    let plain = RoiAlignOptions::default();
    let fixed = RoiAlignOptions { sampling_ratio: Some(2), ..plain };
    vec![
        case(&[2, 3, 5, 7], 3, [2, 3], plain),
        case(&[1, 2, 6, 5], 2, [3, 1], fixed),
        case(&[2, 1, 6, 5], 4, [2, 2], RoiAlignOptions { aligned: true, spatial_scale: 0.7, ..plain }),
        case(&[1, 2, 1, 1], 2, [1, 2], RoiAlignOptions { aligned: true, ..fixed }),
        case(&[1, 2, 4, 4], 0, [2, 2], plain),
    ]
}

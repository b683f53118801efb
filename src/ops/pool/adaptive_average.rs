//! Adaptive average pooling: means of windows that cover an input of any size evenly.

use super::adaptive::{Stage, is_wide, longest, nothing, sized, sizes, stages, window, windows};
use super::{named, shaped};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one, seen_through};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::ops::shared::partial_sums;
use crate::options::As;
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("pool/adaptive_avg_pool");

/// The mean of each window along the middle dimension of `[outer, size, inner]`, or the gradient of the input.
#[derive(Clone, Copy, Debug, Hash)]
struct AdaptiveAverage {
    backward: bool,
    /// The target size, and the type.
    to: usize,
    dtype: DType,
}

impl AdaptiveAverage {
    fn shape(&self, input: &Shape) -> Result<Shape> {
        Shape::new(&[input[0], self.to, input[2]])
    }
}

impl Op for AdaptiveAverage {
    fn name(&self) -> &'static str {
        if self.backward { "adaptive_avg_pool_backward" } else { "adaptive_avg_pool" }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(self.shape(&inputs[0].shape)?, self.dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let (shape, count) = (&io.inputs[0].shape, io.outputs[0].shape.numel());
        // The gradient computes each window's length, bit by bit if sizes are large.
        let turns = if self.backward && is_wide(shape[1], self.to) { 1 + 4 * 32 } else { 1 };
        let [parts, span] = partial_sums::parts(longest(shape[1], self.to), turns, adapter.profile.longest_loop);
        let kernel = sized(Kernel::new("adaptive_avg_pool", TEMPLATE), "load_input", shape, self.to, parts)
            .alias("Element", io.inputs[0].dtype.wgsl())
            .constant("BACKWARD", self.backward)
            .values(&[parts, span])
            .words([Word::Offset(0)])
            .bind("input", Operand::Input(0));
        Ok(partial_sums::in_parts(kernel, parts, count, self.dtype))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let (from, to, inner) = (input.shape[1], self.to, input.shape[2]);
        let shape = self.shape(&input.shape)?;
        let (long, short) = if self.backward { (to, from) } else { (from, to) };
        let mut values = vec![0.0; shape.numel()];
        for outer in 0..input.shape[0] {
            for position in 0..short {
                let elements = window(position, long, short);
                let count = elements.len() as f64;
                for element in elements {
                    for i in 0..inner {
                        let at_long = (outer * long + element) * inner + i;
                        let at_short = (outer * short + position) * inner + i;
                        let (read, write) = if self.backward { (at_short, at_long) } else { (at_long, at_short) };
                        values[write] += input.values[read] / count;
                    }
                }
            }
        }
        Ok(vec![HostTensor::new(shape, self.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let x = context.input(0);
        let other = AdaptiveAverage { backward: !self.backward, to: x.shape()[1], dtype: x.dtype() };
        Ok(vec![context.of(0, |g| record_one(other, &[&g.contiguous()?]))?])
    }
}

impl Tensor {
    /// A line pooled to a given size, PyTorch's `adaptive_avg_pool1d`; as
    /// [`adaptive_avg_pool2d`](Tensor::adaptive_avg_pool2d) for `[N, C, L]` or `[C, L]`.
    ///
    /// # Errors
    /// As `adaptive_avg_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0], &[1, 5])?;
    /// assert_eq!(x.adaptive_avg_pool1d([Some(3)])?.to_vec::<f32>()?, [1.5, 3.0, 4.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool1d(&self, output_size: impl As<[Option<usize>; 1]>) -> Result<Tensor> {
        self.adaptive_avg_pool(output_size.convert())
    }

    /// A plane pooled to a given size, PyTorch's `adaptive_avg_pool2d`: along each dimension, output `i` of `M` is the
    /// mean of elements `floor(i L / M)` to `ceil((i + 1) L / M) - 1` of `L`.
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`, f32 or f16 (summed in f32); output `[N, C, H', W']` with the sizes given,
    /// the input's where `None`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of dimensions or an empty plane; [`Error::WrongDType`] for types other
    /// than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 2, 3])?;
    /// assert_eq!(x.adaptive_avg_pool2d([Some(1), Some(2)])?.to_vec::<f32>()?, [3.0, 4.0]);
    /// assert_eq!(x.adaptive_avg_pool2d([None, Some(1)])?.to_vec::<f32>()?, [2.0, 5.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output_size: impl As<[Option<usize>; 2]>) -> Result<Tensor> {
        self.adaptive_avg_pool(output_size.convert())
    }

    /// A volume pooled to a given size, PyTorch's `adaptive_avg_pool3d`; as
    /// [`adaptive_avg_pool2d`](Tensor::adaptive_avg_pool2d) for `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// # Errors
    /// As `adaptive_avg_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 3, 1, 2])?;
    /// assert_eq!(x.adaptive_avg_pool3d([Some(2), None, Some(1)])?.to_vec::<f32>()?, [2.5, 4.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool3d(&self, output_size: impl As<[Option<usize>; 3]>) -> Result<Tensor> {
        self.adaptive_avg_pool(output_size.convert())
    }

    #[track_caller]
    pub(crate) fn adaptive_avg_pool<const D: usize>(&self, output_size: [Option<usize>; D]) -> Result<Tensor> {
        let op = named::<D>(["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"]);
        // PyTorch takes a batch without channels in one and two dimensions only.
        let first = if D < 3 { self.rank().saturating_sub(D).max(1) } else { 1 };
        let (input, sizes) = sizes(op, self, output_size, first)?;
        if sizes.contains(&0) {
            return nothing(self, &input, sizes);
        }
        if sizes.iter().all(|&size| size == 1) {
            let output = shaped(&input.global_avg_pool()?, &input, sizes, self)?;
            return Ok(seen_through(|| windows(&input, sizes), self, output));
        }
        let stages = stages(op, input.shape(), sizes)?;
        let mut result = input.contiguous()?;
        for (number, stage) in stages.iter().enumerate() {
            let dtype = if number + 1 == stages.len() { self.dtype() } else { DType::F32 };
            result = match stage {
                Stage::Even(pass) => result.means(&[*pass], true, None, dtype)?,
                Stage::Along(along) => {
                    let mean = AdaptiveAverage { backward: false, to: along.to, dtype };
                    record_one(mean, &[&result.reshape_to(along.shape)?])?
                }
            };
        }
        let output = shaped(&result, &input, sizes, self)?;
        Ok(seen_through(|| windows(&input, sizes), self, output))
    }

    /// The mean of each channel: `[N, C, ..] -> [N, C, 1, ..]`, over all dimensions but the first two.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than three dimensions or an empty channel; [`Error::WrongDType`] for types other
    /// than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 8.0], &[1, 1, 2, 2])?;
    /// assert_eq!(x.global_avg_pool()?.to_vec::<f32>()?, [4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn global_avg_pool(&self) -> Result<Tensor> {
        check_channels("global_avg_pool", self)?;
        let dims: Vec<usize> = (2..self.rank()).collect();
        // A sum of 16-bit floats may exceed their range.
        self.to_dtype(DType::F32)?.mean_keepdim(&dims)?.to_dtype(self.dtype())
    }
}

/// Checks that there are dimensions besides batch and channels.
pub(super) fn check_channels(op: &'static str, input: &Tensor) -> Result<()> {
    if !input.dtype().is_float() {
        return Err(Error::WrongDType { op, expected: "floats", got: input.dtype() });
    }
    if input.rank() < 3 || input.shape()[2..].contains(&0) {
        return Err(Error::invalid(
            op,
            format!("expected [N, C, ..] with elements in each channel; got {}", input.shape()),
        ));
    }
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    let line = |shape: &[usize], to: usize| {
        Case::new("adaptive_avg_pool1d", &[shape], move |x| Ok(vec![x[0].adaptive_avg_pool1d([Some(to)])?]))
            .with("output_size", to)
    };
    let plane = |shape: &[usize], to: [Option<usize>; 2]| {
        Case::new("adaptive_avg_pool2d", &[shape], move |x| Ok(vec![x[0].adaptive_avg_pool2d(to)?]))
            .with("output_size", to)
    };
    let volume = |shape: &[usize], to: [Option<usize>; 3]| {
        Case::new("adaptive_avg_pool3d", &[shape], move |x| Ok(vec![x[0].adaptive_avg_pool3d(to)?]))
            .with("output_size", to)
    };
    vec![
        line(&[2, 3, 7], 3),
        line(&[2, 7], 11),
        line(&[0, 2, 7], 3),
        line(&[2, 2, 7], 0),
        // Products of positions and sizes that take more than 32 bits.
        line(&[1, 1, 70_001], 69_997).first_order(),
        // A window longer than the loops of the other kernels.
        line(&[1, 1, 2050], 2).first_order(),
        plane(&[2, 3, 6, 8], [Some(3), Some(2)]),
        plane(&[2, 3, 7, 5], [Some(3), Some(4)]),
        plane(&[3, 7, 6], [None, Some(4)]),
        plane(&[1, 2, 5, 3], [Some(2), Some(7)]),
        plane(&[2, 3, 7, 7], [Some(1), Some(1)]),
        plane(&[2, 1, 3, 4], [None, None]),
        volume(&[2, 2, 5, 4, 6], [Some(3), Some(2), Some(3)]),
        volume(&[2, 4, 5, 7], [Some(2), Some(3), None]),
        volume(&[1, 2, 3, 4, 5], [Some(1), Some(1), Some(1)]),
        Case::new("adaptive_avg_pool2d", &[&[3, 7, 5, 2]], |x| {
            Ok(vec![x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?.adaptive_avg_pool2d([Some(3), Some(2)])?])
        }),
        Case::new("adaptive_avg_pool3d", &[&[2, 4, 5, 6]], |x| {
            let x = x[0].to_dtype(DType::F16)?;
            Ok(vec![x.adaptive_avg_pool3d([Some(2), Some(2), Some(3)])?, x.adaptive_avg_pool3d([Some(1); 3])?])
        })
        .half(),
        Case::new("global_avg_pool", &[&[2, 3, 4, 5]], |x| Ok(vec![x[0].global_avg_pool()?])),
    ]
}

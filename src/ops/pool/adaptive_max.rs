//! Adaptive max pooling: maxima of windows that cover an input of any size evenly.

use super::adaptive::{Along, Stage, longest, nothing, sized, sizes, stages, window, windows};
use super::adaptive_average::check_channels;
use super::{named, positions, shaped};
use crate::device::{Adapter, LONGEST_LOOP};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record, record_one, seen_through};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::shared::partial_sums;
use crate::options::As;
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const FORWARD: &str = wgsl!("pool/adaptive_max_pool");
const BACKWARD: &str = wgsl!("pool/adaptive_max_pool_backward");

/// Elements in one iteration of a kernel's loop, if windows are longer than its limit.
const LONGEST_BLOCK: usize = 16;

/// The largest element of each window along the middle dimension of `[outer, size, inner]`, and its index in its volume.
#[derive(Clone, Copy, Debug, Hash)]
struct AdaptiveMax {
    /// The target size.
    to: usize,
    /// Consecutive outer indices that are one volume.
    slices: usize,
}

/// The gradient of the input, from that of the output and the indices.
#[derive(Clone, Copy, Debug, Hash)]
struct AdaptiveMaxBackward {
    to: usize,
    slices: usize,
}

fn resized(shape: &Shape, to: usize) -> Result<Shape> {
    Shape::new(&[shape[0], to, shape[2]])
}

impl Op for AdaptiveMax {
    fn name(&self) -> &'static str {
        "adaptive_max_pool"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let shape = &inputs[0].shape;
        if longest(shape[1], self.to) > LONGEST_BLOCK * LONGEST_LOOP {
            let (op, limit, unit) = (self.name(), (LONGEST_BLOCK * LONGEST_LOOP) as u64, "elements of a window");
            return Err(Error::TooLarge { op, shape: *shape, limit, unit });
        }
        let shape = resized(shape, self.to)?;
        Ok(vec![Layout::contiguous(shape, inputs[0].dtype), Layout::contiguous(shape, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let shape = &io.inputs[0].shape;
        let longest = longest(shape[1], self.to);
        let block = if longest > LONGEST_LOOP { LONGEST_BLOCK } else { 1 };
        Ok(sized(Kernel::new("adaptive_max_pool", FORWARD), "load_input", shape, self.to, 1)
            .constant("BLOCK", format!("{block}u"))
            .alias("Element", io.inputs[0].dtype.wgsl())
            .values(&[self.slices])
            .words([Word::Offset(0)])
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .bind("index", Operand::Output(1))
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let (from, inner) = (input.shape[1], input.shape[2]);
        let shape = resized(&input.shape, self.to)?;
        let (mut values, mut index) = (Vec::new(), Vec::new());
        for place in 0..shape.numel() {
            let (outer, j, i) = (place / (self.to * inner), place / inner % self.to, place % inner);
            let mut best: Option<(f64, usize)> = None;
            for k in window(j, from, self.to) {
                let value = input.values[(outer * from + k) * inner + i];
                if best.is_none_or(|(champion, _)| value > champion || value.is_nan()) {
                    best = Some((value, (outer % self.slices * from + k) * inner + i));
                }
            }
            let (value, at) = best.unwrap_or_default();
            values.push(value);
            index.push(at as f64);
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values), HostTensor::new(shape, DType::I32, index)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let backward = AdaptiveMaxBackward { to: context.input(0).shape()[1], slices: self.slices };
        Ok(vec![context.of(0, |g| record_one(backward, &[&g.contiguous()?, context.output(1)]))?])
    }
}

impl Op for AdaptiveMaxBackward {
    fn name(&self) -> &'static str {
        "adaptive_max_pool_backward"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(resized(&inputs[0].shape, self.to)?, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let (shape, dtype, count) = (&io.inputs[0].shape, io.inputs[0].dtype, io.outputs[0].shape.numel());
        let [parts, span] = partial_sums::parts(longest(shape[1], self.to), 1, adapter.profile.longest_loop);
        let kernel = Kernel::new("adaptive_max_pool_backward", BACKWARD);
        let kernel = sized(kernel, "load_grad", shape, self.to, parts)
            .alias("Element", dtype.wgsl())
            .values(&[parts, span, self.slices])
            .words([Word::Offset(0), Word::Offset(1)])
            .bind("grad", Operand::Input(0))
            .bind("index", Operand::Input(1));
        Ok(partial_sums::in_parts(kernel, parts, count, dtype))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (grad, index) = (&inputs[0], &inputs[1]);
        let shape = resized(&grad.shape, self.to)?;
        let volume = |shape: &Shape| self.slices * shape[1] * shape[2];
        let mut values = vec![0.0; shape.numel()];
        for (at, value) in grad.values.iter().enumerate() {
            values[at / volume(&grad.shape) * volume(&shape) + nearest::<usize>(index.values[at])] += value;
        }
        Ok(vec![HostTensor::new(shape, grad.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let index = context.input(1);
        let gradient = context.of(0, |g| {
            let shape = *index.shape();
            let volumes = |t: &Tensor| {
                let sizes = *t.shape();
                t.reshape_to(Shape::new(&[sizes[0] / self.slices, self.slices * sizes[1] * sizes[2]])?)
            };
            volumes(&g)?.gather(1, &volumes(index)?)?.reshape_to(shape)
        })?;
        Ok(vec![gradient, None])
    }
}

impl Tensor {
    /// A line pooled to a given size, PyTorch's `adaptive_max_pool1d`; as
    /// [`adaptive_max_pool2d`](Tensor::adaptive_max_pool2d) for `[N, C, L]` or `[C, L]`.
    ///
    /// # Errors
    /// As `adaptive_max_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 4.0, 3.0], &[1, 5])?;
    /// assert_eq!(x.adaptive_max_pool1d([Some(3)])?.to_vec::<f32>()?, [2.0, 5.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool1d(&self, output_size: impl As<[Option<usize>; 1]>) -> Result<Tensor> {
        Ok(self.adaptive_max_pool(output_size.convert())?.0)
    }

    /// [`adaptive_max_pool1d`](Tensor::adaptive_max_pool1d), and for each output the index of its element in its line (i32).
    ///
    /// # Errors
    /// As `adaptive_max_pool1d`.
    #[track_caller]
    pub fn adaptive_max_pool1d_with_indices(
        &self,
        output_size: impl As<[Option<usize>; 1]>,
    ) -> Result<(Tensor, Tensor)> {
        self.adaptive_max_pool(output_size.convert())
    }

    /// A plane pooled to a given size, PyTorch's `adaptive_max_pool2d`: along each dimension, output `i` of `M` is the
    /// largest of elements `floor(i L / M)` to `ceil((i + 1) L / M) - 1` of `L`.
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`, f32 or f16; output `[N, C, H', W']` with the sizes given, the input's where
    /// `None`. Of equal elements the first takes the gradient; NaN wins.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for another number of dimensions or an empty plane;
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats;
    /// [`Error::TooLarge`](crate::Error::TooLarge) for windows above 960,000 elements a dimension.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 2, 3])?;
    /// assert_eq!(x.adaptive_max_pool2d([Some(1), Some(2)])?.to_vec::<f32>()?, [5.0, 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d(&self, output_size: impl As<[Option<usize>; 2]>) -> Result<Tensor> {
        Ok(self.adaptive_max_pool(output_size.convert())?.0)
    }

    /// [`adaptive_max_pool2d`](Tensor::adaptive_max_pool2d), and for each output the index of its element: i32,
    /// `row * W + column` in the input's plane.
    ///
    /// # Errors
    /// As `adaptive_max_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 2, 3])?;
    /// let (_, indices) = x.adaptive_max_pool2d_with_indices([Some(1), Some(2)])?;
    /// assert_eq!(indices.to_vec::<i32>()?, [4, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d_with_indices(
        &self,
        output_size: impl As<[Option<usize>; 2]>,
    ) -> Result<(Tensor, Tensor)> {
        self.adaptive_max_pool(output_size.convert())
    }

    /// A volume pooled to a given size, PyTorch's `adaptive_max_pool3d`; as
    /// [`adaptive_max_pool2d`](Tensor::adaptive_max_pool2d) for `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// # Errors
    /// As `adaptive_max_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 3, 1, 2])?;
    /// assert_eq!(x.adaptive_max_pool3d([Some(2), None, Some(1)])?.to_vec::<f32>()?, [4.0, 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool3d(&self, output_size: impl As<[Option<usize>; 3]>) -> Result<Tensor> {
        Ok(self.adaptive_max_pool(output_size.convert())?.0)
    }

    /// [`adaptive_max_pool3d`](Tensor::adaptive_max_pool3d), and for each output the index of its element: i32,
    /// `(slice * H + row) * W + column` in the input's volume.
    ///
    /// # Errors
    /// As `adaptive_max_pool3d`.
    #[track_caller]
    pub fn adaptive_max_pool3d_with_indices(
        &self,
        output_size: impl As<[Option<usize>; 3]>,
    ) -> Result<(Tensor, Tensor)> {
        self.adaptive_max_pool(output_size.convert())
    }

    #[track_caller]
    pub(crate) fn adaptive_max_pool<const D: usize>(
        &self,
        output_size: [Option<usize>; D],
    ) -> Result<(Tensor, Tensor)> {
        let op = named::<D>(["adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"]);
        let (input, sizes) = sizes(op, self, output_size, 1)?;
        if sizes.contains(&0) {
            let values = nothing(self, &input, sizes)?;
            return Ok((values.clone(), values.detach().to_dtype(DType::I32)?));
        }
        let mut values = input.contiguous()?;
        let mut indices = None;
        for stage in stages(op, input.shape(), sizes)? {
            let (largest, places) = match stage {
                Stage::Even(pass) => values.maxima(&pass)?,
                Stage::Along(along) => values.maxima_along(&along)?,
            };
            values = largest;
            indices = Some(positions(indices, places, input.shape()[0] * input.shape()[1])?);
        }
        let indices = indices.ok_or_else(|| Error::Internal { op, reason: "no stage".into() })?;
        let values = shaped(&values, &input, sizes, self)?;
        let values = seen_through(|| windows(&input, sizes), self, values);
        Ok((values, shaped(&indices, &input, sizes, self)?))
    }

    #[track_caller]
    fn maxima_along(&self, along: &Along) -> Result<(Tensor, Tensor)> {
        let op = AdaptiveMax { to: along.to, slices: along.slices };
        let mut outputs = record(op, &[&self.reshape_to(along.shape)?])?;
        let indices = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), indices))
    }

    /// The largest element of each channel: `[N, C, ..] -> [N, C, 1, ..]`, over all dimensions but the first two. Of
    /// equal elements the first takes the gradient; NaN wins.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for fewer than three dimensions or an empty channel;
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 8.0, 5.0], &[1, 1, 2, 2])?;
    /// assert_eq!(x.global_max_pool()?.to_vec::<f32>()?, [8.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn global_max_pool(&self) -> Result<Tensor> {
        check_channels("global_max_pool", self)?;
        let shape = *self.shape();
        let rest: Vec<usize> = (2..shape.len()).collect();
        let line = Shape::new(&[shape[0], shape[1], rest.iter().map(|&d| shape[d]).product()])?;
        if shape[1] == 0 {
            return self.global_avg_pool();
        }
        self.reshape_to(line)?.adaptive_max_pool1d([Some(1)])?.reshape_to(shape.without(&rest, true))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let both = |(values, indices): (Tensor, Tensor)| vec![values, indices];
    let line = |shape: &[usize], to: usize| {
        Case::new("adaptive_max_pool1d", &[shape], move |x| x[0].adaptive_max_pool1d_with_indices([Some(to)]).map(both))
            .with("output_size", to)
            .distinct()
            .first_order()
    };
    let plane = |shape: &[usize], to: [Option<usize>; 2]| {
        Case::new("adaptive_max_pool2d", &[shape], move |x| x[0].adaptive_max_pool2d_with_indices(to).map(both))
            .with("output_size", to)
            .distinct()
            .first_order()
    };
    let volume = |shape: &[usize], to: [Option<usize>; 3]| {
        Case::new("adaptive_max_pool3d", &[shape], move |x| x[0].adaptive_max_pool3d_with_indices(to).map(both))
            .with("output_size", to)
            .distinct()
            .first_order()
    };
    vec![
        line(&[2, 3, 7], 3),
        line(&[2, 7], 11),
        line(&[0, 2, 7], 3),
        line(&[2, 2, 7], 0),
        line(&[1, 1, 70_001], 69_997).no_differences(),
        line(&[1, 1, 2050], 2),
        plane(&[2, 3, 6, 8], [Some(3), Some(2)]),
        plane(&[2, 3, 7, 5], [Some(3), Some(4)]),
        plane(&[3, 7, 6], [None, Some(4)]),
        plane(&[1, 2, 5, 3], [Some(2), Some(7)]),
        plane(&[2, 1, 3, 4], [None, None]),
        volume(&[2, 2, 5, 4, 6], [Some(3), Some(2), Some(3)]),
        volume(&[2, 4, 5, 7], [Some(2), Some(3), None]),
        volume(&[1, 2, 3, 4, 5], [Some(2), Some(1), Some(3)]),
        Case::new("adaptive_max_pool2d", &[&[3, 7, 5, 2]], |x| {
            Ok(vec![x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?.adaptive_max_pool2d([Some(3), Some(2)])?])
        })
        .distinct()
        .first_order(),
        Case::new("adaptive_max_pool3d", &[&[2, 4, 5, 6]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.adaptive_max_pool3d([Some(2), Some(2), Some(3)])?])
        })
        .half(),
        // A row of equal elements: the first of them takes everything.
        Case::new("adaptive_max_pool2d", &[&[2, 2, 7, 1]], move |x| {
            x[0].expand(&[2, 2, 7, 8])?.adaptive_max_pool2d_with_indices([Some(3), Some(5)]).map(both)
        })
        .distinct()
        .first_order(),
        Case::new("global_max_pool", &[&[2, 3, 4, 5]], |x| Ok(vec![x[0].global_max_pool()?])).distinct().first_order(),
    ]
}

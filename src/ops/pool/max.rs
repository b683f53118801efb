//! Max pooling, and its gradient, which picks by index instead of adding by index: no atomics.

use super::axis::Request;
use super::{Pass, Windows, batched, named, passes, positions, shaped};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record, record_one, seen_through};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::shared::congruence::Congruence;
use crate::ops::shared::constants::unsigned_all;
use crate::options::{As, options};
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;
use std::sync::Arc;

const FORWARD: &str = wgsl!("pool/max_pool2d");
const BACKWARD: &str = wgsl!("pool/max_pool2d_backward");

const OP: &str = "max_pool2d";

options! {
    /// The attributes of [`Tensor::max_pool2d`] and its variants, with PyTorch's names and defaults; sizes are in the order of
    /// the dimensions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    MaxPoolOptions<const D: usize> {
        /// Steps of the window; the window's size by default.
        stride: Option<[usize; D]> = None,
        /// Minus infinities before and after each dimension of the input, at most half the window.
        padding: [usize; D] = [0; D],
        /// Distance between the elements of a window.
        dilation: [usize; D] = [1; D],
        /// Lets a last window reach past the end of the padded input.
        ceil_mode: bool = false,
    }
}

/// The attributes of [`Tensor::max_pool1d`].
pub type MaxPool1dOptions = MaxPoolOptions<1>;
/// The attributes of [`Tensor::max_pool2d`]; pairs are (height, width).
pub type MaxPool2dOptions = MaxPoolOptions<2>;
/// The attributes of [`Tensor::max_pool3d`]; triples are (depth, height, width).
pub type MaxPool3dOptions = MaxPoolOptions<3>;

/// The largest element of each window, and its index in its plane.
#[derive(Clone, Debug, Hash)]
struct MaxPool2d {
    windows: Windows,
    /// Consecutive planes that are one volume, in which indices count.
    slices: usize,
}

/// The gradient of the input, from that of the output and the indices.
#[derive(Clone, Debug, Hash)]
struct MaxPool2dBackward {
    windows: Windows,
    slices: usize,
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let layout = |dtype| self.windows.layout(&inputs[0].shape, self.windows.output, dtype);
        Ok(vec![layout(inputs[0].dtype)?, layout(DType::I32)?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let w = &self.windows;
        let kernel = w.sized(Kernel::new("max_pool2d", FORWARD), "load_input", w.kernel, io.outputs[0].shape.numel());
        let kernel = unsigned_all(kernel, ["KERNEL_Y", "KERNEL_X"], w.kernel);
        Ok(unsigned_all(kernel, ["DILATION_Y", "DILATION_X"], w.dilation)
            .alias("Element", io.inputs[0].dtype.wgsl())
            .size("SLICES", self.slices)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .bind("index", Operand::Output(1))
            .words([Word::Offset(0)])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let w = &self.windows;
        let shape = w.layout(&input.shape, w.output, input.dtype)?.shape;
        let mut best: Vec<Option<(f64, usize)>> = vec![None; shape.numel()];
        let planes = best.chunks_exact_mut(w.windows()).zip(input.values.chunks_exact(w.elements()));
        for (number, (best, plane)) in planes.enumerate() {
            let start = number % self.slices * w.elements();
            w.for_each(|window, element| {
                let value = plane[element];
                if best[window].is_none_or(|(champion, _)| value > champion || value.is_nan()) {
                    best[window] = Some((value, start + element));
                }
            });
        }
        let best: Vec<(f64, usize)> = best.into_iter().map(Option::unwrap_or_default).collect();
        let index = best.iter().map(|&(_, at)| at as f64).collect();
        let values = best.into_iter().map(|(value, _)| value).collect();
        Ok(vec![HostTensor::new(shape, input.dtype, values), HostTensor::new(shape, DType::I32, index)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let backward = MaxPool2dBackward { windows: self.windows, slices: self.slices };
        Ok(vec![context.of(0, |g| record_one(backward, &[&g.contiguous()?, context.output(1)]))?])
    }
}

impl Op for MaxPool2dBackward {
    fn name(&self) -> &'static str {
        "max_pool2d_backward"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![self.windows.layout(&inputs[0].shape, self.windows.input, inputs[0].dtype)?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let w = &self.windows;
        let shape = io.inputs[0].shape;
        let mut kernel = w.sized_backward(Kernel::new("max_pool2d_backward", BACKWARD), shape[0] * shape[1]);
        let names = [["DIVISOR_Y", "STEP_Y", "INVERSE_Y"], ["DIVISOR_X", "STEP_X", "INVERSE_X"]];
        for (d, names) in names.into_iter().enumerate() {
            kernel = w.meeting(d).unwrap_or(Congruence::ALWAYS).specialise(kernel, names);
        }
        Ok(kernel
            .alias("Element", io.inputs[0].dtype.wgsl())
            .size("SLICES", self.slices)
            .bind("grad", Operand::Input(0))
            .bind("index", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .words([Word::Offset(0), Word::Offset(1)])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (grad, index) = (&inputs[0], &inputs[1]);
        let w = &self.windows;
        let shape = w.layout(&grad.shape, w.input, grad.dtype)?.shape;
        let mut values = vec![0.0; shape.numel()];
        for (at, value) in grad.values.iter().enumerate() {
            let volume = at / (w.windows() * self.slices);
            values[volume * self.slices * w.elements() + nearest::<usize>(index.values[at])] += value;
        }
        Ok(vec![HostTensor::new(shape, grad.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let index = context.input(1);
        let gradient = context.of(0, |g| {
            let shape = *index.shape();
            let volumes = shape[0] * shape[1] / self.slices;
            let rows = |t: &Tensor, plane: usize| t.reshape_to(Shape::new(&[volumes, self.slices * plane])?);
            let index = rows(index, self.windows.windows())?;
            let picked = rows(&g, self.windows.elements())?.gather(1, &index)?;
            picked.reshape_to(shape)
        })?;
        Ok(vec![gradient, None])
    }
    /// The gradient reaches only the largest elements of windows, of which those not above 0 are masked. The maxima serve as that
    /// mask, so the rectifier's result, which is larger and which nothing else needs, is not kept.
    fn behind_rectifier(&self, inputs: &[Tensor], rectified: &Tensor) -> Result<Option<Tensor>> {
        let [grad, index] = inputs else { return Ok(None) };
        let is_of_windows = index.node.op.name() == OP
            && index.node.state.lock().inputs.first().is_some_and(|input| Arc::ptr_eq(&input.node, &rectified.node));
        if !is_of_windows {
            return Ok(None);
        }
        let maxima = Tensor::of(index.node.clone(), 0);
        record_one(self.clone(), &[&maxima.relu_backward(grad)?, index]).map(Some)
    }
}

impl Tensor {
    /// The largest element of each window of a line, PyTorch's `max_pool1d`; as [`max_pool2d`](Tensor::max_pool2d) for
    /// `[N, C, L]` or `[C, L]`.
    ///
    /// # Errors
    /// As `max_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, MaxPool1dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 6.0, 5.0], &[1, 4])?;
    /// assert_eq!(x.max_pool1d([2], &MaxPool1dOptions::default())?.to_vec::<f32>()?, [2.0, 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool1d(&self, kernel_size: impl As<[usize; 1]>, options: &MaxPool1dOptions) -> Result<Tensor> {
        Ok(self.max_pool(kernel_size.convert(), options)?.0)
    }

    /// [`max_pool1d`](Tensor::max_pool1d), and for each output the index of its element in its line (i32).
    ///
    /// # Errors
    /// As `max_pool1d`.
    #[track_caller]
    pub fn max_pool1d_with_indices(
        &self,
        kernel_size: impl As<[usize; 1]>,
        options: &MaxPool1dOptions,
    ) -> Result<(Tensor, Tensor)> {
        self.max_pool(kernel_size.convert(), options)
    }

    /// The largest element of each window, PyTorch's `max_pool2d`:
    ///
    /// `output[n, c, y, x] = max over r, s of input[n, c, y stride + r dilation - padding, x stride + s dilation - padding]`
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`, f32 or f16; output `[N, C, H', W']` with
    /// `H' = (H + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down, or up in `ceil_mode`. Padding is
    /// minus infinity. The first of equal elements gets the gradient; NaN wins.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a size, stride or dilation is zero, the padding is more than
    /// half of the window, or the window is larger than the padded input;
    /// [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, MaxPool2dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0], &[1, 2, 4])?;
    /// let y = x.max_pool2d([2, 2], &MaxPool2dOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [4.0, 8.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool2d(&self, kernel_size: impl As<[usize; 2]>, options: &MaxPool2dOptions) -> Result<Tensor> {
        Ok(self.max_pool(kernel_size.convert(), options)?.0)
    }

    /// [`max_pool2d`](Tensor::max_pool2d), and for each output the index of its element: i32, `row * W + column` in the input's
    /// plane.
    ///
    /// # Errors
    /// As `max_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, MaxPool2dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 9.0, 3.0, 4.0], &[1, 2, 2])?;
    /// let (y, indices) = x.max_pool2d_with_indices([2, 2], &MaxPool2dOptions::default())?;
    /// assert_eq!((y.item::<f32>()?, indices.item::<i32>()?), (9.0, 1));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool2d_with_indices(
        &self,
        kernel_size: impl As<[usize; 2]>,
        options: &MaxPool2dOptions,
    ) -> Result<(Tensor, Tensor)> {
        self.max_pool(kernel_size.convert(), options)
    }

    /// The largest element of each window of a volume, PyTorch's `max_pool3d`; as
    /// [`max_pool2d`](Tensor::max_pool2d) for `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// # Errors
    /// As `max_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, MaxPool3dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 9.0, 7.0, 8.0], &[1, 2, 2, 2])?;
    /// assert_eq!(x.max_pool3d([2, 1, 2], &MaxPool3dOptions::default())?.to_vec::<f32>()?, [9.0, 8.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool3d(&self, kernel_size: impl As<[usize; 3]>, options: &MaxPool3dOptions) -> Result<Tensor> {
        Ok(self.max_pool(kernel_size.convert(), options)?.0)
    }

    /// [`max_pool3d`](Tensor::max_pool3d), and for each output the index of its element: i32, `(slice * H + row) * W + column` in
    /// the input's volume.
    ///
    /// # Errors
    /// As `max_pool3d`.
    #[track_caller]
    pub fn max_pool3d_with_indices(
        &self,
        kernel_size: impl As<[usize; 3]>,
        options: &MaxPool3dOptions,
    ) -> Result<(Tensor, Tensor)> {
        self.max_pool(kernel_size.convert(), options)
    }

    #[track_caller]
    pub(crate) fn max_pool<const D: usize>(
        &self,
        kernel: [usize; D],
        options: &MaxPoolOptions<D>,
    ) -> Result<(Tensor, Tensor)> {
        let _line = ascribe_to_caller();
        let op = named::<D>(["max_pool1d", OP, "max_pool3d"]);
        let input = batched::<D>(op, self)?;
        let MaxPoolOptions { stride, padding, dilation, ceil_mode } = *options;
        let axes = Request { kernel, stride, padding, dilation, ceil_mode }.axes(op, input.shape())?;
        let mut values = input.contiguous()?;
        let mut indices = None;
        for pass in passes(op, input.shape(), axes)? {
            let (largest, places) = values.maxima(&pass)?;
            values = largest;
            indices = Some(positions(indices, places, input.shape()[0] * input.shape()[1])?);
        }
        let indices = indices.ok_or_else(|| Error::Internal { op, reason: "no pass".into() })?;
        let shaped = |result: &Tensor| shaped(result, &input, axes.map(|a| a.output), self);
        let values = seen_through(|| axes.map(|axis| axis.seen()).to_vec(), self, shaped(&values)?);
        Ok((values, shaped(&indices)?))
    }

    /// The largest elements of one pass and their positions.
    #[track_caller]
    pub(super) fn maxima(&self, pass: &Pass) -> Result<(Tensor, Tensor)> {
        let op = MaxPool2d { windows: pass.windows, slices: pass.slices };
        let mut outputs = record(op, &[&self.reshape_to(pass.shape)?])?;
        let indices = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), indices))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let pool = |shape: &[usize], kernel: [usize; 2], options: MaxPool2dOptions| {
        Case::new(OP, &[shape], move |x| {
            let (output, indices) = x[0].max_pool2d_with_indices(kernel, &options)?;
            Ok(vec![output, indices])
        })
        .with("kernel_size", kernel)
        .options(&options)
        .distinct()
        .first_order()
    };
    let plain = MaxPool2dOptions::default();
    let stride = |stride: [usize; 2]| MaxPool2dOptions { stride: Some(stride), ..plain };
    let ceil = MaxPool2dOptions { ceil_mode: true, ..plain };
    let through_view = |x: &[Tensor]| {
        let view = x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?;
        Ok(vec![view.max_pool2d([2, 2], &MaxPool2dOptions::default())?])
    };
    let offset = |x: &[Tensor]| {
        Ok(vec![x[0].narrow(0, 1, 2)?.max_pool2d([3, 2], &MaxPool2dOptions::default())?.transpose(2, 3)?])
    };
    let line = |shape: &[usize], kernel: usize, options: MaxPool1dOptions| {
        Case::new("max_pool1d", &[shape], move |x| {
            let (output, indices) = x[0].max_pool1d_with_indices([kernel], &options)?;
            Ok(vec![output, indices])
        })
        .with("kernel_size", kernel)
        .options(&options)
        .distinct()
        .first_order()
    };
    let volume = |shape: &[usize], kernel: [usize; 3], options: MaxPool3dOptions| {
        Case::new("max_pool3d", &[shape], move |x| {
            let (output, indices) = x[0].max_pool3d_with_indices(kernel, &options)?;
            Ok(vec![output, indices])
        })
        .with("kernel_size", kernel)
        .options(&options)
        .distinct()
        .first_order()
    };
    let volumes = MaxPool3dOptions::default();
    // A row of equal elements: the first of them takes everything.
    let ties = |x: &[Tensor]| {
        let overlapping = MaxPool2dOptions::default().stride(1).padding(1);
        let (output, indices) = x[0].expand(&[2, 2, 7, 8])?.max_pool2d_with_indices([3, 3], &overlapping)?;
        Ok(vec![output, indices])
    };
    vec![
        pool(&[2, 3, 6, 8], [2, 2], plain),
        pool(&[2, 3, 7, 9], [2, 2], plain),
        pool(&[1, 1, 1, 1], [1, 1], plain),
        pool(&[2, 3, 6, 8], [3, 2], stride([1, 2])),
        pool(&[2, 3, 6, 8], [3, 3], stride([1, 1])),
        pool(&[2, 3, 7, 7], [3, 3], MaxPool2dOptions { padding: [1, 1], ..stride([2, 2]) }),
        pool(&[2, 2, 6, 7], [4, 3], MaxPool2dOptions { padding: [2, 1], ..stride([3, 1]) }),
        pool(&[1, 2, 9, 9], [2, 2], stride([4, 4])),
        pool(&[1, 2, 9, 8], [3, 2], MaxPool2dOptions { padding: [1, 1], dilation: [2, 3], ..stride([2, 2]) }),
        pool(&[2, 3, 7, 9], [2, 2], ceil),
        pool(&[2, 3, 8, 7], [3, 3], MaxPool2dOptions { padding: [1, 1], ..ceil }),
        pool(&[1, 2, 5, 5], [2, 2], MaxPool2dOptions { padding: [1, 1], stride: Some([3, 3]), ..ceil }),
        pool(&[3, 6, 8], [2, 2], plain),
        pool(&[2, 3, 5, 7], [5, 7], plain),
        pool(&[0, 3, 6, 6], [2, 2], plain),
        pool(&[1, 2, 23, 29], [17, 11], stride([1, 2])),
        pool(&[1, 2, 5, 39], [2, 19], stride([1, 2])),
        pool(&[2, 6, 28, 28], [2, 2], plain),
        pool(&[2, 16, 10, 10], [2, 2], plain),
        Case::new(OP, &[&[3, 6, 5, 2]], through_view).distinct().first_order(),
        Case::new(OP, &[&[3, 2, 7, 6]], offset).distinct().first_order(),
        Case::new(OP, &[&[2, 2, 7, 1]], ties).distinct().first_order(),
        Case::new(OP, &[&[3, 7, 8]], |x| {
            let options = MaxPool2dOptions::default().padding(1).dilation([2, 1]);
            Ok(vec![x[0].to_dtype(DType::F16)?.max_pool2d([3, 2], &options)?])
        })
        .half(),
        line(&[2, 3, 11], 3, MaxPool1dOptions::default().padding(1).ceil_mode(true)),
        line(&[3, 7], 2, MaxPool1dOptions::default().stride(1).dilation(3)),
        volume(&[2, 2, 5, 6, 7], [2, 3, 2], MaxPool3dOptions { padding: [1, 1, 1], ..volumes }),
        volume(
            &[2, 5, 6, 7],
            [3, 2, 3],
            MaxPool3dOptions { dilation: [2, 1, 2], stride: Some([1, 2, 3]), ceil_mode: true, ..volumes },
        ),
        volume(&[1, 2, 4, 3, 5], [2, 1, 1], volumes),
        volume(&[1, 2, 4, 3, 5], [1, 2, 2], volumes),
        volume(&[0, 2, 4, 4, 4], [2, 2, 2], volumes),
        // Equal slices: the first of them takes everything.
        Case::new("max_pool3d", &[&[2, 1, 4, 5]], move |x| {
            let overlapping = MaxPool3dOptions { stride: Some([1, 1, 1]), ..volumes };
            let (output, indices) = x[0].expand(&[2, 3, 4, 5])?.max_pool3d_with_indices([2, 2, 2], &overlapping)?;
            Ok(vec![output, indices])
        })
        .distinct()
        .first_order(),
    ]
}

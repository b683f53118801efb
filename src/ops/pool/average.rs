//! Average pooling and its gradient.

use super::axis::Request;
use super::{Pass, Windows, batched, named, passes, shaped};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one, seen_through};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::ops::shared::constants::unsigned_all;
use crate::options::{As, options};
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::Layout;
use std::hash::Hasher;

const FORWARD: &str = wgsl!("pool/avg_pool2d");
const BACKWARD: &str = wgsl!("pool/avg_pool2d_backward");

const OP: &str = "avg_pool2d";

options! {
    /// The attributes of [`Tensor::avg_pool2d`] and its variants, with PyTorch's names and defaults; sizes are in the order of
    /// the dimensions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    AvgPoolOptions<const D: usize> {
        /// Steps of the window; the window's size by default.
        stride: Option<[usize; D]> = None,
        /// Zeros before and after each dimension of the input, at most half the window.
        padding: [usize; D] = [0; D],
        /// Lets a last window reach past the end of the padded input; the part past it does not count.
        ceil_mode: bool = false,
        /// Counts the zeros of the padding as elements.
        count_include_pad: bool = true,
        /// Divisor of the sums, instead of the number of elements.
        divisor_override: Option<i64> = None,
    }
}

/// The attributes of [`Tensor::avg_pool1d`].
pub type AvgPool1dOptions = AvgPoolOptions<1>;
/// The attributes of [`Tensor::avg_pool2d`]; pairs are (height, width).
pub type AvgPool2dOptions = AvgPoolOptions<2>;
/// The attributes of [`Tensor::avg_pool3d`]; triples are (depth, height, width).
pub type AvgPool3dOptions = AvgPoolOptions<3>;

/// The mean of each window, or the gradient of the input.
#[derive(Clone, Copy, Debug, Hash)]
struct AvgPool2d {
    backward: bool,
    windows: Windows,
    count_include_pad: bool,
    divisor_override: Option<i64>,
    /// The output's type.
    dtype: DType,
}

impl AvgPool2d {
    /// The divisor of the sum over window `at` of a plane.
    fn divisor(&self, at: usize) -> f64 {
        let w = &self.windows;
        if let Some(divisor) = self.divisor_override {
            return divisor as f64;
        }
        let along = |d: usize, window: usize| {
            let start = window * w.stride[d];
            let end = start + w.kernel[d];
            if self.count_include_pad {
                end.min(w.input[d] + 2 * w.padding[d]) - start
            } else {
                end.min(w.input[d] + w.padding[d]) - start.max(w.padding[d])
            }
        };
        (along(0, at / w.output[1]) * along(1, at % w.output[1])) as f64
    }
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        if self.backward { "avg_pool2d_backward" } else { OP }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let sizes = if self.backward { self.windows.input } else { self.windows.output };
        Ok(vec![self.windows.layout(&inputs[0].shape, sizes, self.dtype)?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let w = &self.windows;
        let shape = io.inputs[0].shape;
        let kernel = if self.backward {
            let kernel = Kernel::new("avg_pool2d_backward", BACKWARD);
            w.sized_backward(kernel, shape[0] * shape[1]).bind("grad", Operand::Input(0))
        } else {
            let kernel = Kernel::new("avg_pool2d", FORWARD);
            w.sized(kernel, "load_input", w.kernel, io.outputs[0].shape.numel()).bind("input", Operand::Input(0))
        };
        Ok(unsigned_all(kernel, ["KERNEL_Y", "KERNEL_X"], w.kernel)
            .alias("Element", io.inputs[0].dtype.wgsl())
            .alias("Result", self.dtype.wgsl())
            .constant("COUNT_PADDING", self.count_include_pad)
            .constant("DIVISOR", format!("{:?}", self.divisor_override.unwrap_or(0) as f32))
            .bind("output", Operand::Output(0))
            .words([Word::Offset(0)])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let w = &self.windows;
        let (from, to, sizes) = match self.backward {
            false => (w.elements(), w.windows(), w.output),
            true => (w.windows(), w.elements(), w.input),
        };
        let shape = w.layout(&inputs[0].shape, sizes, self.dtype)?.shape;
        let mut values = vec![0.0; shape.numel()];
        for (output, input) in values.chunks_exact_mut(to).zip(inputs[0].values.chunks_exact(from)) {
            w.for_each(|window, element| {
                if self.backward {
                    output[element] += input[window] / self.divisor(window);
                } else {
                    output[window] += input[element];
                }
            });
            if !self.backward {
                output.iter_mut().enumerate().for_each(|(window, sum)| *sum /= self.divisor(window));
            }
        }
        Ok(vec![HostTensor::new(shape, self.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let other = AvgPool2d { backward: !self.backward, dtype: context.input(0).dtype(), ..*self };
        Ok(vec![context.of(0, |g| record_one(other, &[&g.contiguous()?]))?])
    }
}

impl Tensor {
    /// The mean of each window of a line, PyTorch's `avg_pool1d`; as [`avg_pool2d`](Tensor::avg_pool2d) for
    /// `[N, C, L]` or `[C, L]`. PyTorch's has no `divisor_override`.
    ///
    /// # Errors
    /// As `avg_pool2d`.
    ///
    /// ```
    /// # use wgrad::{AvgPool1dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 6.0], &[1, 4])?;
    /// assert_eq!(x.avg_pool1d([2], &AvgPool1dOptions::default())?.to_vec::<f32>()?, [1.5, 5.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn avg_pool1d(&self, kernel_size: impl As<[usize; 1]>, options: &AvgPool1dOptions) -> Result<Tensor> {
        self.avg_pool(kernel_size.convert(), options)
    }

    /// The mean of each window, PyTorch's `avg_pool2d`:
    ///
    /// `output[n, c, y, x] = sum over r, s of input[n, c, y stride + r - padding, x stride + s - padding] / count`
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`, f32 or f16 (summed in f32); output `[N, C, H', W']` with
    /// `H' = (H + 2 padding - kernel) / stride + 1`, rounded down, or up in `ceil_mode`. `count` is the number of
    /// elements in the window, with those of the padding unless `count_include_pad` is off, or `divisor_override`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a size, stride or the divisor is zero, the padding is more than half of the window, or
    /// the window is larger than the padded input; [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{AvgPool2dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0], &[1, 2, 4])?;
    /// let y = x.avg_pool2d([2, 2], &AvgPool2dOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [2.5, 6.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn avg_pool2d(&self, kernel_size: impl As<[usize; 2]>, options: &AvgPool2dOptions) -> Result<Tensor> {
        self.avg_pool(kernel_size.convert(), options)
    }

    /// The mean of each window of a volume, PyTorch's `avg_pool3d`; as [`avg_pool2d`](Tensor::avg_pool2d) for
    /// `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// # Errors
    /// As `avg_pool2d`; [`Error::Invalid`] if the window is larger than the input without its padding.
    ///
    /// ```
    /// # use wgrad::{AvgPool3dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[1, 2, 2, 2])?;
    /// assert_eq!(x.avg_pool3d([2, 1, 2], &AvgPool3dOptions::default())?.to_vec::<f32>()?, [3.5, 5.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn avg_pool3d(&self, kernel_size: impl As<[usize; 3]>, options: &AvgPool3dOptions) -> Result<Tensor> {
        self.avg_pool(kernel_size.convert(), options)
    }

    #[track_caller]
    pub(crate) fn avg_pool<const D: usize>(&self, kernel: [usize; D], options: &AvgPoolOptions<D>) -> Result<Tensor> {
        let op = named::<D>(["avg_pool1d", OP, "avg_pool3d"]);
        let AvgPoolOptions { stride, padding, ceil_mode, count_include_pad, divisor_override } = *options;
        if divisor_override == Some(0) {
            return Err(Error::invalid(op, "divisor_override must not be zero"));
        }
        let input = batched::<D>(op, self)?;
        // PyTorch's rule for volumes, with any padding and rounding.
        if D == 3 && kernel.iter().zip(&input.shape()[2..]).any(|(kernel, size)| kernel > size) {
            return Err(Error::invalid(
                op,
                format!("kernel size {kernel:?} is larger than the input {}", self.shape()),
            ));
        }
        let axes = Request { kernel, stride, padding, dilation: [1; D], ceil_mode }.axes(op, input.shape())?;
        let means =
            input.means(&passes(op, input.shape(), axes)?, count_include_pad, divisor_override, self.dtype())?;
        let output = shaped(&means, &input, axes.map(|a| a.output), self)?;
        Ok(seen_through(|| axes.map(|axis| axis.seen()).to_vec(), self, output))
    }

    /// The means of consecutive passes, in f32 between them; the last one divides by the divisor.
    #[track_caller]
    pub(super) fn means(
        &self,
        passes: &[Pass],
        count_include_pad: bool,
        divisor: Option<i64>,
        dtype: DType,
    ) -> Result<Tensor> {
        let mut result = self.contiguous()?;
        for (number, pass) in passes.iter().enumerate() {
            let is_last = number + 1 == passes.len();
            let mean = AvgPool2d {
                backward: false,
                windows: pass.windows,
                count_include_pad,
                divisor_override: if is_last { divisor } else { divisor.map(|_| 1) },
                dtype: if is_last { dtype } else { DType::F32 },
            };
            result = record_one(mean, &[&result.reshape_to(pass.shape)?])?;
        }
        Ok(result)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let pool = |shape: &[usize], kernel: [usize; 2], options: AvgPool2dOptions| {
        Case::new(OP, &[shape], move |x| Ok(vec![x[0].avg_pool2d(kernel, &options)?]))
            .with("kernel_size", kernel)
            .options(&options)
    };
    let plain = AvgPool2dOptions::default();
    let stride = |stride: [usize; 2]| AvgPool2dOptions { stride: Some(stride), ..plain };
    let padded = AvgPool2dOptions { padding: [1, 1], ..stride([2, 2]) };
    let ceil = AvgPool2dOptions { ceil_mode: true, ..padded };
    let through_view = |x: &[Tensor]| {
        let view = x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?;
        Ok(vec![view.avg_pool2d([2, 2], &AvgPool2dOptions::default())?])
    };
    let offset = |x: &[Tensor]| Ok(vec![x[0].narrow(0, 1, 2)?.avg_pool2d([3, 2], &AvgPool2dOptions::default())?]);
    let line = |shape: &[usize], kernel: usize, options: AvgPool1dOptions| {
        Case::new("avg_pool1d", &[shape], move |x| Ok(vec![x[0].avg_pool1d([kernel], &options)?]))
            .with("kernel_size", kernel)
            .options(&options)
    };
    let volume = |shape: &[usize], kernel: [usize; 3], options: AvgPool3dOptions| {
        Case::new("avg_pool3d", &[shape], move |x| Ok(vec![x[0].avg_pool3d(kernel, &options)?]))
            .with("kernel_size", kernel)
            .options(&options)
    };
    let volumes = AvgPool3dOptions::default().stride(2).padding(1).ceil_mode(true);
    vec![
        pool(&[2, 3, 6, 8], [2, 2], plain),
        pool(&[2, 3, 7, 9], [2, 2], plain),
        pool(&[1, 1, 1, 1], [1, 1], plain),
        pool(&[2, 3, 6, 8], [3, 2], stride([1, 2])),
        pool(&[1, 2, 9, 9], [2, 2], stride([4, 4])),
        pool(&[2, 3, 7, 7], [3, 3], padded),
        pool(&[2, 3, 7, 7], [3, 3], AvgPool2dOptions { count_include_pad: false, ..padded }),
        pool(&[2, 3, 7, 9], [2, 2], AvgPool2dOptions { ceil_mode: true, ..plain }),
        pool(&[2, 3, 8, 7], [3, 3], ceil),
        pool(&[2, 3, 8, 7], [3, 3], AvgPool2dOptions { count_include_pad: false, ..ceil }),
        pool(&[1, 2, 5, 5], [2, 2], AvgPool2dOptions { stride: Some([3, 3]), ..ceil }),
        pool(&[2, 3, 8, 7], [3, 3], AvgPool2dOptions { divisor_override: Some(5), ..ceil }),
        pool(&[1, 2, 6, 6], [2, 2], AvgPool2dOptions { divisor_override: Some(-2), ..stride([1, 1]) }),
        pool(&[3, 6, 8], [2, 2], plain),
        pool(&[2, 3, 5, 7], [5, 7], plain),
        pool(&[0, 3, 6, 6], [2, 2], plain),
        pool(&[1, 2, 23, 29], [17, 11], stride([1, 2])).first_order(),
        pool(&[2, 6, 28, 28], [2, 2], plain).first_order(),
        Case::new(OP, &[&[3, 7, 8]], |x| {
            let ceil = AvgPool2dOptions::default().padding(1).ceil_mode(true);
            Ok(vec![x[0].to_dtype(DType::F16)?.avg_pool2d([3, 2], &ceil)?])
        })
        .half(),
        line(&[2, 3, 11], 3, AvgPool1dOptions::default().padding(1).ceil_mode(true)),
        line(&[3, 7], 2, AvgPool1dOptions::default().stride(1)),
        volume(&[2, 2, 5, 6, 7], [2, 3, 2], AvgPool3dOptions::default().padding(1)),
        volume(&[2, 5, 6, 7], [3, 3, 3], AvgPool3dOptions { count_include_pad: false, ..volumes }),
        volume(&[1, 2, 5, 4, 5], [3, 3, 3], AvgPool3dOptions { divisor_override: Some(7), ..volumes }),
        volume(&[1, 2, 4, 3, 5], [2, 1, 1], AvgPool3dOptions::default().divisor_override(-3)),
        volume(&[0, 2, 4, 4, 4], [2, 2, 2], AvgPool3dOptions::default()),
        Case::new("avg_pool3d", &[&[2, 4, 4, 6]], |x| {
            let sum = AvgPool3dOptions::default().divisor_override(9);
            Ok(vec![x[0].permute([3, 0, 1, 2])?.to_dtype(DType::F16)?.avg_pool3d([2, 2, 2], &sum)?])
        })
        .half(),
        Case::new(OP, &[&[3, 6, 5, 2]], through_view),
        Case::new(OP, &[&[3, 2, 7, 6]], offset),
    ]
}

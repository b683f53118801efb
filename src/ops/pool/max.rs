//! Max pooling, and its gradient, which picks by index instead of adding by index: no atomics.

use super::{Request, Windows, check_f32, check_rank, pair};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const FORWARD: &str = include_str!("../../../shaders/max_pool2d.wgsl");
const BACKWARD: &str = include_str!("../../../shaders/max_pool2d_backward.wgsl");

const OP: &str = "max_pool2d";

/// The attributes of [`Tensor::max_pool2d`], with PyTorch's names and defaults; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2dOptions {
    /// Steps of the window; the window's size where left out.
    pub stride: Option<[usize; 2]>,
    /// Rows and columns of minus infinity around the input, at most half the window.
    pub padding: [usize; 2],
    /// Distance between the elements of a window.
    pub dilation: [usize; 2],
    /// Whether a last window may reach past the end of the padded input.
    pub ceil_mode: bool,
}

impl Default for MaxPool2dOptions {
    fn default() -> MaxPool2dOptions {
        MaxPool2dOptions { stride: None, padding: [0, 0], dilation: [1, 1], ceil_mode: false }
    }
}

/// The largest element of each window, and where in its plane it is.
#[derive(Clone, Debug, Hash)]
struct MaxPool2d {
    windows: Windows,
}

/// The gradient of the input, from that of the output and the indices.
#[derive(Clone, Debug, Hash)]
struct MaxPool2dBackward {
    windows: Windows,
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        check_f32(OP, &inputs[0])?;
        let layout = |dtype| self.windows.layout(&inputs[0].shape, self.windows.output, dtype);
        Ok(vec![layout(DType::F32)?, layout(DType::I32)?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let w = &self.windows;
        let kernel = w.sized(Kernel::new("max_pool2d", FORWARD), w.kernel, io.outputs[0].shape.numel());
        let kernel = pair(kernel, ["KERNEL_Y", "KERNEL_X"], w.kernel);
        Ok(pair(kernel, ["DILATION_Y", "DILATION_X"], w.dilation)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .bind("index", Operand::Output(1))
            .words([Word::Offset(0)])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let w = &self.windows;
        let shape = w.layout(&input.shape, w.output, DType::F32)?.shape;
        let mut best: Vec<Option<(f64, usize)>> = vec![None; shape.numel()];
        for (best, plane) in best.chunks_exact_mut(w.windows()).zip(input.values.chunks_exact(w.elements())) {
            w.for_each(|window, element| {
                let value = plane[element];
                if best[window].is_none_or(|(champion, _)| value > champion || value.is_nan()) {
                    best[window] = Some((value, element));
                }
            });
        }
        let best: Vec<(f64, usize)> = best.into_iter().map(Option::unwrap_or_default).collect();
        let index = best.iter().map(|&(_, at)| at as f64).collect();
        let values = best.into_iter().map(|(value, _)| value).collect();
        Ok(vec![HostTensor::new(shape, DType::F32, values), HostTensor::new(shape, DType::I32, index)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let backward = MaxPool2dBackward { windows: self.windows };
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
        check_f32(self.name(), &inputs[0])?;
        Ok(vec![self.windows.layout(&inputs[0].shape, self.windows.input, DType::F32)?])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let w = &self.windows;
        let shape = io.inputs[0].shape;
        let kernel = Kernel::new("max_pool2d_backward", BACKWARD);
        Ok(w.sized_backward(kernel, shape[0] * shape[1])
            .bind("grad", Operand::Input(0))
            .bind("index", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .words([Word::Offset(0), Word::Offset(1)])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (grad, index) = (&inputs[0], &inputs[1]);
        let w = &self.windows;
        let shape = w.layout(&grad.shape, w.input, DType::F32)?.shape;
        let mut values = vec![0.0; shape.numel()];
        for (at, value) in grad.values.iter().enumerate() {
            values[at / w.windows() * w.elements() + index.values[at] as usize] += value;
        }
        Ok(vec![HostTensor::new(shape, DType::F32, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let index = context.input(1);
        let gradient = context.of(0, |g| {
            let shape = *index.shape();
            let planes = |t: &Tensor, size: usize| t.reshape_to(Shape::new(&[shape[0] * shape[1], size])?);
            let picked = planes(&g, self.windows.elements())?.gather(1, &planes(index, self.windows.windows())?)?;
            picked.reshape_to(shape)
        })?;
        Ok(vec![gradient, None])
    }
}

impl Tensor {
    /// The largest element of each window, PyTorch's `max_pool2d`:
    ///
    /// `output[n, c, y, x] = max over r, s of input[n, c, y stride + r dilation - padding, x stride + s dilation - padding]`
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`; output `[N, C, H', W']` with
    /// `H' = (H + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down, or up in `ceil_mode`. Padding is
    /// minus infinity. Of equal elements the first takes the gradient; NaN wins.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where a size, stride or dilation is zero, the padding is more than
    /// half of the window, or the window is larger than the padded input;
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than f32.
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
    pub fn max_pool2d(&self, kernel_size: [usize; 2], options: &MaxPool2dOptions) -> Result<Tensor> {
        Ok(self.max_pool2d_with_indices(kernel_size, options)?.0)
    }

    /// [`max_pool2d`](Tensor::max_pool2d), and for each output where its element is: i32, `row * W + column` in the
    /// input's plane.
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
        kernel_size: [usize; 2],
        options: &MaxPool2dOptions,
    ) -> Result<(Tensor, Tensor)> {
        check_rank(OP, self)?;
        if self.rank() == 3 {
            let (output, indices) = self.unsqueeze(0)?.max_pool2d_with_indices(kernel_size, options)?;
            return Ok((output.squeeze(0)?, indices.squeeze(0)?));
        }
        let MaxPool2dOptions { stride, padding, dilation, ceil_mode } = *options;
        let windows =
            Windows::new(OP, self.shape(), Request { kernel: kernel_size, stride, padding, dilation, ceil_mode })?;
        let mut outputs = record(MaxPool2d { windows }, &[&self.contiguous()?])?;
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
        .distinct()
        .first_order()
    };
    let plain = MaxPool2dOptions::default();
    let stride = |stride: [usize; 2]| MaxPool2dOptions { stride: Some(stride), ..plain };
    let ceil = MaxPool2dOptions { ceil_mode: true, ..plain };
    let through_view = |x: &[Tensor]| {
        let view = x[0].permute(&[0, 3, 1, 2])?.narrow(0, 1, 2)?;
        Ok(vec![view.max_pool2d([2, 2], &MaxPool2dOptions::default())?])
    };
    let offset = |x: &[Tensor]| {
        Ok(vec![x[0].narrow(0, 1, 2)?.max_pool2d([3, 2], &MaxPool2dOptions::default())?.transpose(2, 3)?])
    };
    // A row of equal elements: the first of them takes everything.
    let ties = |x: &[Tensor]| {
        let overlapping = MaxPool2dOptions { stride: Some([1, 1]), padding: [1, 1], ..MaxPool2dOptions::default() };
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
        pool(&[2, 6, 28, 28], [2, 2], plain),
        pool(&[2, 16, 10, 10], [2, 2], plain),
        Case::new(OP, &[&[3, 6, 5, 2]], through_view).distinct().first_order(),
        Case::new(OP, &[&[3, 2, 7, 6]], offset).distinct().first_order(),
        Case::new(OP, &[&[2, 2, 7, 1]], ties).distinct().first_order(),
    ]
}

//! Sliding windows along dimensions, and their adjoint: `unfold`, `fold`, and the windows of convolutions.
//!
//! Windows are views that overlap, so taking them costs one copy if a kernel needs them contiguous; their adjoint adds up the
//! overlaps, one dimension a kernel.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::ops::shape::pad::PadMode;
use crate::ops::shared::congruence::meeting;
use crate::options::{As, options};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups, index_expr};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// Positions in a padded image are computed in 32 bits.
const LARGEST_SIZE: usize = i32::MAX as usize;

const OVERLAP_ADD: &str = wgsl!("shape/overlap_add");

/// Windows along one dimension: tap `k` of window `w` is element `w * stride + k * dilation`.
#[derive(Clone, Copy, Debug, Hash)]
pub(in crate::ops) struct Windows {
    pub dim: usize,
    /// Elements of a window.
    pub taps: usize,
    /// Number of windows.
    pub count: usize,
    pub stride: usize,
    pub dilation: usize,
}

/// `output[.., k, w, ..] = input[.., w * stride + k * dilation, ..]`, a view.
#[derive(Clone, Debug)]
struct TakeWindows(Windows);

/// The adjoint of [`TakeWindows`] on a dimension of `size` elements.
#[derive(Clone, Debug, Hash)]
struct OverlapAdd {
    windows: Windows,
    size: usize,
}

impl Op for TakeWindows {
    fn name(&self) -> &'static str {
        "windows"
    }
    /// The resulting layout says everything, and the planner compares it.
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (input, w) = (&inputs[0], &self.0);
        let (mut sizes, mut strides) = (input.shape.to_vec(), input.strides().to_vec());
        let step = strides[w.dim];
        sizes.splice(w.dim..=w.dim, [w.taps, w.count]);
        strides.splice(w.dim..=w.dim, [step * w.dilation, step * w.stride]);
        Ok(vec![Layout::strided(Shape::new(&sizes)?, &strides, input.offset, input.dtype)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let layout = Layout::contiguous(inputs[0].shape, inputs[0].dtype);
        Ok(self.outputs(&[layout])?.iter().map(|output| inputs[0].view(output)).collect())
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let size = context.input(0).shape()[self.0.dim];
        Ok(vec![context.of(0, |g| g.overlap_add(self.0, size))?])
    }
}

impl Op for OverlapAdd {
    fn name(&self) -> &'static str {
        "overlap_add"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (input, dim) = (&inputs[0], self.windows.dim);
        let mut sizes = input.shape.to_vec();
        sizes.splice(dim..=dim + 1, [self.size]);
        let shape = Shape::new(&sizes)?;
        meeting(self.name(), &shape, self.windows.dilation, self.windows.stride)?;
        Ok(vec![Layout::contiguous(shape, input.dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (input, output, w) = (&io.inputs[0], &io.outputs[0], &self.windows);
        let inner: usize = input.shape[w.dim + 2..].iter().product();
        let count = output.shape.numel();
        let unsigned = |value: usize| format!("{value}u");
        let meeting = meeting(self.name(), &output.shape, w.dilation, w.stride)?;
        let mut kernel = meeting
            .specialise(Kernel::new("overlap_add", OVERLAP_ADD), ["DIVISOR", "STEP", "INVERSE"])
            .alias("Element", output.dtype.wgsl())
            .constant("TAPS", unsigned(w.taps))
            .size("WINDOWS", w.count)
            .size("SIZE", self.size.max(1))
            .constant("STRIDE", unsigned(w.stride))
            .constant("DILATION", unsigned(w.dilation))
            .size("INNER", inner.max(1))
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[count])
            .words([Word::Offset(0)])
            .grid(fold_groups(count, 64))
            .work(input.shape.numel());
        if !input.is_contiguous() {
            let index = index_expr("index", &input.steps(0..input.shape.len()), "index");
            kernel = kernel.hook("place", format!("return {index};"));
        }
        Ok(kernel.into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, w) = (&inputs[0], &self.windows);
        let mut sizes = input.shape.to_vec();
        sizes.splice(w.dim..=w.dim + 1, [self.size]);
        let shape = Shape::new(&sizes)?;
        let inner: usize = input.shape[w.dim + 2..].iter().product();
        let mut values = vec![0.0; shape.numel()];
        for (at, value) in input.values.iter().enumerate() {
            let (window, tap) = (at / inner % w.count, at / (inner * w.count) % w.taps);
            let outer = at / (inner * w.count * w.taps);
            let x = window * w.stride + tap * w.dilation;
            values[(outer * self.size + x) * inner + at % inner] += value;
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![context.of(0, |g| g.windows(self.windows))?])
    }
}

options! {
    /// The attributes of [`Tensor::unfold`] and [`Tensor::fold`], with PyTorch's names and defaults; pairs are (height,
    /// width).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    UnfoldOptions {
        /// Distance between the taps of a window.
        dilation: [usize; 2] = [1, 1],
        /// Rows and columns of zeros around the image.
        padding: [usize; 2] = [0, 0],
        /// Steps of the window over the padded image.
        stride: [usize; 2] = [1, 1],
    }
}

impl UnfoldOptions {
    /// The windows over the rows and the columns of a padded image, for dimensions 2 and 4 of `[N, C, R, H', S, W']`.
    fn windows(&self, op: &'static str, image: [usize; 2], kernel_size: [usize; 2]) -> Result<[Windows; 2]> {
        let UnfoldOptions { dilation, padding, stride } = *self;
        if [kernel_size, dilation, stride].concat().contains(&0) {
            let rule = format!(
                "kernel size {kernel_size:?}, dilation {dilation:?} and stride {stride:?} must be greater than zero"
            );
            return Err(Error::invalid(op, rule));
        }
        let along = |d: usize| {
            let padded = image[d].saturating_add(padding[d].saturating_mul(2));
            let reach = (kernel_size[d] - 1).saturating_mul(dilation[d]);
            if reach >= padded || padded > LARGEST_SIZE {
                let rule = format!(
                    "kernel size {kernel_size:?} with dilation {dilation:?} does not fit the image {image:?} with padding \
                     {padding:?}, of at most {LARGEST_SIZE} a dimension"
                );
                return Err(Error::invalid(op, rule));
            }
            let count = (padded - reach - 1) / stride[d] + 1;
            // A stride without effect must not make another kernel.
            let stride = if count == 1 { 1 } else { stride[d] };
            let dilation = if kernel_size[d] == 1 { 1 } else { dilation[d] };
            Ok(Windows { dim: 2 + 2 * d, taps: kernel_size[d], count, stride, dilation })
        };
        Ok([along(0)?, along(1)?])
    }
}

impl Tensor {
    /// Windows along a dimension as a view: `[.., n, ..]` becomes `[.., taps, count, ..]`. They must lie inside.
    #[track_caller]
    pub(in crate::ops) fn windows(&self, windows: Windows) -> Result<Tensor> {
        record_one(TakeWindows(windows), &[self])
    }

    /// Adds windows back to a dimension of `size` elements: `[.., taps, count, ..]` becomes `[.., size, ..]`. They
    /// must lie inside.
    #[track_caller]
    pub(in crate::ops) fn overlap_add(&self, windows: Windows, size: usize) -> Result<Tensor> {
        record_one(OverlapAdd { windows, size }, &[self])
    }

    /// Sliding windows of images as columns, PyTorch's `torch.nn.functional.unfold` (im2col):
    ///
    /// `output[n, (c R + r) S + s, y W' + x] = input[n, c, y stride + r dilation - padding, x stride + s dilation - padding]`
    ///
    /// for `kernel_size` `[R, S]`, zero outside of the image. Input `[N, C, H, W]` or `[C, H, W]`; output
    /// `[N, C R S, H' W']` with `H' = (H + 2 padding - dilation (R - 1) - 1) / stride + 1`, rounded down. Each element
    /// is copied up to `R S` times; [`fold`](Tensor::fold) is the gradient.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other ranks, an empty dimension besides the batch, zeros among kernel size, dilation and
    /// stride, and a kernel larger than the padded image; [`Error::WrongDType`] for integers; [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, UnfoldOptions};
    /// # let device = Device::reference();
    /// let image = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 1, 2, 3])?;
    /// let columns = image.unfold([2, 2], &UnfoldOptions::default())?;
    /// assert_eq!(columns.shape()[..], [1, 4, 2]);
    /// assert_eq!(columns.to_vec::<f32>()?, [1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn unfold(&self, kernel_size: impl As<[usize; 2]>, options: &UnfoldOptions) -> Result<Tensor> {
        let kernel_size = kernel_size.convert();
        const OP: &str = "unfold";
        if !matches!(self.rank(), 3 | 4) || self.shape()[self.rank() - 3..].contains(&0) {
            let rule = format!(
                "expected [N, C, H, W] or [C, H, W], of which only the batch may be empty; got {}",
                self.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if !self.dtype().is_float() && self.dtype() != DType::Bool {
            return Err(Error::WrongDType { op: OP, expected: "floats or truth values", got: self.dtype() });
        }
        if self.rank() == 3 {
            return self.unsqueeze(0)?.unfold(kernel_size, options)?.squeeze(0);
        }
        let shape = *self.shape();
        let [rows, columns] = options.windows(OP, [shape[2], shape[3]], kernel_size)?;
        let [above, left] = options.padding.map(|padding| padding as isize);
        let padded = self.pad(&[left, left, above, above], PadMode::Constant(0.0))?;
        let taken = padded.windows(rows)?.windows(columns)?.permute([0, 1, 2, 4, 3, 5])?;
        let taps = rows.taps * columns.taps;
        taken.reshape_to(Shape::new(&[shape[0], shape[1] * taps, rows.count * columns.count])?)
    }

    /// Images from columns that hold windows, PyTorch's `torch.nn.functional.fold` (col2im): overlapping windows of
    /// [`unfold`](Tensor::unfold) are added, so this is unfold's gradient, not its inverse.
    ///
    /// Input `[N, C R S, L]` or `[C R S, L]` for `kernel_size` `[R, S]`, where `L` is the number of windows of an image
    /// of `output_size` `[H, W]`; output `[N, C, H, W]` or `[C, H, W]`. Sums are f32.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other ranks, an empty dimension besides the batch, zeros among the sizes, dilation and
    /// stride, rows that `R S` does not divide, and if `L` is another number; [`Error::WrongDType`] for integers;
    /// [`Error::TooLarge`], also if remainders of the dilation by a stride above 65,536 don't fit 32 bits.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, UnfoldOptions};
    /// # let device = Device::reference();
    /// let columns = Tensor::ones(&device, &[1, 4, 2])?;
    /// let image = columns.fold([2, 3], [2, 2], &UnfoldOptions::default())?;
    /// assert_eq!(image.to_vec::<f32>()?, [1.0, 2.0, 1.0, 1.0, 2.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn fold(
        &self,
        output_size: impl As<[usize; 2]>,
        kernel_size: impl As<[usize; 2]>,
        options: &UnfoldOptions,
    ) -> Result<Tensor> {
        let (output_size, kernel_size) = (output_size.convert(), kernel_size.convert());
        const OP: &str = "fold";
        let empty = self.rank() >= 2 && self.shape()[self.rank() - 2..].contains(&0);
        if !matches!(self.rank(), 2 | 3) || empty {
            let rule = format!(
                "expected [N, C R S, L] or [C R S, L], of which only the batch may be empty; got {}",
                self.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        if self.rank() == 2 {
            return self.unsqueeze(0)?.fold(output_size, kernel_size, options)?.squeeze(0);
        }
        let shape = *self.shape();
        let [rows, columns] = options.windows(OP, output_size, kernel_size)?;
        let taps = rows.taps.saturating_mul(columns.taps);
        if output_size.contains(&0) || !shape[1].is_multiple_of(taps) {
            let rule = format!(
                "the {} rows of {shape} are no images of {output_size:?} in windows of {kernel_size:?}",
                shape[1]
            );
            return Err(Error::invalid(OP, rule));
        }
        if rows.count.checked_mul(columns.count) != Some(shape[2]) {
            let rule = format!(
                "{shape} has {} windows, but an image of {output_size:?} has {} x {} for kernel size {kernel_size:?} \
                 and {options:?}",
                shape[2], rows.count, columns.count
            );
            return Err(Error::invalid(OP, rule));
        }
        let channels = shape[1] / taps;
        let six = Shape::new(&[shape[0], channels, rows.taps, columns.taps, rows.count, columns.count])?;
        let taken = self.reshape_to(six)?.permute([0, 1, 2, 4, 3, 5])?;
        let [height, width] = [0, 1].map(|d| output_size[d] + 2 * options.padding[d]);
        // Sums rounded twice would be wrong in the last of 11 bits.
        let whole = if taken.dtype() == DType::F16 { taken.to_dtype(DType::F32)? } else { taken };
        let padded = whole.overlap_add(columns, width)?.overlap_add(rows, height)?;
        let [above, left] = options.padding;
        padded.narrow(2, above, output_size[0])?.narrow(3, left, output_size[1])?.to_dtype(self.dtype())
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let options = |dilation, padding, stride| UnfoldOptions { dilation, padding, stride };
    let unfold = |shape: &[usize], kernel: [usize; 2], options: UnfoldOptions| {
        Case::new("unfold", &[shape], move |x| Ok(vec![x[0].unfold(kernel, &options)?]))
            .with("kernel_size", kernel)
            .options(&options)
    };
    let fold = |shape: &[usize], image: [usize; 2], kernel: [usize; 2], options: UnfoldOptions| {
        Case::new("fold", &[shape], move |x| Ok(vec![x[0].fold(image, kernel, &options)?]))
            .with("output_size", image)
            .with("kernel_size", kernel)
            .options(&options)
    };
    let plain = UnfoldOptions::default();
    vec![
        unfold(&[2, 3, 5, 7], [3, 2], plain),
        unfold(&[1, 1, 1, 1], [1, 1], plain),
        unfold(&[2, 2, 7, 5], [2, 3], options([2, 1], [1, 2], [3, 2])),
        unfold(&[3, 4, 3], [3, 3], options([1, 1], [2, 1], [1, 1])),
        unfold(&[0, 2, 4, 4], [2, 2], plain),
        Case::new("unfold", &[&[5, 4, 2, 3]], move |x| {
            Ok(vec![x[0].permute([3, 2, 0, 1])?.narrow(0, 1, 2)?.unfold([2, 2], &plain)?])
        }),
        Case::new("unfold", &[&[1, 2, 4, 5]], move |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.unfold([2, 2], &options([1, 1], [1, 0], [1, 2]))?])
        })
        .half(),
        fold(&[2, 18, 18], [5, 7], [3, 2], plain),
        fold(&[1, 1, 1], [1, 1], [1, 1], plain),
        fold(&[2, 12, 12], [7, 5], [2, 3], options([2, 1], [1, 2], [3, 2])),
        fold(&[18, 24], [4, 4], [3, 3], options([1, 1], [2, 1], [1, 1])),
        fold(&[0, 8, 9], [4, 4], [2, 2], plain),
        Case::new("fold", &[&[9, 4, 2]], move |x| Ok(vec![x[0].permute([2, 1, 0])?.fold([4, 4], [2, 2], &plain)?])),
        Case::new("fold", &[&[1, 8, 6]], move |x| Ok(vec![x[0].to_dtype(DType::F16)?.fold([3, 4], [2, 2], &plain)?]))
            .half(),
    ]
}

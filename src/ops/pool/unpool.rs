//! The inverse of max pooling, with zeros elsewhere.

use super::adaptive::nothing;
use super::{batched, named, shaped};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::index::last_wins;
use crate::options::{As, options};
use crate::shader::{Kernels, Operand};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

options! {
    /// The attributes of [`Tensor::max_unpool2d`] and its variants, with PyTorch's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    MaxUnpoolOptions<const D: usize> {
        /// Steps of the window; the window's size by default.
        stride: Option<[usize; D]> = None,
        /// The padding of the pooling.
        padding: [usize; D] = [0; D],
        /// The sizes of the output, within less than a stride of `(size - 1) stride - 2 padding + kernel`; exactly that by
        /// default.
        output_size: Option<[usize; D]> = None,
    }
}

/// The attributes of [`Tensor::max_unpool1d`].
pub type MaxUnpool1dOptions = MaxUnpoolOptions<1>;
/// The attributes of [`Tensor::max_unpool2d`].
pub type MaxUnpool2dOptions = MaxUnpoolOptions<2>;
/// The attributes of [`Tensor::max_unpool3d`].
pub type MaxUnpool3dOptions = MaxUnpoolOptions<3>;

/// `output[v, index[v, e]] = input[v, e]`, the last of several, and zero elsewhere: `[volumes, elements]` to `[volumes, size]`.
#[derive(Clone, Copy, Debug, Hash)]
struct MaxUnpool {
    /// The operation that the caller called, for errors.
    asked: &'static str,
    size: usize,
}

impl Op for MaxUnpool {
    fn name(&self) -> &'static str {
        "max_unpool"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(Shape::new(&[inputs[0].shape[0], self.size])?, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let kernels = last_wins(self.asked, io, [self.size, io.inputs[0].shape[1], 1], Operand::Temporary(0));
        Ok(Kernels { kernels, temporaries: vec![4 * io.outputs[0].shape.numel()] })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let shape = Shape::new(&[input.shape[0], self.size])?;
        let mut values = vec![0.0; shape.numel()];
        for (at, value) in input.values.iter().enumerate() {
            let to = index.values[at];
            if to < 0.0 || to >= self.size as f64 {
                return Err(Error::IndexOutOfRange { op: self.asked, index: nearest::<i64>(to), size: self.size });
            }
            values[at / input.shape[1] * self.size + nearest::<usize>(to)] = *value;
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![context.of(0, |g| g.gather_as(self.asked, 1, context.input(1)))?, None])
    }
}

impl Tensor {
    /// The inverse of [`max_pool1d`](Tensor::max_pool1d), PyTorch's `max_unpool1d`; as
    /// [`max_unpool2d`](Tensor::max_unpool2d) for `[N, C, L]` or `[C, L]`.
    ///
    /// # Errors
    /// As `max_unpool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, MaxUnpool1dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[7.0f32, 8.0], &[1, 2])?;
    /// let at = Tensor::from_slice(&device, &[1, 2], &[1, 2])?;
    /// let y = x.max_unpool1d(&at, [2], &MaxUnpool1dOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 7.0, 8.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_unpool1d(
        &self,
        indices: &Tensor,
        kernel_size: impl As<[usize; 1]>,
        options: &MaxUnpool1dOptions,
    ) -> Result<Tensor> {
        self.max_unpool(indices, kernel_size.convert(), options)
    }

    /// The inverse of [`max_pool2d`](Tensor::max_pool2d), PyTorch's `max_unpool2d`:
    ///
    /// `output[n, c, indices[n, c, y, x]] = input[n, c, y, x]`, counted through the plane, and zero elsewhere
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`, f32 or f16, and `indices` of that shape, i32; output `[N, C, H', W']` with
    /// `H' = (H - 1) stride - 2 padding + kernel`, or the `output_size`. If two windows had the same maximum, the
    /// position always gets the last element that names it; the gradient of each is that of the position, as in
    /// PyTorch.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes differ, an output size is negative or too far from the default, or a plane
    /// is empty; [`Error::WrongDType`]. An index past the output's plane is [`Error::IndexOutOfRange`] at the next
    /// synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, MaxPool2dOptions, MaxUnpool2dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 6.0, 3.0, 4.0, 8.0, 7.0], &[1, 2, 4])?;
    /// let (y, at) = x.max_pool2d_with_indices([2, 2], &MaxPool2dOptions::default())?;
    /// let x = y.max_unpool2d(&at, [2, 2], &MaxUnpool2dOptions::default())?;
    /// assert_eq!(x.to_vec::<f32>()?, [0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 8.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_unpool2d(
        &self,
        indices: &Tensor,
        kernel_size: impl As<[usize; 2]>,
        options: &MaxUnpool2dOptions,
    ) -> Result<Tensor> {
        self.max_unpool(indices, kernel_size.convert(), options)
    }

    /// The inverse of [`max_pool3d`](Tensor::max_pool3d), PyTorch's `max_unpool3d`; as
    /// [`max_unpool2d`](Tensor::max_unpool2d) for `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// # Errors
    /// As `max_unpool2d`; a stride of zero.
    ///
    /// ```
    /// # use wgrad::{Device, MaxUnpool3dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[7.0f32], &[1, 1, 1, 1])?;
    /// let at = Tensor::from_slice(&device, &[2], &[1, 1, 1, 1])?;
    /// let y = x.max_unpool3d(&at, [2, 1, 2], &MaxUnpool3dOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.0, 7.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn max_unpool3d(
        &self,
        indices: &Tensor,
        kernel_size: impl As<[usize; 3]>,
        options: &MaxUnpool3dOptions,
    ) -> Result<Tensor> {
        self.max_unpool(indices, kernel_size.convert(), options)
    }

    #[track_caller]
    pub(crate) fn max_unpool<const D: usize>(
        &self,
        indices: &Tensor,
        kernel: [usize; D],
        options: &MaxUnpoolOptions<D>,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let op = named::<D>(["max_unpool1d", "max_unpool2d", "max_unpool3d"]);
        let input = batched::<D>(op, self)?;
        if indices.dtype() != DType::I32 {
            return Err(Error::WrongDType { op, expected: "i32 indices", got: indices.dtype() });
        }
        let fail = |rule: String| Err(Error::invalid(op, rule));
        if indices.shape() != self.shape() {
            return fail(format!("indices {} must have the shape of the input {}", indices.shape(), self.shape()));
        }
        if self.shape()[1..].contains(&0) {
            return fail(format!("only the batch may be empty; got {}", self.shape()));
        }
        let stride = options.stride.unwrap_or(kernel);
        if D == 3 && stride.contains(&0) {
            return fail(format!("stride {stride:?} must be greater than zero"));
        }
        let mut sizes = [0; D];
        for d in 0..D {
            let wide = |size: usize| size as i128;
            let step = wide(stride[d]);
            let whole = wide(input.shape()[2 + d] - 1) * step + wide(kernel[d]) - 2 * wide(options.padding[d]);
            let size = options.output_size.map_or(whole, |sizes| wide(sizes[d]));
            if options.output_size.is_some() && (size - whole).abs() >= step {
                return fail(format!("output_size {size} at dimension {d} must be within less than {step} of {whole}"));
            }
            let Ok(size) = u32::try_from(size) else {
                return fail(format!("an output cannot have size {size} at dimension {d}"));
            };
            sizes[d] = size as usize;
        }
        let (n, c) = (input.shape()[0], input.shape()[1]);
        let output = Shape::new(&[&[n, c], &sizes[..]].concat())?;
        if sizes.contains(&0) {
            return nothing(self, &input, sizes);
        }
        let size = output[2..].iter().product();
        let volumes =
            |t: &Tensor| t.contiguous()?.reshape_to(Shape::new(&[n * c, input.shape()[2..].iter().product()])?);
        let unpooled = record_one(MaxUnpool { asked: op, size }, &[&volumes(self)?, &volumes(indices)?])?;
        shaped(&unpooled, &input, sizes, self)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let plain = MaxUnpool2dOptions::default();
    let wide = MaxUnpool2dOptions { stride: Some([3, 2]), padding: [1, 0], output_size: Some([9, 9]) };
    let back = |x: &Tensor| -> Result<Vec<Tensor>> {
        let (y, at) = x.max_pool2d_with_indices([2, 2], &crate::MaxPool2dOptions::default())?;
        Ok(vec![y.max_unpool2d(&at, [2, 2], &MaxUnpool2dOptions::default())?])
    };
    vec![
        Case::new("max_unpool2d", &[&[2, 3, 6, 4]], move |x| back(&x[0])).distinct().first_order(),
        Case::new("max_unpool2d", &[&[3, 6, 4, 2]], move |x| back(&x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?))
            .distinct()
            .first_order(),
        // Repeated indices: the last one wins. Their gradients are PyTorch's, not the slopes.
        Case::new("max_unpool2d", &[&[2, 3, 5], &[2, 3, 5]], move |x| {
            Ok(vec![x[0].max_unpool2d(&x[1], [3, 1], &wide)?])
        })
        .integers(1, 0, 80)
        .no_differences(),
        Case::new("max_unpool2d", &[&[0, 2, 3, 5], &[0, 2, 3, 5]], move |x| {
            Ok(vec![x[0].max_unpool2d(&x[1], [2, 2], &plain)?])
        })
        .integers(1, 0, 9),
        Case::new("max_unpool2d", &[&[2, 4, 6]], move |x| back(&x[0].to_dtype(DType::F16)?)).half(),
        Case::new("max_unpool1d", &[&[2, 3, 8]], |x| {
            let (y, at) = x[0].max_pool1d_with_indices([3], &crate::MaxPool1dOptions::default())?;
            let size = MaxUnpool1dOptions::default().output_size([8]);
            Ok(vec![y.max_unpool1d(&at, [3], &size)?])
        })
        .distinct()
        .first_order(),
        Case::new("max_unpool3d", &[&[2, 4, 4, 6]], |x| {
            let (y, at) = x[0].max_pool3d_with_indices([2, 2, 3], &crate::MaxPool3dOptions::default())?;
            Ok(vec![y.max_unpool3d(&at, [2, 2, 3], &MaxUnpool3dOptions::default())?])
        })
        .distinct()
        .first_order(),
    ]
}

//! Power-average pooling: composed of average pooling.

use super::average::AvgPoolOptions;
use super::max::MaxPoolOptions;
use super::{batched, named};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::options::{As, options};

options! {
    /// The attributes of [`Tensor::lp_pool2d`] and its variants, with PyTorch's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    LpPoolOptions<const D: usize> {
        /// Steps of the window; the window's size by default.
        stride: Option<[usize; D]> = None,
        /// Lets a last window reach past the end of the input.
        ceil_mode: bool = false,
    }
}

/// The attributes of [`Tensor::lp_pool1d`].
pub type LpPool1dOptions = LpPoolOptions<1>;
/// The attributes of [`Tensor::lp_pool2d`].
pub type LpPool2dOptions = LpPoolOptions<2>;
/// The attributes of [`Tensor::lp_pool3d`].
pub type LpPool3dOptions = LpPoolOptions<3>;

impl Tensor {
    /// The power average of each window of a line, PyTorch's `lp_pool1d`; as [`lp_pool2d`](Tensor::lp_pool2d) for
    /// `[N, C, L]` or `[C, L]`.
    ///
    /// # Errors
    /// As `lp_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, LpPool1dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, 4.0, 0.0, 2.0], &[1, 4])?;
    /// assert_eq!(x.lp_pool1d(2.0, [2], &LpPool1dOptions::default())?.to_vec::<f32>()?, [5.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn lp_pool1d(
        &self,
        norm_type: f64,
        kernel_size: impl As<[usize; 1]>,
        options: &LpPool1dOptions,
    ) -> Result<Tensor> {
        self.lp_pool(norm_type, kernel_size.convert(), options)
    }

    /// The power average of each window, PyTorch's `lp_pool2d`:
    ///
    /// `output[n, c, y, x] = (sum over the window of input^p)^(1/p)`, `p` being `norm_type`
    ///
    /// Input `[N, C, H, W]` or `[C, H, W]`, f32 or f16 (computed in f32); output `[N, C, H', W']` as
    /// [`avg_pool2d`](Tensor::avg_pool2d)'s. As in PyTorch, a window that reaches past the end in `ceil_mode` counts as a whole
    /// one with the mean of the elements that it sees, powers are not of magnitudes, so that a negative sum has no root (NaN)
    /// unless `1 / p` is whole, and if the sum is zero the gradient is zero. An infinite `p` takes the largest magnitude, its
    /// negative the smallest.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `norm_type` is zero, and as `avg_pool2d`; [`Error::WrongDType`] for types other than
    /// floats.
    ///
    /// ```
    /// # use wgrad::{Device, LpPool2dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 4.0, 2.0, 2.0], &[1, 2, 2])?;
    /// assert_eq!(x.lp_pool2d(2.0, [2, 2], &LpPool2dOptions::default())?.to_vec::<f32>()?, [5.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn lp_pool2d(
        &self,
        norm_type: f64,
        kernel_size: impl As<[usize; 2]>,
        options: &LpPool2dOptions,
    ) -> Result<Tensor> {
        self.lp_pool(norm_type, kernel_size.convert(), options)
    }

    /// The power average of each window of a volume, PyTorch's `lp_pool3d`; as [`lp_pool2d`](Tensor::lp_pool2d) for
    /// `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// # Errors
    /// As `lp_pool2d`.
    ///
    /// ```
    /// # use wgrad::{Device, LpPool3dOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 4.0, 2.0, 2.0], &[1, 2, 2, 1])?;
    /// assert_eq!(x.lp_pool3d(1.0, [2, 2, 1], &LpPool3dOptions::default())?.to_vec::<f32>()?, [9.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn lp_pool3d(
        &self,
        norm_type: f64,
        kernel_size: impl As<[usize; 3]>,
        options: &LpPool3dOptions,
    ) -> Result<Tensor> {
        self.lp_pool(norm_type, kernel_size.convert(), options)
    }

    #[track_caller]
    pub(crate) fn lp_pool<const D: usize>(
        &self,
        norm_type: f64,
        kernel: [usize; D],
        options: &LpPoolOptions<D>,
    ) -> Result<Tensor> {
        let op = named::<D>(["lp_pool1d", "lp_pool2d", "lp_pool3d"]);
        if let Some(cast) = autocast::enter(op)? {
            return cast.of(self)?.lp_pool(norm_type, kernel, options);
        }
        batched::<D>(op, self)?;
        let LpPoolOptions { stride, ceil_mode } = *options;
        if norm_type == 0.0 {
            return Err(Error::invalid(op, "norm_type must not be zero"));
        }
        if norm_type.is_infinite() {
            let largest = MaxPoolOptions::default().stride(stride).ceil_mode(ceil_mode);
            let magnitude = self.abs()?;
            return Ok(match norm_type > 0.0 {
                true => magnitude.max_pool(kernel, &largest)?.0,
                false => magnitude.neg()?.max_pool(kernel, &largest)?.0.neg()?,
            });
        }
        let means = AvgPoolOptions::default().stride(stride).ceil_mode(ceil_mode);
        let mean = power(&self.to_dtype(DType::F32)?, norm_type)?.avg_pool(kernel, &means)?;
        let count: f64 = kernel.iter().map(|&size| size as f64).product();
        // The detour does not change the value; if it is zero it keeps the root's infinite slope out of the gradient.
        let sum = ((mean.sign()? * mean.abs()?.relu()?)? * nearest::<f64>(count))?;
        power(&sum, 1.0 / norm_type)?.to_dtype(self.dtype())
    }
}

/// `base ^ exponent`, the usual ones exactly.
#[track_caller]
fn power(base: &Tensor, exponent: f64) -> Result<Tensor> {
    match exponent {
        1.0 => Ok(base.clone()),
        2.0 => base.square(),
        0.5 => base.sqrt(),
        _ => base.pow_scalar(exponent),
    }
}

pub(super) fn cases() -> Vec<Case> {
    let plane = |shape: &[usize], p: f64, kernel: [usize; 2], options: LpPool2dOptions| {
        Case::new("lp_pool2d", &[shape], move |x| Ok(vec![x[0].lp_pool2d(p, kernel, &options)?]))
            .with("p", p)
            .with("kernel_size", kernel)
            .options(&options)
            .domain(0, 0.3, 2.0)
    };
    let plain = LpPool2dOptions::default();
    vec![
        plane(&[2, 3, 6, 8], 2.0, [2, 2], plain),
        plane(&[3, 7, 5], 3.0, [3, 2], LpPool2dOptions { stride: Some([2, 1]), ceil_mode: true }),
        plane(&[1, 2, 4, 6], -1.5, [2, 3], plain),
        plane(&[2, 1, 5, 6], 1.0, [2, 2], plain).domain(0, -2.0, 2.0),
        plane(&[0, 2, 5, 6], 2.0, [2, 2], plain),
        plane(&[1, 2, 5, 6], f64::INFINITY, [2, 2], plain).distinct().first_order(),
        plane(&[1, 2, 5, 6], f64::NEG_INFINITY, [2, 2], plain).distinct().first_order(),
        Case::new("lp_pool2d", &[&[2, 4, 6]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.lp_pool2d(2.0, [2, 3], &LpPool2dOptions::default())?])
        })
        .half(),
        Case::new("lp_pool1d", &[&[2, 3, 9]], |x| {
            Ok(vec![x[0].lp_pool1d(2.0, [3], &LpPool1dOptions { stride: Some([2]), ceil_mode: false })?])
        })
        .domain(0, 0.3, 2.0),
        Case::new("lp_pool3d", &[&[2, 4, 5, 6]], |x| {
            Ok(vec![x[0].lp_pool3d(3.0, [2, 2, 3], &LpPool3dOptions { stride: None, ceil_mode: true })?])
        })
        .domain(0, 0.3, 2.0),
    ]
}

//! Pooling layers. The attributes are those of the methods on [`Tensor`].

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::ops::{AvgPoolOptions, LpPoolOptions, MaxPoolOptions, MaxUnpoolOptions};
use crate::options::As;

/// The largest value of each window: `[N, C, ..] -> [N, C, ..']` (see [`Tensor::max_pool2d`]).
#[derive(Clone, Debug)]
pub struct MaxPool<const D: usize> {
    /// Size of the window.
    pub kernel_size: [usize; D],
    /// Stride (the window's size if it is left out), padding, dilation, rounding.
    pub options: MaxPoolOptions<D>,
}

impl<const D: usize> MaxPool<D> {
    /// Windows side by side.
    pub fn new(kernel_size: impl As<[usize; D]>) -> MaxPool<D> {
        MaxPool { kernel_size: kernel_size.convert(), options: MaxPoolOptions::default() }
    }
}

impl<const D: usize> Module for MaxPool<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        Ok(input.max_pool(self.kernel_size, &self.options)?.0)
    }
}

/// The mean of each window: `[N, C, ..] -> [N, C, ..']` (see [`Tensor::avg_pool2d`]).
#[derive(Clone, Debug)]
pub struct AvgPool<const D: usize> {
    /// Size of the window.
    pub kernel_size: [usize; D],
    /// Stride (the window's size if it is left out), padding, rounding, padding in the count.
    pub options: AvgPoolOptions<D>,
}

impl<const D: usize> AvgPool<D> {
    /// Windows side by side.
    pub fn new(kernel_size: impl As<[usize; D]>) -> AvgPool<D> {
        AvgPool { kernel_size: kernel_size.convert(), options: AvgPoolOptions::default() }
    }
}

impl<const D: usize> Module for AvgPool<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.avg_pool(self.kernel_size, &self.options)
    }
}

/// The power average of each window: `[N, C, ..] -> [N, C, ..']` (see [`Tensor::lp_pool2d`]).
#[derive(Clone, Debug)]
pub struct LpPool<const D: usize> {
    /// The power.
    pub norm_type: f64,
    /// Size of the window.
    pub kernel_size: [usize; D],
    /// Stride (the window's size if it is left out), rounding.
    pub options: LpPoolOptions<D>,
}

impl<const D: usize> LpPool<D> {
    /// Windows side by side.
    pub fn new(norm_type: f64, kernel_size: impl As<[usize; D]>) -> LpPool<D> {
        LpPool { norm_type, kernel_size: kernel_size.convert(), options: LpPoolOptions::default() }
    }
}

impl<const D: usize> Module for LpPool<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.lp_pool(self.norm_type, self.kernel_size, &self.options)
    }
}

/// Means of windows that cover the input evenly: `[N, C, ..]` to a given size (see [`Tensor::adaptive_avg_pool2d`]).
#[derive(Clone, Debug)]
pub struct AdaptiveAvgPool<const D: usize> {
    /// The output's sizes; the input's where `None`.
    pub output_size: [Option<usize>; D],
}

impl<const D: usize> AdaptiveAvgPool<D> {
    /// To these sizes.
    pub fn new(output_size: impl As<[Option<usize>; D]>) -> AdaptiveAvgPool<D> {
        AdaptiveAvgPool { output_size: output_size.convert() }
    }
}

impl<const D: usize> Module for AdaptiveAvgPool<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.adaptive_avg_pool(self.output_size)
    }
}

/// Maxima of windows that cover the input evenly: `[N, C, ..]` to a given size (see [`Tensor::adaptive_max_pool2d`]).
#[derive(Clone, Debug)]
pub struct AdaptiveMaxPool<const D: usize> {
    /// The output's sizes; the input's where `None`.
    pub output_size: [Option<usize>; D],
}

impl<const D: usize> AdaptiveMaxPool<D> {
    /// To these sizes.
    pub fn new(output_size: impl As<[Option<usize>; D]>) -> AdaptiveMaxPool<D> {
        AdaptiveMaxPool { output_size: output_size.convert() }
    }
}

impl<const D: usize> Module for AdaptiveMaxPool<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        Ok(input.adaptive_max_pool(self.output_size)?.0)
    }
}

/// The inverse of [`MaxPool`], with zeros elsewhere (see [`Tensor::max_unpool2d`]). It takes two tensors, so it is no [`Module`].
#[derive(Clone, Debug)]
pub struct MaxUnpool<const D: usize> {
    /// Size of the window.
    pub kernel_size: [usize; D],
    /// Stride (the window's size if it is left out), padding, the output's size.
    pub options: MaxUnpoolOptions<D>,
}

impl<const D: usize> MaxUnpool<D> {
    /// Windows side by side.
    pub fn new(kernel_size: impl As<[usize; D]>) -> MaxUnpool<D> {
        MaxUnpool { kernel_size: kernel_size.convert(), options: MaxUnpoolOptions::default() }
    }

    /// The values, at the indices that the pooling gave.
    ///
    /// # Errors
    /// Those of [`Tensor::max_unpool2d`].
    #[track_caller]
    pub fn forward(&self, input: &Tensor, indices: &Tensor) -> Result<Tensor> {
        input.max_unpool(indices, self.kernel_size, &self.options)
    }
}

/// [`AdaptiveAvgPool`] of a line.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
/// [`AdaptiveAvgPool`] of a plane.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
/// [`AdaptiveAvgPool`] of a volume.
pub type AdaptiveAvgPool3d = AdaptiveAvgPool<3>;
/// [`AdaptiveMaxPool`] of a line.
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
/// [`AdaptiveMaxPool`] of a plane.
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
/// [`AdaptiveMaxPool`] of a volume.
pub type AdaptiveMaxPool3d = AdaptiveMaxPool<3>;
/// [`AvgPool`] of a line.
pub type AvgPool1d = AvgPool<1>;
/// [`AvgPool`] of a plane.
pub type AvgPool2d = AvgPool<2>;
/// [`AvgPool`] of a volume.
pub type AvgPool3d = AvgPool<3>;
/// [`LpPool`] of a line.
pub type LpPool1d = LpPool<1>;
/// [`LpPool`] of a plane.
pub type LpPool2d = LpPool<2>;
/// [`LpPool`] of a volume.
pub type LpPool3d = LpPool<3>;
/// [`MaxPool`] of a line.
pub type MaxPool1d = MaxPool<1>;
/// [`MaxPool`] of a plane.
pub type MaxPool2d = MaxPool<2>;
/// [`MaxPool`] of a volume.
pub type MaxPool3d = MaxPool<3>;
/// [`MaxUnpool`] of a line.
pub type MaxUnpool1d = MaxUnpool<1>;
/// [`MaxUnpool`] of a plane.
pub type MaxUnpool2d = MaxUnpool<2>;
/// [`MaxUnpool`] of a volume.
pub type MaxUnpool3d = MaxUnpool<3>;

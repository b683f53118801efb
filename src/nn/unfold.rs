//! Windows of images as columns, and back.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::ops::UnfoldOptions;
use crate::options::As;

/// Sliding windows as columns: `[N, C, H, W] -> [N, C kH kW, L]` (see [`Tensor::unfold`]).
#[derive(Clone, Copy, Debug)]
pub struct Unfold {
    /// Size of a window.
    pub kernel_size: [usize; 2],
    /// Dilation, padding, stride.
    pub options: UnfoldOptions,
}

/// Images from columns of windows: `[N, C kH kW, L] -> [N, C, H, W]` (see [`Tensor::fold`]).
#[derive(Clone, Copy, Debug)]
pub struct Fold {
    /// Size of the images.
    pub output_size: [usize; 2],
    /// Size of a window.
    pub kernel_size: [usize; 2],
    /// Dilation, padding, stride.
    pub options: UnfoldOptions,
}

impl Unfold {
    /// Windows of `kernel_size` at every position.
    pub fn new(kernel_size: impl As<[usize; 2]>) -> Unfold {
        Unfold { kernel_size: kernel_size.convert(), options: UnfoldOptions::default() }
    }
}

impl Fold {
    /// Images of `output_size` from windows of `kernel_size` at every position.
    pub fn new(output_size: impl As<[usize; 2]>, kernel_size: impl As<[usize; 2]>) -> Fold {
        Fold {
            output_size: output_size.convert(),
            kernel_size: kernel_size.convert(),
            options: UnfoldOptions::default(),
        }
    }
}

impl Module for Unfold {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.unfold(self.kernel_size, &self.options)
    }
}

impl Module for Fold {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.fold(self.output_size, self.kernel_size, &self.options)
    }
}

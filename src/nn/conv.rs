//! The convolutional layers.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::instead::Instead;
use crate::nn::{Children, Grouped, Module, Scope, Weighted, parameters};
use crate::ops::{ConvOptions, ConvTransposeOptions};
use crate::options::As;

/// A convolution with learned filters over `D` dimensions: `[N, in, ..] -> [N, out, ..]`; see [`Conv1d`], [`Conv2d`] and
/// [`Conv3d`].
///
/// `weight` `[out, in / groups, ..kernel]` and `bias` `[out]` start uniform within `1 / sqrt(in / groups * kernel)` of
/// 0, `kernel` being the number of taps.
#[derive(Clone, Debug)]
pub struct Conv<const D: usize> {
    /// `[out, in / groups, ..kernel]`.
    pub weight: Parameter,
    /// `[out]`.
    pub bias: Option<Parameter>,
    /// Stride, padding, dilation, and the groups that it was made with.
    pub options: ConvOptions<D>,
    #[doc(hidden)]
    pub grouped: Grouped,
    #[doc(hidden)]
    pub instead: Instead,
}

/// A convolution over signals: `[N, in, L] -> [N, out, L']` (see [`Tensor::conv1d`]).
pub type Conv1d = Conv<1>;
/// A convolution over images: `[N, in, H, W] -> [N, out, H', W']` (see [`Tensor::conv2d`]).
pub type Conv2d = Conv<2>;
/// A convolution over volumes or videos: `[N, in, D, H, W] -> [N, out, D', H', W']` (see [`Tensor::conv3d`]).
pub type Conv3d = Conv<3>;

/// A transposed convolution with learned filters over `D` dimensions: `[N, in, ..] -> [N, out, ..]`; see
/// [`ConvTranspose1d`], [`ConvTranspose2d`] and [`ConvTranspose3d`].
///
/// `weight` `[in, out / groups, ..kernel]` and `bias` `[out]` start uniform within `1 / sqrt(out / groups * kernel)` of
/// 0, `kernel` being the number of taps.
#[derive(Clone, Debug)]
pub struct ConvTranspose<const D: usize> {
    /// `[in, out / groups, ..kernel]`.
    pub weight: Parameter,
    /// `[out]`.
    pub bias: Option<Parameter>,
    /// Stride, padding, output padding, dilation, groups.
    pub options: ConvTransposeOptions<D>,
}

/// A transposed convolution over signals: `[N, in, L] -> [N, out, L']` (see [`Tensor::conv_transpose1d`]).
pub type ConvTranspose1d = ConvTranspose<1>;
/// A transposed convolution over images: `[N, in, H, W] -> [N, out, H', W']` (see [`Tensor::conv_transpose2d`]).
pub type ConvTranspose2d = ConvTranspose<2>;
/// A transposed convolution over volumes: `[N, in, D, H, W] -> [N, out, D', H', W']` (see
/// [`Tensor::conv_transpose3d`]).
pub type ConvTranspose3d = ConvTranspose<3>;

/// The weight of a layer, the channels of a group in its second dimension.
fn weight<const D: usize>(
    op: &'static str,
    scope: &Scope,
    [first, second]: [usize; 2],
    kernel_size: [usize; D],
    groups: usize,
) -> Result<Parameter> {
    if groups == 0 || !first.is_multiple_of(groups) || !second.is_multiple_of(groups) {
        let rule = format!("groups {groups} must divide both numbers of channels, {first} and {second}");
        return Err(Error::invalid(op, rule));
    }
    let shape = [&[first, second / groups][..], &kernel_size].concat();
    if shape.contains(&0) {
        return Err(Error::invalid(op, format!("a weight of shape {shape:?} would be empty")));
    }
    let fan_in = shape[1..].iter().fold(1usize, |product, &size| product.saturating_mul(size));
    scope.uniform("weight", &shape, fan_in)
}

/// The constructors of a layer of filters, whose weight has the channels in an order of its own.
macro_rules! constructors {
    ($layer:ident, $options:ident, |$inputs:ident, $outputs:ident| $channels:expr, $(#[$example:meta])*) => {
        impl<const D: usize> $layer<D> {
            /// A layer with a bias.
            ///
            /// # Errors
            /// [`Error::Invalid`] if `groups` does not divide both channel counts or the filters would be empty,
            /// [`Error::TooLarge`].
            ///
            $(#[$example])*
            pub fn new(
                scope: &Scope,
                inputs: usize,
                outputs: usize,
                kernel_size: impl As<[usize; D]>,
                options: &$options<D>,
            ) -> Result<$layer<D>> {
                let layer = $layer::without_bias(scope, inputs, outputs, kernel_size, options)?;
                let fan_in = layer.weight.value().shape()[1..].iter().product();
                Ok($layer { bias: Some(scope.uniform("bias", &[outputs], fan_in)?), ..layer })
            }

            /// A layer without a bias.
            ///
            /// # Errors
            /// As [`new`](Self::new).
            pub fn without_bias(
                scope: &Scope,
                $inputs: usize,
                $outputs: usize,
                kernel_size: impl As<[usize; D]>,
                options: &$options<D>,
            ) -> Result<$layer<D>> {
                let weight = weight(stringify!($layer), scope, $channels, kernel_size.convert(), options.groups)?;
                Ok($layer::of(weight, None, *options))
            }
        }
    };
}

constructors!(Conv, ConvOptions, |inputs, outputs| [outputs, inputs],
    /// ```
    /// # use wgrad::{Conv2dOptions, Device, Tensor, nn::{Conv2d, Module, Scope}};
    /// # let device = Device::reference();
    /// let layer = Conv2d::new(&Scope::new(&device).at("conv"), 3, 8, 3, &Conv2dOptions::default())?;
    /// assert_eq!(layer.weight.name(), "conv.weight");
    /// assert_eq!(layer.forward(&Tensor::ones(&device, &[2, 3, 9, 9])?)?.shape()[..], [2, 8, 7, 7]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
);

constructors!(ConvTranspose, ConvTransposeOptions, |inputs, outputs| [inputs, outputs],
    /// ```
    /// # use wgrad::{ConvTranspose2dOptions, Device, Tensor, nn::{ConvTranspose2d, Module, Scope}};
    /// # let device = Device::reference();
    /// let twice = ConvTranspose2dOptions::default().stride(2);
    /// let layer = ConvTranspose2d::new(&Scope::new(&device).at("up"), 8, 3, 2, &twice)?;
    /// assert_eq!(layer.weight.value().shape()[..], [8, 3, 2, 2]);
    /// assert_eq!(layer.forward(&Tensor::ones(&device, &[2, 8, 5, 5])?)?.shape()[..], [2, 3, 10, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
);

impl<const D: usize> Conv<D> {
    /// A layer of existing parameters.
    pub(super) fn of(weight: Parameter, bias: Option<Parameter>, options: ConvOptions<D>) -> Conv<D> {
        Conv { weight, bias, options, grouped: Grouped::new(options.groups), instead: Instead::default() }
    }
}

impl<const D: usize> ConvTranspose<D> {
    fn of(weight: Parameter, bias: Option<Parameter>, options: ConvTransposeOptions<D>) -> ConvTranspose<D> {
        ConvTranspose { weight, bias, options }
    }
}

/// A convolution that calls `method` with its weight, bias and options.
macro_rules! convolution {
    ($layer:ty, $method:ident $(, $weighted:ident)?) => {
        impl Module for $layer {
            fn call(&self, input: &Tensor) -> Result<Tensor> {
                if let Some(instead) = self.instead.get() {
                    return instead.forward(input);
                }
                let options = self.options.groups(self.grouped.groups());
                input.$method(&self.weight.value(), self.bias.as_ref().map(Parameter::value).as_ref(), &options)
            }
            fn children(&self) -> Children<'_> {
                self.instead.get().map(|instead| (String::new(), instead)).into_iter().collect()
            }
            fn own_parameters(&self) -> Vec<Parameter> {
                if self.instead.get().is_some() { Vec::new() } else { parameters![self; weight, bias] }
            }
            fn grouped(&self) -> Option<Grouped> {
                Some(self.grouped.clone())
            }
            $(fn weighted(&self) -> Option<Weighted<'_>> {
                Some(Weighted::$weighted(self))
            })?
        }
    };
}

convolution!(Conv1d, conv1d);
convolution!(Conv2d, conv2d, Conv2d);
convolution!(Conv3d, conv3d);

/// A transposed convolution that calls `method` with its weight, bias and options.
macro_rules! transposed {
    ($layer:ty, $method:ident) => {
        impl Module for $layer {
            fn call(&self, input: &Tensor) -> Result<Tensor> {
                input.$method(&self.weight.value(), self.bias.as_ref().map(Parameter::value).as_ref(), &self.options)
            }
            fn own_parameters(&self) -> Vec<Parameter> {
                parameters![self; weight, bias]
            }
        }
    };
}

transposed!(ConvTranspose1d, conv_transpose1d);
transposed!(ConvTranspose2d, conv_transpose2d);
transposed!(ConvTranspose3d, conv_transpose3d);

//! Networks whose head is convolutional: a network in network (Lin et al., "Network In Network", 2013), and one without pooling
//! (Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2014), both for CIFAR's images.

use super::Backbone;
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{self, AvgPool2d, Conv2d, Dropout, MaxPool2d, Module, Relu, Scope, Sequential};
use crate::ops::{AvgPool2dOptions, Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of a [`NetworkInNetwork`] and of an [`AllConvolutional`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    AllConvolutionalOptions {
        /// Share dropped in training behind the first two groups of layers.
        dropout: f64 = 0.5,
        /// Logits.
        classes: usize = 10,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl AllConvolutionalOptions {
    /// For a [`NetworkInNetwork`].
    pub fn network_in_network() -> AllConvolutionalOptions {
        AllConvolutionalOptions::default()
    }

    /// For an [`AllConvolutional`].
    pub fn all_convolutional() -> AllConvolutionalOptions {
        AllConvolutionalOptions::default()
    }
}

/// A network in network: `[N, channels, H, W] -> [N, classes]` logits, from 8 x 8 on; 966,986 parameters for 10 classes.
///
/// `features` are three groups of a convolution of 5 x 5 or 3 x 3 and two of 1 x 1, which are small networks that move over the
/// image; the last has a channel for each class, whose mean is the logit.
pub struct NetworkInNetwork {
    features: Sequential,
}

/// A network of convolutions alone, the paper's All-CNN-C: `[N, channels, H, W] -> [N, classes]` logits; 1,369,738 parameters
/// for 10 classes.
///
/// `features` are convolutions of 3 x 3, two of which halve the size, and two of 1 x 1; the last has a channel for each class,
/// whose mean is the logit.
pub struct AllConvolutional {
    features: Sequential,
}

/// With a convolution that keeps the size at stride 1, and ReLU.
fn rectified(layers: Sequential, inputs: usize, outputs: usize, size: usize, stride: usize) -> Result<Sequential> {
    let options = Conv2dOptions::default().stride(stride).padding(size / 2);
    Ok(layers.make(|s| Conv2d::new(s, inputs, outputs, size, &options))?.push(Relu))
}

impl NetworkInNetwork {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{AllConvolutionalOptions, NetworkInNetwork}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = NetworkInNetwork::new(&Scope::new(&device), &AllConvolutionalOptions::default())?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 8, 8])?)?.shape()[..], [1, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &AllConvolutionalOptions) -> Result<NetworkInNetwork> {
        let AllConvolutionalOptions { dropout, classes, channels } = *options;
        let layers = Sequential::new(&scope.at("features"));
        let layers = rectified(layers, channels, 192, 5, 1)?;
        let layers = rectified(rectified(layers, 192, 160, 1, 1)?, 160, 96, 1, 1)?;
        let largest = MaxPool2dOptions::default().stride(2).padding(1);
        let layers = layers.push(MaxPool2d { kernel_size: [3; 2], options: largest }).push(Dropout::new(dropout));
        let layers = rectified(layers, 96, 192, 5, 1)?;
        let layers = rectified(rectified(layers, 192, 192, 1, 1)?, 192, 192, 1, 1)?;
        let mean = AvgPool2dOptions::default().stride(2).padding(1);
        let layers = layers.push(AvgPool2d { kernel_size: [3; 2], options: mean }).push(Dropout::new(dropout));
        let layers = rectified(layers, 192, 192, 3, 1)?;
        Ok(NetworkInNetwork { features: rectified(rectified(layers, 192, 192, 1, 1)?, 192, classes, 1, 1)? })
    }
}

impl AllConvolutional {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{AllConvolutional, AllConvolutionalOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = AllConvolutional::new(&Scope::new(&device), &AllConvolutionalOptions::default())?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 8, 8])?)?.shape()[..], [1, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &AllConvolutionalOptions) -> Result<AllConvolutional> {
        let AllConvolutionalOptions { dropout, classes, channels } = *options;
        let layers = rectified(Sequential::new(&scope.at("features")), channels, 96, 3, 1)?;
        let layers = rectified(rectified(layers, 96, 96, 3, 1)?, 96, 96, 3, 2)?.push(Dropout::new(dropout));
        let layers = rectified(rectified(layers, 96, 192, 3, 1)?, 192, 192, 3, 1)?;
        let layers = rectified(layers, 192, 192, 3, 2)?.push(Dropout::new(dropout));
        let layers = rectified(rectified(layers, 192, 192, 3, 1)?, 192, 192, 1, 1)?;
        Ok(AllConvolutional { features: rectified(layers, 192, classes, 1, 1)? })
    }
}

/// A network that is the mean of its features.
macro_rules! averages {
    ($($network:ident)*) => {$(
        impl Backbone for $network {
            fn features(&self, input: &Tensor) -> Result<Tensor> {
                self.features.forward(input)
            }
        }

        impl Module for $network {
            fn call(&self, input: &Tensor) -> Result<Tensor> {
                self.features(input)?.global_avg_pool()?.flatten(1, -1)
            }
            fn children(&self) -> nn::Children<'_> {
                nn::children![self; features]
            }
        }
    )*};
}

averages!(NetworkInNetwork AllConvolutional);

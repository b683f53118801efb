//! AlexNet (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012), in the form of
//! Krizhevsky's "One weird trick for parallelizing convolutional neural networks" (2014). The names of the parameters are
//! torchvision's.

use super::Backbone;
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, Dropout, Linear, LocalResponseNorm, MaxPool2d, Module, Relu, Scope, Sequential};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of an [`AlexNet`]; the default is torchvision's `alexnet`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    AlexNetOptions {
        /// Has the local response norms of the 2012 paper, behind the first two convolutions. They have no parameters, and
        /// are not numbered: names stay.
        local_response_norm: bool = false,
        /// Share dropped in training before the first two linear layers.
        dropout: f64 = 0.5,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl AlexNetOptions {
    /// torchvision's `alexnet`.
    pub fn alexnet() -> AlexNetOptions {
        AlexNetOptions::default()
    }

    /// With local response norms.
    pub fn alexnet_lrn() -> AlexNetOptions {
        AlexNetOptions::default().local_response_norm(true)
    }
}

/// AlexNet: `[N, channels, H, W] -> [N, classes]` logits, from 63 x 63 on; 61,100,840 parameters for 1,000 classes.
///
/// `features` are five convolutions with three poolings; `classifier` is three linear layers over means of 6 x 6 parts of the
/// image.
pub struct AlexNet {
    features: Sequential,
    classifier: Sequential,
}

impl AlexNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    ///
    /// ```
    /// # use wgrad::{Device, models::{AlexNet, AlexNetOptions}, nn::{Module, Scope}};
    /// let net = AlexNet::new(&Scope::new(&Device::reference()), &AlexNetOptions::default().classes(10))?;
    /// assert_eq!(net.parameters()[2].name(), "features.3.weight");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &AlexNetOptions) -> Result<AlexNet> {
        let AlexNetOptions { local_response_norm, dropout, classes, channels } = *options;
        let plain = Conv2dOptions::default();
        let pool = || MaxPool2d { kernel_size: [3; 2], options: MaxPool2dOptions::default().stride(2) };
        let with_norm = |layers: Sequential, number: usize| match local_response_norm {
            true => {
                layers.push_named(format!("norm{number}"), LocalResponseNorm { k: 2.0, ..LocalResponseNorm::new(5) })
            }
            false => layers,
        };
        let conv = |layers: Sequential, number: usize, inputs, outputs, size, options: Conv2dOptions| {
            layers.make_named(number, |s| Conv2d::new(s, inputs, outputs, size, &options))
        };
        let layers = Sequential::new(&scope.at("features"));
        let layers = conv(layers, 0, channels, 64, 11, plain.stride(4).padding(2))?.push_named(1, Relu);
        let layers = with_norm(layers, 1).push_named(2, pool());
        let layers = conv(layers, 3, 64, 192, 5, plain.padding(2))?.push_named(4, Relu);
        let layers = with_norm(layers, 2).push_named(5, pool());
        let layers = conv(layers, 6, 192, 384, 3, plain.padding(1))?.push_named(7, Relu);
        let layers = conv(layers, 8, 384, 256, 3, plain.padding(1))?.push_named(9, Relu);
        let features = conv(layers, 10, 256, 256, 3, plain.padding(1))?.push_named(11, Relu).push_named(12, pool());
        let classifier = Sequential::new(&scope.at("classifier"))
            .push(Dropout::new(dropout))
            .make(|s| Linear::new(s, 256 * 6 * 6, 4096))?
            .push(Relu)
            .push(Dropout::new(dropout))
            .make(|s| Linear::new(s, 4096, 4096))?
            .push(Relu)
            .make(|s| Linear::new(s, 4096, classes))?;
        Ok(AlexNet { features, classifier })
    }
}

impl Backbone for AlexNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for AlexNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.adaptive_avg_pool2d(6)?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

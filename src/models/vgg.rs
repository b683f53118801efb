//! VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014). The names of the
//! parameters are torchvision's.

use super::{Backbone, initial};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Dropout, Linear, MaxPool2d, Module, Relu, Scope, Sequential,
};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of a [`Vgg`]; the default is torchvision's `vgg16`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    VggOptions {
        /// Convolutions at each of the five sizes.
        depths: [usize; 5] = [2, 2, 3, 3, 3],
        /// Batch normalization behind each convolution.
        batch_norm: bool = false,
        /// Share dropped in training behind the first two linear layers.
        dropout: f64 = 0.5,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

/// torchvision's networks.
macro_rules! networks {
    ($($name:ident, $parameters:literal: $options:expr;)*) => {
        impl VggOptions {
            $(
                #[doc = concat!("torchvision's `", stringify!($name), "`: ", $parameters, " parameters.")]
                pub fn $name() -> VggOptions {
                    $options
                }
            )*
        }
    };
}

networks! {
    vgg11, "132,863,336": VggOptions::default().depths([1, 1, 2, 2, 2]);
    vgg11_bn, "132,868,840": VggOptions::vgg11().batch_norm(true);
    vgg13, "133,047,848": VggOptions::default().depths([2, 2, 2, 2, 2]);
    vgg13_bn, "133,053,736": VggOptions::vgg13().batch_norm(true);
    vgg16, "138,357,544": VggOptions::default();
    vgg16_bn, "138,365,992": VggOptions::vgg16().batch_norm(true);
    vgg19, "143,667,240": VggOptions::default().depths([2, 2, 4, 4, 4]);
    vgg19_bn, "143,678,248": VggOptions::vgg19().batch_norm(true);
}

/// Channels at each size.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];
const HIDDEN: usize = 4096;

/// VGG: `[N, channels, H, W] -> [N, classes]` logits, from 32 x 32 on.
///
/// `features` are convolutions of 3 x 3, with max pooling after those of each size; `classifier` is three linear layers over
/// means of 7 x 7 parts of the image.
pub struct Vgg {
    features: Sequential,
    classifier: Sequential,
}

impl Vgg {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    ///
    /// ```
    /// # use wgrad::{Device, models::{Vgg, VggOptions}, nn::{Module, Scope}};
    /// let net = Vgg::new(&Scope::new(&Device::reference()), &VggOptions::vgg11_bn().classes(10))?;
    /// assert_eq!(net.parameters()[0].name(), "features.0.weight");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &VggOptions) -> Result<Vgg> {
        let VggOptions { depths, batch_norm, dropout, classes, channels } = *options;
        let padded = Conv2dOptions::default().padding(1);
        let mut features = Sequential::new(&scope.at("features"));
        let mut inputs = channels;
        for (width, depth) in WIDTHS.into_iter().zip(depths) {
            for _ in 0..depth {
                features = features.make(|s| Conv2d::new(s, inputs, width, 3, &padded))?;
                if batch_norm {
                    features = features.make(|s| BatchNorm2d::new(s, width, &BatchNormLayerOptions::default()))?;
                }
                features = features.push(Relu);
                inputs = width;
            }
            features = features.push(MaxPool2d::new(2));
        }
        let classifier = Sequential::new(&scope.at("classifier"))
            .make(|s| Linear::new(s, inputs * 7 * 7, HIDDEN))?
            .push(Relu)
            .push(Dropout::new(dropout))
            .make(|s| Linear::new(s, HIDDEN, HIDDEN))?
            .push(Relu)
            .push(Dropout::new(dropout))
            .make(|s| Linear::new(s, HIDDEN, classes))?;
        let net = Vgg { features, classifier };
        initial::draw(&net, initial::kaiming_fan_out, initial::normal(0.01))?;
        Ok(net)
    }
}

impl Backbone for Vgg {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for Vgg {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.adaptive_avg_pool2d(7)?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

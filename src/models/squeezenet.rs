//! SqueezeNet (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016). The names of the
//! parameters are torchvision's.

use super::{Backbone, initial};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{self, AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, Relu, Scope, Sequential, init};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

/// The two published networks, which differ in their stem and in where they pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SqueezeNetVersion {
    /// The paper's.
    V1_0,
    /// 2.4 times less work than the paper's.
    #[default]
    V1_1,
}

options! {
    /// Options of a [`SqueezeNet`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    SqueezeNetOptions {
        /// The network.
        version: SqueezeNetVersion = SqueezeNetVersion::V1_1,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.5,
    }
}

impl SqueezeNetOptions {
    /// torchvision's `squeezenet1_0`: 1,248,424 parameters.
    pub fn squeezenet1_0() -> SqueezeNetOptions {
        SqueezeNetOptions::default().version(SqueezeNetVersion::V1_0)
    }

    /// torchvision's `squeezenet1_1`: 1,235,496 parameters.
    pub fn squeezenet1_1() -> SqueezeNetOptions {
        SqueezeNetOptions::default()
    }
}

/// SqueezeNet: `[N, channels, H, W] -> [N, classes]` logits, from 32 x 32 on.
///
/// `features` are fire modules between poolings, `classifier.1` a convolution of 1 x 1 to the classes, whose mean is taken.
pub struct SqueezeNet {
    features: Sequential,
    classifier: Sequential,
}

impl SqueezeNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{SqueezeNet, SqueezeNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = SqueezeNet::new(&Scope::new(&device), &SqueezeNetOptions::squeezenet1_1().classes(10))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &SqueezeNetOptions) -> Result<SqueezeNet> {
        let SqueezeNetOptions { version, classes, channels, dropout } = *options;
        let (stem, size) = if version == SqueezeNetVersion::V1_0 { (96, 7) } else { (64, 3) };
        let strided = Conv2dOptions::default().stride(2);
        let mut features = Sequential::new(&scope.at("features"))
            .make(|s| Conv2d::new(s, channels, stem, size, &strided))?
            .push(Relu)
            .push(pool());
        let pooled_after: &[usize] = if version == SqueezeNetVersion::V1_0 { &[2, 6] } else { &[1, 3] };
        let mut inputs = stem;
        for (number, (squeezed, expanded)) in FIRES.into_iter().enumerate() {
            features = features.make(|s| Fire::new(s, inputs, squeezed, expanded))?;
            inputs = 2 * expanded;
            if pooled_after.contains(&number) {
                features = features.push(pool());
            }
        }
        let classifier = Sequential::new(&scope.at("classifier"))
            .push(Dropout::new(dropout))
            .make(|s| Conv2d::new(s, inputs, classes, 1, &Conv2dOptions::default()))?
            .push(Relu)
            .push(AdaptiveAvgPool2d::new(1));
        let net = SqueezeNet { features, classifier };
        let kaiming = |weight: &_| init::kaiming_uniform(weight, init::FanMode::FanIn, init::Nonlinearity::Relu);
        initial::draw(&net.features, kaiming, initial::kept)?;
        initial::draw(&net.classifier, initial::normal(0.01), initial::kept)?;
        Ok(net)
    }
}

impl Backbone for SqueezeNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for SqueezeNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?)?.flatten(1, -1)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

/// Channels of each fire module: squeezed, and expanded by each of its two convolutions.
const FIRES: [(usize, usize); 8] =
    [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];

fn pool() -> MaxPool2d {
    MaxPool2d { kernel_size: [3; 2], options: MaxPool2dOptions::default().stride(2).ceil_mode(true) }
}

/// A convolution of 1 x 1 to few channels, then one of 1 x 1 and one of 3 x 3 side by side.
struct Fire {
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Fire {
    fn new(scope: &Scope, inputs: usize, squeezed: usize, expanded: usize) -> Result<Fire> {
        let pointwise = Conv2dOptions::default();
        Ok(Fire {
            squeeze: Conv2d::new(&scope.at("squeeze"), inputs, squeezed, 1, &pointwise)?,
            expand1x1: Conv2d::new(&scope.at("expand1x1"), squeezed, expanded, 1, &pointwise)?,
            expand3x3: Conv2d::new(&scope.at("expand3x3"), squeezed, expanded, 3, &pointwise.padding(1))?,
        })
    }
}

impl Module for Fire {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let squeezed = self.squeeze.forward(input)?.relu()?;
        let expanded = [self.expand1x1.forward(&squeezed)?.relu()?, self.expand3x3.forward(&squeezed)?.relu()?];
        Tensor::cat(&[&expanded[0], &expanded[1]], 1)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; squeeze, expand1x1, expand3x3]
    }
}

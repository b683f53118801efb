//! DenseNet (Huang et al., "Densely Connected Convolutional Networks", 2017). The names of the parameters are
//! torchvision's.

use super::layers::norm;
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::{Tensor, checkpoint};
use crate::nn::{
    self, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, Relu, Scope, Sequential, init,
};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of a [`DenseNet`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    DenseNetOptions {
        /// Channels that each layer adds.
        growth_rate: usize = 32,
        /// Layers of each block.
        block_config: [usize; 4] = [6, 12, 24, 16],
        /// Channels of the stem.
        init_features: usize = 64,
        /// Channels of a layer's bottleneck, in growth rates.
        bn_size: usize = 4,
        /// Share of each layer's result dropped in training.
        drop_rate: f64 = 0.0,
        /// Computes each bottleneck again in the backward pass instead of keeping it (Pleiss et al. 2017).
        memory_efficient: bool = false,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl DenseNetOptions {
    /// torchvision's `densenet121`: 7,978,856 parameters.
    pub fn densenet121() -> DenseNetOptions {
        DenseNetOptions::default()
    }

    /// torchvision's `densenet161`: 28,681,000 parameters.
    pub fn densenet161() -> DenseNetOptions {
        DenseNetOptions::default().growth_rate(48).block_config([6, 12, 36, 24]).init_features(96)
    }

    /// torchvision's `densenet169`: 14,149,480 parameters.
    pub fn densenet169() -> DenseNetOptions {
        DenseNetOptions::default().block_config([6, 12, 32, 32])
    }

    /// torchvision's `densenet201`: 20,013,928 parameters.
    pub fn densenet201() -> DenseNetOptions {
        DenseNetOptions::default().block_config([6, 12, 48, 32])
    }
}

/// DenseNet: `[N, channels, H, W] -> [N, classes]` logits, from 32 x 32 on.
///
/// In a block each layer reads the channels of all layers before it. Between blocks a transition halves channels and size;
/// the stem quarters the size.
pub struct DenseNet {
    features: Sequential,
    classifier: Linear,
}

impl DenseNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a number of channels is 0.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{DenseNet, DenseNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = DenseNetOptions::densenet121().block_config([2, 2, 2, 2]).growth_rate(4).classes(10);
    /// let net = DenseNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &DenseNetOptions) -> Result<DenseNet> {
        let DenseNetOptions { growth_rate, block_config, init_features, classes, channels, .. } = *options;
        if growth_rate == 0 || options.bn_size == 0 || init_features == 0 {
            return Err(Error::invalid("DenseNet", "growth_rate, bn_size and init_features must be at least 1"));
        }
        let strided = Conv2dOptions::default().stride(2).padding(3);
        let halving = MaxPool2dOptions::default().stride(2).padding(1);
        let mut features = Sequential::new(&scope.at("features"))
            .make_named("conv0", |s| Conv2d::without_bias(s, channels, init_features, 7, &strided))?
            .make_named("norm0", |s| norm(s, init_features))?
            .push_named("relu0", Relu)
            .push_named("pool0", MaxPool2d { kernel_size: [3; 2], options: halving });
        let mut width = init_features;
        for (number, layers) in (1..).zip(block_config) {
            features =
                features.make_named(format!("denseblock{number}"), |s| DenseBlock::new(s, width, layers, options))?;
            width = width.saturating_add(layers.saturating_mul(growth_rate));
            if number < block_config.len() {
                features = features.make_named(format!("transition{number}"), |s| transition(s, width))?;
                width /= 2;
            }
        }
        features = features.make_named("norm5", |s| norm(s, width))?;
        let net = DenseNet { features, classifier: Linear::new(&scope.at("classifier"), width, classes)? };
        let kaiming = |weight: &_| init::kaiming_normal(weight, init::FanMode::FanIn, init::Nonlinearity::Relu);
        initial::draw(&net, kaiming, initial::kept)?;
        Ok(net)
    }
}

impl Backbone for DenseNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)?.relu()
    }
}

impl Module for DenseNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

fn transition(scope: &Scope, inputs: usize) -> Result<Sequential> {
    let pointwise = Conv2dOptions::default();
    Ok(Sequential::new(scope)
        .make_named("norm", |s| norm(s, inputs))?
        .push_named("relu", Relu)
        .make_named("conv", |s| Conv2d::without_bias(s, inputs, inputs / 2, 1, &pointwise))?
        .push_named("pool", AvgPool2d::new(2)))
}

/// Layers whose results are concatenated to the block's input.
struct DenseBlock {
    layers: Vec<DenseLayer>,
}

impl DenseBlock {
    fn new(scope: &Scope, inputs: usize, layers: usize, options: &DenseNetOptions) -> Result<DenseBlock> {
        let layer = |number: usize| {
            let width = inputs.saturating_add(number.saturating_mul(options.growth_rate));
            DenseLayer::new(&scope.at(format!("denselayer{}", number + 1)), width, options)
        };
        Ok(DenseBlock { layers: (0..layers).map(layer).collect::<Result<_>>()? })
    }
}

impl Module for DenseBlock {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(input.clone(), |all, layer| Tensor::cat(&[&all, &layer.forward(&all)?], 1))
    }
    fn children(&self) -> nn::Children<'_> {
        (1..).zip(&self.layers).map(|(number, layer)| (format!("denselayer{number}"), layer as &dyn Module)).collect()
    }
}

/// A bottleneck of 1 x 1, then a convolution of 3 x 3, each behind its norm and ReLU.
struct DenseLayer {
    norm1: BatchNorm2d,
    conv1: Conv2d,
    norm2: BatchNorm2d,
    conv2: Conv2d,
    dropout: Dropout,
    memory_efficient: bool,
}

impl DenseLayer {
    fn new(scope: &Scope, inputs: usize, options: &DenseNetOptions) -> Result<DenseLayer> {
        let width = options.bn_size.saturating_mul(options.growth_rate);
        let pointwise = Conv2dOptions::default();
        Ok(DenseLayer {
            norm1: norm(&scope.at("norm1"), inputs)?,
            conv1: Conv2d::without_bias(&scope.at("conv1"), inputs, width, 1, &pointwise)?,
            norm2: norm(&scope.at("norm2"), width)?,
            conv2: Conv2d::without_bias(&scope.at("conv2"), width, options.growth_rate, 3, &pointwise.padding(1))?,
            dropout: Dropout::new(options.drop_rate),
            memory_efficient: options.memory_efficient,
        })
    }
}

impl Module for DenseLayer {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let bottleneck = |x: &Tensor| self.conv1.forward(&self.norm1.forward(x)?.relu()?);
        let narrow = if self.memory_efficient { checkpoint(bottleneck, input)? } else { bottleneck(input)? };
        let new = self.conv2.forward(&self.norm2.forward(&narrow)?.relu()?)?;
        if self.dropout.p > 0.0 { self.dropout.forward(&new) } else { Ok(new) }
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; norm1, conv1, norm2, conv2, dropout]
    }
}

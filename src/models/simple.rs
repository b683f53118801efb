//! A plain convolutional network of any depth, for first experiments.

use super::Backbone;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::blocks::{Activation, ConvNormActivation, ConvNormActivationOptions, NormLayer};
use crate::nn::{self, Dropout, Linear, MaxPool2d, Module, Scope, Sequential};
use crate::options::options;

options! {
    /// Options of a [`SimpleCnn`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    SimpleCnnOptions {
        /// Number of stages, after each of which the size is halved.
        depth: usize = 3,
        /// Channels of the first stage; each of the others has twice those of the one before.
        base_width: usize = 32,
        /// The activation behind each convolution.
        activation: Activation = Activation::Relu,
        /// Batch normalization behind each convolution.
        batch_norm: bool = true,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.0,
        /// Logits.
        classes: usize = 10,
        /// Channels of the images.
        channels: usize = 3,
    }
}

/// A plain network: `[N, channels, H, W] -> [N, classes]` logits, from `2^depth` pixels a side on.
///
/// `features` are `depth` times a convolution of 3 x 3, its norm and activation, and max pooling; `classifier` is linear in
/// the means of their channels.
pub struct SimpleCnn {
    features: Sequential,
    dropout: Dropout,
    classifier: Linear,
}

impl SimpleCnn {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `depth` is 0 or above 16.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{SimpleCnn, SimpleCnnOptions}, nn::{Module, Scope, blocks::Activation}};
    /// # let device = Device::reference();
    /// let options = SimpleCnnOptions::default().depth(2).activation(Activation::Silu);
    /// let net = SimpleCnn::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 8, 8])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &SimpleCnnOptions) -> Result<SimpleCnn> {
        let SimpleCnnOptions { depth, base_width, activation, batch_norm, dropout, classes, channels } = *options;
        if !(1..=16).contains(&depth) {
            return Err(Error::invalid("SimpleCnn", format!("depth is {depth}; it must be from 1 to 16")));
        }
        let norm = batch_norm.then(NormLayer::default);
        let block = ConvNormActivationOptions::default().norm(norm).activation(activation);
        let mut features = Sequential::new(&scope.at("features"));
        let mut inputs = channels;
        for stage in 0..depth {
            let outputs = base_width << stage;
            features = features.make(|s| ConvNormActivation::new(s, inputs, outputs, &block))?.push(MaxPool2d::new(2));
            inputs = outputs;
        }
        let classifier = Linear::new(&scope.at("classifier"), inputs, classes)?;
        Ok(SimpleCnn { features, dropout: Dropout::new(dropout), classifier })
    }
}

impl Backbone for SimpleCnn {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for SimpleCnn {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let features = self.features(input)?.global_avg_pool()?.flatten(1, -1)?;
        self.classifier.forward(&self.dropout.forward(&features)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, dropout, classifier]
    }
}

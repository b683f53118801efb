//! MobileNet (Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
//! 2017).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::layers::conv_norm_relu;
use crate::nn::{self, Linear, Module, Scope, Sequential};
use crate::number::nearest;
use crate::ops::Conv2dOptions;

/// Channels and stride of each depthwise separable layer, at width 1.
const LAYERS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// MobileNetV1: `[N, 3, H, W] -> [N, classes]` logits; for 1,000 classes 4,231,976 parameters at width 1.
///
/// | layer | channels at width 1 | size |
/// |---|---|---|
/// | `features.0`: convolution 3 x 3, stride 2 | 32 | `H / 2` |
/// | `features.1` to `features.13`: depthwise 3 x 3, then 1 x 1 | 64 to 1024 | down to `H / 32` |
/// | the mean of each channel; `classifier` | `classes` | |
///
/// Batch normalization and ReLU follow each convolution. In a layer, `0` and `1` are the depthwise convolution and its
/// normalization, `3` and `4` those of 1 x 1.
pub struct MobileNetV1 {
    features: Sequential,
    classifier: Linear,
}

impl MobileNetV1 {
    /// A network with new weights from the device's random stream, all its channels `width` times the paper's.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a layer would have no channels; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::MobileNetV1, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = MobileNetV1::new(&Scope::new(&device), 10, 0.25)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, classes: usize, width: f64) -> Result<MobileNetV1> {
        MobileNetV1::with_channels(scope, 3, classes, width)
    }

    /// The network for images of `channels` channels.
    ///
    /// # Errors
    /// As [`new`](MobileNetV1::new).
    pub(super) fn with_channels(scope: &Scope, channels: usize, classes: usize, width: f64) -> Result<MobileNetV1> {
        let scaled = |channels: usize| nearest::<usize>(channels as f64 * width);
        if scaled(32) == 0 {
            let rule = format!("the width must be at least 1/32, which leaves one channel; got {width}");
            return Err(Error::invalid("MobileNetV1", rule));
        }
        let (mut inputs, strided) = (scaled(32), Conv2dOptions::default().stride(2));
        let mut features = Sequential::new(&scope.at("features"))
            .make(|s| conv_norm_relu(Sequential::new(s), channels, inputs, 3, strided))?;
        for (channels, stride) in LAYERS {
            let outputs = scaled(channels);
            features = features.make(|s| separable(s, inputs, outputs, stride))?;
            inputs = outputs;
        }
        Ok(MobileNetV1 { features, classifier: Linear::new(&scope.at("classifier"), inputs, classes)? })
    }
}

impl Module for MobileNetV1 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.features.forward(input)?;
        self.classifier.forward(&x.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

/// A convolution of each channel alone, and one of 1 x 1 across channels.
fn separable(scope: &Scope, inputs: usize, outputs: usize, stride: usize) -> Result<Sequential> {
    let depthwise = Conv2dOptions::default().stride(stride).groups(inputs);
    let layers = conv_norm_relu(Sequential::new(scope), inputs, inputs, 3, depthwise)?;
    conv_norm_relu(layers, inputs, outputs, 1, Conv2dOptions::default())
}

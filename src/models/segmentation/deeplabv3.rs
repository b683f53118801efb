//! DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017), as torchvision has it.

use super::headed::{Headed, fcn_head, headed};
use super::{SegmentationBackbone, resized};
use crate::error::Result;
use crate::graph::Tensor;
use crate::models::layers::conv_norm_relu;
use crate::models::{MobileNetV3Options, ResNetOptions};
use crate::nn::{AdaptiveAvgPool2d, Branches, Children, Conv2d, Dropout, Module, Scope, Sequential, children};
use crate::ops::Conv2dOptions;
use crate::options::options;

/// Channels within the head.
const WIDTH: usize = 256;

options! {
    /// Options of a [`DeepLabV3`]; the default is torchvision's `deeplabv3_resnet50`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    DeepLabV3Options {
        /// The layers below.
        backbone: SegmentationBackbone = SegmentationBackbone::ResNet(
            ResNetOptions::resnet50().replace_stride_with_dilation([false, true, true]),
        ),
        /// Logits a pixel.
        classes: usize = 21,
        /// Adds a classifier of the map in the middle, whose loss helps the layers below it.
        aux_loss: bool = false,
        /// Steps between the elements of the windows, side by side.
        atrous_rates: [usize; 3] = [12, 24, 36],
        /// Share of the joined channels dropped in training.
        dropout: f64 = 0.5,
        /// Share of the auxiliary classifier's inner channels dropped in training.
        dropout_aux: f64 = 0.1,
    }
}

impl DeepLabV3Options {
    /// torchvision's `deeplabv3_resnet50`: 39,638,869 parameters without the auxiliary classifier.
    pub fn deeplabv3_resnet50() -> DeepLabV3Options {
        DeepLabV3Options::default()
    }

    /// torchvision's `deeplabv3_resnet101`: 58,630,997 parameters without the auxiliary classifier.
    pub fn deeplabv3_resnet101() -> DeepLabV3Options {
        let resnet = ResNetOptions::resnet101().replace_stride_with_dilation([false, true, true]);
        DeepLabV3Options::default().backbone(resnet)
    }

    /// torchvision's `deeplabv3_mobilenet_v3_large`: 11,025,477 parameters without the auxiliary classifier.
    pub fn deeplabv3_mobilenet_v3_large() -> DeepLabV3Options {
        DeepLabV3Options::default().backbone(MobileNetV3Options::mobilenet_v3_large().dilated(true))
    }

    /// Takes images of `channels` channels.
    #[must_use = "it returns options with the number set"]
    pub fn channels(self, channels: usize) -> DeepLabV3Options {
        DeepLabV3Options { backbone: self.backbone.with_channels(channels), ..self }
    }
}

/// DeepLabV3: `[N, channels, H, W] -> [N, classes, H, W]` logits.
///
/// `backbone` is a classifier's layers, whose last map `classifier` takes: by a pyramid of convolutions of 3 x 3 with windows of
/// several dilations side by side, one of 1 x 1 and the mean of the map, all joined (atrous spatial pyramid pooling), and
/// convolutions of 3 x 3 and 1 x 1. With [`aux_loss`](DeepLabV3Options::aux_loss), `aux_classifier` is the head of
/// [`Fcn`](super::Fcn) on a map in the middle. Logits are resized to the images. In training a batch needs two images at least,
/// since the mean of a map is normalized over the batch alone.
pub struct DeepLabV3 {
    net: Headed,
}

impl DeepLabV3 {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of the backbone; [`Error::Invalid`](crate::Error::Invalid) if a rate is 0.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::segmentation::{DeepLabV3, DeepLabV3Options};
    /// # let device = Device::reference();
    /// let options = DeepLabV3Options::deeplabv3_mobilenet_v3_large().classes(2);
    /// let net = DeepLabV3::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 16, 24])?)?.shape()[..], [2, 2, 16, 24]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &DeepLabV3Options) -> Result<DeepLabV3> {
        let DeepLabV3Options { backbone, classes, aux_loss, dropout_aux, .. } = *options;
        let aux_classifier = |scope: &Scope, inputs: usize| fcn_head(scope, inputs, classes, dropout_aux);
        let classifier = |scope: &Scope, inputs: usize| head(scope, inputs, options);
        Ok(DeepLabV3 { net: Headed::new(scope, &backbone, classifier, aux_loss.then_some(aux_classifier))? })
    }
}

headed!(DeepLabV3);

/// torchvision's `DeepLabHead`.
fn head(scope: &Scope, inputs: usize, options: &DeepLabV3Options) -> Result<Sequential> {
    let layers = Sequential::new(scope).make(|s| Pyramid::new(s, inputs, options))?;
    conv_norm_relu(layers, WIDTH, WIDTH, 3, Conv2dOptions::default())?
        .make(|s| Conv2d::new(s, WIDTH, options.classes, 1, &Conv2dOptions::default()))
}

/// Atrous spatial pyramid pooling, torchvision's `ASPP`.
struct Pyramid {
    convs: Branches,
    project: Sequential,
}

impl Pyramid {
    fn new(scope: &Scope, inputs: usize, options: &DeepLabV3Options) -> Result<Pyramid> {
        let plain = Conv2dOptions::default();
        let convs =
            Branches::new(&scope.at("convs")).make(|s| conv_norm_relu(Sequential::new(s), inputs, WIDTH, 1, plain))?;
        let convs = options.atrous_rates.into_iter().try_fold(convs, |convs, rate| {
            convs.make(|s| conv_norm_relu(Sequential::new(s), inputs, WIDTH, 3, plain.dilation(rate)))
        })?;
        let convs = convs.make(|s| MapMean::new(s, inputs))?;
        let joined = convs.len() * WIDTH;
        let project = conv_norm_relu(Sequential::new(&scope.at("project")), joined, WIDTH, 1, plain)?;
        Ok(Pyramid { convs, project: project.push(Dropout::new(options.dropout)) })
    }
}

impl Module for Pyramid {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.project.forward(&self.convs.forward(input)?)
    }
    fn children(&self) -> Children<'_> {
        children![self; convs, project]
    }
}

/// The mean of each map, through a convolution of 1 x 1, at every position: torchvision's `ASPPPooling`.
struct MapMean {
    layers: Sequential,
}

impl MapMean {
    fn new(scope: &Scope, inputs: usize) -> Result<MapMean> {
        let mean = Sequential::new(scope).push(AdaptiveAvgPool2d { output_size: [Some(1); 2] });
        Ok(MapMean { layers: conv_norm_relu(mean, inputs, WIDTH, 1, Conv2dOptions::default())? })
    }
}

impl Module for MapMean {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        resized(&self.layers.call(input)?, input)
    }
    fn children(&self) -> Children<'_> {
        self.layers.children()
    }
}

//! LR-ASPP (Howard et al., "Searching for MobileNetV3", 2019), as torchvision has it.

use super::SegmentationBackbone;
use super::backbone::Maps;
use super::resized;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::MobileNetV3Options;
use crate::models::intermediate::IntermediateLayers;
use crate::models::layers::{conv_norm_relu, convolution};
use crate::nn::{AdaptiveAvgPool2d, Children, Conv2d, Module, Scope, Sequential, Sigmoid, children};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of an [`Lraspp`]; the default is torchvision's `lraspp_mobilenet_v3_large`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    LrasppOptions {
        /// The layers below.
        backbone: SegmentationBackbone =
            SegmentationBackbone::MobileNetV3(MobileNetV3Options::mobilenet_v3_large().dilated(true)),
        /// Logits a pixel.
        classes: usize = 21,
        /// Channels within the head.
        inter_channels: usize = 128,
    }
}

impl LrasppOptions {
    /// torchvision's `lraspp_mobilenet_v3_large`: 3,221,538 parameters.
    pub fn lraspp_mobilenet_v3_large() -> LrasppOptions {
        LrasppOptions::default()
    }

    /// Takes images of `channels` channels.
    #[must_use = "it returns options with the number set"]
    pub fn channels(self, channels: usize) -> LrasppOptions {
        LrasppOptions { backbone: self.backbone.with_channels(channels), ..self }
    }
}

/// LR-ASPP, a small and quick segmenter: `[N, channels, H, W] -> [N, classes, H, W]` logits.
///
/// `backbone` is a classifier's layers. `classifier` takes two of its maps: the last, through a convolution of 1 x 1 and weighted
/// by channels, as squeeze and excitation does (`cbr`, `scale`), and one of an eighth of the images' size. Each gives logits,
/// which are added at the latter's size and resized to the images.
pub struct Lraspp {
    backbone: IntermediateLayers,
    cbr: Sequential,
    scale: Sequential,
    low_classifier: Conv2d,
    high_classifier: Conv2d,
}

impl Lraspp {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of the backbone.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::segmentation::{Lraspp, LrasppOptions};
    /// # let device = Device::reference();
    /// let net = Lraspp::new(&Scope::new(&device), &LrasppOptions::lraspp_mobilenet_v3_large().classes(2))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 16, 24])?)?.shape()[..], [1, 2, 16, 24]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &LrasppOptions) -> Result<Lraspp> {
        let LrasppOptions { backbone, classes, inter_channels } = *options;
        let Maps { layers, middle, last } = backbone.build(&scope.at("backbone"))?;
        let at = |name: &str| scope.at("classifier").at(name);
        let pointwise = Conv2dOptions::default();
        let mean = Sequential::new(&at("scale")).push(AdaptiveAvgPool2d { output_size: [Some(1); 2] });
        Ok(Lraspp {
            backbone: layers,
            cbr: conv_norm_relu(Sequential::new(&at("cbr")), last, inter_channels, 1, pointwise)?,
            scale: mean.make(|s| convolution(s, last, inter_channels, 1, pointwise))?.push(Sigmoid),
            low_classifier: Conv2d::new(&at("low_classifier"), middle, classes, 1, &pointwise)?,
            high_classifier: Conv2d::new(&at("high_classifier"), inter_channels, classes, 1, &pointwise)?,
        })
    }
}

impl Module for Lraspp {
    fn call(&self, images: &Tensor) -> Result<Tensor> {
        let [low, high] = &self.backbone.outputs(images)?[..] else {
            return Err(Error::invalid("Lraspp", "the backbone gives two maps"));
        };
        let weighted = self.cbr.forward(high)?.mul(&self.scale.forward(high)?)?;
        let high = self.high_classifier.forward(&resized(&weighted, low)?)?;
        resized(&self.low_classifier.forward(low)?.add(&high)?, images)
    }
    fn children(&self) -> Children<'_> {
        let head = children![self; cbr, scale, low_classifier, high_classifier].into_iter();
        let head = head.map(|(name, layer)| (format!("classifier.{name}"), layer));
        children![self; backbone].into_iter().chain(head).collect()
    }
}

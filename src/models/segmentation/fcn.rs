//! Fully convolutional networks (Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015), as torchvision has
//! them.

use super::SegmentationBackbone;
use super::headed::{Headed, fcn_head, headed};
use crate::error::Result;
use crate::models::ResNetOptions;
use crate::nn::Scope;
use crate::options::options;

options! {
    /// Options of an [`Fcn`]; the default is torchvision's `fcn_resnet50`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    FcnOptions {
        /// The layers below.
        backbone: SegmentationBackbone = SegmentationBackbone::ResNet(
            ResNetOptions::resnet50().replace_stride_with_dilation([false, true, true]),
        ),
        /// Logits a pixel.
        classes: usize = 21,
        /// Adds a classifier of the map in the middle, whose loss helps the layers below it.
        aux_loss: bool = false,
        /// Share of the classifier's inner channels dropped in training.
        dropout: f64 = 0.1,
        /// The same of the auxiliary classifier.
        dropout_aux: f64 = 0.1,
    }
}

impl FcnOptions {
    /// torchvision's `fcn_resnet50`: 32,957,013 parameters without the auxiliary classifier.
    pub fn fcn_resnet50() -> FcnOptions {
        FcnOptions::default()
    }

    /// torchvision's `fcn_resnet101`: 51,949,141 parameters without the auxiliary classifier.
    pub fn fcn_resnet101() -> FcnOptions {
        let resnet = ResNetOptions::resnet101().replace_stride_with_dilation([false, true, true]);
        FcnOptions::default().backbone(resnet)
    }

    /// Takes images of `channels` channels.
    #[must_use = "it returns options with the number set"]
    pub fn channels(self, channels: usize) -> FcnOptions {
        FcnOptions { backbone: self.backbone.with_channels(channels), ..self }
    }
}

/// A fully convolutional network: `[N, channels, H, W] -> [N, classes, H, W]` logits.
///
/// `backbone` is a classifier's layers, whose last map `classifier` takes: a convolution of 3 x 3 and one of 1 x 1. With
/// [`aux_loss`](FcnOptions::aux_loss), `aux_classifier` is the same on a map in the middle. Logits are resized to the images.
pub struct Fcn {
    net: Headed,
}

impl Fcn {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of the backbone.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::segmentation::{Fcn, FcnOptions};
    /// # let device = Device::reference();
    /// let net = Fcn::new(&Scope::new(&device), &FcnOptions::fcn_resnet50().classes(2).aux_loss(true))?;
    /// let outputs = net.outputs(&Tensor::zeros(&device, &[1, 3, 17, 16])?)?;
    /// assert_eq!(outputs.out.shape()[..], [1, 2, 17, 16]);
    /// assert_eq!(outputs.aux.unwrap().shape()[..], [1, 2, 17, 16]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &FcnOptions) -> Result<Fcn> {
        let FcnOptions { backbone, classes, aux_loss, dropout, dropout_aux } = *options;
        let head = |dropout| move |scope: &Scope, inputs| fcn_head(scope, inputs, classes, dropout);
        Ok(Fcn { net: Headed::new(scope, &backbone, head(dropout), aux_loss.then_some(head(dropout_aux)))? })
    }
}

headed!(Fcn);

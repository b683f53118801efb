//! Heads on a backbone, which FCN and DeepLabV3 share.

use super::backbone::{Maps, SegmentationBackbone};
use super::resized;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::intermediate::IntermediateLayers;
use crate::models::layers::conv_norm_relu;
use crate::nn::{Children, Conv2d, Dropout, Mode, Module, Scope, Sequential, children};
use crate::ops::Conv2dOptions;

/// The logits of a segmenter.
#[derive(Clone, Debug)]
pub struct SegmentationOutputs {
    /// `[N, classes, H, W]`.
    pub out: Tensor,
    /// Those of the auxiliary classifier, where there is one: `[N, classes, H, W]`.
    pub aux: Option<Tensor>,
}

/// A backbone, a classifier of its last map, and perhaps an auxiliary one of the map in the middle.
pub(super) struct Headed {
    backbone: IntermediateLayers,
    classifier: Sequential,
    aux_classifier: Option<Sequential>,
    mode: Mode,
}

impl Headed {
    /// The classifiers are made for maps of these channels.
    pub fn new(
        scope: &Scope,
        backbone: &SegmentationBackbone,
        classifier: impl FnOnce(&Scope, usize) -> Result<Sequential>,
        aux_classifier: Option<impl FnOnce(&Scope, usize) -> Result<Sequential>>,
    ) -> Result<Headed> {
        let Maps { layers, middle, last } = backbone.build(&scope.at("backbone"))?;
        Ok(Headed {
            backbone: layers,
            classifier: classifier(&scope.at("classifier"), last)?,
            aux_classifier: aux_classifier.map(|make| make(&scope.at("aux_classifier"), middle)).transpose()?,
            mode: Mode::default(),
        })
    }

    /// The logits of both classifiers, in the size of the images.
    pub fn outputs(&self, images: &Tensor) -> Result<SegmentationOutputs> {
        let [middle, last] = &self.backbone.outputs(images)?[..] else {
            return Err(Error::invalid("segmentation", "the backbone gives two maps"));
        };
        let of = |head: &Sequential, map: &Tensor| resized(&head.forward(map)?, images);
        let out = of(&self.classifier, last)?;
        Ok(SegmentationOutputs { out, aux: self.aux_classifier.as_ref().map(|head| of(head, middle)).transpose()? })
    }
}

impl Module for Headed {
    /// The logits of the main classifier. In training the auxiliary one runs too, for those that look for its output.
    fn call(&self, images: &Tensor) -> Result<Tensor> {
        if self.mode.is_training() {
            return Ok(self.outputs(images)?.out);
        }
        resized(&self.classifier.forward(&self.backbone.forward(images)?)?, images)
    }
    fn children(&self) -> Children<'_> {
        children![self; backbone, classifier, aux_classifier]
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
    fn auxiliary_outputs(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        Ok(self.outputs(images)?.aux.into_iter().collect())
    }
}

/// torchvision's `FCNHead`: a convolution of 3 x 3 to a quarter of the channels, dropout, and one of 1 x 1 to the classes.
pub(super) fn fcn_head(scope: &Scope, inputs: usize, classes: usize, dropout: f64) -> Result<Sequential> {
    conv_norm_relu(Sequential::new(scope), inputs, inputs / 4, 3, Conv2dOptions::default())?
        .push(Dropout::new(dropout))
        .make(|s| Conv2d::new(s, inputs / 4, classes, 1, &Conv2dOptions::default()))
}

/// The methods of a network that is [`Headed`] in its field `net`.
macro_rules! headed {
    ($network:ident) => {
        impl $network {
            /// The logits, and those of the auxiliary classifier where there is one.
            ///
            /// # Errors
            /// Those of the layers.
            pub fn outputs(
                &self,
                images: &$crate::graph::Tensor,
            ) -> $crate::error::Result<$crate::models::segmentation::SegmentationOutputs> {
                self.net.outputs(images)
            }
        }

        /// The logits alone; in training the auxiliary classifier runs too.
        impl $crate::nn::Module for $network {
            fn call(&self, images: &$crate::graph::Tensor) -> $crate::error::Result<$crate::graph::Tensor> {
                self.net.call(images)
            }
            fn children(&self) -> $crate::nn::Children<'_> {
                self.net.children()
            }
            fn mode(&self) -> Option<&$crate::nn::Mode> {
                self.net.mode()
            }
            fn auxiliary_outputs(
                &self,
                images: &$crate::graph::Tensor,
            ) -> $crate::error::Result<Vec<$crate::graph::Tensor>> {
                self.net.auxiliary_outputs(images)
            }
        }
    };
}
pub(super) use headed;

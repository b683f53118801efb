//! Predictions of SSD.

use super::{SsdBackbone, SsdOptions};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::models::detection::levels::joined;
use crate::models::initial;
use crate::nn::blocks::{Activation, ConvNormActivation, ConvNormActivationOptions};
use crate::nn::{self, BatchNormLayerOptions, Conv2d, Module, ModuleList, Scope, Sequential};
use crate::ops::Conv2dOptions;

/// Normalization in SSDlite.
pub(super) fn norm() -> BatchNormLayerOptions {
    BatchNormLayerOptions::default().eps(1e-3).momentum(0.03)
}

/// Uniform numbers by the fans, torchvision's `_xavier_init`.
pub(super) fn xavier(weight: &Parameter) -> Result<()> {
    nn::init::xavier_uniform(weight, 1.0)
}

/// Predictions of classes and boxes.
pub(super) struct Head {
    classification_head: Scores,
    regression_head: Scores,
}

impl Head {
    pub fn new(scope: &Scope, channels: &[usize], anchors: &[usize], options: &SsdOptions) -> Result<Head> {
        let is_lite = options.backbone == SsdBackbone::MobileNetV3Large;
        let scores = |name: &str, columns| Scores::new(&scope.at(name), channels, anchors, columns, is_lite);
        let head = Head {
            classification_head: scores("classification_head", options.classes)?,
            regression_head: scores("regression_head", 4)?,
        };
        match is_lite {
            true => initial::draw(&head, initial::normal(0.03), initial::kept)?,
            false => initial::draw(&head, xavier, initial::kept)?,
        }
        Ok(head)
    }

    /// Logits of classes and offsets of boxes, `[N, A, ..]`.
    pub fn predictions(&self, maps: &[Tensor]) -> Result<[Tensor; 2]> {
        Ok([self.classification_head.predictions(maps)?, self.regression_head.predictions(maps)?])
    }
}

impl Module for Head {
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid("SsdHead", "the heads take the maps of all levels"))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; classification_head, regression_head]
    }
}

/// A layer for each map.
struct Scores {
    module_list: ModuleList,
    columns: usize,
}

impl Scores {
    fn new(scope: &Scope, channels: &[usize], anchors: &[usize], columns: usize, is_lite: bool) -> Result<Scores> {
        let mut module_list = ModuleList::new(&scope.at("module_list"));
        for (&channels, anchors) in channels.iter().zip(anchors) {
            let outputs = columns * anchors;
            module_list = match is_lite {
                true => module_list.make(|s| separable(s, channels, outputs))?,
                false => {
                    module_list.make(|s| Conv2d::new(s, channels, outputs, 3, &Conv2dOptions::default().padding(1)))?
                }
            };
        }
        Ok(Scores { module_list, columns })
    }

    fn predictions(&self, maps: &[Tensor]) -> Result<Tensor> {
        let outputs = self.module_list.iter().zip(maps).map(|(layer, map)| layer.forward(map));
        joined(&outputs.collect::<Result<Vec<_>>>()?, self.columns)
    }
}

impl Module for Scores {
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid("SsdScoringHead", "a head takes the maps of all levels"))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; module_list]
    }
}

/// A convolution of each channel alone, and one of 1 x 1.
fn separable(scope: &Scope, channels: usize, outputs: usize) -> Result<Sequential> {
    let depthwise = ConvNormActivationOptions::default().groups(channels).norm(norm()).activation(Activation::Relu6);
    Sequential::new(scope)
        .make(|s| ConvNormActivation::new(s, channels, channels, &depthwise))?
        .make(|s| Conv2d::new(s, channels, outputs, 1, &Conv2dOptions::default()))
}

//! The layers of a classifier under the heads of a segmenter.

use crate::error::Result;
use crate::models::intermediate::IntermediateLayers;
use crate::models::{MobileNetV3Options, ResNet, ResNetOptions, initial};
use crate::nn::Scope;
use crate::options::As;

/// The classifier whose layers a segmenter takes; its classes and its dropout have no meaning here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SegmentationBackbone {
    /// The maps are those of `layer3` and `layer4`.
    ResNet(ResNetOptions),
    /// The maps are those of the third stage from behind, an eighth as large as the images, and of the last layer.
    MobileNetV3(MobileNetV3Options),
}

impl As<SegmentationBackbone> for ResNetOptions {
    fn convert(self) -> SegmentationBackbone {
        SegmentationBackbone::ResNet(self)
    }
}

impl As<SegmentationBackbone> for MobileNetV3Options {
    fn convert(self) -> SegmentationBackbone {
        SegmentationBackbone::MobileNetV3(self)
    }
}

/// Layers that give a map in the middle and the last one, with their channels.
pub(super) struct Maps {
    pub layers: IntermediateLayers,
    pub middle: usize,
    pub last: usize,
}

impl SegmentationBackbone {
    /// Takes images of `channels` channels.
    pub(super) fn with_channels(self, channels: usize) -> SegmentationBackbone {
        match self {
            SegmentationBackbone::ResNet(options) => options.channels(channels).convert(),
            SegmentationBackbone::MobileNetV3(options) => options.channels(channels).convert(),
        }
    }

    pub(super) fn build(&self, scope: &Scope) -> Result<Maps> {
        let (layers, [(middle_name, middle), (last_name, last)]) = match self {
            SegmentationBackbone::ResNet(options) => {
                let [.., middle, last] = options.widths();
                let [third, fourth] = ["layer3", "layer4"].map(String::from);
                (ResNet::new(scope, options)?.into_layers(), [(third, middle), (fourth, last)])
            }
            SegmentationBackbone::MobileNetV3(options) => {
                let layers = options.features(scope)?;
                initial::draw(&layers, initial::kaiming_fan_out, initial::kept)?;
                let stages = options.stages();
                let from_behind = |place: usize| {
                    let (number, channels) = stages[stages.len() - place];
                    (number.to_string(), channels)
                };
                (layers, [from_behind(4), from_behind(1)])
            }
        };
        Ok(Maps { layers: IntermediateLayers::new(layers, &[middle_name, last_name])?, middle, last })
    }
}

//! The maps of SSDlite over MobileNetV3, torchvision's `SSDLiteFeatureExtractorMobileNet`.

use super::head::norm;
use super::{Maps, SsdOptions};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::detection::backbone::freeze;
use crate::models::{MobileNetV3Options, initial};
use crate::nn::blocks::{Activation, ConvNormActivation, ConvNormActivationOptions};
use crate::nn::{self, Identity, Module, ModuleList, Scope, Sequential};

/// Channels of the extra maps in the published network, and the fewest of a narrower one.
const EXTRA: [usize; 4] = [512, 256, 256, 128];
const MIN_DEPTH: usize = 16;

struct Extractor {
    features: ModuleList,
    extra: ModuleList,
}

/// The network that makes the maps, and the channels of each.
pub(super) fn extractor(scope: &Scope, options: &SsdOptions) -> Result<(Box<dyn Maps>, Vec<usize>)> {
    let mobilenet =
        MobileNetV3Options::mobilenet_v3_large().width_mult(options.width_mult).reduced_tail(true).norm(norm());
    let (stages, blocks) = (mobilenet.stages(), mobilenet.blocks());
    // The first map is inside the block that halves the size for the last time, after its expansion.
    let (cut, _) = stages[stages.len() - 2];
    let (before, after) = (&blocks[..cut - 1], &blocks[cut..]);
    let split = &blocks[cut - 1];
    let first = |scope: &Scope| {
        let stem = Sequential::new(scope).make(|s| mobilenet.stem(s))?;
        let layers = before.iter().try_fold(stem, |layers, block| layers.make(|s| block.layer(s)))?;
        layers.make(|s| split.options.expansion(s, split.inputs, split.expanded))
    };
    let second = |scope: &Scope| {
        // Layers keep the numbers that they have in the block; the expansion's is taken.
        let rest =
            |s: &Scope| split.options.projected(Sequential::new(s).push(Identity), split.expanded, split.outputs);
        let layers = Sequential::new(scope).make(rest)?;
        let layers = after.iter().try_fold(layers, |layers, block| layers.make(|s| block.layer(s)))?;
        layers.make(|s| mobilenet.last(s))
    };
    let features = ModuleList::new(&scope.at("features")).make(first)?.make(second)?;
    freeze_stages(&features, &stages, options.trainable_layers)?;

    let extra_channels = EXTRA.map(|channels| options.scaled(channels).max(MIN_DEPTH));
    let mut inputs = mobilenet.width();
    let mut extra = ModuleList::new(&scope.at("extra"));
    for outputs in extra_channels {
        extra = extra.make(|s| separable(s, inputs, outputs))?;
        inputs = outputs;
    }
    let channels = [split.expanded, mobilenet.width()].into_iter().chain(extra_channels).collect();
    let net = Extractor { features, extra };
    initial::draw(&net, initial::normal(0.03), initial::kept)?;
    Ok((Box::new(net), channels))
}

/// Leaves all parameters before the last stages where they are.
fn freeze_stages(features: &ModuleList, stages: &[(usize, usize)], trainable: usize) -> Result<()> {
    let Some(frozen) = stages.len().checked_sub(trainable) else {
        let rule = format!("trainable_layers is {trainable}; it must be from 0 to {}", stages.len());
        return Err(Error::invalid("Ssd", rule));
    };
    let mut end = stages.get(frozen).map_or(usize::MAX, |&(number, _)| number);
    for part in features.iter() {
        let layers = part.children();
        layers.iter().take(end).for_each(|(_, layer)| freeze(*layer));
        // The block that is cut counts in the first part.
        end = end.saturating_sub(layers.len() - 1);
    }
    Ok(())
}

/// Convolutions of 1 x 1 to half the channels, of each channel alone with stride 2, and of 1 x 1.
fn separable(scope: &Scope, inputs: usize, outputs: usize) -> Result<Sequential> {
    let plain = ConvNormActivationOptions::default().norm(norm()).activation(Activation::Relu6);
    let between = outputs / 2;
    Sequential::new(scope)
        .make(|s| ConvNormActivation::new(s, inputs, between, &plain.kernel_size(1)))?
        .make(|s| ConvNormActivation::new(s, between, between, &plain.stride(2).groups(between)))?
        .make(|s| ConvNormActivation::new(s, between, outputs, &plain.kernel_size(1)))
}

impl Maps for Extractor {
    fn maps(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = images.clone();
        let mut maps = Vec::new();
        for block in self.features.iter().chain(self.extra.iter()) {
            x = block.forward(&x)?;
            maps.push(x.clone());
        }
        Ok(maps)
    }
}

impl Module for Extractor {
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid("SSDLiteFeatureExtractorMobileNet", "it makes several maps"))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, extra]
    }
}

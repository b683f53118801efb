//! The maps of SSD over VGG-16, torchvision's `SSDFeatureExtractorVGG`.

use super::head::xavier;
use super::{Maps, SsdOptions};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::models::detection::backbone::freeze;
use crate::models::initial;
use crate::nn::{self, Conv2d, MaxPool2d, Module, ModuleList, Relu, Scope, Sequential};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};

/// Channels and convolutions of the stages before the first map.
const STAGES: [(usize, usize); 4] = [(64, 2), (128, 2), (256, 3), (512, 3)];
/// Channels of the maps, in the published network.
const CHANNELS: [usize; 6] = [512, 1024, 512, 256, 256, 256];

struct Extractor {
    scale_weight: Parameter,
    features: Sequential,
    extra: ModuleList,
}

/// The network that makes the maps, and the channels of each.
pub(super) fn extractor(scope: &Scope, options: &SsdOptions) -> Result<(Box<dyn Maps>, Vec<usize>)> {
    let channels = CHANNELS.map(|channels| options.scaled(channels));
    // The largest map is normalized at each position; its scale is learned from 20 on.
    let scale = Tensor::full(scope.device(), &[channels[0]], 20.0f32)?;
    let (features, starts) = features(&scope.at("features"), options)?;
    let extra = extra(&scope.at("extra"), options)?;
    initial::draw(&features, initial::kaiming_fan_out, initial::kept)?;
    let (convolutions, rest) = (STAGES.len() + 1, options.trainable_layers);
    let Some(frozen) = convolutions.checked_sub(rest) else {
        let rule = format!("trainable_layers is {rest}; it must be from 0 to {convolutions}");
        return Err(Error::invalid("Ssd", rule));
    };
    // The fifth stage is part of the first of the extra layers, whose new convolutions always train.
    let end = starts.get(frozen).copied().unwrap_or(features.len());
    features.iter().take(end).for_each(freeze);
    if frozen == convolutions {
        let stage = extra.get(0)?.children().into_iter().take(1 + 2 * 3);
        stage.for_each(|(_, layer)| freeze(layer));
    }
    let net = Extractor { scale_weight: scope.parameter("scale_weight", &scale), features, extra };
    Ok((Box::new(net), channels.into()))
}

fn convolution(
    layers: Sequential,
    [inputs, outputs]: [usize; 2],
    size: usize,
    options: Conv2dOptions,
) -> Result<Sequential> {
    Ok(layers.make(|s| Conv2d::new(s, inputs, outputs, size, &options))?.push(Relu))
}

/// Four stages of VGG-16, and the number of the first layer of each.
fn features(scope: &Scope, options: &SsdOptions) -> Result<(Sequential, Vec<usize>)> {
    let (mut layers, mut starts, mut inputs) = (Sequential::new(scope), Vec::new(), 3);
    for (stage, (width, depth)) in STAGES.into_iter().enumerate() {
        starts.push(if stage == 0 { 0 } else { layers.len() });
        if stage > 0 {
            // The third one rounds up, for the paper's 38 x 38 positions.
            let ceil = MaxPool2dOptions::default().ceil_mode(stage == 3);
            layers = layers.push(MaxPool2d { kernel_size: [2; 2], options: ceil });
        }
        for _ in 0..depth {
            let outputs = options.scaled(width);
            layers = convolution(layers, [inputs, outputs], 3, Conv2dOptions::default().padding(1))?;
            inputs = outputs;
        }
    }
    Ok((layers, starts))
}

/// The fifth stage with the convolutions in place of linear layers, and four pairs of convolutions.
fn extra(scope: &Scope, options: &SsdOptions) -> Result<ModuleList> {
    let scaled = |channels| options.scaled(channels);
    let (plain, padded) = (Conv2dOptions::default(), Conv2dOptions::default().padding(1));
    let dense = |scope: &Scope| {
        let pooling = MaxPool2dOptions::default().stride(1).padding(1);
        let layers = Sequential::new(scope).push(MaxPool2d { kernel_size: [3; 2], options: pooling });
        let layers = convolution(layers, [scaled(512), scaled(1024)], 3, plain.padding(6).dilation(6))?;
        let layers = convolution(layers, [scaled(1024); 2], 1, plain)?;
        initial::draw(&layers, xavier, initial::kept)?;
        Ok(layers)
    };
    let first = |scope: &Scope| {
        let mut layers = Sequential::new(scope).push(MaxPool2d::new(2));
        for _ in 0..3 {
            layers = convolution(layers, [scaled(512); 2], 3, padded)?;
        }
        initial::draw(&layers, initial::kaiming_fan_out, initial::kept)?;
        layers.make(dense)
    };
    let pair = |scope: &Scope, [inputs, between, outputs]: [usize; 3], options: Conv2dOptions| {
        let [inputs, between, outputs] = [inputs, between, outputs].map(scaled);
        let layers = convolution(Sequential::new(scope), [inputs, between], 1, plain)?;
        let layers = convolution(layers, [between, outputs], 3, options)?;
        initial::draw(&layers, xavier, initial::kept)?;
        Ok(layers)
    };
    ModuleList::new(scope)
        .make(first)?
        .make(|s| pair(s, [1024, 256, 512], padded.stride(2)))?
        .make(|s| pair(s, [512, 128, 256], padded.stride(2)))?
        .make(|s| pair(s, [256, 128, 256], plain))?
        .make(|s| pair(s, [256, 128, 256], plain))
}

impl Maps for Extractor {
    fn maps(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = self.features.forward(images)?;
        let scale = self.scale_weight.value().reshape(&[1, -1, 1, 1])?;
        let mut maps = vec![(x.normalize(2.0, 1, 1e-12)? * &scale)?];
        for block in self.extra.iter() {
            x = block.forward(&x)?;
            maps.push(x.clone());
        }
        Ok(maps)
    }
}

impl Module for Extractor {
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid("SSDFeatureExtractorVGG", "it makes several maps"))
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; scale_weight]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, extra]
    }
}

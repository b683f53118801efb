//! MaxViT (Tu et al., "MaxViT: Multi-Axis Vision Transformer", 2022). The names of the parameters are torchvision's.

use super::windows::{RelativePositionBias, cut, join};
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::blocks::{
    Activation, ConvNormActivation, ConvNormActivationOptions, SqueezeExcitation, StochasticDepth, StochasticDepthMode,
};
use crate::nn::{
    self, AvgPool2d, BatchNorm2d, BatchNormLayerOptions, Conv2d, Dropout, Flatten, Gelu, LayerNorm, LayerNormOptions,
    Linear, Module, Scope, Sequential, Tanh,
};
use crate::ops::{AttentionOptions, AvgPool2dOptions, Conv2dOptions};
use crate::options::options;

options! {
    /// Options of a [`MaxVit`]; the default is torchvision's `maxvit_t`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    MaxVitOptions {
        /// Height and width of the images.
        image_size: usize = 224,
        /// Channels of the stem.
        stem: usize = 64,
        /// Channels of each stage.
        widths: [usize; 4] = [64, 128, 256, 512],
        /// Layers of each stage.
        depths: [usize; 4] = [2, 2, 5, 2],
        /// Channels of a head.
        head_dim: usize = 32,
        /// Height and width of the windows, and of the grids, that attend.
        partition_size: usize = 7,
        /// The probability with which the last layer is dropped in training; it grows from 0 with depth.
        stochastic_depth: f64 = 0.2,
        /// Share of the attention's result dropped in training.
        attention_dropout: f64 = 0.0,
        /// Share of the linear layers' result dropped in training.
        dropout: f64 = 0.0,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl MaxVitOptions {
    /// torchvision's `maxvit_t`: 30,919,624 parameters.
    pub fn maxvit_t() -> MaxVitOptions {
        MaxVitOptions::default()
    }
}

/// MaxViT: `[N, channels, image_size, image_size] -> [N, classes]` logits.
///
/// A layer is an inverted residual block, attention within windows, and attention within grids of positions far from each
/// other. The stem halves the size, and so does each stage.
pub struct MaxVit {
    stem: Sequential,
    blocks: Vec<Stage>,
    classifier: Sequential,
}

const NORM: BatchNormLayerOptions =
    BatchNormLayerOptions { eps: 1e-3, momentum: Some(0.01), affine: true, track_running_stats: true };

impl MaxVit {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `partition_size` does not divide the size of every stage, or `head_dim` its channels.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{MaxVit, MaxVitOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = MaxVitOptions::maxvit_t().image_size(32).partition_size(1).widths([8; 4]).depths([1; 4]).head_dim(4);
    /// let net = MaxVit::new(&Scope::new(&device), &options.stem(8).classes(10))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &MaxVitOptions) -> Result<MaxVit> {
        let MaxVitOptions {
            image_size, stem, widths, depths, partition_size, stochastic_depth, classes, channels, ..
        } = *options;
        let plain = ConvNormActivationOptions::default().norm(NORM).activation(Activation::Gelu);
        let bare = ConvNormActivationOptions::default().norm(None).activation(None);
        let halving = plain.stride(2);
        let stem_layers = Sequential::new(&scope.at("stem"))
            .make(|s| ConvNormActivation::new(s, channels, stem, &halving))?
            .make(|s| ConvNormActivation::new(s, stem, stem, &bare))?;
        let last = depths.iter().sum::<usize>().saturating_sub(1).max(1);
        let (mut size, mut width, mut number) = (image_size.div_ceil(2), stem, 0usize);
        let mut blocks = Vec::new();
        for (stage, (outputs, depth)) in widths.into_iter().zip(depths).enumerate() {
            size = size.div_ceil(2);
            if partition_size == 0 || !size.is_multiple_of(partition_size) {
                let rule =
                    format!("stage {stage} has {size} rows, which are no multiple of partition_size {partition_size}");
                return Err(Error::invalid("MaxVit", rule));
            }
            let scope = scope.at("blocks").at(stage).at("layers");
            let mut layers = Vec::new();
            for layer in 0..depth {
                let p = stochastic_depth * number as f64 / last as f64;
                let scope = scope.at(layer).at("layers");
                layers.push(Layer::new(&scope, [width, outputs], size, if layer == 0 { 2 } else { 1 }, p, options)?);
                width = outputs;
                number += 1;
            }
            blocks.push(Stage { layers });
        }
        let classifier = Sequential::new(&scope.at("classifier"))
            .push(nn::AdaptiveAvgPool2d::new(1))
            .push(Flatten)
            .make(|s| LayerNorm::new(s, &[width], &LayerNormOptions::default()))?
            .make(|s| Linear::new(s, width, width))?
            .push(Tanh)
            .make(|s| Linear::without_bias(s, width, classes))?;
        let net = MaxVit { stem: stem_layers, blocks, classifier };
        initial::draw(&net, initial::normal(0.02), initial::normal(0.02))?;
        Ok(net)
    }
}

impl Backbone for MaxVit {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.blocks.iter().try_fold(self.stem.forward(input)?, |x, stage| stage.forward(&x))
    }
}

impl Module for MaxVit {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; stem, blocks, classifier]
    }
}

/// Layers of one size.
struct Stage {
    layers: Vec<Layer>,
}

impl Module for Stage {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(input.clone(), |x, layer| layer.forward(&x))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; layers]
    }
}

/// An inverted residual block, then attention within windows and within grids.
struct Layer {
    layers: Sequential,
}

impl Layer {
    fn new(
        scope: &Scope,
        widths: [usize; 2],
        size: usize,
        stride: usize,
        stochastic_depth: f64,
        options: &MaxVitOptions,
    ) -> Result<Layer> {
        let attention =
            |s: &Scope, partition| PartitionAttention::new(s, widths[1], partition, stochastic_depth, options);
        let window = options.partition_size;
        let layers = Sequential::new(scope)
            .make_named("MBconv", |s| MbConv::new(s, widths, stride, stochastic_depth))?
            .make_named("window_attention", |s| attention(s, Partition::Windows(window)))?
            .make_named("grid_attention", |s| attention(s, Partition::Grids(size / window)))?;
        Ok(Layer { layers })
    }
}

impl Module for Layer {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.forward(input)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; layers]
    }
}

/// An inverted residual block with a norm before its convolutions, and none behind the last.
struct MbConv {
    proj: Option<Sequential>,
    stochastic_depth: StochasticDepth,
    layers: Sequential,
}

impl MbConv {
    fn new(scope: &Scope, [inputs, outputs]: [usize; 2], stride: usize, stochastic_depth: f64) -> Result<MbConv> {
        let pointwise = Conv2dOptions::default();
        let proj = (stride != 1 || inputs != outputs).then(|| {
            let pool = AvgPool2dOptions::default().stride(stride).padding(1);
            let proj = Sequential::new(&scope.at("proj"));
            let proj = if stride == 2 { proj.push(AvgPool2d { kernel_size: [3; 2], options: pool }) } else { proj };
            proj.make(|s| Conv2d::new(s, inputs, outputs, 1, &pointwise))
        });
        let plain = ConvNormActivationOptions::default().norm(NORM).activation(Activation::Gelu);
        let expanded = outputs.saturating_mul(4);
        let depthwise = plain.stride(stride).groups(expanded);
        let layers = Sequential::new(&scope.at("layers"))
            .make_named("pre_norm", |s| BatchNorm2d::new(s, inputs, &NORM))?
            .make_named("conv_a", |s| ConvNormActivation::new(s, inputs, expanded, &plain.kernel_size(1)))?
            .make_named("conv_b", |s| ConvNormActivation::new(s, expanded, expanded, &depthwise))?
            .make_named("squeeze_excitation", |s| {
                SqueezeExcitation::new(s, expanded, outputs / 4, Activation::Silu, Activation::Sigmoid)
            })?
            .make_named("conv_c", |s| Conv2d::new(s, expanded, outputs, 1, &pointwise))?;
        let stochastic_depth = StochasticDepth::new(stochastic_depth, StochasticDepthMode::Row)?;
        Ok(MbConv { proj: proj.transpose()?, stochastic_depth, layers })
    }
}

impl Module for MbConv {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let shortcut = self.proj.as_ref().map_or_else(|| Ok(input.clone()), |proj| proj.forward(input))?;
        shortcut.add(&self.stochastic_depth.forward(&self.layers.forward(input)?)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; proj, stochastic_depth, layers]
    }
}

/// The positions that attend to each other.
#[derive(Clone, Copy)]
enum Partition {
    /// Those of a window of this size.
    Windows(usize),
    /// Those at the same position of all windows of this size.
    Grids(usize),
}

/// Attention, then two linear layers, each added to its input: `[N, C, H, W] -> [N, C, H, W]`.
struct PartitionAttention {
    partition: Partition,
    attn_layer: Sequential,
    mlp_layer: Sequential,
    stochastic_dropout: StochasticDepth,
}

impl PartitionAttention {
    fn new(
        scope: &Scope,
        width: usize,
        partition: Partition,
        stochastic_depth: f64,
        options: &MaxVitOptions,
    ) -> Result<PartitionAttention> {
        let MaxVitOptions { head_dim, partition_size, attention_dropout, dropout, .. } = *options;
        let norm = |s: &Scope| LayerNorm::new(s, &[width], &LayerNormOptions::default());
        let attn_layer = Sequential::new(&scope.at("attn_layer"))
            .make(norm)?
            .make(|s| RelativeAttention::new(s, width, head_dim, partition_size))?
            .push(Dropout::new(attention_dropout));
        let mlp_layer = Sequential::new(&scope.at("mlp_layer"))
            .make(norm)?
            .make(|s| Linear::new(s, width, 4 * width))?
            .push(Gelu)
            .make(|s| Linear::new(s, 4 * width, width))?
            .push(Dropout::new(dropout));
        let stochastic_dropout = StochasticDepth::new(stochastic_depth, StochasticDepthMode::Row)?;
        Ok(PartitionAttention { partition, attn_layer, mlp_layer, stochastic_dropout })
    }
}

impl Module for PartitionAttention {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let (Partition::Windows(window) | Partition::Grids(window)) = self.partition;
        let size = [input.shape()[2], input.shape()[3]];
        if size.iter().any(|size| !size.is_multiple_of(window)) {
            let rule = format!("{size:?} places are not cut into windows of {window}; see MaxVitOptions::image_size");
            return Err(Error::invalid("MaxVit", rule));
        }
        let turned = |x: Tensor| if let Partition::Grids(_) = self.partition { x.transpose(1, 2) } else { Ok(x) };
        let x = turned(cut(&input.permute([0, 2, 3, 1])?, [window; 2])?)?;
        let x = x.add(&self.stochastic_dropout.forward(&self.attn_layer.forward(&x)?)?)?;
        let x = x.add(&self.stochastic_dropout.forward(&self.mlp_layer.forward(&x)?)?)?;
        join(&turned(x)?, [window; 2], size)?.permute([0, 3, 1, 2])
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; attn_layer, mlp_layer, stochastic_dropout]
    }
}

/// Attention with a bias by offset: `[N, windows, places, C] -> [N, windows, places, C]`.
struct RelativeAttention {
    bias: RelativePositionBias,
    to_qkv: Linear,
    merge: Linear,
    heads: usize,
}

impl RelativeAttention {
    fn new(scope: &Scope, width: usize, head_dim: usize, window: usize) -> Result<RelativeAttention> {
        if head_dim == 0 || !width.is_multiple_of(head_dim) {
            return Err(Error::invalid("MaxVit", format!("head_dim {head_dim} does not divide {width} channels")));
        }
        let heads = width / head_dim;
        Ok(RelativeAttention {
            bias: RelativePositionBias::new(scope, [window; 2], heads, &[window.saturating_mul(window); 2])?,
            to_qkv: Linear::new(&scope.at("to_qkv"), width, 3 * width)?,
            merge: Linear::new(&scope.at("merge"), width, width)?,
            heads,
        })
    }
}

impl Module for RelativeAttention {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let qkv =
            self.to_qkv.forward(input)?.unflatten(-1, &[3, self.heads as isize, -1])?.permute([3, 0, 1, 4, 2, 5])?;
        let part = |index| qkv.narrow(0, index, 1)?.squeeze(0);
        // Scaled by all channels and not by a head's, as in the paper's code.
        let scale = 1.0 / (input.shape()[3] as f64).sqrt();
        let options = AttentionOptions::default().attn_mask(self.bias.value()?).scale(scale);
        let attended = part(0)?.scaled_dot_product_attention(&part(1)?, &part(2)?, &options)?;
        self.merge.forward(&attended.transpose(2, 3)?.flatten(-2, -1)?)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        vec![self.bias.table.clone(), self.bias.index.clone()]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; to_qkv, merge]
    }
}

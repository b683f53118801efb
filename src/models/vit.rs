//! Vision transformers (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020). The names of the parameters are
//! torchvision's.

use super::Backbone;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{
    self, Conv2d, Dropout, Gelu, LayerNorm, LayerNormOptions, Linear, Module, MultiheadAttention,
    MultiheadAttentionOptions, Scope, Sequential, init,
};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of a [`VisionTransformer`]; the default is torchvision's `vit_b_16`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    VisionTransformerOptions {
        /// Height and width of the images.
        image_size: usize = 224,
        /// Height and width of the patches an image is cut into.
        patch_size: usize = 16,
        /// Encoder blocks.
        layers: usize = 12,
        /// Heads of each attention.
        heads: usize = 12,
        /// Size of a patch's embedding.
        hidden_dim: usize = 768,
        /// Numbers between the two linear layers of a block.
        mlp_dim: usize = 3072,
        /// Share dropped in training, after attention and linear layers.
        dropout: f64 = 0.0,
        /// Share of the attention's weights dropped in training.
        attention_dropout: f64 = 0.0,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl VisionTransformerOptions {
    /// torchvision's `vit_b_16`: 86,567,656 parameters.
    pub fn vit_b_16() -> VisionTransformerOptions {
        VisionTransformerOptions::default()
    }

    /// torchvision's `vit_b_32`: 88,224,232 parameters.
    pub fn vit_b_32() -> VisionTransformerOptions {
        VisionTransformerOptions::default().patch_size(32)
    }

    /// torchvision's `vit_l_16`: 304,326,632 parameters.
    pub fn vit_l_16() -> VisionTransformerOptions {
        VisionTransformerOptions::default().layers(24).heads(16).hidden_dim(1024).mlp_dim(4096)
    }

    /// torchvision's `vit_l_32`: 306,535,400 parameters.
    pub fn vit_l_32() -> VisionTransformerOptions {
        VisionTransformerOptions::vit_l_16().patch_size(32)
    }

    /// torchvision's `vit_h_14`: 632,045,800 parameters.
    pub fn vit_h_14() -> VisionTransformerOptions {
        VisionTransformerOptions::default().patch_size(14).layers(32).heads(16).hidden_dim(1280).mlp_dim(5120)
    }
}

/// A vision transformer: `[N, channels, image_size, image_size] -> [N, classes]` logits.
///
/// `conv_proj` makes a vector of each patch, `encoder` lets these and a learned class token attend to each other, and
/// `heads.head` is linear in the class token.
pub struct VisionTransformer {
    class_token: Parameter,
    conv_proj: Conv2d,
    encoder: Encoder,
    heads: Sequential,
    image_size: usize,
}

impl VisionTransformer {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `patch_size` does not divide `image_size`, or `heads` not `hidden_dim`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{VisionTransformer, VisionTransformerOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = VisionTransformerOptions::default().image_size(32).patch_size(8).layers(2).hidden_dim(24).mlp_dim(48);
    /// let net = VisionTransformer::new(&Scope::new(&device), &options.classes(10))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &VisionTransformerOptions) -> Result<VisionTransformer> {
        let VisionTransformerOptions { image_size, patch_size, hidden_dim, classes, channels, .. } = *options;
        if patch_size == 0 || !image_size.is_multiple_of(patch_size) {
            let rule = format!("patches of {patch_size} do not fill images of {image_size}");
            return Err(Error::invalid("VisionTransformer", rule));
        }
        let patches = Conv2dOptions::default().stride(patch_size);
        let class_token = Tensor::zeros(scope.device(), &[1, 1, hidden_dim])?;
        let net = VisionTransformer {
            class_token: scope.parameter("class_token", &class_token),
            conv_proj: Conv2d::new(&scope.at("conv_proj"), channels, hidden_dim, patch_size, &patches)?,
            encoder: Encoder::new(&scope.at("encoder"), options)?,
            heads: Sequential::new(&scope.at("heads")).make_named("head", |s| Linear::new(s, hidden_dim, classes))?,
            image_size,
        };
        let fan_in = channels * patch_size * patch_size;
        init::trunc_normal(&net.conv_proj.weight, 0.0, (1.0 / fan_in as f64).sqrt(), -2.0, 2.0)?;
        net.conv_proj.bias.iter().try_for_each(init::zeros)?;
        net.heads.parameters().iter().try_for_each(init::zeros)?;
        Ok(net)
    }

    /// The class token after the encoder, `[N, hidden_dim]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the images are not of `image_size`.
    pub fn class_features(&self, input: &Tensor) -> Result<Tensor> {
        self.encoded(input)?.narrow(1, 0, 1)?.squeeze(1)
    }

    /// The class token and the patches after the encoder, `[N, 1 + patches, hidden_dim]`.
    fn encoded(&self, input: &Tensor) -> Result<Tensor> {
        if input.rank() != 4 || input.shape()[2..] != [self.image_size; 2] {
            let rule = format!("expected [N, C, {0}, {0}], got {1}", self.image_size, input.shape());
            return Err(Error::invalid("VisionTransformer", rule));
        }
        let patches = self.conv_proj.forward(input)?.flatten(2, -1)?.transpose(1, 2)?;
        let token = self.class_token.value().expand(&[input.shape()[0] as isize, -1, -1])?;
        self.encoder.forward(&Tensor::cat(&[&token, &patches], 1)?)
    }
}

/// The patches after the encoder as an image, `[N, hidden_dim, H / patch_size, W / patch_size]`.
impl Backbone for VisionTransformer {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        let side = self.image_size / self.conv_proj.options.stride[0];
        let patches = self.encoded(input)?.narrow(1, 1, side * side)?;
        patches.transpose(1, 2)?.unflatten(2, &[side as isize, side as isize])
    }
}

impl Module for VisionTransformer {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.heads.forward(&self.class_features(input)?)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; class_token]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv_proj, encoder, heads]
    }
}

const NORM: LayerNormOptions = LayerNormOptions { eps: 1e-6, elementwise_affine: true, bias: true };

/// A learned vector for each position, then blocks and a norm.
struct Encoder {
    pos_embedding: Parameter,
    dropout: Dropout,
    layers: Sequential,
    ln: LayerNorm,
}

impl Encoder {
    fn new(scope: &Scope, options: &VisionTransformerOptions) -> Result<Encoder> {
        let VisionTransformerOptions { image_size, patch_size, hidden_dim, dropout, .. } = *options;
        let side = image_size / patch_size;
        let embedding =
            Tensor::normal(scope.device(), &[1, side.saturating_mul(side).saturating_add(1), hidden_dim], 0.0, 0.02)?;
        let layers = (0..options.layers).try_fold(Sequential::new(&scope.at("layers")), |layers, number| {
            layers.make_named(format!("encoder_layer_{number}"), |s| Block::new(s, options))
        })?;
        Ok(Encoder {
            pos_embedding: scope.parameter("pos_embedding", &embedding),
            dropout: Dropout::new(dropout),
            layers,
            ln: LayerNorm::new(&scope.at("ln"), &[hidden_dim], &NORM)?,
        })
    }
}

impl Module for Encoder {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.dropout.forward(&input.add(&self.pos_embedding.value())?)?;
        self.ln.forward(&self.layers.forward(&x)?)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; pos_embedding]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; dropout, layers, ln]
    }
}

/// Attention, then two linear layers, each after its norm and added to its input.
struct Block {
    ln_1: LayerNorm,
    self_attention: MultiheadAttention,
    dropout: Dropout,
    ln_2: LayerNorm,
    mlp: Sequential,
}

impl Block {
    fn new(scope: &Scope, options: &VisionTransformerOptions) -> Result<Block> {
        let VisionTransformerOptions { hidden_dim, mlp_dim, dropout, attention_dropout, heads, .. } = *options;
        let attention = MultiheadAttentionOptions::default().dropout(attention_dropout).batch_first(true);
        Ok(Block {
            ln_1: LayerNorm::new(&scope.at("ln_1"), &[hidden_dim], &NORM)?,
            self_attention: MultiheadAttention::new(&scope.at("self_attention"), hidden_dim, heads, &attention)?,
            dropout: Dropout::new(dropout),
            ln_2: LayerNorm::new(&scope.at("ln_2"), &[hidden_dim], &NORM)?,
            mlp: mlp(&scope.at("mlp"), hidden_dim, mlp_dim, dropout)?,
        })
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let attended = self.self_attention.forward(&self.ln_1.forward(input)?)?;
        let x = self.dropout.forward(&attended)?.add(input)?;
        self.mlp.forward(&self.ln_2.forward(&x)?)?.add(&x)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; ln_1, self_attention, dropout, ln_2, mlp]
    }
}

/// Two linear layers with GELU between and dropout after each, as torchvision's `MLP` numbers them.
pub(super) fn mlp(scope: &Scope, inputs: usize, hidden: usize, dropout: f64) -> Result<Sequential> {
    let mlp = Sequential::new(scope)
        .make(|s| Linear::new(s, inputs, hidden))?
        .push(Gelu)
        .push(Dropout::new(dropout))
        .make(|s| Linear::new(s, hidden, inputs))?
        .push(Dropout::new(dropout));
    for parameter in mlp.parameters() {
        match parameter.value().rank() {
            2 => init::xavier_uniform(&parameter, 1.0)?,
            _ => init::normal(&parameter, 0.0, 1e-6)?,
        }
    }
    Ok(mlp)
}

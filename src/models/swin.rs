//! Swin transformers (Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021). The names
//! of the parameters are torchvision's.

use super::vit::mlp;
use super::windows::{RelativePositionBias, cut, join};
use super::{Backbone, initial};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor};
use crate::nn::blocks::{StochasticDepth, StochasticDepthMode};
use crate::nn::{self, Conv2d, LayerNorm, LayerNormOptions, Linear, Mode, Module, Scope, Sequential};
use crate::ops::{AttentionOptions, Conv2dOptions, PadMode};
use crate::options::options;

options! {
    /// Options of a [`SwinTransformer`]; the default is torchvision's `swin_t`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    SwinTransformerOptions {
        /// Height and width of the patches an image is cut into.
        patch_size: usize = 4,
        /// Channels of the first stage; each of the others has twice those of the one before.
        embed_dim: usize = 96,
        /// Blocks of each stage.
        depths: [usize; 4] = [2, 2, 6, 2],
        /// Heads of each stage's attention.
        heads: [usize; 4] = [3, 6, 12, 24],
        /// Height and width of the windows, in patches.
        window_size: usize = 7,
        /// Share dropped in training, after attention and linear layers.
        dropout: f64 = 0.0,
        /// Share of the attention's weights dropped in training.
        attention_dropout: f64 = 0.0,
        /// The probability with which the last block is dropped in training; it grows from 0 with depth.
        stochastic_depth: f64 = 0.2,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl SwinTransformerOptions {
    /// torchvision's `swin_t`: 28,288,354 parameters.
    pub fn swin_t() -> SwinTransformerOptions {
        SwinTransformerOptions::default()
    }

    /// torchvision's `swin_s`: 49,606,258 parameters.
    pub fn swin_s() -> SwinTransformerOptions {
        SwinTransformerOptions::default().depths([2, 2, 18, 2]).stochastic_depth(0.3)
    }

    /// torchvision's `swin_b`: 87,768,224 parameters.
    pub fn swin_b() -> SwinTransformerOptions {
        SwinTransformerOptions::swin_s().embed_dim(128).heads([4, 8, 16, 32]).stochastic_depth(0.5)
    }
}

/// A Swin transformer: `[N, channels, H, W] -> [N, classes]` logits.
///
/// `features` are patches, then stages of blocks that attend within windows, every second of them with windows shifted by half
/// their size; between stages 2 x 2 positions become one. `head` is linear in the means of the channels.
pub struct SwinTransformer {
    features: Sequential,
    norm: LayerNorm,
    head: Linear,
}

impl SwinTransformer {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a stage's heads do not divide its channels, or a probability is not from 0 to 1.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{SwinTransformer, SwinTransformerOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = SwinTransformerOptions::swin_t().embed_dim(12).depths([2, 1, 1, 1]).heads([1, 2, 3, 4]).window_size(3);
    /// let net = SwinTransformer::new(&Scope::new(&device), &options.classes(10))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &SwinTransformerOptions) -> Result<SwinTransformer> {
        let SwinTransformerOptions { patch_size, embed_dim, depths, stochastic_depth, classes, channels, .. } =
            *options;
        let patches = Conv2dOptions::default().stride(patch_size);
        let mut features = Sequential::new(&scope.at("features")).make(|s| {
            Sequential::new(s)
                .make(|s| Conv2d::new(s, channels, embed_dim, patch_size, &patches))?
                .push(nn::Lambda::new(|x: &Tensor| x.permute([0, 2, 3, 1])))
                .make(|s| norm(s, embed_dim))
        })?;
        let last = depths.iter().sum::<usize>().saturating_sub(1).max(1);
        let mut number = 0usize;
        for (stage, depth) in depths.into_iter().enumerate() {
            let width = embed_dim << stage;
            if stage > 0 {
                features = features.make(|s| PatchMerging::new(s, width / 2))?;
            }
            features = features.make(|s| {
                (0..depth).try_fold(Sequential::new(s), |blocks, block| {
                    let p = stochastic_depth * number as f64 / last as f64;
                    number += 1;
                    blocks.make(|s| Block::new(s, width, options.heads[stage], block % 2 == 1, p, options))
                })
            })?;
        }
        let width = embed_dim << 3;
        let head = Linear::new(&scope.at("head"), width, classes)?;
        let net = SwinTransformer { features, norm: norm(&scope.at("norm"), width)?, head };
        initial::draw_weights(&net, initial::kept, initial::trunc_normal(0.02))?;
        initial::zero_biases_of_linear_layers(&net)?;
        Ok(net)
    }
}

impl Backbone for SwinTransformer {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.features.forward(input)?)?.permute([0, 3, 1, 2])
    }
}

impl Module for SwinTransformer {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, norm, head]
    }
}

fn norm(scope: &Scope, width: usize) -> Result<LayerNorm> {
    LayerNorm::new(scope, &[width], &LayerNormOptions::default())
}

/// 2 x 2 positions as one, of twice the channels: `[N, H, W, C] -> [N, H / 2, W / 2, 2 C]`.
struct PatchMerging {
    reduction: Linear,
    norm: LayerNorm,
}

impl PatchMerging {
    fn new(scope: &Scope, width: usize) -> Result<PatchMerging> {
        let reduction = Linear::without_bias(&scope.at("reduction"), 4 * width, 2 * width)?;
        Ok(PatchMerging { reduction, norm: norm(&scope.at("norm"), 4 * width)? })
    }
}

impl Module for PatchMerging {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = padded(input, [2, 2])?;
        let size = [x.shape()[1] as isize, x.shape()[2] as isize];
        let places = [(0, 0), (1, 0), (0, 1), (1, 1)]
            .into_iter()
            .map(|(row, column)| x.slice(1, row, size[0], 2)?.slice(2, column, size[1], 2))
            .collect::<Result<Vec<_>>>()?;
        let merged = Tensor::cat(&places.iter().collect::<Vec<_>>(), -1)?;
        self.reduction.forward(&self.norm.forward(&merged)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; reduction, norm]
    }
}

/// With zeros below and to the right, up to multiples of a size: `[N, H, W, C]`.
fn padded(input: &Tensor, multiple: [usize; 2]) -> Result<Tensor> {
    let missing = |dim: usize| (input.shape()[dim].next_multiple_of(multiple[dim - 1]) - input.shape()[dim]) as isize;
    if missing(1) == 0 && missing(2) == 0 {
        return Ok(input.clone());
    }
    input.pad(&[0, 0, 0, missing(2), 0, missing(1)], PadMode::Constant(0.0))
}

/// Attention, then two linear layers, each after its norm and added to its input.
struct Block {
    norm1: LayerNorm,
    attn: WindowAttention,
    stochastic_depth: StochasticDepth,
    norm2: LayerNorm,
    mlp: Sequential,
}

impl Block {
    fn new(
        scope: &Scope,
        width: usize,
        heads: usize,
        is_shifted: bool,
        stochastic_depth: f64,
        options: &SwinTransformerOptions,
    ) -> Result<Block> {
        Ok(Block {
            norm1: norm(&scope.at("norm1"), width)?,
            attn: WindowAttention::new(&scope.at("attn"), width, heads, is_shifted, options)?,
            stochastic_depth: StochasticDepth::new(stochastic_depth, StochasticDepthMode::Row)?,
            norm2: norm(&scope.at("norm2"), width)?,
            mlp: mlp(&scope.at("mlp"), width, 4 * width, options.dropout)?,
        })
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let attended = self.attn.forward(&self.norm1.forward(input)?)?;
        let x = input.add(&self.stochastic_depth.forward(&attended)?)?;
        let y = self.mlp.forward(&self.norm2.forward(&x)?)?;
        x.add(&self.stochastic_depth.forward(&y)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; norm1, attn, stochastic_depth, norm2, mlp]
    }
}

/// Attention of the positions of a window to each other: `[N, H, W, C] -> [N, H, W, C]`.
struct WindowAttention {
    bias: RelativePositionBias,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    window: usize,
    shift: usize,
    dropout: f64,
    attention_dropout: f64,
    mode: Mode,
}

impl WindowAttention {
    fn new(
        scope: &Scope,
        width: usize,
        heads: usize,
        is_shifted: bool,
        options: &SwinTransformerOptions,
    ) -> Result<WindowAttention> {
        let SwinTransformerOptions { window_size: window, dropout, attention_dropout, .. } = *options;
        if heads == 0 || !width.is_multiple_of(heads) || window == 0 {
            let rule = format!("{heads} heads must divide {width} channels, and window_size {window} be above 0");
            return Err(Error::invalid("SwinTransformer", rule));
        }
        Ok(WindowAttention {
            bias: RelativePositionBias::new(scope, [window; 2], heads, &[window.saturating_pow(4)])?,
            qkv: Linear::new(&scope.at("qkv"), width, 3 * width)?,
            proj: Linear::new(&scope.at("proj"), width, width)?,
            heads,
            window,
            shift: if is_shifted { window / 2 } else { 0 },
            dropout,
            attention_dropout,
            mode: Mode::default(),
        })
    }

    /// The steps by which rows and columns are shifted: none where one window holds all of them.
    fn shifts(&self, size: [usize; 2]) -> [isize; 2] {
        size.map(|size| if size > self.window { self.shift as isize } else { 0 })
    }
}

impl Module for WindowAttention {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let window = [self.window; 2];
        let x = padded(input, window)?;
        let size = [x.shape()[1], x.shape()[2]];
        let shifts = self.shifts(size);
        let is_shifted = shifts != [0, 0];
        let x = if is_shifted { x.roll(&shifts.map(|shift| -shift), &[1, 2])? } else { x };
        let qkv = self.qkv.forward(&cut(&x, window)?)?.unflatten(-1, &[3, self.heads as isize, -1])?;
        let qkv = qkv.permute([3, 0, 1, 4, 2, 5])?;
        let part = |index| qkv.narrow(0, index, 1)?.squeeze(0);
        let mut mask = self.bias.value()?;
        if is_shifted {
            mask = mask.add(&mask_of_neighbours(input.device(), size, self.window, shifts)?)?;
        }
        let dropped = |p| if self.mode.is_training() { p } else { 0.0 };
        let options = AttentionOptions::default().attn_mask(mask).dropout_p(dropped(self.attention_dropout));
        let attended = part(0)?.scaled_dot_product_attention(&part(1)?, &part(2)?, &options)?;
        let merged = self.proj.forward(&attended.transpose(2, 3)?.flatten(-2, -1)?)?;
        let x = join(&merged.dropout(self.dropout, self.mode.is_training())?, window, size)?;
        let x = if is_shifted { x.roll(&shifts, &[1, 2])? } else { x };
        x.narrow(1, 0, input.shape()[1])?.narrow(2, 0, input.shape()[2])
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        vec![self.bias.table.clone(), self.bias.index.clone()]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; qkv, proj]
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
}

/// -100 between positions of a window that were no neighbours before the shift, `[windows, 1, places, places]`.
fn mask_of_neighbours(device: &Device, size: [usize; 2], window: usize, shifts: [isize; 2]) -> Result<Tensor> {
    // Rows, and columns, fall in three regions: those of whole windows, those of the last, and those that wrapped around.
    let regions = |axis: usize| {
        let at = Tensor::arange(device, 0.0, size[axis] as f64, 1.0, DType::F32)?;
        let from = |start: usize| at.ge_scalar(start as f64)?.to_dtype(DType::F32);
        from(size[axis] - window)?.add(&from(size[axis] - shifts[axis].unsigned_abs())?)
    };
    let rows = regions(0)?.mul_scalar(3.0)?.unsqueeze(1)?;
    let regions = rows.add(&regions(1)?)?.unsqueeze(0)?.unsqueeze(-1)?;
    let regions = cut(&regions, [window; 2])?.squeeze(0)?.squeeze(-1)?;
    let is_other = regions.unsqueeze(1)?.ne(&regions.unsqueeze(2)?)?;
    is_other.to_dtype(DType::F32)?.mul_scalar(-100.0)?.unsqueeze(1)
}

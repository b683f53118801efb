//! Attention with learned maps.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{Children, Held, Linear, Mode, Module, Scope, children, parameters};
use crate::ops::{InProjection, MultiHeadOptions, MultiHeadWeights};
use crate::options::options;

options! {
    /// Options of a [`MultiheadAttention`], with PyTorch's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    MultiheadAttentionOptions {
        /// The share of weights set to 0 at random in training.
        dropout: f64 = 0.0,
        /// Adds biases to all maps.
        bias: bool = true,
        /// Adds one more, learned, key and value.
        add_bias_kv: bool = false,
        /// Adds one more key and value of zeros.
        add_zero_attn: bool = false,
        /// The size of keys, if it is not that of queries.
        kdim: Option<usize> = None,
        /// The size of values, if it is not that of queries.
        vdim: Option<usize> = None,
        /// Takes sequences as `[N, L, E]` instead of `[L, N, E]`.
        batch_first: bool = false,
    }
}

/// The maps before the heads: one parameter if keys and values have the size of queries, otherwise three.
#[derive(Clone, Debug)]
pub enum InProjectionWeight {
    /// `in_proj_weight`, `[3 E, E]`.
    Packed(Parameter),
    /// `q_proj_weight` `[E, E]`, `k_proj_weight` `[E, kdim]` and `v_proj_weight` `[E, vdim]`.
    Separate([Parameter; 3]),
}

impl Held for InProjectionWeight {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        match self {
            InProjectionWeight::Packed(weight) => weight.list(parameters),
            InProjectionWeight::Separate(maps) => maps.list(parameters),
        }
    }
}

/// Attention in several heads (Vaswani et al. 2017): [`Tensor::multi_head_attention_forward`] with learned maps.
///
/// The maps before the heads start uniform within `sqrt(6 / (rows + columns))` of 0, that behind them, `out_proj`, as
/// in [`Linear`]; biases start at 0.
#[derive(Clone, Debug)]
pub struct MultiheadAttention {
    /// Number of heads, among which the `E` elements are divided.
    pub num_heads: usize,
    /// The maps before the heads.
    pub in_proj_weight: InProjectionWeight,
    /// Their biases, `[3 E]`.
    pub in_proj_bias: Option<Parameter>,
    /// One more key and value, `bias_k` and `bias_v`, `[1, 1, E]`.
    pub bias_kv: Option<[Parameter; 2]>,
    /// The map behind the heads.
    pub out_proj: Linear,
    /// Dropout, zeros, the order of dimensions.
    pub options: MultiheadAttentionOptions,
    mode: Mode,
}

impl MultiheadAttention {
    /// A layer for elements of size `embed_dim`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `num_heads` does not divide `embed_dim` or either is 0, [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::nn::{MultiheadAttention, MultiheadAttentionOptions, Scope};
    /// # use wgrad::{Device, MultiHeadOptions, Tensor};
    /// # let device = Device::reference();
    /// let layer = MultiheadAttention::new(&Scope::new(&device), 8, 2, &MultiheadAttentionOptions::default())?;
    /// let x = Tensor::ones(&device, &[5, 3, 8])?;
    /// let (output, weights) = layer.attend(&x, &x, &x, &MultiHeadOptions::default())?;
    /// assert_eq!(output.shape()[..], [5, 3, 8]);
    /// assert_eq!(weights.map(|w| w.shape().to_vec()), Some(vec![3, 5, 5]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(
        scope: &Scope,
        embed_dim: usize,
        num_heads: usize,
        options: &MultiheadAttentionOptions,
    ) -> Result<MultiheadAttention> {
        if embed_dim == 0 || num_heads == 0 || !embed_dim.is_multiple_of(num_heads) {
            let rule = format!("{num_heads} heads must divide the {embed_dim} elements, and both be above 0");
            return Err(Error::invalid("MultiheadAttention", rule));
        }
        let device = scope.device();
        let xavier = |name: &str, rows: usize, columns: usize| -> Result<Parameter> {
            let bound = (6.0 / (rows as f64 + columns as f64)).sqrt();
            let value = Tensor::uniform(device, &[rows, columns], -bound, bound)?;
            Ok(scope.parameter(name, &value))
        };
        let three = embed_dim.saturating_mul(3);
        let (kdim, vdim) = (options.kdim.unwrap_or(embed_dim), options.vdim.unwrap_or(embed_dim));
        let in_proj_weight = if kdim == embed_dim && vdim == embed_dim {
            InProjectionWeight::Packed(xavier("in_proj_weight", three, embed_dim)?)
        } else {
            InProjectionWeight::Separate([
                xavier("q_proj_weight", embed_dim, embed_dim)?,
                xavier("k_proj_weight", embed_dim, kdim)?,
                xavier("v_proj_weight", embed_dim, vdim)?,
            ])
        };
        let zeros = |name: &str, size: usize| -> Result<Parameter> {
            Ok(scope.parameter(name, &Tensor::zeros(device, &[size])?))
        };
        let in_proj_bias = if options.bias { Some(zeros("in_proj_bias", three)?) } else { None };
        let normal = |name: &str| -> Result<Parameter> {
            let value = Tensor::normal(device, &[1, 1, embed_dim], 0.0, (1.0 / embed_dim as f64).sqrt())?;
            Ok(scope.parameter(name, &value))
        };
        let bias_kv = if options.add_bias_kv { Some([normal("bias_k")?, normal("bias_v")?]) } else { None };
        let mut out_proj = Linear::without_bias(&scope.at("out_proj"), embed_dim, embed_dim)?;
        if options.bias {
            out_proj.bias = Some(zeros("out_proj.bias", embed_dim)?);
        }
        let (options, mode) = (*options, Mode::default());
        Ok(MultiheadAttention { num_heads, in_proj_weight, in_proj_bias, bias_kv, out_proj, options, mode })
    }

    /// The output and, with `options.need_weights`, the weights of a call; see [`Tensor::multi_head_attention_forward`]. The
    /// layer's dropout applies, not that of `options`: its probability in training, 0 in evaluation.
    ///
    /// # Errors
    /// As [`Tensor::multi_head_attention_forward`].
    pub fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: &MultiHeadOptions,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let is_transposed = self.options.batch_first && query.rank() == 3;
        let transpose = |x: &Tensor| if is_transposed && x.rank() == 3 { x.transpose(0, 1) } else { Ok(x.clone()) };
        let value_of = |p: &Option<Parameter>| p.as_ref().map(Parameter::value);
        let weights = MultiHeadWeights {
            num_heads: self.num_heads,
            in_proj: match &self.in_proj_weight {
                InProjectionWeight::Packed(weight) => InProjection::Packed(weight.value()),
                InProjectionWeight::Separate(maps) => InProjection::Separate(maps.each_ref().map(Parameter::value)),
            },
            in_proj_bias: value_of(&self.in_proj_bias),
            bias_kv: self.bias_kv.as_ref().map(|rows| rows.each_ref().map(Parameter::value)),
            add_zero_attn: self.options.add_zero_attn,
            out_proj_weight: self.out_proj.weight.value(),
            out_proj_bias: value_of(&self.out_proj.bias),
        };
        let dropout_p = if self.mode.is_training() { self.options.dropout } else { 0.0 };
        let options = MultiHeadOptions { dropout_p, ..options.clone() };
        let (output, seen) =
            transpose(query)?.multi_head_attention_forward(&transpose(key)?, &transpose(value)?, &weights, &options)?;
        Ok((transpose(&output)?, seen))
    }
}

/// Attention of a sequence to itself: the output for it as query, key and value.
impl Module for MultiheadAttention {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let output_alone = MultiHeadOptions::default().need_weights(false);
        Ok(self.attend(input, input, input, &output_alone)?.0)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; in_proj_weight, in_proj_bias, bias_kv]
    }
    fn children(&self) -> Children<'_> {
        children![self; out_proj]
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
}

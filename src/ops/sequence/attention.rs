//! Attention, composed of matrix products and a softmax.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller, no_grad};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::numbers;
use crate::ops::shape::pad::PadMode;
use crate::options::options;
use crate::shape::Shape;

options! {
    /// Options of [`Tensor::scaled_dot_product_attention`].
    #[derive(Clone, Debug)]
    AttentionOptions {
        /// The keys that count for each query, `[.., L, S]`, broadcast: truth values, or numbers added to the scores.
        attn_mask: Option<Tensor> = None,
        /// The probability with which weights are set to 0, the others being scaled up in turn.
        dropout_p: f64 = 0.0,
        /// Hides the keys after `l` from query `l`.
        is_causal: bool = false,
        /// Factor of the scores; `1 / sqrt(E)` by default.
        scale: Option<f64> = None,
        /// Lets several heads of queries share one head of keys and values.
        enable_gqa: bool = false,
    }
}

/// The maps of [`Tensor::multi_head_attention_forward`] before its heads.
#[derive(Clone, Debug)]
pub enum InProjection {
    /// Those of queries, keys and values stacked, `[3 E, E]`.
    Packed(Tensor),
    /// One each, `[E, E]`, `[E, kdim]` and `[E, vdim]`.
    Separate([Tensor; 3]),
}

/// The weights of [`Tensor::multi_head_attention_forward`].
#[derive(Clone, Debug)]
pub struct MultiHeadWeights {
    /// Number of heads, among which the `E` elements are divided.
    pub num_heads: usize,
    /// The maps before the heads.
    pub in_proj: InProjection,
    /// Their biases, `[3 E]`.
    pub in_proj_bias: Option<Tensor>,
    /// One more key and value for every sample, `[1, 1, E]` each.
    pub bias_kv: Option<[Tensor; 2]>,
    /// Adds one more key and value of zeros.
    pub add_zero_attn: bool,
    /// The map behind the heads, `[out, E]`.
    pub out_proj_weight: Tensor,
    /// Its bias, `[out]`.
    pub out_proj_bias: Option<Tensor>,
}

options! {
    /// Options of one call of [`Tensor::multi_head_attention_forward`].
    #[derive(Clone, Debug)]
    MultiHeadOptions {
        /// Keys to ignore, `[N, S]`: true, or a number added to the scores.
        key_padding_mask: Option<Tensor> = None,
        /// Pairs to ignore, `[L, S]` or `[N heads, L, S]`: true, or a number added to the scores.
        attn_mask: Option<Tensor> = None,
        /// Returns the weights too.
        need_weights: bool = true,
        /// Returns their mean over the heads.
        average_attn_weights: bool = true,
        /// States that `attn_mask`, which is required then, is the causal one.
        is_causal: bool = false,
        /// The probability with which weights are set to 0.
        dropout_p: f64 = 0.0,
    }
}

/// A mask as numbers to add: truth values equal to `hides` become minus infinity.
#[track_caller]
fn additive(op: &'static str, mask: &Tensor, hides: bool) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    match mask.dtype() {
        DType::Bool => {
            let value = |value: f64| Tensor::filled(mask.device(), &[], value);
            let (hidden, seen) = (value(f64::NEG_INFINITY)?, value(0.0)?);
            if hides { mask.where_(&hidden, &seen) } else { mask.where_(&seen, &hidden) }
        }
        dtype if dtype.is_float() => Ok(mask.clone()),
        got => Err(Error::WrongDType { op, expected: "a mask of bools or floats", got }),
    }
}

/// True if query `l` may see key `s`: `[L, S]`.
#[track_caller]
fn causal(op: &'static str, query: &Tensor, keys: usize) -> Result<Tensor> {
    let device = query.device();
    let queries = numbers(op, device, query.shape()[query.rank() - 2])?;
    queries.unsqueeze(1)?.ge(&numbers(op, device, keys)?)
}

/// `query key^T scale`: the scale is applied to the queries, which are fewer than the scores.
#[track_caller]
fn scores(query: &Tensor, key: &Tensor, scale: Option<f64>) -> Result<Tensor> {
    let size = query.shape()[query.rank() - 1];
    let scale = scale.unwrap_or(1.0 / (size as f64).sqrt());
    (query * scale)?.matmul(&key.transpose(-2, -1)?)
}

/// The softmax over keys, 0 for queries that see none.
#[track_caller]
fn weights(scores: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let Some(mask) = mask else {
        return scores.softmax(-1);
    };
    let masked = (scores + mask)?;
    if masked.numel() == 0 {
        return masked.softmax(-1);
    }
    let blind = no_grad(|| masked.amax_keepdim(-1)?.eq_scalar(f64::NEG_INFINITY))?;
    // Masked before and after the softmax: its slope at such rows is NaN.
    let weights = blind.where_(&masked.zeros_like()?, &masked)?.softmax(-1)?;
    blind.where_(&weights.zeros_like()?, &weights)
}

/// Keys or values with each head repeated for the heads of queries that share it.
#[track_caller]
fn repeated(op: &'static str, x: &Tensor, query: &Tensor) -> Result<Tensor> {
    if x.rank() < 3 || query.rank() < 3 {
        let rule = format!("shared heads need [.., heads, L, E]; got {} and {}", query.shape(), x.shape());
        return Err(Error::invalid(op, rule));
    }
    let at = x.rank() - 3;
    let (heads, wanted) = (x.shape()[at], query.shape()[query.rank() - 3]);
    if heads == wanted {
        return Ok(x.clone());
    }
    if heads == 0 || !wanted.is_multiple_of(heads) {
        return Err(Error::invalid(op, format!("{heads} heads of keys and values must divide {wanted} of queries")));
    }
    let mut sizes = x.shape().to_vec();
    sizes.insert(at + 1, wanted / heads);
    let spread = x.unsqueeze(at + 1)?.expand_to(Shape::new(&sizes)?, op)?;
    sizes.remove(at + 1);
    sizes[at] = wanted;
    spread.reshape_to(Shape::new(&sizes)?)
}

impl Tensor {
    /// Each query's mean of the values, weighted by its similarity to the keys: `softmax(scale query key^T + mask) value`,
    /// PyTorch's `scaled_dot_product_attention`.
    ///
    /// Queries are this, `[.., L, E]`; keys `[.., S, E]`, values `[.., S, V]`; the result is `[.., L, V]`. Dimensions before the
    /// last two are batches and heads, and broadcast. A query that sees no key gives 0. With `enable_gqa`, keys and values may
    /// have fewer heads (third dimension from the end) than queries. Scores of f16 are f16 too: past 65,504 they are infinite.
    ///
    /// # Errors
    /// [`Error::Invalid`] for less than two dimensions, sizes that don't fit, a mask together with `is_causal`, or a
    /// probability outside 0 to 1; [`Error::Broadcast`], [`Error::WrongDType`].
    ///
    /// ```
    /// # use wgrad::{AttentionOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let query = Tensor::zeros(&device, &[1, 2])?;
    /// let key = Tensor::ones(&device, &[2, 2])?;
    /// let value = Tensor::from_slice(&device, &[1.0f32, 3.0], &[2, 1])?;
    /// let mean = query.scaled_dot_product_attention(&key, &value, &AttentionOptions::default())?;
    /// assert_eq!(mean.to_vec::<f32>()?, [2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn scaled_dot_product_attention(
        &self,
        key: &Tensor,
        value: &Tensor,
        options: &AttentionOptions,
    ) -> Result<Tensor> {
        const OP: &str = "scaled_dot_product_attention";
        if let Some(cast) = autocast::enter(OP)? {
            let attn_mask = cast.of_some(options.attn_mask.as_ref())?;
            let options = AttentionOptions { attn_mask, ..options.clone() };
            return cast.of(self)?.scaled_dot_product_attention(&cast.of(key)?, &cast.of(value)?, &options);
        }
        let &AttentionOptions { ref attn_mask, dropout_p, is_causal, scale, enable_gqa } = options;
        if [self, key, value].iter().any(|x| x.rank() < 2) {
            let shapes = format!("{}, {} and {}", self.shape(), key.shape(), value.shape());
            return Err(Error::invalid(OP, format!("{shapes} must be [.., L, E], [.., S, E] and [.., S, V]")));
        }
        if attn_mask.is_some() && is_causal {
            return Err(Error::invalid(OP, "there is a mask besides is_causal, which is one"));
        }
        let (mut key, mut value) = (key.clone(), value.clone());
        if enable_gqa {
            (key, value) = (repeated(OP, &key, self)?, repeated(OP, &value, self)?);
        }
        let scores = scores(self, &key, scale)?;
        let mask = match attn_mask {
            Some(mask) => Some(additive(OP, mask, false)?.expand_to(*scores.shape(), OP)?),
            None if is_causal => Some(additive(OP, &causal(OP, self, key.shape()[key.rank() - 2])?, false)?),
            None => None,
        };
        weights(&scores, mask.as_ref())?.dropout_as(OP, dropout_p)?.to_dtype(value.dtype())?.matmul(&value)
    }

    /// Attention in several heads, each over its part of the elements, between learned maps: PyTorch's
    /// `multi_head_attention_forward`. See [`nn::MultiheadAttention`](crate::nn::MultiheadAttention), which holds the
    /// weights.
    ///
    /// Queries are this, `[L, N, E]`, keys `[S, N, kdim]`, values `[S, N, vdim]`; or all without `N`. Returns `[L, N, out]`, and,
    /// if they are needed, the weights `[N, L, S]`, or `[N, heads, L, S]` if they are not averaged. A query that sees no key
    /// gives NaN if weights are needed, otherwise 0, as in PyTorch.
    ///
    /// # Errors
    /// [`Error::Invalid`] if shapes don't fit or the heads don't divide `E`; [`Error::WrongDType`].
    #[track_caller]
    pub fn multi_head_attention_forward(
        &self,
        key: &Tensor,
        value: &Tensor,
        weights: &MultiHeadWeights,
        options: &MultiHeadOptions,
    ) -> Result<(Tensor, Option<Tensor>)> {
        const OP: &str = "multi_head_attention_forward";
        let rank = self.rank();
        if !(rank == 2 || rank == 3) || key.rank() != rank || value.rank() != rank {
            let shapes = format!("{}, {} and {}", self.shape(), key.shape(), value.shape());
            return Err(Error::invalid(OP, format!("{shapes} must all be [L, N, E], or all [L, E]")));
        }
        if rank == 3 {
            return heads(OP, [self, key, value], weights, options);
        }
        let mut options = options.clone();
        if let Some(mask) = &options.key_padding_mask {
            if mask.rank() != 1 {
                return Err(Error::invalid(OP, format!("the mask of keys {} must be [S]", mask.shape())));
            }
            options.key_padding_mask = Some(mask.unsqueeze(0)?);
        }
        let one = [self.unsqueeze(1)?, key.unsqueeze(1)?, value.unsqueeze(1)?];
        let (output, seen) = heads(OP, [&one[0], &one[1], &one[2]], weights, &options)?;
        Ok((output.squeeze(1)?, seen.map(|seen| seen.squeeze(0)).transpose()?))
    }
}

/// [`Tensor::multi_head_attention_forward`] for queries, keys and values `[L, N, E]`.
#[track_caller]
fn heads(
    op: &'static str,
    inputs: [&Tensor; 3],
    learned: &MultiHeadWeights,
    options: &MultiHeadOptions,
) -> Result<(Tensor, Option<Tensor>)> {
    let _line = ascribe_to_caller();
    let (length, batch, size) = (inputs[0].shape()[0], inputs[0].shape()[1], inputs[0].shape()[2]);
    let count = learned.num_heads;
    let invalid = |rule: String| Err(Error::invalid(op, rule));
    if count == 0 || !size.is_multiple_of(count) {
        return invalid(format!("{count} heads must divide the {size} elements"));
    }
    let (key, value) = (inputs[1].shape(), inputs[2].shape());
    if key[..2] != value[..2] || key[1] != batch {
        return invalid(format!("keys {key} and values {value} must be [S, {batch}, ..]"));
    }
    let mut mask = mask_of(op, options, [length, key[0], batch, count])?;
    let maps = match &learned.in_proj {
        InProjection::Packed(weight) => {
            if weight.shape()[..] != [3 * size, size] {
                return invalid(format!("in_proj_weight {} must be [{}, {size}]", weight.shape(), 3 * size));
            }
            let part = |i: usize| weight.narrow(0, i * size, size);
            [part(0)?, part(1)?, part(2)?]
        }
        InProjection::Separate(maps) => maps.clone(),
    };
    if let Some(bias) = learned.in_proj_bias.as_ref().filter(|bias| bias.shape()[..] != [3 * size]) {
        return invalid(format!("in_proj_bias {} must be [{}]", bias.shape(), 3 * size));
    }
    let mapped = |i: usize| {
        let bias = learned.in_proj_bias.as_ref().map(|bias| bias.narrow(0, i * size, size)).transpose()?;
        inputs[i].linear(&maps[i], bias.as_ref())
    };
    let (query, mut key, mut value) = (mapped(0)?, mapped(1)?, mapped(2)?);
    // One more key and value, which no mask hides.
    let mut append = |row: [&Tensor; 2]| -> Result<()> {
        let whole = Shape::new(&[1, batch, size])?;
        key = Tensor::cat(&[&key, &row[0].expand_to(whole, op)?], 0)?;
        value = Tensor::cat(&[&value, &row[1].expand_to(whole, op)?], 0)?;
        mask = mask.as_ref().map(|mask| mask.pad(&[0, 1], PadMode::Constant(0.0))).transpose()?;
        Ok(())
    };
    if let Some([bias_key, bias_value]) = &learned.bias_kv {
        append([bias_key, bias_value])?;
    }
    if learned.add_zero_attn {
        let zeros = Tensor::zeros(inputs[0].device(), &[1, 1, 1])?;
        append([&zeros, &zeros])?;
    }
    // [N heads, L, E / heads], as views.
    let split = |x: &Tensor| -> Result<Tensor> {
        x.reshape_to(Shape::new(&[x.shape()[0], batch * count, size / count])?)?.transpose(0, 1)
    };
    let (query, key, value) = (split(&query)?, split(&key)?, split(&value)?);
    let scores = scores(&query, &key, None)?;
    let hides_all = options.is_causal && options.key_padding_mask.is_none() && !options.need_weights;
    if hides_all {
        mask = Some(additive(op, &causal(op, &query, key.shape()[1])?, false)?);
    }
    let seen = match (&mask, options.need_weights) {
        (Some(mask), true) => (&scores + mask)?.softmax(-1)?,
        (mask, _) => weights(&scores, mask.as_ref())?,
    };
    let seen = seen.dropout_as(op, options.dropout_p)?;
    let joined = seen.matmul(&value)?.transpose(0, 1)?.reshape_to(Shape::new(&[length, batch, size])?)?;
    let output = joined.linear(&learned.out_proj_weight, learned.out_proj_bias.as_ref())?;
    if !options.need_weights {
        return Ok((output, None));
    }
    let seen = seen.reshape_to(Shape::new(&[batch, count, length, key.shape()[1]])?)?;
    Ok((output, Some(if options.average_attn_weights { seen.mean(1)? } else { seen })))
}

/// Both masks merged into one to add, `[1 or N heads, 1 or L, S]`.
fn mask_of(
    op: &'static str,
    options: &MultiHeadOptions,
    [length, keys, batch, count]: [usize; 4],
) -> Result<Option<Tensor>> {
    if options.is_causal && options.attn_mask.is_none() {
        return Err(Error::invalid(op, "is_causal is a hint about attn_mask, which must be there"));
    }
    let mut mask = None;
    if let Some(pairs) = &options.attn_mask {
        let fits = [&[length, keys][..], &[batch * count, length, keys]].contains(&&pairs.shape()[..]);
        if !fits {
            let shape = pairs.shape();
            let rule = format!("attn_mask {shape} must be [{length}, {keys}] or [{}, {length}, {keys}]", batch * count);
            return Err(Error::invalid(op, rule));
        }
        let pairs = additive(op, pairs, true)?;
        mask = Some(if pairs.rank() == 2 { pairs.unsqueeze(0)? } else { pairs });
    }
    if let Some(padding) = &options.key_padding_mask {
        if padding.shape()[..] != [batch, keys] {
            let rule = format!("key_padding_mask {} must be [{batch}, {keys}]", padding.shape());
            return Err(Error::invalid(op, rule));
        }
        let padding = additive(op, padding, true)?.unsqueeze(1)?.unsqueeze(1)?;
        let padding = padding.expand_to(Shape::new(&[batch, count, 1, keys])?, op)?;
        let padding = padding.reshape_to(Shape::new(&[batch * count, 1, keys])?)?;
        mask = Some(match mask {
            Some(mask) => (&mask + &padding)?,
            None => padding,
        });
    }
    Ok(mask)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let attend = |shapes: &[&[usize]], options: AttentionOptions| {
        let named = options.clone();
        Case::new("scaled_dot_product_attention", shapes, move |x| {
            let options = AttentionOptions { attn_mask: x.get(3).cloned(), ..options.clone() };
            Ok(vec![x[0].scaled_dot_product_attention(&x[1], &x[2], &options)?])
        })
        .options(&named)
    };
    let default = AttentionOptions::default;
    let many = |shapes: &[&[usize]], options: MultiHeadOptions, add_zero_attn: bool| {
        let named = options.clone();
        Case::new("multi_head_attention_forward", shapes, move |x| {
            let learned = MultiHeadWeights {
                num_heads: 2,
                in_proj: InProjection::Packed(x[1].clone()),
                in_proj_bias: Some(x[2].clone()),
                bias_kv: x.get(4).map(|row| Ok([row.clone(), row.neg()?])).transpose()?,
                add_zero_attn,
                out_proj_weight: x[3].clone(),
                out_proj_bias: None,
            };
            let (output, seen) = x[0].multi_head_attention_forward(&x[0], &x[0], &learned, &options)?;
            Ok([Some(output), seen].into_iter().flatten().collect())
        })
        // Small scores: the fifth derivative of steep ones would drown the differences.
        .domain(0, -1.0, 1.0)
        .domain(1, -1.0, 1.0)
        .options(&named)
        .with("add_zero_attn", add_zero_attn)
    };
    vec![
        attend(&[&[3, 5], &[4, 5], &[4, 2]], default()),
        attend(&[&[2, 3, 5], &[2, 4, 5], &[2, 4, 2]], AttentionOptions { is_causal: true, ..default() }),
        attend(
            &[&[2, 1, 3, 5], &[2, 1, 4, 5], &[2, 1, 4, 2], &[3, 4]],
            AttentionOptions { scale: Some(0.5), ..default() },
        ),
        attend(&[&[3, 5], &[4, 5], &[4, 2], &[3, 4]], default()).truth(3),
        attend(&[&[1, 4, 3, 2], &[1, 2, 5, 2], &[1, 2, 5, 3]], AttentionOptions { enable_gqa: true, ..default() }),
        attend(&[&[0, 3, 2], &[0, 4, 2], &[0, 4, 3]], default()),
        many(&[&[3, 2, 4], &[12, 4], &[12], &[4, 4]], MultiHeadOptions::default(), false),
        many(&[&[3, 4], &[12, 4], &[12], &[3, 4], &[1, 1, 4]], MultiHeadOptions::default().need_weights(false), true),
    ]
}

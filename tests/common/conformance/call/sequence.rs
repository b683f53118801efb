//! Sequences: connectionist temporal classification, attention, recurrence.

use super::losses::reduction;
use super::{Call, Operation, Refusal, Results};
use wgrad::{
    AttentionOptions, CtcLengths, CtcLossOptions, DType, InProjection, MultiHeadOptions, MultiHeadWeights,
    RecurrentOptions, Tensor,
};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["ctc_loss"],
        tensors: &["log_probs", "targets", "input_lengths", "target_lengths"],
        attributes: &["input_lengths", "target_lengths", "blank", "reduction", "zero_infinity"],
        run: ctc_loss,
    },
    Operation {
        names: &["scaled_dot_product_attention"],
        tensors: &["query", "key", "value", "attn_mask"],
        attributes: &["dropout_p", "is_causal", "scale", "enable_gqa"],
        run: attention,
    },
    Operation {
        names: &["multi_head_attention_forward"],
        tensors: &[
            "query",
            "key",
            "value",
            "in_proj_weight",
            "in_proj_bias",
            "bias_k",
            "bias_v",
            "out_proj_weight",
            "out_proj_bias",
            "key_padding_mask",
            "attn_mask",
            "q_proj_weight",
            "k_proj_weight",
            "v_proj_weight",
        ],
        attributes: &[
            "embed_dim_to_check",
            "num_heads",
            "add_zero_attn",
            "dropout_p",
            "training",
            "need_weights",
            "use_separate_proj_weight",
            "average_attn_weights",
            "is_causal",
        ],
        run: attention_heads,
    },
    Operation {
        names: &["rnn_tanh", "rnn_relu", "gru", "lstm"],
        tensors: &["input", "hx", "params"],
        attributes: &["has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first"],
        run: recurrence,
    },
    Operation {
        names: &["rnn_tanh_cell", "rnn_relu_cell", "gru_cell", "lstm_cell"],
        tensors: &["input", "hx", "w_ih", "w_hh", "b_ih", "b_hh"],
        attributes: &[],
        run: cell,
    },
];

fn ctc_loss(call: &Call) -> Results {
    // Labels below 256 may be stored as bytes, which are truth values elsewhere.
    let whole = |t: &Tensor| if t.dtype() == DType::Bool { t.to_dtype(DType::I32) } else { Ok(t.clone()) };
    // Lengths are a list of numbers or a tensor.
    let lengths = |name: &str| -> Result<(Vec<usize>, Option<Tensor>), Refusal> {
        if call.attr(name).is_some() {
            return Ok((call.sizes(name)?, None));
        }
        Ok((Vec::new(), Some(whole(call.tensor(name)?)?)))
    };
    fn either(lengths: &(Vec<usize>, Option<Tensor>)) -> CtcLengths<'_> {
        match lengths {
            (_, Some(tensor)) => CtcLengths::Device(tensor),
            (list, None) => CtcLengths::Host(list),
        }
    }
    let (inputs, counts) = (lengths("input_lengths")?, lengths("target_lengths")?);
    let blank = if call.attr("blank").is_some() { call.size("blank")? } else { 0 };
    let options =
        CtcLossOptions { blank, reduction: reduction(call)?, zero_infinity: call.flag("zero_infinity", false)? };
    let targets = whole(call.tensor("targets")?)?;
    Ok(vec![call.tensor("log_probs")?.ctc_loss(&targets, either(&inputs), either(&counts), &options)?])
}

fn attention(call: &Call) -> Results {
    let options = AttentionOptions {
        attn_mask: call.optional("attn_mask").cloned(),
        dropout_p: call.number("dropout_p")?.unwrap_or(0.0),
        is_causal: call.flag("is_causal", false)?,
        scale: call.number("scale")?,
        enable_gqa: call.flag("enable_gqa", false)?,
    };
    let (key, value) = (call.tensor("key")?, call.tensor("value")?);
    Ok(vec![call.tensor("query")?.scaled_dot_product_attention(key, value, &options)?])
}

fn attention_heads(call: &Call) -> Results {
    let tensor = |name: &str| call.tensor(name).cloned();
    let in_proj = if call.flag("use_separate_proj_weight", false)? {
        InProjection::Separate([tensor("q_proj_weight")?, tensor("k_proj_weight")?, tensor("v_proj_weight")?])
    } else {
        InProjection::Packed(tensor("in_proj_weight")?)
    };
    let bias_kv = match (call.optional("bias_k"), call.optional("bias_v")) {
        (Some(key), Some(value)) => Some([key.clone(), value.clone()]),
        (None, None) => None,
        _ => return Err(call.wrong("bias_k")),
    };
    let query = call.tensor("query")?;
    if query.shape().last() != Some(&call.size("embed_dim_to_check")?) {
        return Err(call.wrong("embed_dim_to_check"));
    }
    let weights = MultiHeadWeights {
        num_heads: call.size("num_heads")?,
        in_proj,
        in_proj_bias: call.optional("in_proj_bias").cloned(),
        bias_kv,
        add_zero_attn: call.flag("add_zero_attn", false)?,
        out_proj_weight: tensor("out_proj_weight")?,
        out_proj_bias: call.optional("out_proj_bias").cloned(),
    };
    let training = call.flag("training", true)?;
    let options = MultiHeadOptions {
        key_padding_mask: call.optional("key_padding_mask").cloned(),
        attn_mask: call.optional("attn_mask").cloned(),
        need_weights: call.flag("need_weights", true)?,
        average_attn_weights: call.flag("average_attn_weights", true)?,
        is_causal: call.flag("is_causal", false)?,
        dropout_p: if training { call.number("dropout_p")?.unwrap_or(0.0) } else { 0.0 },
    };
    let (key, value) = (call.tensor("key")?, call.tensor("value")?);
    let (output, seen) = query.multi_head_attention_forward(key, value, &weights, &options)?;
    Ok([Some(output), seen].into_iter().flatten().collect())
}

fn recurrence(call: &Call) -> Results {
    let options = RecurrentOptions {
        has_biases: call.flag("has_biases", true)?,
        num_layers: if call.attr("num_layers").is_some() { call.size("num_layers")? } else { 1 },
        dropout: call.number("dropout")?.unwrap_or(0.0),
        train: call.flag("train", false)?,
        bidirectional: call.flag("bidirectional", false)?,
        batch_first: call.flag("batch_first", false)?,
    };
    let (x, params) = (call.tensor("input")?, call.list("params"));
    if call.op == "lstm" {
        let [hidden, cell] = call.list("hx")[..] else { return Err(call.wrong("hx")) };
        let (output, hidden, cell) = x.lstm(hidden, cell, &params, &options)?;
        return Ok(vec![output, hidden, cell]);
    }
    let state = call.tensor("hx")?;
    let (output, hidden) = match call.op {
        "rnn_tanh" => x.rnn_tanh(state, &params, &options),
        "rnn_relu" => x.rnn_relu(state, &params, &options),
        _ => x.gru(state, &params, &options),
    }?;
    Ok(vec![output, hidden])
}

fn cell(call: &Call) -> Results {
    let (x, weights) = (call.tensor("input")?, [call.tensor("w_ih")?, call.tensor("w_hh")?]);
    let biases = match (call.optional("b_ih"), call.optional("b_hh")) {
        (Some(input), Some(hidden)) => Some([input, hidden]),
        (None, None) => None,
        _ => return Err(call.wrong("b_ih")),
    };
    if call.op == "lstm_cell" {
        let [hidden, cell] = call.list("hx")[..] else { return Err(call.wrong("hx")) };
        let (hidden, cell) = x.lstm_cell(hidden, cell, weights, biases)?;
        return Ok(vec![hidden, cell]);
    }
    let state = call.tensor("hx")?;
    Ok(vec![match call.op {
        "rnn_tanh_cell" => x.rnn_tanh_cell(state, weights, biases),
        "rnn_relu_cell" => x.rnn_relu_cell(state, weights, biases),
        _ => x.gru_cell(state, weights, biases),
    }?])
}

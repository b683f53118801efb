//! Attention and recurrent layers: long sequences, many heads and features, many layers.

use crate::{Extent, check, extent};
use wgrad::*;

fn attention() -> Vec<Extent> {
    let attend =
        |options: AttentionOptions| move |x: &[Tensor]| x[0].scaled_dot_product_attention(&x[1], &x[2], &options);
    let causal = || AttentionOptions::default().is_causal(true);
    let shared = || AttentionOptions::default().enable_gqa(true);
    vec![
        extent("scaled_dot_product_attention, a long sequence", &[&[1, 600, 4][..]; 3], 600, attend(causal())).long(),
        extent(
            "scaled_dot_product_attention, many keys",
            &[&[1, 4], &[70_000, 4], &[70_000, 4]],
            1000,
            attend(Default::default()),
        ),
        extent(
            "scaled_dot_product_attention, many features",
            &[&[1, 3, 20_000][..]; 3],
            20_000,
            attend(Default::default()),
        ),
        extent("scaled_dot_product_attention, many heads", &[&[2000, 3, 4][..]; 3], 64, attend(Default::default())),
        extent(
            "scaled_dot_product_attention, heads that share keys",
            &[&[1, 256, 5, 4], &[1, 1, 6, 4], &[1, 1, 6, 4]],
            2000,
            attend(shared()),
        ),
        extent("multi_head_attention_forward, a head a feature", &[&[12, 1, 96], &[288, 96], &[96, 96]], 400, |x| {
            let weights = MultiHeadWeights {
                num_heads: 96,
                in_proj: InProjection::Packed(x[1].clone()),
                in_proj_bias: None,
                bias_kv: None,
                add_zero_attn: true,
                out_proj_weight: x[2].clone(),
                out_proj_bias: None,
            };
            Ok(x[0].multi_head_attention_forward(&x[0], &x[0], &weights, &MultiHeadOptions::default())?.0)
        }),
    ]
}

/// A layer's inputs: the sequence, the state, and parameters for each layer and direction.
struct Layers {
    gates: usize,
    /// Time, features and hidden features.
    sizes: [usize; 3],
    num_layers: usize,
    bidirectional: bool,
}

impl Layers {
    fn options(&self) -> RecurrentOptions {
        let Layers { num_layers, bidirectional, .. } = *self;
        RecurrentOptions::default().has_biases(false).num_layers(num_layers).bidirectional(bidirectional)
    }

    fn inputs(&self) -> Vec<Vec<usize>> {
        let [time, features, hidden] = self.sizes;
        let directions = 1 + usize::from(self.bidirectional);
        let mut inputs = vec![vec![time, 1, features], vec![self.num_layers * directions, 1, hidden]];
        for layer in 0..self.num_layers {
            let features = if layer == 0 { features } else { directions * hidden };
            for _ in 0..directions {
                inputs.push(vec![self.gates * hidden, features]);
                inputs.push(vec![self.gates * hidden, hidden]);
            }
        }
        inputs
    }
}

fn recurrent() -> Vec<Extent> {
    type Run = fn(&Tensor, &Tensor, &[&Tensor], &RecurrentOptions) -> Result<Tensor>;
    let kinds: [([&'static str; 3], usize, Run); 4] = [
        (["rnn_tanh, a long sequence", "rnn_tanh, many features", "rnn_tanh, many layers"], 1, |x, h, p, o| {
            Ok(x.rnn_tanh(h, p, o)?.0)
        }),
        (["rnn_relu, a long sequence", "rnn_relu, many features", "rnn_relu, many layers"], 1, |x, h, p, o| {
            Ok(x.rnn_relu(h, p, o)?.0)
        }),
        (["gru, a long sequence", "gru, many features", "gru, many layers"], 3, |x, h, p, o| Ok(x.gru(h, p, o)?.0)),
        (["lstm, a long sequence", "lstm, many features", "lstm, many layers"], 4, |x, h, p, o| {
            Ok(x.lstm(h, h, p, o)?.0)
        }),
    ];
    let extents = |(names, gates, run): ([&'static str; 3], usize, Run)| {
        let layers = [([150, 2, 3], 1, false), ([2, 5000, 64], 1, false), ([3, 2, 3], 12, true)];
        names.into_iter().zip(layers).map(move |(what, (sizes, num_layers, bidirectional))| {
            let layers = Layers { gates, sizes, num_layers, bidirectional };
            let inputs = layers.inputs();
            let run = move |x: &[Tensor]| {
                // States in the flat parts of their functions would show nothing.
                let scale = 1.0 / (layers.sizes[1] as f32).sqrt();
                let input = x[0].mul_scalar(scale)?;
                let parameters: Vec<&Tensor> = x[2..].iter().collect();
                run(&input, &x[1], &parameters, &layers.options())
            };
            Extent { what, inputs, run: Box::new(run), terms: 4096, long: what != "lstm, many layers" }
        })
    };
    kinds.into_iter().flat_map(extents).collect()
}

pub fn extents() -> Vec<Extent> {
    attention().into_iter().chain(recurrent()).collect()
}

#[test]
fn at_their_largest() {
    check(extents());
}

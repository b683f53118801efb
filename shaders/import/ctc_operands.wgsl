// Log probabilities [time, batch, classes], labels, and spans [3, batch]: input lengths, target lengths and the start
// of each sample's labels.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> log_probs: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read> spans: array<i32>;

fn load_log_probs(place: u32) -> f32 { return log_probs[params.log_probs_offset + place]; }

fn load_span(kind: u32, sample: u32) -> u32 {
    return bitcast<u32>(spans[params.spans_offset + kind * params.batch + sample]);
}

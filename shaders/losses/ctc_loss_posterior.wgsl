// The probability of each class at each time, given the labels, in Connectionist Temporal Classification:
//   output[t, n, c] = sum over states s of class c of p[t, s],
//   p[t, s] = e^(forward[t, s] + backward[t, s] + loss[n] - x[t, n, c])
// with x = log_probs and output [time, batch, classes], and the two halves of path [2, batch, time, states] as `ctc_loss` leaves
// them. If WEIGHTED, each p is multiplied by the sum of both halves of `tangent`.
//
// One invocation computes one element. Samples without any path, and times past their length, give 0; those whose loss is
// NaN give NaN. Accumulator: f32.

const WEIGHTED: bool = false;

struct Params {
    count: u32,
    batch: u32,
    time: u32,
    classes: u32,
    states: u32,
    width: u32,
    // Total number of labels.
    labels: u32,
    blank: u32,
    log_probs_offset: u32,
    targets_offset: u32,
    spans_offset: u32,
    path_offset: u32,
    loss_offset: u32,
    tangent_offset: u32,
}

#import ctc_operands
@group(0) @binding(4) var<storage, read> path: array<f32>;
@group(0) @binding(5) var<storage, read> loss: array<f32>;
@group(0) @binding(6) var<storage, read> tangent: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;

fn finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }

// The contribution of the state at `place` in the first half of `path`; `base` is the loss without the class's own part.
fn share(place: u32, base: f32) -> f32 {
    let other = params.batch * params.time * params.states + place;
    let probability = exp(path[params.path_offset + place] + path[params.path_offset + other] + base);
    if (WEIGHTED) {
        return probability * (tangent[params.tangent_offset + place] + tangent[params.tangent_offset + other]);
    }
    return probability;
}

#import invocations

fn compute(place: u32) {
    let class_ = place % params.classes;
    let sample = place / params.classes % params.batch;
    let t = place / params.classes / params.batch;
    let length = load_span(0u, sample);
    let labels = load_span(1u, sample);
    let start = load_span(2u, sample);
    let cost = loss[params.loss_offset + sample];
    let own = load_log_probs(place);
    var sum = 0.0;
    // Lengths that do not exist have been reported, and have no sums.
    let known = (length <= params.time) & (labels <= params.width) & (start <= params.labels);
    let counts = (t < length) & known & (start + labels <= params.labels);
    if (counts & ((bitcast<u32>(cost) & 0x7fffffffu) > 0x7f800000u)) {
        sum = cost;
    }
    if (counts & finite(cost) & finite(own)) {
        let row = (sample * params.time + t) * params.states;
        for (var j = 0u; j < labels; j++) {
            if (targets[params.targets_offset + start + j] == i32(class_)) {
                sum += share(row + 2u * j + 1u, cost - own);
            }
        }
        if (class_ == params.blank) {
            for (var j = 0u; j <= labels; j++) {
                sum += share(row + 2u * j, cost - own);
            }
        }
    }
    output[place] = sum;
}

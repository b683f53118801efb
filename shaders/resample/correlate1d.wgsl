// A correlation along one dimension, with weights for each image: output[n, o, l, i] = sum over k of weights[n, k]
// input[n, o, l + k, i], of input [images, outer, length + TAPS - 1, inner].
//
// One invocation computes one element. Accumulator: f32.

const TAPS: u32 = 1u;

struct Params {
    count: u32,
    outer: u32,
    length: u32,
    inner: u32,
    input_offset: u32,
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

fn load_input(index: u32) -> f32 { return input[params.input_offset + index]; }

fn load_weights(index: u32) -> f32 { return weights[params.weights_offset + index]; }

fn store_output(index: u32, value: f32) { output[index] = value; }

#import invocations

fn compute(at: u32) {
    let within = at % params.inner;
    let place = at / params.inner % params.length;
    let row = at / params.inner / params.length;
    let first = (row * (params.length + TAPS - 1u) + place) * params.inner + within;
    let taps = row / params.outer * TAPS;
    var sum = 0.0;
    for (var tap = 0u; tap < TAPS; tap++) {
        sum += load_weights(taps + tap) * load_input(first + tap * params.inner);
    }
    store_output(at, sum);
}

// Adaptive average pooling along one dimension, and its gradient.
//
//   forward:  output[o, j, i] = mean over k in window(j, from, to) of input[o, k, i]
//   backward: output[o, j, i] = sum over k in window(j, from, to) of input[o, k, i] / size of window(k, to, from)
//
// with window(j, from, to) from floor(j from / to) to ceil((j + 1) from / to) - 1. The windows that contain an element
// follow the same formula with the sizes exchanged, so the gradient is a sum over windows too. input is contiguous
// [outer, from, inner] from params.input_offset, output [outer, to, inner].
//
// One invocation computes one of params.parts parts of an element, of params.span terms each: its loop must not run past
// 65,535. sum_rows.wgsl adds the parts up. Accumulator: f32.

alias Element = f32;
alias Sum = f32;

#import adaptive_window

const BACKWARD: bool = false;

struct Params {
    count: u32,
    from_size: u32,
    to_size: u32,
    inner: u32,
    parts: u32,
    span: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Sum>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

fn length(position: u32, from_size: u32, to_size: u32) -> f32 {
    let elements = window(position, from_size, to_size);
    return f32(elements.y - elements.x);
}

fn store_output(index: u32, value: f32) { output[index] = Sum(value); }

#import invocations_of_parts

fn compute(id: u32) {
    let place = id % params.count;
    let start = place / (params.to_size * params.inner) * (params.from_size * params.inner) + place % params.inner;
    let position = place / params.inner % params.to_size;
    let elements = window(position, params.from_size, params.to_size);
    var sum = 0.0;
    let first = elements.x + id / params.count * params.span;
    for (var k = first; k < min(first + params.span, elements.y); k++) {
        let value = load_input(start + k * params.inner);
        if (BACKWARD) {
            sum += value / length(k, params.to_size, params.from_size);
        } else {
            sum += value;
        }
    }
    if (!BACKWARD) {
        sum /= f32(elements.y - elements.x);
    }
    store_output(id, sum);
}

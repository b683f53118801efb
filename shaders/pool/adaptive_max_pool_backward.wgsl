// Gradient of adaptive max pooling along one dimension: what goes to an element of the input is the sum over the
// windows whose maximum it is.
//
//   output[o, l, i] = sum over windows j that contain l, with index[o, j, i] = (o % slices * to + l) * inner + i,
//                     of grad[o, j, i]
//
// The windows that contain l go from floor(l from / to) to ceil((l + 1) from / to) - 1. grad and index are contiguous
// [outer, from, inner] from their offsets, output [outer, to, inner]: from counts the windows, to the elements.
//
// One invocation computes one of params.parts parts of an element, of params.span terms each: its loop must not run past
// 65,535. sum_rows.wgsl adds the parts up. Accumulator: f32.
// No atomics: the order of each sum is fixed.

alias Element = f32;
alias Sum = f32;

#import adaptive_window

struct Params {
    count: u32,
    from_size: u32,
    to_size: u32,
    inner: u32,
    parts: u32,
    span: u32,
    slices: u32,
    grad_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<Element>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Sum>;

fn load_grad(index: u32) -> f32 { return f32(grad[params.grad_offset + index]); }

fn load_index(place: u32) -> u32 { return u32(index[params.index_offset + place]); }

fn store_output(index: u32, value: f32) { output[index] = Sum(value); }

#import invocations_of_parts

fn compute(id: u32) {
    let place = id % params.count;
    let here = place % (params.slices * params.to_size * params.inner);
    let start = place / (params.to_size * params.inner) * (params.from_size * params.inner) + place % params.inner;
    let windows = window(place / params.inner % params.to_size, params.from_size, params.to_size);
    var sum = 0.0;
    let first = windows.x + id / params.count * params.span;
    for (var j = first; j < min(first + params.span, windows.y); j++) {
        let gradient = load_grad(start + j * params.inner);
        sum += select(0.0, gradient, load_index(start + j * params.inner) == here);
    }
    store_output(id, sum);
}

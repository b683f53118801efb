// Elements moved within their rows, all contiguous [outer, length, inner]; each row of `index` is a permutation:
//   output[o, index[o, j, i], i] = input[o, j, i]      or, if BACK:      output[o, j, i] = input[o, index[o, j, i], i]
//
// One invocation moves one element.

alias Element = f32;

const BACK: bool = false;

struct Params {
    count: u32,
    length: u32,
    inner: u32,
    offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;

fn load_input(place: u32) -> Element { return input[params.offset + place]; }

#import invocations

fn compute(place: u32) {
    let row = place / params.inner / params.length * params.length * params.inner + place % params.inner;
    // Clamped: an index that is not a permutation must not lead outside.
    let other = row + min(u32(index[params.index_offset + place]), params.length - 1u) * params.inner;
    if (BACK) {
        output[place] = load_input(other);
    } else {
        output[other] = load_input(place);
    }
}

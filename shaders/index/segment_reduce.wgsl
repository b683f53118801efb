// output[o, d, i] = sum over n from bounds[d] to bounds[d + 1] of input[o, order[n], i]: input [outer, taken, inner],
// output [outer, size, inner]. `combine` and START turn the sum into a product.
//
// One invocation computes one element: the sources of its segment in order; for a long segment the ends, and between them the
// sums of whole chunks of 1,024 that another kernel left. Accumulator: f32 (i32, u32 for integers). Up to some 60 million sources
// of one destination the loops stay below the 65,535 iterations after which llvmpipe ends them, and a binding holds at most 2^25
// indices.

alias Element = f32;
alias Accumulator = f32;

const START: i32 = 0;

struct Params {
    count: u32,
    size: u32,
    taken: u32,
    inner: u32,
    columns: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> bounds: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<Element>;

fn load_input(place: u32) -> Accumulator { return Accumulator(input[params.input_offset + place]); }

fn combine(a: Accumulator, b: Accumulator) -> Accumulator { return a + b; }

fn chunk_total(place: u32) -> Accumulator { return Accumulator(START); }

fn store_output(index: u32, value: Accumulator) { output[index] = Element(value); }

#import invocations

fn compute(place: u32) {
    let row = place / params.inner;
    let outer = row / params.size;
    let i = place % params.inner;
    let key = row % params.size;
    let end = bounds[key + 1u];
    var n = bounds[key];
    var total = Accumulator(START);
    // The ends hold less than 1,024 each, or less than 2,048 together if no whole chunk is between them.
    let first = (n + 1023u) / 1024u;
    let last = end / 1024u;
    if (first < last) {
        for (; n < first * 1024u; n++) {
            total = combine(total, load_input((outer * params.taken + order[n]) * params.inner + i));
        }
        for (var chunk = first; chunk < last; chunk++) {
            total = combine(total, chunk_total(chunk * params.columns + outer * params.inner + i));
        }
        n = last * 1024u;
    }
    for (; n < end; n++) {
        total = combine(total, load_input((outer * params.taken + order[n]) * params.inner + i));
    }
    store_output(place, total);
}

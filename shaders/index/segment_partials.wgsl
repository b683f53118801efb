// partials[c, o, i] = sum of the 1,024 sources of chunk c of the order in input [outer, taken, inner], if they all have one
// destination; others are neither needed nor written. `combine` and START turn the sum into a product.
//
// One invocation sums one chunk of one column, in order. Accumulator: f32 (i32, u32 for integers).

alias Element = f32;
alias Accumulator = f32;

const START: i32 = 0;

struct Params {
    count: u32,
    columns: u32,
    taken: u32,
    inner: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> partials: array<Accumulator>;

fn load_input(place: u32) -> Accumulator { return Accumulator(input[params.input_offset + place]); }

fn combine(a: Accumulator, b: Accumulator) -> Accumulator { return a + b; }

#import invocations

fn compute(id: u32) {
    let first = id / params.columns * 1024u;
    if (keys[first] != keys[first + 1023u]) {
        return;
    }
    let column = id % params.columns;
    let outer = column / params.inner * params.taken;
    let i = column % params.inner;
    var total = Accumulator(START);
    for (var n = first; n < first + 1024u; n++) {
        total = combine(total, load_input((outer + order[n]) * params.inner + i));
    }
    partials[id] = total;
}

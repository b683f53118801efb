// Resampling along one dimension: output[o, m, i] = sum over t of weights[t] * input[o, places[t], i], with t from
// ends[m] to ends[m + 1]. Input [outer, size, inner], output [outer, taken, inner], both row-major; ends [taken + 1],
// places and weights [taps].
//
// One invocation computes one of params.parts parts of an element, of params.span taps each: its loop must not run past
// 65,535. sum_rows.wgsl adds the parts up. Accumulator: f32.

alias Element = f32;
alias Sum = f32;

struct Params {
    // Elements of the output, sizes, first elements of the inputs.
    count: u32,
    size: u32,
    taken: u32,
    inner: u32,
    input_offset: u32,
    ends_offset: u32,
    places_offset: u32,
    weights_offset: u32,
    parts: u32,
    span: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> ends: array<i32>;
@group(0) @binding(3) var<storage, read> places: array<i32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Sum>;

fn load_input(place: u32) -> f32 { return f32(input[params.input_offset + place]); }

fn store_output(index: u32, value: f32) { output[index] = Sum(value); }

#import invocations_of_parts

fn compute(id: u32) {
    let place = id % params.count;
    let row = place / params.inner;
    let target_place = params.ends_offset + row % params.taken;
    let first = (row / params.taken) * params.size * params.inner + place % params.inner;
    let end = u32(ends[target_place + 1u]);
    var sum = 0.0;
    let first_tap = u32(ends[target_place]) + id / params.count * params.span;
    for (var tap = first_tap; tap < min(first_tap + params.span, end); tap++) {
        let source = u32(places[params.places_offset + tap]);
        sum += weights[params.weights_offset + tap] * load_input(first + source * params.inner);
    }
    store_output(id, sum);
}

// The last step of a sort: values[o, j, i] = input[o, p, i] and indices[o, j, i] = p with p = places[o * inner + i, j], all
// [outer, length, inner] but places, whose rows are contiguous.
//
// One invocation writes one element.

alias Element = f32;

struct Params {
    count: u32,
    length: u32,
    inner: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<Element>;
@group(0) @binding(4) var<storage, read_write> indices: array<i32>;

fn load_input(index: u32) -> Element { return input[params.offset + index]; }

#import invocations

fn compute(id: u32) {
    let within = id % params.inner;
    let step = id / params.inner % params.length;
    let outer = id / params.inner / params.length;
    let place = places[(outer * params.inner + within) * params.length + step];
    values[id] = load_input((outer * params.length + place) * params.inner + within);
    indices[id] = i32(place);
}

// Sorts runs of RUN elements: the first step of a stable merge sort along the middle dimension of contiguous
// [outer, length, inner].
//
// keys and places are [outer * inner, length]: a row's elements side by side, as numbers whose order is that of the elements (NaN
// above everything, -0 equal to 0; inverted for a descending order), and the elements' positions. One invocation sorts one run of
// a row by insertion.

alias Element = f32;

const RUN: u32 = 16u;

struct Params {
    // Rows times runs.
    count: u32,
    length: u32,
    inner: u32,
    runs: u32,
    // All bits set for a descending order.
    turn: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> places: array<u32>;

fn load_input(index: u32) -> Element { return input[params.offset + index]; }

fn key(x: Element) -> u32 {
    let bits = bitcast<u32>(f32(x));
    let magnitude = bits & 0x7fffffffu;
    let ordered = select(0x80000000u + magnitude, 0x80000000u - magnitude, bits > 0x7fffffffu);
    return select(ordered, 0xffffffffu, magnitude > 0x7f800000u);
}

#import invocations

fn compute(id: u32) {
    let row = id / params.runs;
    let first = id % params.runs * RUN;
    let end = min(first + RUN, params.length);
    let source = row / params.inner * params.length * params.inner + row % params.inner;
    let base = row * params.length;
    for (var place = first; place < end; place++) {
        let mine = key(load_input(source + place * params.inner)) ^ params.turn;
        var hole = place;
        // Equal elements keep their order.
        while (hole > first) {
            let before = keys[base + hole - 1u];
            if (before <= mine) {
                break;
            }
            keys[base + hole] = before;
            places[base + hole] = places[base + hole - 1u];
            hole -= 1u;
        }
        keys[base + hole] = mine;
        places[base + hole] = place;
    }
}

// output[o, d, i] = sum over j with index[o, j, i] = d of input[o, j, i], all contiguous: input and index
// [outer, taken, inner], output [outer, size, inner]. With SHARED the index is [taken], the same for all o and i.
// `combine` and START turn the sum into a product.
//
// One invocation computes one element of the output and scans the whole row of indices, in order: no atomics, the same bits every
// time; for short rows only. Accumulator: f32 (i32, u32 for integers). An index outside 0..size is skipped and reported in
// `fault`.

alias Element = f32;
alias Accumulator = f32;

const SHARED: bool = false;
const START: i32 = 0;

struct Params {
    count: u32,
    fault: u32,
    size: u32,
    taken: u32,
    inner: u32,
    input_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

fn load_input(place: u32) -> Accumulator { return Accumulator(input[params.input_offset + place]); }

fn combine(a: Accumulator, b: Accumulator) -> Accumulator { return a + b; }

fn store_output(index: u32, value: Accumulator) { output[index] = Element(value); }

// Set by the specialiser if faults are reported.
fn report(code: u32, size: u32, index: i32) { atomicMax(&fault[0], code); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let row = place / params.inner;
    let destination = row % params.size;
    let start = row / params.size * params.taken * params.inner + place % params.inner;
    var total = Accumulator(START);
    for (var j = 0u; j < params.taken; j++) {
        let source = start + j * params.inner;
        let found = index[params.index_offset + select(source, j, SHARED)];
        if (u32(found) == destination) {
            total = combine(total, load_input(source));
        } else if (destination == 0u && u32(found) >= params.size) {
            report(params.fault, params.size, found);
        }
    }
    store_output(place, total);
}

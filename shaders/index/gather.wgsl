// output[o, j, i] = input[o, index[o, j, i], i], all contiguous: input [outer, size, inner], index and output
// [outer, taken, inner]. With SHARED the index is [taken], the same for all o and i.
//
// One invocation computes one element. An index outside 0..size gives NaN (0 for integers) and is reported in
// `fault`, which the device reads at the next synchronisation.

alias Element = f32;
// The stored type: f32, or integers.
alias Value = f32;

const SHARED: bool = false;

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

fn load_input(place: u32) -> Value { return Value(input[params.input_offset + place]); }

fn invalid() -> Value { return Value(bitcast<f32>(0x7fc00000u + min(params.count, 1u))); }

fn store_output(index: u32, value: Value) { output[index] = Element(value); }

// Set by the specialiser if faults are reported.
fn report(code: u32, size: u32, index: i32) { atomicMax(&fault[0], code); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let row = place / params.inner;
    let i = place % params.inner;
    let taken = index[params.index_offset + select(place, row % params.taken, SHARED)];
    if (taken < 0 || u32(taken) >= params.size) {
        report(params.fault, params.size, taken);
        store_output(place, invalid());
        return;
    }
    store_output(place, load_input((row / params.taken * params.size + u32(taken)) * params.inner + i));
}

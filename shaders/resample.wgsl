// Resampling along one dimension: output[o, m, i] = sum over t of weights[t] * input[o, places[t], i], with t from
// ends[m] to ends[m + 1]. Input [outer, size, inner], output [outer, taken, inner], both row-major; ends [taken + 1],
// places and weights [taps].
//
// One invocation computes one element and adds in the order of the taps. Accumulator: f32. Loops are nested so that
// none runs past 65,535.

alias Element = f32;
alias Output = f32;

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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> ends: array<i32>;
@group(0) @binding(3) var<storage, read> places: array<i32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Output>;

fn load_input(place: u32) -> f32 { return f32(input[params.input_offset + place]); }

fn store_output(index: u32, value: f32) { output[index] = Output(value); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let row = place / params.inner;
    let target_place = params.ends_offset + row % params.taken;
    let first = (row / params.taken) * params.size * params.inner + place % params.inner;
    let end = u32(ends[target_place + 1u]);
    var sum = 0.0;
    for (var block = u32(ends[target_place]); block < end; block += 1024u) {
        for (var tap = block; tap < min(block + 1024u, end); tap++) {
            let source = u32(places[params.places_offset + tap]);
            sum += weights[params.weights_offset + tap] * load_input(first + source * params.inner);
        }
    }
    store_output(place, sum);
}

// output[o, d, i] = sum over j with index[o, j, i] = d of input[o, j, i], all contiguous: input and index
// [outer, TAKEN, INNER], output [outer, SIZE, INNER].
//
// One invocation computes one element of the output and looks through the whole row of indices, in order: no
// atomics, the same bits every time. Accumulator: f32. Loops are nested so that none runs past 65,535.

alias Element = f32;
alias Accumulator = f32;

const SIZE: u32 = 10u;
const TAKEN: u32 = 1u;
const INNER: u32 = 1u;

struct Params {
    count: u32,
    input_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;

fn load_input(place: u32) -> Accumulator { return Accumulator(input[params.input_offset + place]); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let outer = place / (SIZE * INNER);
    let target_index = i32(place / INNER % SIZE);
    let start = outer * TAKEN * INNER + place % INNER;
    var sum = Accumulator(0);
    for (var block = 0u; block < TAKEN; block += 1024u) {
        for (var j = block; j < min(block + 1024u, TAKEN); j++) {
            if (index[params.index_offset + start + j * INNER] == target_index) {
                sum += load_input(start + j * INNER);
            }
        }
    }
    output[place] = Element(sum);
}

// Max unpooling: each position of the output takes the element that won it.
//
//   output[v, p] = input[v, winner[v, p] - 1], or 0 if winner[v, p] = 0
//
// input is contiguous [volumes, taken] from params.input_offset, winner and output [volumes, size]. One invocation
// computes one element.

alias Element = f32;

struct Params {
    count: u32,
    size: u32,
    taken: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;

fn load_input(place: u32) -> Element { return input[params.input_offset + place]; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let won = winner[place];
    if (won == 0u) {
        output[place] = Element(0);
        return;
    }
    output[place] = load_input(place / params.size * params.taken + won - 1u);
}

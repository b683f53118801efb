// positions[ranks[n]] = n if mask[n] is true; the positions past the chosen ones are 0. total[0] is their number.
//
// One invocation reads one element; the two values that it may write go to different elements.

struct Params {
    count: u32,
    mask_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> ranks: array<u32>;
@group(0) @binding(3) var<storage, read_write> positions: array<i32>;
@group(0) @binding(4) var<storage, read_write> total: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = (group.x + group.y * groups.x) * 64u + lane;
    if (n >= params.count) {
        return;
    }
    let last = params.count - 1u;
    let chosen = ranks[last] + min(mask[params.mask_offset + last], 1u);
    if (n == 0u) {
        total[0] = i32(chosen);
    }
    if (n >= chosen) {
        positions[n] = 0;
    }
    if (mask[params.mask_offset + n] != 0u) {
        positions[ranks[n]] = i32(n);
    }
}

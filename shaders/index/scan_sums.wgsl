// sums[b] = sum of the 256 elements of block b of the data: the upward pass of a prefix sum.
//
// One invocation adds up one block.

struct Params {
    count: u32,
    blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let block = (group.x + group.y * groups.x) * 64u + lane;
    if (block >= params.blocks) {
        return;
    }
    var total = 0u;
    for (var n = block * 256u; n < min(block * 256u + 256u, params.count); n++) {
        total += data[n];
    }
    sums[block] = total;
}

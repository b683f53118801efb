// bounds[d] = number of the sorted keys below d, for d from 0 to `last`: segment d of the order is bounds[d]..bounds[d + 1].
//
// One invocation finds one bound by bisection.

struct Params {
    count: u32,
    last: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> bounds: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let key = (group.x + group.y * groups.x) * 64u + lane;
    if (key > params.last) {
        return;
    }
    var low = 0u;
    var high = params.count;
    while (low < high) {
        let middle = low + (high - low) / 2u;
        if (keys[middle] < key) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    bounds[key] = low;
}

// keys[n] = the destination in [outer, size, inner] of source n of [outer, taken, inner] along the middle dimension, by index
// [outer, taken, inner]. With SHARED the index is [taken] and the keys are the indices.
//
// One invocation computes one key. An index outside 0..size gives the key `last`, past all destinations, and is reported in
// `fault`.

const SHARED: bool = false;

struct Params {
    count: u32,
    fault: u32,
    size: u32,
    taken: u32,
    inner: u32,
    last: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

// Set by the specialiser if faults are reported.
fn report(code: u32, size: u32, index: i32) { atomicMax(&fault[0], code); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = (group.x + group.y * groups.x) * 64u + lane;
    if (n >= params.count) {
        return;
    }
    let found = index[params.index_offset + n];
    if (u32(found) >= params.size) {
        report(params.fault, params.size, found);
        keys[n] = params.last;
        return;
    }
    if (SHARED) {
        keys[n] = u32(found);
        return;
    }
    let outer = n / params.inner / params.taken;
    keys[n] = (outer * params.size + u32(found)) * params.inner + n % params.inner;
}

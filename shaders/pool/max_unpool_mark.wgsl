// Max unpooling, the choice of the element for each position of the output: the last that names it, counted from 1.
//
//   winner[v, p] = largest e + 1 with index[v, e] = p, or 0
//
// index is contiguous [volumes, taken] from params.index_offset, winner [volumes, size], all 0 before. One invocation
// takes one element. The largest of integers is the same in any order, so the atomics leave the same bits every time.
// An index outside 0..size is reported in `fault`, which the device reads at the next synchronisation.

struct Params {
    count: u32,
    size: u32,
    taken: u32,
    fault: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> winner: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

// Set by the specialiser if faults are reported.
fn report(code: u32, size: u32, index: i32) { atomicMax(&fault[0], code); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let element = (group.x + group.y * groups.x) * 64u + lane;
    if (element >= params.count) {
        return;
    }
    let place = index[params.index_offset + element];
    if (place < 0 || u32(place) >= params.size) {
        report(params.fault, params.size, place);
        return;
    }
    atomicMax(&winner[element / params.taken * params.size + u32(place)], element % params.taken + 1u);
}

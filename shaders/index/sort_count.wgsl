// counts[digit, chunk] = number of the 64 keys of a chunk with this value in the four bits from `shift` on: the first step of one
// pass of a radix sort.
//
// One invocation counts one chunk, in workgroup memory that no other invocation touches.

#import radix_keys
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> counters: array<u32, 1024>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = (group.x + group.y * groups.x) * 64u + lane;
    if (chunk >= params.chunks) {
        return;
    }
    for (var digit = 0u; digit < 16u; digit++) {
        counters[digit * 64u + lane] = 0u;
    }
    for (var n = chunk * 64u; n < min(chunk * 64u + 64u, params.count); n++) {
        counters[((keys[n] >> params.shift) & 15u) * 64u + lane] += 1u;
    }
    for (var digit = 0u; digit < 16u; digit++) {
        counts[digit * params.chunks + chunk] = counters[digit * 64u + lane];
    }
}

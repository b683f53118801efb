// Keys and their sources, moved to their positions by the four bits from `shift` on: the last step of one pass of a radix sort.
// starts[digit, chunk] is the position of the chunk's first key with that digit.
//
// One invocation moves the 64 keys of one chunk, in order, so that equal keys keep their order. In the first pass key n comes
// from source n; later ones read `order`.

#import radix_keys
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read_write> moved_keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> moved_order: array<u32>;

var<workgroup> places: array<u32, 1024>;

fn source(n: u32) -> u32 { return n; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = (group.x + group.y * groups.x) * 64u + lane;
    if (chunk >= params.chunks) {
        return;
    }
    for (var digit = 0u; digit < 16u; digit++) {
        places[digit * 64u + lane] = starts[digit * params.chunks + chunk];
    }
    for (var n = chunk * 64u; n < min(chunk * 64u + 64u, params.count); n++) {
        let key = keys[n];
        let counter = ((key >> params.shift) & 15u) * 64u + lane;
        let place = places[counter];
        places[counter] = place + 1u;
        moved_keys[place] = key;
        moved_order[place] = source(n);
    }
}

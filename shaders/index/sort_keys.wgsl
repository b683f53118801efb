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

#import report
#import invocations

fn compute(n: u32) {
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

// winners[p] = 1 + the last source n of [outer, taken, inner] that goes to destination p of [outer, size, inner] along the middle
// dimension, by index [outer, taken, inner].
//
// One invocation enters one source; the largest wins, in any order. An index outside 0..size is skipped and reported in `fault`.

struct Params {
    count: u32,
    fault: u32,
    size: u32,
    taken: u32,
    inner: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> winners: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

#import report
#import invocations

fn compute(n: u32) {
    let found = index[params.index_offset + n];
    if (u32(found) >= params.size) {
        report(params.fault, params.size, found);
        return;
    }
    let outer = n / params.inner / params.taken;
    atomicMax(&winners[(outer * params.size + u32(found)) * params.inner + n % params.inner], n + 1u);
}

// sums[b] = sum of the 256 elements of block b of the data: the upward pass of a prefix sum.
//
// One invocation adds up one block.

struct Params {
    length: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<u32>;

#import invocations

fn compute(block: u32) {
    var total = 0u;
    for (var n = block * 256u; n < min(block * 256u + 256u, params.length); n++) {
        total += data[n];
    }
    sums[block] = total;
}

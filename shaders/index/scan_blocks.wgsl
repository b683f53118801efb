// data[n] = start(b) + sum of the elements before it in its block b of 256, in place: the downward pass of an exclusive prefix
// sum. The start of a block is the prefix sum of the blocks' sums; 0 if there is one block.
//
// One invocation goes through one block.

struct Params {
    length: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: array<u32>;

fn start(block: u32) -> u32 { return 0u; }

#import invocations

fn compute(block: u32) {
    var total = start(block);
    for (var n = block * 256u; n < min(block * 256u + 256u, params.length); n++) {
        let value = data[n];
        data[n] = total;
        total += value;
    }
}

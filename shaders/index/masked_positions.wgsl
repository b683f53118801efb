// positions[ranks[n]] = n if mask[n] is true; the positions past the chosen ones are 0. total[0] is their number.
//
// One invocation reads one element; the two values that it may write go to different elements.

struct Params {
    count: u32,
    mask_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> ranks: array<u32>;
@group(0) @binding(3) var<storage, read_write> positions: array<i32>;
@group(0) @binding(4) var<storage, read_write> total: array<i32>;

#import invocations

fn compute(n: u32) {
    let last = params.count - 1u;
    let chosen = ranks[last] + min(mask[params.mask_offset + last], 1u);
    if (n == 0u) {
        total[0] = i32(chosen);
    }
    if (n >= chosen) {
        positions[n] = 0;
    }
    if (mask[params.mask_offset + n] != 0u) {
        positions[ranks[n]] = i32(n);
    }
}

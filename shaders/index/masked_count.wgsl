// ranks[n] = mask[n] as 0 or 1, for the prefix sum that counts the chosen elements before each.
//
// One invocation copies one element.

struct Params {
    count: u32,
    mask_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> ranks: array<u32>;

#import invocations

fn compute(n: u32) {
    ranks[n] = min(mask[params.mask_offset + n], 1u);
}

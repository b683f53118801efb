// The keys of one pass of a radix sort, in chunks of 64.

struct Params {
    count: u32,
    chunks: u32,
    shift: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;

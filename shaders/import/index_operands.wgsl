// The operands of a template that reads elements of `input` by `index`; with SHARED that is [taken], the same for all slices.

const SHARED: bool = false;

struct Params {
    count: u32,
    fault: u32,
    size: u32,
    taken: u32,
    inner: u32,
    input_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

// Set by the specialiser if faults are reported.
fn report(code: u32, size: u32, index: i32) { atomicMax(&fault[0], code); }

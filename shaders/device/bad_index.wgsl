// output[0] = 1 where a kernel has met a bad index that nobody has been told of yet, and input[0] elsewhere.
//
// One invocation does it.

struct Params {
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

@compute @workgroup_size(1)
fn main() {
    output[0] = select(input[params.input_offset], 1.0, atomicLoad(&fault[0]) != 0u);
}

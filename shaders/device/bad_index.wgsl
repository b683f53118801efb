// output[0] = 1 if a kernel has found a bad index that has not been reported, otherwise input[0].
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

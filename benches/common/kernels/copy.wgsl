// The adapter's rate of copying: output[i] = input[i], four elements an invocation. Accumulator: none.

struct Params {
    quads: u32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

fn store_output(index: u32, value: vec4<f32>) { output[index] = value; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let quad = (group.x + group.y * groups.x) * 64u + lane;
    if (quad < params.quads) {
        store_output(quad, input[quad]);
    }
}

// The most multiply-adds that an adapter does in a second, to compare kernels with.
//
//   sum[i] = sum[i] * factor + addend,  `rounds` times, for 16 vectors of 4
//
// One invocation holds 16 independent sums of four, so that no multiply-add waits for the one before it; a round is 128
// floating-point operations. The result has no meaning and is stored so that the compiler keeps the loop. Accumulators are f32.
//
// Grid: x = groups.

const WORKGROUP: u32 = 64u;

struct Params {
    // At most 65,535.
    rounds: u32,
    factor: f32,
    addend: f32,
}

@group(0) @binding(0) var<storage, read_write> output: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

fn store_output(index: u32, value: f32) {
    output[index] = value;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let factor = vec4<f32>(params.factor);
    let addend = vec4<f32>(params.addend);
    var sum: array<vec4<f32>, 16>;
    for (var i = 0u; i < 16u; i++) { // unroll
        sum[i] = vec4<f32>(f32(id.x + i));
    }
    for (var round = 0u; round < params.rounds; round++) {
        for (var i = 0u; i < 16u; i++) { // unroll
            sum[i] = fma(sum[i], factor, addend);
        }
    }
    var total = vec4<f32>(0.0);
    for (var i = 0u; i < 16u; i++) { // unroll
        total += sum[i];
    }
    store_output(id.x, total.x + total.y + total.z + total.w);
}

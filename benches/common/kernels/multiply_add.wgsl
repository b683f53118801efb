// The adapter's rate of multiply-adds: output[i] = the sum of ACCUMULATORS chains of x = x * factor + term, each of
// ROUNDS * REPEATS links.
//
// One invocation computes one element. The chains are independent, so that a multiply-add need not wait for the one
// before it, and few enough for the registers of any adapter; ROUNDS alone is a loop when it runs. input holds factor
// and term, below 1 so that nothing overflows. Accumulator: f32.

const ACCUMULATORS: u32 = 8u;
const REPEATS: u32 = 16u;
const ROUNDS: u32 = 256u;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

fn store_output(index: u32, value: f32) { output[index] = value; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.x + group.y * groups.x) * 64u + lane;
    let factor = input[0];
    let term = input[1];
    var chains: array<f32, ACCUMULATORS>;
    for (var i = 0u; i < ACCUMULATORS; i++) { // unroll
        chains[i] = f32(index + i);
    }
    for (var round = 0u; round < ROUNDS; round++) {
        for (var repeat = 0u; repeat < REPEATS; repeat++) { // unroll
            for (var i = 0u; i < ACCUMULATORS; i++) { // unroll
                chains[i] = chains[i] * factor + term;
            }
        }
    }
    var sum = 0.0;
    for (var i = 0u; i < ACCUMULATORS; i++) { // unroll
        sum += chains[i];
    }
    store_output(index, sum);
}

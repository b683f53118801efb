// output[r] = the sum of input[first + e] over e below length, for the run r = (runs[2 r], runs[2 r + 1]) = (first, length).
//
// A workgroup adds up one run: each invocation every 64th element in order, then a tree their sums. Accumulator: f32.

alias Element = f32;

struct Params {
    count: u32,
    input_offset: u32,
    runs_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> runs: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

var<workgroup> sums: array<f32, 64>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

fn store_output(index: u32, value: f32) { output[index] = value; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.x + group.y * groups.x;
    if (run >= params.count) {
        return;
    }
    let first = u32(runs[params.runs_offset + 2u * run]);
    let length = u32(runs[params.runs_offset + 2u * run + 1u]);
    var sum = 0.0;
    for (var element = lane; element < length; element += 64u) {
        sum += load_input(first + element);
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        if (lane < reach) {
            sums[lane] += sums[lane + reach];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        store_output(run, sums[0]);
    }
}

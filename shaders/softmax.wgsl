// softmax and log_softmax along one dimension, by rows:
//   m = max over d of x[d], s = sum over d of e^(x[d] - m)
//   softmax: y[d] = e^(x[d] - m) / s          log_softmax: y[d] = x[d] - m - log s
//
// input and output are contiguous [outer, SIZE, INNER]. A row of SIZE elements, INNER apart, is shared by LANES
// invocations, which pass their partial results through workgroup memory; with LANES = 1 each row is one
// invocation's. Accumulator: f32.

alias Element = f32;

const SIZE: u32 = 10u;
const INNER: u32 = 1u;
const LANES: u32 = 64u;
const LOG: bool = false;

struct Params {
    rows: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

var<workgroup> partial: array<f32, 64>;

fn load_input(index: u32) -> f32 { return f32(input[params.offset + index]); }

fn store_output(index: u32, value: f32) { output[index] = Element(value); }

fn not_a_number(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

// Whether the row's largest element or the sum is wanted: a NaN wins over every element.
fn combine(a: f32, b: f32, largest: bool) -> f32 {
    return select(a + b, select(max(a, b), a + b, not_a_number(a) | not_a_number(b)), largest);
}

fn share(value: f32, largest: bool, local: u32) -> f32 {
    if (LANES == 1u) {
        return value;
    }
    let lane = local % LANES;
    // Nobody may still read what the last call left.
    workgroupBarrier();
    partial[local] = value;
    workgroupBarrier();
    for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
        if (lane < reach) {
            partial[local] = combine(partial[local], partial[local + reach], largest);
        }
        workgroupBarrier();
    }
    return partial[local - lane];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = (group.x + group.y * groups.x) * (64u / LANES) + local / LANES;
    // Rows past the end repeat the last one, so that every invocation meets every barrier.
    let used = min(row, params.rows - 1u);
    let start = used / INNER * SIZE * INNER + used % INNER;
    let lane = local % LANES;

    var largest = load_input(start + min(lane, SIZE - 1u) * INNER);
    for (var d = lane + LANES; d < SIZE; d += LANES) {
        largest = combine(largest, load_input(start + d * INNER), true);
    }
    largest = share(largest, true, local);
    // A row of -inf alone would subtract -inf from itself, and gives NaN, as in PyTorch.
    var sum = 0.0;
    for (var d = lane; d < SIZE; d += LANES) {
        sum += exp(load_input(start + d * INNER) - largest);
    }
    sum = share(sum, false, local);
    let log_sum = log(sum);
    if (row < params.rows) {
        for (var d = lane; d < SIZE; d += LANES) {
            let shifted = load_input(start + d * INNER) - largest;
            var value = exp(shifted) / sum;
            if (LOG) {
                value = shifted - log_sum;
            }
            store_output(start + d * INNER, value);
        }
    }
}

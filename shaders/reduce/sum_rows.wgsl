// output[c] = sum over r of input[r, c], in order: adds up the partial sums that an operation's first kernel leaves.
//
// input is contiguous [rows, count]. One invocation computes one output. Accumulator: f32.

alias Result = f32;

struct Params {
    count: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<Result>;

fn store_output(index: u32, value: f32) { output[index] = Result(value); }

#import invocations

fn compute(column: u32) {
    var total = 0.0;
    for (var row = 0u; row < params.rows; row++) {
        total += input[row * params.count + column];
    }
    store_output(column, total);
}

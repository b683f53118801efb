// Gradient of a slice: zeros, with the input's elements at the indices of the slice.
//   output[.., start + step * i, ..] = input[.., i, ..], all else 0
// One invocation computes one element of the output. The batch (outermost) size is not a constant: SIZE is 0 if the sliced
// dimension is the outermost one.

alias Element = f32;
// The stored type: f32, or integers.
alias Value = f32;

const SIZE: u32 = 0u;
const INNER: u32 = 1u;
const STEP: u32 = 1u;

struct Params {
    // Elements of the output, length of the slice, its start, first element of the input.
    count: u32,
    length: u32,
    start: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

fn load_input(index: u32) -> Value { return Value(input[params.offset + index]); }

fn store_output(index: u32, value: Value) { output[index] = Element(value); }

#import invocations

fn compute(index: u32) {
    let outer = index / INNER;
    var row = 0u;
    var along = outer;
    if (SIZE > 0u) {
        row = outer / max(SIZE, 1u);
        along = outer % max(SIZE, 1u);
    }
    var value = Value(0);
    if (along >= params.start && (along - params.start) % STEP == 0u) {
        let taken = (along - params.start) / STEP;
        if (taken < params.length) {
            value = load_input((row * params.length + taken) * INNER + index % INNER);
        }
    }
    store_output(index, value);
}

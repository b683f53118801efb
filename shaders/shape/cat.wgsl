// One tensor's part of a concatenation: output[o, start + k] = input[o, k], where a row holds the concatenated dimension and
// everything within it. One kernel a tensor, all into one output.
//
// One invocation computes one element; nothing is accumulated. `place` computes an element's index in a strided input. ROW and
// OUT_ROW, the lengths of rows, are 0 if the concatenated dimension is the outermost one, whose size stays out of the shader:
// then there is one row.

alias Element = f32;
// The stored type: f32, or integers.
alias Value = f32;

const ROW: u32 = 0u;
const OUT_ROW: u32 = 0u;

struct Params {
    // Elements of the input, its first element, the start of its part of a row.
    count: u32,
    offset: u32,
    start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

fn place(index: u32) -> u32 { return index; }

fn load_input(index: u32) -> Value { return Value(input[params.offset + place(index)]); }

fn store_output(index: u32, value: Value) { output[index] = Element(value); }

#import invocations

fn compute(index: u32) {
    var row = 0u;
    var along = index;
    if (ROW > 0u) {
        row = index / max(ROW, 1u);
        along = index % max(ROW, 1u);
    }
    store_output(row * OUT_ROW + params.start + along, load_input(index));
}

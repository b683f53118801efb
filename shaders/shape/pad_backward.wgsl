// Gradient of a padding along one dimension: output[n, i, k] = sum over o with source(o) = i of input[n, o, k].
// Input [n, OUT, INNER], output [n, SIZE, INNER], both row-major. MODE and `source` are those of pad.wgsl: reflect and
// circular have three candidates for o, replicate a range, which is long at the ends only.
// One invocation computes one element and adds in a fixed order. The outermost size n is not in the shader.
// Accumulator: f32.

alias Element = f32;

const REFLECT: u32 = 1u;
const REPLICATE: u32 = 2u;
const CIRCULAR: u32 = 3u;

const MODE: u32 = 1u;
const SIZE: u32 = 1u;
const OUT: u32 = 1u;
const INNER: u32 = 1u;

struct Params {
    // Elements of the output, first element of the input, elements put before the dimension, as i32.
    count: u32,
    offset: u32,
    before: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

fn load_input(index: u32) -> f32 { return f32(input[params.offset + index]); }

// The element at position `o` of the padded dimension; 0 outside of it.
fn padded(o: i32, row: u32, column: u32) -> f32 {
    if (o < 0 || o >= i32(OUT)) {
        return 0.0;
    }
    return load_input((row * OUT + u32(o)) * INNER + column);
}

fn store_output(index: u32, value: f32) { output[index] = Element(value); }

#import invocations

fn compute(index: u32) {
    let column = index % INNER;
    let row = index / INNER / SIZE;
    let i = i32(index / INNER % SIZE);
    let last = i32(SIZE) - 1;
    let before = bitcast<i32>(params.before);
    var total = 0.0;
    if (MODE == REPLICATE) {
        let start = select(max(i + before, 0), 0, i == 0);
        let end = select(min(i + before + 1, i32(OUT)), i32(OUT), i == last);
        for (var o = start; o < end; o++) {
            total += padded(o, row, column);
        }
    } else {
        total = padded(i + before, row, column);
        if (MODE == CIRCULAR) {
            total += padded(i - i32(SIZE) + before, row, column);
            total += padded(i + i32(SIZE) + before, row, column);
        } else {
            if (i > 0) {
                total += padded(before - i, row, column);
            }
            if (i < last) {
                total += padded(2 * last - i + before, row, column);
            }
        }
    }
    store_output(index, total);
}

// Padding, rolling and flipping: output[n, a, b, c] = input[n, source(a), source(b), source(c)], or the fill value if a source is
// outside. Input [n, SIZE_A, SIZE_B, SIZE_C], output [n, OUT_A, OUT_B, OUT_C], both row-major.
//
// With x = position - before: constant and identity take x, reflect |x| and its mirror image at the far end, replicate
// the nearest position, circular x modulo the size (-size <= x < 2 size), flip size - 1 - x.
// One invocation computes one element; nothing is accumulated. The outermost size n is not in the shader.

alias Element = f32;
// The stored type: f32, or integers.
alias Value = f32;

const CONSTANT: u32 = 0u;
const REFLECT: u32 = 1u;
const REPLICATE: u32 = 2u;
const CIRCULAR: u32 = 3u;
const FLIP: u32 = 4u;

const MODE_A: u32 = 0u;
const MODE_B: u32 = 0u;
const MODE_C: u32 = 0u;
const SIZE_A: u32 = 1u;
const SIZE_B: u32 = 1u;
const SIZE_C: u32 = 1u;
const OUT_A: u32 = 1u;
const OUT_B: u32 = 1u;
const OUT_C: u32 = 1u;

struct Params {
    // Elements of the output, first element of the input.
    count: u32,
    offset: u32,
    // Elements put before each dimension, as i32; the fill value's bits.
    before_a: u32,
    before_b: u32,
    before_c: u32,
    value: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

fn load_input(index: u32) -> Value { return Value(input[params.offset + index]); }

fn fill() -> Value { return Value(bitcast<f32>(params.value)); }

// The position in the input, or one outside of it.
fn source(mode: u32, position: u32, before: u32, size: u32) -> i32 {
    let x = i32(position) - bitcast<i32>(before);
    let last = i32(size) - 1;
    if (mode == REFLECT) {
        return min(abs(x), 2 * last - abs(x));
    }
    if (mode == REPLICATE) {
        return clamp(x, 0, max(last, 0));
    }
    if (mode == CIRCULAR) {
        return select(select(x, x - i32(size), x > last), x + i32(size), x < 0);
    }
    if (mode == FLIP) {
        return last - x;
    }
    return x;
}

fn store_output(index: u32, value: Value) { output[index] = Element(value); }

#import invocations

fn compute(index: u32) {
    let row = index / OUT_C;
    let plane = row / OUT_B;
    let a = source(MODE_A, plane % OUT_A, params.before_a, SIZE_A);
    let b = source(MODE_B, row % OUT_B, params.before_b, SIZE_B);
    let c = source(MODE_C, index % OUT_C, params.before_c, SIZE_C);
    let inside = a >= 0 && a < i32(SIZE_A) && b >= 0 && b < i32(SIZE_B) && c >= 0 && c < i32(SIZE_C);
    if (!inside) {
        store_output(index, fill());
        return;
    }
    store_output(index, load_input((((plane / OUT_A) * SIZE_A + u32(a)) * SIZE_B + u32(b)) * SIZE_C + u32(c)));
}

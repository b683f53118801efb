// Adds windows back to their positions, the adjoint of taking them:
//
//   output[o, x, i] = sum over taps k with x = w * STRIDE + k * DILATION for a window w of input[o, k, w, i]
//
// input is [outer, TAPS, WINDOWS, INNER] (if it is strided, `place` is written for it), output contiguous [outer, SIZE, INNER].
// The accumulator is f32; taps are added in order.
//
// One invocation computes one element. Every STEPth tap meets it, from the k on with k % STEP = x / DIVISOR % STEP * INVERSE %
// STEP, if DIVISOR divides x; the window of each is REACH before that of the tap before. Only taps with an existing window are
// visited.

alias Element = f32;

const TAPS: u32 = 3u;
const WINDOWS: u32 = 4u;
const SIZE: u32 = 6u;
const STRIDE: u32 = 1u;
const DILATION: u32 = 1u;
const INNER: u32 = 1u;

const DIVISOR: u32 = 1u;
const STEP: u32 = 1u;
const INVERSE: u32 = 0u;
const REACH: u32 = DILATION / DIVISOR;

struct Params {
    // Elements of the output, first element of the input.
    count: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

fn place(index: u32) -> u32 { return index; }

fn load_input(index: u32) -> f32 { return f32(input[params.offset + place(index)]); }

fn store_output(index: u32, value: f32) { output[index] = Element(value); }

#import invocations

fn compute(index: u32) {
    let inner = index % INNER;
    let x = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    var sum = 0.0;
    if (x % DIVISOR == 0u) {
        // Unsigned arithmetic wraps: a tap that begins past x leaves a huge number.
        let least = x / DIVISOR % STEP * INVERSE % STEP;
        let nearest = x / STRIDE - (least * DILATION - x % STRIDE) / STRIDE;
        // Taps before the first one with an existing window.
        let skipped = u32(max(i32(nearest) - i32(WINDOWS) + i32(REACH), 0)) / REACH;
        var window = nearest - skipped * REACH;
        for (var k = least + skipped * STEP; k < TAPS && window < WINDOWS; k += STEP) {
            sum += load_input(((outer * TAPS + k) * WINDOWS + window) * INNER + inner);
            window -= REACH;
        }
    }
    store_output(index, sum);
}

// 2-D average pooling.
//
//   output[n, c, y, x] = sum over r, s of input[n, c, y * STRIDE_Y - PAD_Y + r, x * STRIDE_X - PAD_X + s] / divisor(y, x)
//
// Positions outside the input count as 0. input is contiguous [planes, IN_HEIGHT, IN_WIDTH] from
// params.input_offset, output [planes, OUT_HEIGHT, OUT_WIDTH]. The accumulator is f32.
//
// One invocation computes one output. A window is summed in blocks of BLOCK_Y x BLOCK_X, whose loads don't wait for each other.

#import pool_geometry
#import pool_divisor
alias Result = f32;

struct Params {
    count: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Result>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

fn store_output(index: u32, value: f32) { output[index] = Result(value); }

#import invocations

fn compute(place: u32) {
    let plane = place / (OUT_HEIGHT * OUT_WIDTH) * (IN_HEIGHT * IN_WIDTH);
    let y = place / OUT_WIDTH % OUT_HEIGHT;
    let x = place % OUT_WIDTH;
    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    let top = y * STRIDE_Y - PAD_Y;
    let left = x * STRIDE_X - PAD_X;
    var sum = 0.0;
    for (var first_r = 0u; first_r < KERNEL_Y; first_r += BLOCK_Y) {
        for (var first_s = 0u; first_s < KERNEL_X; first_s += BLOCK_X) {
            for (var r = 0u; r < BLOCK_Y; r++) { // unroll
                for (var s = 0u; s < BLOCK_X; s++) { // unroll
                    let row = top + first_r + r;
                    let column = left + first_s + s;
                    let inside = (first_r + r < KERNEL_Y) & (first_s + s < KERNEL_X) & (row < IN_HEIGHT) & (column < IN_WIDTH);
                    sum += select(0.0, load_input(plane + select(0u, row * IN_WIDTH + column, inside)), inside);
                }
            }
        }
    }
    store_output(place, sum / divisor(y, x));
}

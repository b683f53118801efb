// 2-D average pooling.
//
//   output[n, c, y, x] = sum over r, s of input[n, c, y * STRIDE_Y - PAD_Y + r, x * STRIDE_X - PAD_X + s] / divisor(y, x)
//
// Positions outside the input count as 0. input is contiguous [planes, IN_HEIGHT, IN_WIDTH] from
// params.input_offset, output [planes, OUT_HEIGHT, OUT_WIDTH]. The accumulator is f32.
//
// One invocation computes one output. A window is summed in blocks of BLOCK_Y x BLOCK_X, whose loads don't wait for each other.

alias Element = f32;
alias Result = f32;

const IN_HEIGHT: u32 = 28u;
const IN_WIDTH: u32 = 28u;
const OUT_HEIGHT: u32 = 14u;
const OUT_WIDTH: u32 = 14u;
const KERNEL_Y: u32 = 2u;
const KERNEL_X: u32 = 2u;
const STRIDE_Y: u32 = 2u;
const STRIDE_X: u32 = 2u;
const PAD_Y: u32 = 0u;
const PAD_X: u32 = 0u;
// True if positions in the padding count; a divisor other than 0 is used instead of the count.
const COUNT_PADDING: bool = true;
const DIVISOR: f32 = 0.0;
const BLOCK_Y: u32 = 2u;
const BLOCK_X: u32 = 2u;

struct Params {
    count: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Result>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

// The divisor of the sum over one window: its positions in the padded input, or in the input.
fn divisor(y: u32, x: u32) -> f32 {
    if (DIVISOR != 0.0) {
        return DIVISOR;
    }
    let top = y * STRIDE_Y;
    let left = x * STRIDE_X;
    if (COUNT_PADDING) {
        return f32((min(top + KERNEL_Y, IN_HEIGHT + 2u * PAD_Y) - top) * (min(left + KERNEL_X, IN_WIDTH + 2u * PAD_X) - left));
    }
    let rows = min(top + KERNEL_Y, IN_HEIGHT + PAD_Y) - max(top, PAD_Y);
    return f32(rows * (min(left + KERNEL_X, IN_WIDTH + PAD_X) - max(left, PAD_X)));
}

fn store_output(index: u32, value: f32) { output[index] = Result(value); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
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

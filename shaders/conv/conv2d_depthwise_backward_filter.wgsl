// 2-D depthwise convolution, gradient of the weight.
//
//   output[c, r, s] = sum over n, y, x of grad[n, c, y, x]
//       * input[n, c, y * STRIDE_Y - PAD_Y + r * DILATION_Y, x * STRIDE_X - PAD_X + s * DILATION_X]
//
// Positions outside the input count as 0. All tensors are contiguous, shaped as in conv2d_depthwise.wgsl.
// Accumulators are f32.
//
// grad is divided into strips, TILE_X columns wide and as high as the plane. The strips of a channel
// are divided into params.parts parts of params.span strips, and output[part, c, r, s] holds the sum over one;
// sum_rows.wgsl adds them up in order.
//
// One invocation computes all weights of one channel over one span, in registers. It walks down each strip
// and keeps the part of the input that the kernel covers (the window) in registers, so each step loads only
// the STRIDE_Y rows that are new. No subgroup operations, no alignment.
//
// Grid: x = ceil(GROUPS / WORKGROUP), y = 1, z = parts, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const TILE_X: u32 = 8u;
const WORKGROUP: u32 = 8u;

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const KERNEL: u32 = KERNEL_Y * KERNEL_X;
const SEGMENT: u32 = (TILE_X - 1u) * STRIDE_X + (KERNEL_X - 1u) * DILATION_X + 1u;
// The window is as high as the kernel, and no lower than the rows that one step brings in.
const WINDOW_ROWS: u32 = max((KERNEL_Y - 1u) * DILATION_Y + 1u, STRIDE_Y);
// Steps that only fill the window before it covers the first row of grad.
const FILL_STEPS: u32 = (WINDOW_ROWS - 1u) / STRIDE_Y;

struct Params {
    batch: u32,
    // Parts of the sums, and the strips of each.
    parts: u32,
    span: u32,
    // First elements of the operands in their storage.
    grad_offset: u32,
    input_offset: u32,
}

#import conv_backward_filter
#import conv_grid

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = unfolded(workgroup, groups, params.parts);
    let channel = group.x * WORKGROUP + local;
    if (channel >= GROUPS) {
        return;
    }
    let strips = params.batch * STRIPS_X;
    let end = min((group.z + 1u) * params.span, strips);

    var sum: array<f32, KERNEL>;
    for (var strip = group.z * params.span; strip < end; strip++) {
        let first_x = strip % STRIPS_X * TILE_X;
        let plane = strip / STRIPS_X * GROUPS + channel;
        // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
        var column: array<u32, SEGMENT>;
        var column_inside: array<bool, SEGMENT>;
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            let position = first_x * STRIDE_X + j - PAD_X;
            column_inside[j] = position < IN_WIDTH;
            column[j] = plane * IN_HEIGHT * IN_WIDTH + select(0u, position, position < IN_WIDTH);
        }
        var window: array<f32, WINDOW_ROWS * SEGMENT>;
        for (var step = 0u; step < FILL_STEPS + OUT_HEIGHT; step++) {
            for (var k = 0u; k < (WINDOW_ROWS - STRIDE_Y) * SEGMENT; k++) { // unroll
                window[k] = window[k + STRIDE_Y * SEGMENT];
            }
            let top = step * STRIDE_Y - FILL_STEPS * STRIDE_Y - PAD_Y;
            for (var i = 0u; i < STRIDE_Y; i++) { // unroll
                let row = top + WINDOW_ROWS - STRIDE_Y + i;
                let row_inside = row < IN_HEIGHT;
                let row_start = select(0u, row, row_inside) * IN_WIDTH;
                for (var j = 0u; j < SEGMENT; j++) { // unroll
                    window[(WINDOW_ROWS - STRIDE_Y + i) * SEGMENT + j] = select(0.0, load_input(row_start + column[j]), row_inside & column_inside[j]);
                }
            }
            let y = step - FILL_STEPS;
            if (y < OUT_HEIGHT) {
                let grad_start = (plane * OUT_HEIGHT + y) * OUT_WIDTH;
                for (var x = 0u; x < TILE_X; x++) { // unroll
                    // Outside both factors are 0: the window's values there may be NaN or infinite.
                    let inside = (OUT_WIDTH % TILE_X == 0u) | (first_x + x < OUT_WIDTH);
                    let g = select(0.0, load_grad(grad_start + select(0u, first_x + x, inside)), inside);
                    for (var r = 0u; r < KERNEL_Y; r++) { // unroll
                        for (var s = 0u; s < KERNEL_X; s++) { // unroll
                            let seen = window[r * DILATION_Y * SEGMENT + x * STRIDE_X + s * DILATION_X];
                            sum[r * KERNEL_X + s] += g * select(0.0, seen, inside);
                        }
                    }
                }
            }
        }
    }
    for (var k = 0u; k < KERNEL; k++) { // unroll
        store_output((group.z * GROUPS + channel) * KERNEL + k, sum[k]);
    }
}

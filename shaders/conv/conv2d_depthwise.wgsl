// 2-D depthwise convolution, forward. Also the gradient of its input if both strides are 1.
//
//   output[n, c, y, x] = sum over r, s of
//       weight[c, r, s] * input[n, c, y * STRIDE_Y - PAD_Y + r * DILATION_Y, x * STRIDE_X - PAD_X + s * DILATION_X]
//
// Positions outside the input count as 0. input is contiguous [N, GROUPS, IN_HEIGHT, IN_WIDTH], weight
// [GROUPS, 1, KERNEL_Y, KERNEL_X], output [N, GROUPS, OUT_HEIGHT, OUT_WIDTH]. Accumulators are f32,
// summed over r, s in order.
//
// For the input gradient set ROTATE = true, give grad as input, exchange the two sizes, and set
// PAD = DILATION * (KERNEL - 1) - PAD in both directions (which must not be negative).
//
// One invocation computes TILE_X neighbouring columns of TILE_Y rows of one plane. It walks down the rows
// and keeps the part of the input that the kernel covers (the window) in registers, so each step loads only
// the STRIDE_Y rows that are new. No subgroup operations, no alignment.
//
// Grid: x, z: ceil(N * GROUPS * ceil(OUT_HEIGHT / TILE_Y) * ceil(OUT_WIDTH / TILE_X) / WORKGROUP) groups,
// folded past 65,535. Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const ROTATE: bool = false;

const TILE_Y: u32 = 16u;
const TILE_X: u32 = 8u;
const WORKGROUP: u32 = 8u;

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const STRIPS_Y: u32 = (OUT_HEIGHT + TILE_Y - 1u) / TILE_Y;
const KERNEL: u32 = KERNEL_Y * KERNEL_X;
const SEGMENT: u32 = (TILE_X - 1u) * STRIDE_X + (KERNEL_X - 1u) * DILATION_X + 1u;
// The window is as high as the kernel, and no lower than the rows that one step brings in.
const WINDOW_ROWS: u32 = max((KERNEL_Y - 1u) * DILATION_Y + 1u, STRIDE_Y);
// Steps that only fill the window before the first row of output is complete.
const FILL_STEPS: u32 = (WINDOW_ROWS - 1u) / STRIDE_Y;

struct Params {
    batch: u32,
    // First elements of the operands in their storage.
    input_offset: u32,
    weight_offset: u32,
}

#import conv_forward

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let strip = (group.z * groups.x + group.x) * WORKGROUP + local;
    if (strip >= params.batch * GROUPS * STRIPS_Y * STRIPS_X) {
        return;
    }
    let first_x = strip % STRIPS_X * TILE_X;
    let first_y = strip / STRIPS_X % STRIPS_Y * TILE_Y;
    let plane = strip / (STRIPS_X * STRIPS_Y);

    var taps: array<f32, KERNEL>;
    for (var k = 0u; k < KERNEL; k++) { // unroll
        taps[k] = load_weight(plane % GROUPS * KERNEL + select(k, KERNEL - 1u - k, ROTATE));
    }
    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    var column: array<u32, SEGMENT>;
    var column_inside: array<bool, SEGMENT>;
    for (var j = 0u; j < SEGMENT; j++) { // unroll
        let position = first_x * STRIDE_X + j - PAD_X;
        column_inside[j] = position < IN_WIDTH;
        column[j] = plane * IN_HEIGHT * IN_WIDTH + select(0u, position, position < IN_WIDTH);
    }

    var window: array<f32, WINDOW_ROWS * SEGMENT>;
    for (var step = 0u; step < FILL_STEPS + min(TILE_Y, OUT_HEIGHT - first_y); step++) {
        for (var k = 0u; k < (WINDOW_ROWS - STRIDE_Y) * SEGMENT; k++) { // unroll
            window[k] = window[k + STRIDE_Y * SEGMENT];
        }
        // In the last step of the filling the window's last row is row WINDOW_ROWS - 1 - STRIDE_Y of the tile.
        let top = (first_y + step) * STRIDE_Y - FILL_STEPS * STRIDE_Y - PAD_Y;
        for (var i = 0u; i < STRIDE_Y; i++) { // unroll
            let row = top + WINDOW_ROWS - STRIDE_Y + i;
            let row_inside = row < IN_HEIGHT;
            let row_start = select(0u, row, row_inside) * IN_WIDTH;
            for (var j = 0u; j < SEGMENT; j++) { // unroll
                window[(WINDOW_ROWS - STRIDE_Y + i) * SEGMENT + j] = select(0.0, load_input(row_start + column[j]), row_inside & column_inside[j]);
            }
        }
        let store_start = (plane * OUT_HEIGHT + first_y + step - FILL_STEPS) * OUT_WIDTH + first_x;
        for (var x = 0u; x < TILE_X; x++) { // unroll
            var sum = 0.0;
            for (var r = 0u; r < KERNEL_Y; r++) { // unroll
                for (var s = 0u; s < KERNEL_X; s++) { // unroll
                    sum += taps[r * KERNEL_X + s] * window[r * DILATION_Y * SEGMENT + x * STRIDE_X + s * DILATION_X];
                }
            }
            if ((step >= FILL_STEPS) & (first_x + x < OUT_WIDTH)) {
                store_output(store_start + x, sum);
            }
        }
    }
}

// 2-D convolution, gradient of the input, for kernels that are too wide, or whose stride or dilation is too large, to be
// unrolled; the formula is that of `conv_backward_data`. Accumulators are f32, summed over o, r, s in order.
//
// One invocation computes TILE_X positions of one row, STRIDE_X apart, for TILE_IN input channels, all in registers: the
// same taps reach all of them. Of the columns of the kernel that is every KERNEL_X_STEPth, from the s on with s % STEP = p
// / DIVISOR % STEP * INVERSE % STEP for a position p in the padded input, if DIVISOR divides p; of the rows likewise; taps
// before the first that sees grad are skipped. One step of the sum takes TAPS such taps of a row: the invocation loads the
// segment of grad that the positions see through them, once for all channels, and the weights, once for all positions.
// Element x * PITCH_X + k * PITCH_S of the segment is what position x sees through the last tap but k: if neighbours see
// the same, all from the first to the last is loaded; else each has TAPS elements of its own.
//
// The steps are divided into params.parts parts of params.span steps, and output[part, n, i, y, x] holds the sum over one;
// sum_rows.wgsl adds them up in order.
//
// Strips are numbered remainder modulo STRIDE_X fastest, then x tile, then y, then n.
// Grid: x: ceil(N * IN_HEIGHT * STRIDE_X * ceil(ceil(IN_WIDTH / STRIDE_X) / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(IN_PER_GROUP / TILE_IN)
//       z: parts
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

// The taps that reach a position.
const DIVISOR_Y: u32 = 1u;
const DIVISOR_X: u32 = 1u;
const KERNEL_Y_STEP: u32 = 1u;
const KERNEL_X_STEP: u32 = 1u;
const INVERSE_Y: u32 = 0u;
const INVERSE_X: u32 = 0u;

const TILE_IN: u32 = 4u;
#import conv_segment

const STRIPS_X: u32 = ((IN_WIDTH + STRIDE_X - 1u) / STRIDE_X + TILE_X - 1u) / TILE_X;
const TILES_IN: u32 = (IN_PER_GROUP + TILE_IN - 1u) / TILE_IN;
// Rows of the kernel through which a row of the input sees grad, and blocks of columns.
const ROWS: u32 = 1u;
const BLOCKS: u32 = 32u;
// The distance in grad of neighbouring taps.
const REACH_Y: u32 = DILATION_Y / DIVISOR_Y;
const REACH_X: u32 = DILATION_X / DIVISOR_X;
// True if no others reach it.
const ALL_ROWS: bool = ROWS * KERNEL_Y_STEP >= KERNEL_Y;
const ALL_COLUMNS: bool = BLOCKS * TAPS * KERNEL_X_STEP >= KERNEL_X;
// True if there are no taps past the kernel's end.
const WHOLE: bool = ROWS * KERNEL_Y_STEP == KERNEL_Y && BLOCKS * TAPS * KERNEL_X_STEP == KERNEL_X && DIVISOR_Y == 1u && DIVISOR_X == 1u;

struct Params {
    batch: u32,
    // Parts of the sums, the steps of each, and all steps.
    parts: u32,
    span: u32,
    steps: u32,
    // Elements of one part's sums.
    stored: u32,
    // First elements of the operands in their storage.
    grad_offset: u32,
    weight_offset: u32,
}

#import conv_backward_data
#import conv_grid

// The number of taps before the first that sees one of `size` positions: the first tap sees position `start`, which wraps left of
// the first position, and each further one sees the position `reach` before that.
fn unseeing(start: u32, size: u32, reach: u32) -> u32 {
    return u32(max(i32(start) - i32(size) + i32(reach), 0)) / reach;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = unfolded(workgroup, groups, params.parts);
    let strip = group.x * WORKGROUP + local;
    let part = group.z;
    let strips = params.batch * IN_HEIGHT * STRIPS_X * STRIDE_X;
    // Invocations past the end repeat the last strip and store nothing.
    let used_strip = min(strip, strips - 1u);
    let first_x = used_strip / STRIDE_X % STRIPS_X * TILE_X * STRIDE_X + used_strip % STRIDE_X;
    let y = used_strip / (STRIDE_X * STRIPS_X) % IN_HEIGHT;
    let n = used_strip / (STRIDE_X * STRIPS_X * IN_HEIGHT);
    let conv_group = group.y / TILES_IN;
    let first_in = group.y % TILES_IN * TILE_IN;

    // The first taps that reach the positions, and the positions of grad that they see.
    let padded_y = y + PAD_Y;
    let padded_x = first_x + PAD_X;
    let least_row = padded_y / DIVISOR_Y % KERNEL_Y_STEP * INVERSE_Y % KERNEL_Y_STEP;
    let least_tap = padded_x / DIVISOR_X % KERNEL_X_STEP * INVERSE_X % KERNEL_X_STEP;
    let meets = (padded_y % DIVISOR_Y == 0u) & (padded_x % DIVISOR_X == 0u);
    // Unsigned arithmetic wraps: a position left of or above grad is a huge number, not below the size.
    let least_y = padded_y / STRIDE_Y - (least_row * DILATION_Y - padded_y % STRIDE_Y) / STRIDE_Y;
    let least_x = padded_x / STRIDE_X - (least_tap * DILATION_X - padded_x % STRIDE_X) / STRIDE_X;
    let skipped_y = select(unseeing(least_y, OUT_HEIGHT, REACH_Y), 0u, ALL_ROWS);
    let skipped_x = select(unseeing(least_x, OUT_WIDTH, REACH_X), 0u, ALL_COLUMNS);
    let first_row = least_row + skipped_y * KERNEL_Y_STEP;
    let first_tap = least_tap + skipped_x * KERNEL_X_STEP;
    let start_y = least_y - skipped_y * REACH_Y;
    let start_x = least_x - skipped_x * REACH_X;

    // The start of the weights of each channel of the tile, for output channel 0 of the group.
    var weight_start: array<u32, TILE_IN>;
    for (var i = 0u; i < TILE_IN; i++) { // unroll
        weight_start[i] = (conv_group * OUT_PER_GROUP * IN_PER_GROUP + min(first_in + i, IN_PER_GROUP - 1u)) * KERNEL_Y * KERNEL_X;
    }

    var sum: array<f32, TILE_IN * TILE_X>;
    let first_step = min(part * params.span, params.steps);
    var block = first_step % BLOCKS;
    var row = first_step / BLOCKS;
    for (var step = first_step; step < min(first_step + params.span, params.steps); step++) {
        let kernel_y = first_row + row % ROWS * KERNEL_Y_STEP;
        let out_channel = row / ROWS;
        let is_row = WHOLE | (meets & (kernel_y < KERNEL_Y));
        let grad_y = start_y - row % ROWS * REACH_Y;
        let row_inside = is_row & (grad_y < OUT_HEIGHT);
        let plane = (n * GROUPS + conv_group) * OUT_PER_GROUP + out_channel;
        let row_start = (plane * OUT_HEIGHT + select(0u, grad_y, row_inside)) * OUT_WIDTH;
        let first_column = start_x - (block * TAPS + TAPS - 1u) * REACH_X;
        var segment: array<f32, SEGMENT>;
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            let column = first_column + (j / SEGMENT_ROW * ROW_STEP + j % SEGMENT_ROW * UNIT);
            let inside = row_inside & (column < OUT_WIDTH);
            segment[j] = select(0.0, load_grad(row_start + select(0u, column, inside)), inside);
        }
        let weight_row = out_channel * IN_PER_GROUP * KERNEL_Y + select(0u, kernel_y, is_row);
        let tap = first_tap + block * (TAPS * KERNEL_X_STEP);
        for (var i = 0u; i < TILE_IN; i++) { // unroll
            for (var s = 0u; s < TAPS; s++) { // unroll
                let is_tap = WHOLE | (is_row & (tap + s * KERNEL_X_STEP < KERNEL_X));
                let w = load_weight(weight_start[i] + weight_row * KERNEL_X + select(0u, tap + s * KERNEL_X_STEP, is_tap));
                for (var x = 0u; x < TILE_X; x++) { // unroll
                    sum[i * TILE_X + x] += select(0.0, w * segment[x * PITCH_X + (TAPS - 1u - s) * PITCH_S], is_tap);
                }
            }
        }
        block += 1u;
        if (block == BLOCKS) {
            block = 0u;
            row += 1u;
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var i = 0u; i < TILE_IN; i++) { // rolled
        let in_channel = first_in + i;
        let store_start = (((n * GROUPS + conv_group) * IN_PER_GROUP + in_channel) * IN_HEIGHT + y) * IN_WIDTH;
        for (var x = 0u; x < TILE_X; x++) { // unroll
            if ((strip < strips) & (in_channel < IN_PER_GROUP) & (first_x + x * STRIDE_X < IN_WIDTH)) {
                store_output(part * params.stored + store_start + first_x + x * STRIDE_X, sum[x]);
            }
        }
        for (var k = 0u; k < (TILE_IN - 1u) * TILE_X; k++) { // unroll
            sum[k] = sum[k + TILE_X];
        }
    }
}

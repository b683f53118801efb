// 2-D convolution, gradient of the weight, for kernels that are too wide, or whose stride or dilation is too large, to be
// unrolled; the formula is that of `conv_backward_filter`. Accumulators are f32, summed over n, y, x in order.
//
// One invocation computes TAPS neighbouring taps of a row of the kernel (a row is one i and one r) for TILE_OUT output
// channels, all in registers. One step of the sum takes TILE_X neighbouring positions of a row of grad: the invocation
// loads the segment of the input that they see through the taps, once for all channels, and grad, once for all taps.
// Element x * PITCH_X + s * PITCH_S of the segment is what position x sees through tap s: if neighbours see the same,
// all from the first to the last is loaded, every UNITth column; else each has TAPS elements of its own.
//
// The steps are divided into params.parts parts of params.span steps, and output[part, o, i, r, s] holds the sum over one;
// sum_rows.wgsl adds them up in order.
//
// Blocks are numbered block of taps fastest, then kernel row.
// Grid: x: ceil(IN_PER_GROUP * KERNEL_Y * ceil(KERNEL_X / TAPS) / WORKGROUP) groups
//       y: GROUPS * ceil(OUT_PER_GROUP / TILE_OUT)
//       z: parts
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const TILE_OUT: u32 = 4u;
#import conv_segment

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const KERNEL_ROWS: u32 = IN_PER_GROUP * KERNEL_Y;
const BLOCKS: u32 = (KERNEL_X + TAPS - 1u) / TAPS;
// True if no strip has positions past the end of a row.
const WHOLE: bool = OUT_WIDTH % TILE_X == 0u;

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
    let block = group.x * WORKGROUP + local;
    let part = group.z;
    // Invocations past the end repeat the last block and store nothing.
    let used_block = min(block, KERNEL_ROWS * BLOCKS - 1u);
    let first_tap = used_block % BLOCKS * TAPS;
    let kernel_row = used_block / BLOCKS;
    let in_channel = kernel_row / KERNEL_Y;
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;

    // The start of grad's planes for each channel of the tile, for the first image.
    var grad_plane: array<u32, TILE_OUT>;
    for (var o = 0u; o < TILE_OUT; o++) { // unroll
        grad_plane[o] = (conv_group * OUT_PER_GROUP + min(first_out + o, OUT_PER_GROUP - 1u)) * OUT_HEIGHT * OUT_WIDTH;
    }

    var sum: array<f32, TILE_OUT * TAPS>;
    let first_step = min(part * params.span, params.steps);
    var row = first_step / STRIPS_X;
    var first_x = first_step % STRIPS_X * TILE_X;
    for (var step = first_step; step < min(first_step + params.span, params.steps); step++) {
        let n = row / OUT_HEIGHT;
        let y = row % OUT_HEIGHT;
        // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
        let input_y = y * STRIDE_Y + kernel_row % KERNEL_Y * DILATION_Y - PAD_Y;
        let row_inside = input_y < IN_HEIGHT;
        let plane = (n * GROUPS + conv_group) * IN_PER_GROUP + in_channel;
        let row_start = (plane * IN_HEIGHT + select(0u, input_y, row_inside)) * IN_WIDTH;
        let first_column = first_x * STRIDE_X + first_tap * DILATION_X - PAD_X;
        var segment: array<f32, SEGMENT>;
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            let column = first_column + (j / SEGMENT_ROW * ROW_STEP + j % SEGMENT_ROW * UNIT);
            let inside = row_inside & (column < IN_WIDTH);
            segment[j] = select(0.0, load_input(row_start + select(0u, column, inside)), inside);
        }
        let grad_start = n * GROUPS * OUT_PER_GROUP * OUT_HEIGHT * OUT_WIDTH + y * OUT_WIDTH;
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var x = 0u; x < TILE_X; x++) { // unroll
                let is_position = WHOLE | (first_x + x < OUT_WIDTH);
                let g = load_grad(grad_start + grad_plane[o] + select(0u, first_x + x, is_position));
                for (var s = 0u; s < TAPS; s++) { // unroll
                    sum[o * TAPS + s] += select(0.0, g * segment[x * PITCH_X + s * PITCH_S], is_position);
                }
            }
        }
        first_x += TILE_X;
        if (first_x >= OUT_WIDTH) {
            first_x = 0u;
            row += 1u;
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var o = 0u; o < TILE_OUT; o++) { // rolled
        let out_channel = first_out + o;
        let row_start = ((conv_group * OUT_PER_GROUP + out_channel) * KERNEL_ROWS + kernel_row) * KERNEL_X;
        for (var s = 0u; s < TAPS; s++) { // unroll
            if ((block < KERNEL_ROWS * BLOCKS) & (out_channel < OUT_PER_GROUP) & (first_tap + s < KERNEL_X)) {
                store_output(part * params.stored + row_start + first_tap + s, sum[s]);
            }
        }
        for (var k = 0u; k < (TILE_OUT - 1u) * TAPS; k++) { // unroll
            sum[k] = sum[k + TAPS];
        }
    }
}

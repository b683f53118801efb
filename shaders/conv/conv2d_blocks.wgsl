// 2-D convolution, forward, for kernels that are too wide, or whose stride or dilation is too large, to be unrolled; the
// formula is that of `conv_forward`. Accumulators are f32, summed over i, r, s in order.
//
// One invocation computes a strip of TILE_X neighbouring outputs of one row for TILE_OUT output channels, all in
// registers. One step of the sum takes TAPS neighbouring taps of a row of the kernel: the invocation loads the segment
// of the input that the strip sees through them, once for all channels, and the weights, once for all positions.
// Element x * PITCH_X + s * PITCH_S of the segment is what output x sees through tap s: if neighbours see the same,
// all from the first to the last is loaded, every UNITth column; else each has TAPS elements of its own.
//
// The steps are divided into params.parts parts of params.span steps, and output[part, n, o, y, x] holds the sum over one;
// sum_rows.wgsl adds them up in order.
//
// Strips are numbered x tile fastest, then y, then n.
// Grid: x: ceil(N * OUT_HEIGHT * ceil(OUT_WIDTH / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(OUT_PER_GROUP / TILE_OUT)
//       z: parts
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const TILE_OUT: u32 = 4u;
#import conv_segment

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const BLOCKS: u32 = (KERNEL_X + TAPS - 1u) / TAPS;
// True if the last block has no taps past the kernel's end.
const WHOLE: bool = KERNEL_X % TAPS == 0u;

struct Params {
    batch: u32,
    // Parts of the sums, the steps of each, and all steps.
    parts: u32,
    span: u32,
    steps: u32,
    // Elements of one part's sums.
    stored: u32,
    // First elements of the operands in their storage.
    input_offset: u32,
    weight_offset: u32,
}

#import conv_forward
#import conv_grid

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = unfolded(workgroup, groups, params.parts);
    let strip = group.x * WORKGROUP + local;
    let part = group.z;
    let strips = params.batch * OUT_HEIGHT * STRIPS_X;
    // Invocations past the end repeat the last strip and store nothing.
    let used_strip = min(strip, strips - 1u);
    let first_x = used_strip % STRIPS_X * TILE_X;
    let y = used_strip / STRIPS_X % OUT_HEIGHT;
    let n = used_strip / (STRIPS_X * OUT_HEIGHT);
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;

    // The start of the weights of each channel of the tile.
    var weight_start: array<u32, TILE_OUT>;
    for (var o = 0u; o < TILE_OUT; o++) { // unroll
        weight_start[o] = (conv_group * OUT_PER_GROUP + min(first_out + o, OUT_PER_GROUP - 1u)) * IN_PER_GROUP * KERNEL_Y * KERNEL_X;
    }

    var sum: array<f32, TILE_OUT * TILE_X>;
    let first_step = min(part * params.span, params.steps);
    var kernel_row = first_step / BLOCKS;
    var tap = first_step % BLOCKS * TAPS;
    for (var step = first_step; step < min(first_step + params.span, params.steps); step++) {
        // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
        let input_y = y * STRIDE_Y + kernel_row % KERNEL_Y * DILATION_Y - PAD_Y;
        let row_inside = input_y < IN_HEIGHT;
        let plane = (n * GROUPS + conv_group) * IN_PER_GROUP + kernel_row / KERNEL_Y;
        let row_start = (plane * IN_HEIGHT + select(0u, input_y, row_inside)) * IN_WIDTH;
        let first_column = first_x * STRIDE_X + tap * DILATION_X - PAD_X;
        var segment: array<f32, SEGMENT>;
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            let column = first_column + (j / SEGMENT_ROW * ROW_STEP + j % SEGMENT_ROW * UNIT);
            let inside = row_inside & (column < IN_WIDTH);
            segment[j] = select(0.0, load_input(row_start + select(0u, column, inside)), inside);
        }
        let weight_shift = kernel_row * KERNEL_X + tap;
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var s = 0u; s < TAPS; s++) { // unroll
                let is_tap = WHOLE | (tap + s < KERNEL_X);
                let w = load_weight(weight_start[o] + weight_shift + select(0u, s, is_tap));
                for (var x = 0u; x < TILE_X; x++) { // unroll
                    sum[o * TILE_X + x] += select(0.0, w * segment[x * PITCH_X + s * PITCH_S], is_tap);
                }
            }
        }
        tap += TAPS;
        if (tap >= KERNEL_X) {
            tap = 0u;
            kernel_row += 1u;
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var o = 0u; o < TILE_OUT; o++) { // rolled
        let out_channel = first_out + o;
        let row_start = ((n * GROUPS * OUT_PER_GROUP + conv_group * OUT_PER_GROUP + out_channel) * OUT_HEIGHT + y) * OUT_WIDTH;
        for (var x = 0u; x < TILE_X; x++) { // unroll
            if ((strip < strips) & (out_channel < OUT_PER_GROUP) & (first_x + x < OUT_WIDTH)) {
                store_output(part * params.stored + row_start + first_x + x, sum[x]);
            }
        }
        for (var k = 0u; k < (TILE_OUT - 1u) * TILE_X; k++) { // unroll
            sum[k] = sum[k + TILE_X];
        }
    }
}

// 2-D convolution, forward, by strips in registers; the formula is that of `conv_forward`. Accumulators are f32, summed over
// i, r, s in order.
//
// One invocation computes a strip of TILE_X neighbouring outputs of one row for TILE_OUT output channels. One step of the
// sum takes STEP rows of the kernel (a row is one i and one r): the invocation loads the input segment that the strip sees
// through each row, once for all taps and channels, and the weights, once for all positions of the strip. The weights are the
// same for all invocations of a workgroup: with SHUFFLE each of 8 lanes loads an eighth of them and shares it, which
// needs subgroups of at least 8 lanes.
//
// STEP must divide IN_PER_GROUP * KERNEL_Y. Strips are numbered x tile fastest, then y, then n.
// Grid: x: ceil(N * OUT_HEIGHT * ceil(OUT_WIDTH / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(OUT_PER_GROUP / TILE_OUT)
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const TILE_OUT: u32 = 8u;
const TILE_X: u32 = 5u;
const STEP: u32 = 1u;
const WORKGROUP: u32 = 8u;
const SHUFFLE: bool = false;

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const KERNEL_ROWS: u32 = IN_PER_GROUP * KERNEL_Y;
const SEGMENT: u32 = (TILE_X - 1u) * STRIDE_X + (KERNEL_X - 1u) * DILATION_X + 1u;
const STEP_WEIGHTS: u32 = STEP * KERNEL_X;
const WEIGHT_LOADS: u32 = (TILE_OUT * STEP_WEIGHTS + 7u) / 8u;

struct Params {
    batch: u32,
    // KERNEL_ROWS, hidden from drivers of GPUs: an unrolled loop gathers more weights than polaris10 has
    // scalar registers.
    kernel_rows: u32,
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
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = unfolded(workgroup, groups, 1u);
    let strip = group.x * WORKGROUP + local;
    let strips = params.batch * OUT_HEIGHT * STRIPS_X;
    // Invocations past the end repeat the last strip and store nothing: all lanes must stay active.
    let used_strip = min(strip, strips - 1u);
    let first_x = used_strip % STRIPS_X * TILE_X;
    let y = used_strip / STRIPS_X % OUT_HEIGHT;
    let n = used_strip / (STRIPS_X * OUT_HEIGHT);
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;

    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    let first_input_y = y * STRIDE_Y - PAD_Y;
    var column: array<u32, SEGMENT>;
    var column_inside: array<bool, SEGMENT>;
    for (var j = 0u; j < SEGMENT; j++) { // unroll
        let position = first_x * STRIDE_X + j - PAD_X;
        column_inside[j] = position < IN_WIDTH;
        column[j] = select(0u, position, position < IN_WIDTH);
    }
    // The start of the weights of each channel of the tile, or in the first step of those that this lane fetches.
    var weight_start: array<u32, TILE_OUT>;
    var fetched_start: array<u32, WEIGHT_LOADS>;
    if (SHUFFLE) {
        for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
            let entry = j * 8u + (lane & 7u);
            let out_channel = min(first_out + entry / STEP_WEIGHTS, OUT_PER_GROUP - 1u);
            fetched_start[j] = (conv_group * OUT_PER_GROUP + out_channel) * KERNEL_ROWS * KERNEL_X + entry % STEP_WEIGHTS;
        }
    } else {
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            weight_start[o] = (conv_group * OUT_PER_GROUP + min(first_out + o, OUT_PER_GROUP - 1u)) * KERNEL_ROWS * KERNEL_X;
        }
    }

    var sum: array<f32, TILE_OUT * TILE_X>;
    var w = 0.0;
    var plane = (n * GROUPS + conv_group) * IN_PER_GROUP * IN_HEIGHT * IN_WIDTH;
    var kernel_y = 0u;
    for (var kernel_row = 0u; kernel_row < select(params.kernel_rows, KERNEL_ROWS, SHUFFLE); kernel_row += STEP) {
        var segment: array<f32, STEP * SEGMENT>;
        for (var u = 0u; u < STEP; u++) { // unroll
            let input_y = first_input_y + kernel_y * DILATION_Y;
            let row_inside = input_y < IN_HEIGHT;
            let row_start = plane + select(0u, input_y, row_inside) * IN_WIDTH;
            for (var j = 0u; j < SEGMENT; j++) { // unroll
                segment[u * SEGMENT + j] = select(0.0, load_input(row_start + column[j]), row_inside & column_inside[j]);
            }
            kernel_y += 1u;
            if (kernel_y == KERNEL_Y) {
                kernel_y = 0u;
                plane += IN_HEIGHT * IN_WIDTH;
            }
        }
        var fetched: array<f32, WEIGHT_LOADS>;
        if (SHUFFLE) {
            for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
                fetched[j] = load_weight(fetched_start[j] + kernel_row * KERNEL_X);
            }
        }
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var u = 0u; u < STEP; u++) { // unroll
                for (var s = 0u; s < KERNEL_X; s++) { // unroll
                    if (SHUFFLE) {
                        w = subgroupShuffle(fetched[(o * STEP_WEIGHTS + u * KERNEL_X + s) / 8u], (o * STEP_WEIGHTS + u * KERNEL_X + s) % 8u);
                    } else {
                        w = load_weight(weight_start[o] + (kernel_row + u) * KERNEL_X + s);
                    }
                    for (var x = 0u; x < TILE_X; x++) { // unroll
                        sum[o * TILE_X + x] += w * segment[u * SEGMENT + x * STRIDE_X + s * DILATION_X];
                    }
                }
            }
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var o = 0u; o < TILE_OUT; o++) { // rolled
        let out_channel = first_out + o;
        let row_start = ((n * GROUPS * OUT_PER_GROUP + conv_group * OUT_PER_GROUP + out_channel) * OUT_HEIGHT + y) * OUT_WIDTH;
        for (var x = 0u; x < TILE_X; x++) { // unroll
            let column_stored = (OUT_WIDTH % TILE_X == 0u) | (first_x + x < OUT_WIDTH);
            if ((strip < strips) & (out_channel < OUT_PER_GROUP) & column_stored) {
                store_output(row_start + first_x + x, sum[x]);
            }
        }
        for (var k = 0u; k < (TILE_OUT - 1u) * TILE_X; k++) { // unroll
            sum[k] = sum[k + TILE_X];
        }
    }
}

// 2-D convolution, gradient of the input, by strips in registers; the formula is that of `conv_backward_data`. Accumulators are
// f32, summed over r, o, s in order.
//
// One invocation computes a strip of TILE_X neighbouring positions of one row for TILE_IN input channels. Every strip
// begins at a multiple of STRIDE_X, so the taps that reach each of its positions are known at compile time; workgroups take
// only rows of one remainder modulo STRIDE_Y, so every visited kernel row contributes. One step of the sum takes one kernel row r
// of STEP output channels: the invocation loads the segments of grad that the strip sees, once for all taps and input
// channels, and the weights, once for all positions of the strip; with SHUFFLE as conv2d_strips.wgsl does.
//
// STRIDE_X must divide TILE_X, STEP must divide OUT_PER_GROUP. Strips are numbered x tile fastest, then y, then n.
// Grid: x: ceil(N * ceil(IN_HEIGHT / STRIDE_Y) * ceil(IN_WIDTH / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(IN_PER_GROUP / TILE_IN)
//       z: STRIDE_Y
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

// STRIDE_Y / gcd(STRIDE_Y, DILATION_Y): the distance between kernel rows that reach the same input row.
const KERNEL_Y_STEP: u32 = 1u;

const TILE_IN: u32 = 6u;
const TILE_X: u32 = 7u;
const STEP: u32 = 1u;
const WORKGROUP: u32 = 8u;
const SHUFFLE: bool = false;

const STRIPS_X: u32 = (IN_WIDTH + TILE_X - 1u) / TILE_X;
const STRIPS_Y: u32 = (IN_HEIGHT + STRIDE_Y - 1u) / STRIDE_Y;
const TILES_IN: u32 = (IN_PER_GROUP + TILE_IN - 1u) / TILE_IN;
// Tap s of the kernel reaches back s * DILATION_X; in grad that is at most REACH_X positions.
const REACH_X: u32 = ((KERNEL_X - 1u) * DILATION_X + STRIDE_X - 1u) / STRIDE_X;
const REACH_Y: u32 = ((KERNEL_Y - 1u) * DILATION_Y + STRIDE_Y - 1u) / STRIDE_Y;
const SEGMENT: u32 = (TILE_X - 1u + PAD_X) / STRIDE_X + REACH_X + 1u;
const STEP_WEIGHTS: u32 = STEP * KERNEL_X;
const WEIGHT_LOADS: u32 = (TILE_IN * STEP_WEIGHTS + 7u) / 8u;

struct Params {
    batch: u32,
    // First elements of the operands in their storage.
    grad_offset: u32,
    weight_offset: u32,
}

#import conv_backward_data
#import conv_grid

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = unfolded(workgroup, groups, STRIDE_Y);
    let strip = group.x * WORKGROUP + local;
    let strips = params.batch * STRIPS_Y * STRIPS_X;
    // Invocations past the end repeat the last strip and store nothing: all lanes must stay active.
    let used_strip = min(strip, strips - 1u);
    let first_x = used_strip % STRIPS_X * TILE_X;
    let remainder_y = group.z;
    let grad_y = used_strip / STRIPS_X % STRIPS_Y;
    let y = grad_y * STRIDE_Y + remainder_y;
    let n = used_strip / (STRIPS_X * STRIPS_Y);
    let conv_group = group.y / TILES_IN;
    let first_in = group.y % TILES_IN * TILE_IN;

    // Unsigned arithmetic wraps: a position left of or above the tensor is a huge number, not below the size.
    var column: array<u32, SEGMENT>;
    var column_inside: array<bool, SEGMENT>;
    for (var j = 0u; j < SEGMENT; j++) { // unroll
        let position = first_x / STRIDE_X + j - REACH_X;
        column_inside[j] = position < OUT_WIDTH;
        column[j] = select(0u, position, position < OUT_WIDTH);
    }
    // The start of the weights of each input channel of the tile, for output channel 0 of the group, or of those that this lane
    // fetches in a step, counted from the step's first kernel row.
    var weight_start: array<u32, TILE_IN>;
    var fetched_start: array<u32, WEIGHT_LOADS>;
    if (SHUFFLE) {
        for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
            let entry = j * 8u + (lane & 7u);
            let in_channel = min(first_in + entry / STEP_WEIGHTS, IN_PER_GROUP - 1u);
            let step_out = entry % STEP_WEIGHTS / KERNEL_X;
            fetched_start[j] = ((conv_group * OUT_PER_GROUP + step_out) * IN_PER_GROUP + in_channel) * KERNEL_Y * KERNEL_X
                + entry % KERNEL_X;
        }
    } else {
        for (var i = 0u; i < TILE_IN; i++) { // unroll
            weight_start[i] = (conv_group * OUT_PER_GROUP * IN_PER_GROUP + min(first_in + i, IN_PER_GROUP - 1u)) * KERNEL_Y * KERNEL_X;
        }
    }
    var first_kernel_y = 0u;
    while (first_kernel_y < KERNEL_Y
        && (remainder_y + PAD_Y + REACH_Y * STRIDE_Y - first_kernel_y * DILATION_Y) % STRIDE_Y != 0u) {
        first_kernel_y += 1u;
    }

    var sum: array<f32, TILE_IN * TILE_X>;
    var w = 0.0;
    for (var kernel_y = first_kernel_y; kernel_y < KERNEL_Y; kernel_y += KERNEL_Y_STEP) {
        let row = grad_y + (remainder_y + PAD_Y + REACH_Y * STRIDE_Y - kernel_y * DILATION_Y) / STRIDE_Y - REACH_Y;
        let row_inside = row < OUT_HEIGHT;
        var row_start = ((n * GROUPS + conv_group) * OUT_PER_GROUP * OUT_HEIGHT + select(0u, row, row_inside)) * OUT_WIDTH;
        for (var out_channel = 0u; out_channel < OUT_PER_GROUP; out_channel += STEP) {
            var segment: array<f32, STEP * SEGMENT>;
            for (var u = 0u; u < STEP; u++) { // unroll
                for (var j = 0u; j < SEGMENT; j++) { // unroll
                    segment[u * SEGMENT + j] = select(0.0, load_grad(row_start + column[j]), row_inside & column_inside[j]);
                }
                row_start += OUT_HEIGHT * OUT_WIDTH;
            }
            var fetched: array<f32, WEIGHT_LOADS>;
            if (SHUFFLE) {
                for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
                    fetched[j] = load_weight(fetched_start[j] + (out_channel * IN_PER_GROUP * KERNEL_Y + kernel_y) * KERNEL_X);
                }
            }
            for (var i = 0u; i < TILE_IN; i++) { // unroll
                for (var u = 0u; u < STEP; u++) { // unroll
                    for (var s = 0u; s < KERNEL_X; s++) { // unroll
                        if (SHUFFLE) {
                            w = subgroupShuffle(fetched[(i * STEP_WEIGHTS + u * KERNEL_X + s) / 8u], (i * STEP_WEIGHTS + u * KERNEL_X + s) % 8u);
                        } else {
                            w = load_weight(weight_start[i] + ((out_channel + u) * IN_PER_GROUP * KERNEL_Y + kernel_y) * KERNEL_X + s);
                        }
                        for (var x = 0u; x < TILE_X; x++) { // unroll
                            if ((x + PAD_X + REACH_X * STRIDE_X - s * DILATION_X) % STRIDE_X == 0u) {
                                sum[i * TILE_X + x] += w * segment[u * SEGMENT + (x + PAD_X + REACH_X * STRIDE_X - s * DILATION_X) / STRIDE_X];
                            }
                        }
                    }
                }
            }
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var i = 0u; i < TILE_IN; i++) { // rolled
        let in_channel = first_in + i;
        let store_start = (((n * GROUPS + conv_group) * IN_PER_GROUP + in_channel) * IN_HEIGHT + y) * IN_WIDTH;
        for (var x = 0u; x < TILE_X; x++) { // unroll
            if ((strip < strips) & (y < IN_HEIGHT) & (in_channel < IN_PER_GROUP) & (first_x + x < IN_WIDTH)) {
                store_output(store_start + first_x + x, sum[x]);
            }
        }
        for (var k = 0u; k < (TILE_IN - 1u) * TILE_X; k++) { // unroll
            sum[k] = sum[k + TILE_X];
        }
    }
}

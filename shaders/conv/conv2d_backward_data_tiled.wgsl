// 2-D convolution, gradient of the input, for GPUs: a matrix product whose right factor, the patches of the output's
// gradient, is never stored. The formula is that of `conv_backward_data`. Accumulators are f32, summed over blocks of
// TILE_DEPTH output channels, then r, then s, then the channels of a block, in order.
//
// Tiles, steps and threads are those of conv2d_tiled.wgsl with input and output channels exchanged. A workgroup takes
// positions (n, y, x) of one pair of remainders of y modulo STRIDE_Y and x modulo STRIDE_X only: the same taps reach all
// of them, and no others are visited.
//
// QUADS_IN and QUADS_POSITIONS must divide the number of invocations, which must divide TILE_DEPTH * QUADS_IN and
// TILE_DEPTH * QUADS_POSITIONS.
// Grid: x: ceil(N * ROWS * COLUMNS / TILE_POSITIONS) groups
//       y: GROUPS * ceil(IN_PER_GROUP / TILE_IN)
//       z: STRIDE_Y * STRIDE_X
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

// STRIDE / gcd(STRIDE, DILATION): the distance between taps that reach the same position.
const KERNEL_Y_STEP: u32 = 1u;
const KERNEL_X_STEP: u32 = 1u;

const THREADS_X: u32 = 16u;
const THREADS_Y: u32 = 16u;
// Vectors of four that an invocation holds of each tile.
const VECTORS_IN: u32 = 2u;
const VECTORS_POSITIONS: u32 = 2u;
const TILE_DEPTH: u32 = 8u;
// Terms of a tile that are unrolled; a loop goes through the rest.
const WRITTEN_DEPTH: u32 = TILE_DEPTH;

const THREADS: u32 = THREADS_X * THREADS_Y;
const QUADS_IN: u32 = THREADS_Y * VECTORS_IN;
const QUADS_POSITIONS: u32 = THREADS_X * VECTORS_POSITIONS;
const TILE_IN: u32 = 4u * QUADS_IN;
const TILE_POSITIONS: u32 = 4u * QUADS_POSITIONS;
const WEIGHT_LOADS: u32 = TILE_DEPTH * QUADS_IN / THREADS;
const GRAD_LOADS: u32 = TILE_DEPTH * QUADS_POSITIONS / THREADS;

const TILES_IN: u32 = (IN_PER_GROUP + TILE_IN - 1u) / TILE_IN;
const TAPS: u32 = KERNEL_Y * KERNEL_X;
const OUT_PLANE: u32 = OUT_HEIGHT * OUT_WIDTH;
// Rows and columns of one remainder.
const ROWS: u32 = (IN_HEIGHT + STRIDE_Y - 1u) / STRIDE_Y;
const COLUMNS: u32 = (IN_WIDTH + STRIDE_X - 1u) / STRIDE_X;
// Tap r of the kernel reaches back r * DILATION_Y; in grad that is at most REACH_Y positions.
const REACH_Y: u32 = ((KERNEL_Y - 1u) * DILATION_Y + STRIDE_Y - 1u) / STRIDE_Y;
const REACH_X: u32 = ((KERNEL_X - 1u) * DILATION_X + STRIDE_X - 1u) / STRIDE_X;
// True if no load needs a mask because of the depth, and because of padding.
const WHOLE_DEPTH: bool = OUT_PER_GROUP % TILE_DEPTH == 0u;
const NO_PADDING: bool = TAPS == 1u && STRIDE_Y == 1u && STRIDE_X == 1u && PAD_Y == 0u && PAD_X == 0u;

struct Params {
    batch: u32,
    // Blocks of TILE_DEPTH channels, hidden from drivers: FXC unrolls a loop of a known length, and takes half a
    // minute.
    depth_steps: u32,
    // First elements of the operands in their storage.
    grad_offset: u32,
    weight_offset: u32,
}

#import conv_backward_data
#import conv_grid

var<workgroup> weight_tile: array<vec4f, TILE_DEPTH * QUADS_IN>;
var<workgroup> grad_tile: array<vec4f, TILE_DEPTH * QUADS_POSITIONS>;

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let group = unfolded(workgroup, groups, STRIDE_Y * STRIDE_X);
    let remainder_y = group.z / STRIDE_X;
    let remainder_x = group.z % STRIDE_X;
    let positions = params.batch * ROWS * COLUMNS;
    let first_position = group.x * TILE_POSITIONS;
    let conv_group = group.y / TILES_IN;
    let first_in = group.y % TILES_IN * TILE_IN;

    // The loads of this invocation: output channel `grad_depth` of a block at four positions of grad, counted from
    // REACH before. Unsigned arithmetic wraps: left of or above grad is not below its size.
    let grad_depth = local_index / QUADS_POSITIONS;
    let grad_quad = local_index % QUADS_POSITIONS;
    var grad_y: array<u32, 4u>;
    var grad_x: array<u32, 4u>;
    var grad_start: array<u32, 4u>;
    for (var j = 0u; j < 4u; j++) { // unroll
        // Positions past the end repeat the last, and are not stored.
        let position = min(first_position + grad_quad + j * QUADS_POSITIONS, positions - 1u);
        grad_y[j] = position / COLUMNS % ROWS - REACH_Y;
        grad_x[j] = position % COLUMNS - REACH_X;
        grad_start[j] = ((position / (ROWS * COLUMNS) * GROUPS + conv_group) * OUT_PER_GROUP + grad_depth) * OUT_PLANE
            + grad_y[j] * OUT_WIDTH + grad_x[j];
    }
    // And for the weights: output channel `weight_depth` of those of four input channels.
    let weight_depth = local_index / QUADS_IN;
    let weight_quad = local_index % QUADS_IN;
    var weight_start: array<u32, 4u>;
    for (var j = 0u; j < 4u; j++) { // unroll
        let channel = min(first_in + weight_quad + j * QUADS_IN, IN_PER_GROUP - 1u);
        weight_start[j] = ((conv_group * OUT_PER_GROUP + weight_depth) * IN_PER_GROUP + channel) * TAPS;
    }

    // The taps that reach positions of these remainders; there may be none.
    var first_y = 0u;
    while (first_y < KERNEL_Y && (remainder_y + PAD_Y + REACH_Y * STRIDE_Y - first_y * DILATION_Y) % STRIDE_Y != 0u) {
        first_y += 1u;
    }
    var first_x = 0u;
    while (first_x < KERNEL_X && (remainder_x + PAD_X + REACH_X * STRIDE_X - first_x * DILATION_X) % STRIDE_X != 0u) {
        first_x += 1u;
    }
    let steps = (KERNEL_Y - first_y + KERNEL_Y_STEP - 1u) / KERNEL_Y_STEP
        * ((KERNEL_X - first_x + KERNEL_X_STEP - 1u) / KERNEL_X_STEP) * params.depth_steps;
    first_y = min(first_y, KERNEL_Y - 1u);
    first_x = min(first_x, KERNEL_X - 1u);

    var sum: array<vec4f, 4u * VECTORS_IN * VECTORS_POSITIONS>;
    var next_weight: array<vec4f, WEIGHT_LOADS>;
    var weight_inside: array<bool, WEIGHT_LOADS>;
    var next_grad: array<vec4f, GRAD_LOADS>;
    var grad_inside: array<bool, 4u * GRAD_LOADS>;
    var first_channel = 0u;
    var kernel_y = first_y;
    var kernel_x = first_x;
    // Stage 0 fetches the first tiles. An iteration of stage 1 begins to load the next, adds the present ones up and only
    // then waits; the loads of the last one (the first tiles again) are not used.
    for (var stage = 0u; stage < 2u; stage++) { // unroll
        for (var step = 0u; step < select(1u, steps, stage == 1u); step++) {
            let weight_shift = first_channel * IN_PER_GROUP * TAPS + kernel_y * KERNEL_X + kernel_x;
            for (var l = 0u; l < WEIGHT_LOADS; l++) { // unroll
                weight_inside[l] = WHOLE_DEPTH | (first_channel + weight_depth + l * (THREADS / QUADS_IN) < OUT_PER_GROUP);
                for (var j = 0u; j < 4u; j++) { // unroll
                    next_weight[l][j] = load_weight(select(0u,
                        weight_start[j] + weight_shift + l * (THREADS / QUADS_IN) * IN_PER_GROUP * TAPS, weight_inside[l]));
                }
            }
            let tap_y = (remainder_y + PAD_Y + REACH_Y * STRIDE_Y - kernel_y * DILATION_Y) / STRIDE_Y;
            let tap_x = (remainder_x + PAD_X + REACH_X * STRIDE_X - kernel_x * DILATION_X) / STRIDE_X;
            let grad_shift = first_channel * OUT_PLANE + tap_y * OUT_WIDTH + tap_x;
            for (var j = 0u; j < 4u; j++) { // unroll
                let tap_inside = NO_PADDING | ((grad_y[j] + tap_y < OUT_HEIGHT) & (grad_x[j] + tap_x < OUT_WIDTH));
                for (var l = 0u; l < GRAD_LOADS; l++) { // unroll
                    grad_inside[l * 4u + j] = tap_inside
                        & (WHOLE_DEPTH | (first_channel + grad_depth + l * (THREADS / QUADS_POSITIONS) < OUT_PER_GROUP));
                    next_grad[l][j] = load_grad(select(0u,
                        grad_start[j] + grad_shift + l * (THREADS / QUADS_POSITIONS) * OUT_PLANE, grad_inside[l * 4u + j]));
                }
            }
            if (stage == 1u) {
                for (var k = 0u; k < TILE_DEPTH; k++) { // unroll by WRITTEN_DEPTH
                    var left: array<vec4f, VECTORS_IN>;
                    var right: array<vec4f, VECTORS_POSITIONS>;
                    for (var i = 0u; i < VECTORS_IN; i++) { // unroll
                        left[i] = weight_tile[k * QUADS_IN + local.y + i * THREADS_Y];
                    }
                    for (var v = 0u; v < VECTORS_POSITIONS; v++) { // unroll
                        right[v] = grad_tile[k * QUADS_POSITIONS + local.x + v * THREADS_X];
                    }
                    for (var i = 0u; i < 4u * VECTORS_IN; i++) { // unroll
                        for (var v = 0u; v < VECTORS_POSITIONS; v++) { // unroll
                            sum[i * VECTORS_POSITIONS + v] += left[i / 4u][i % 4u] * right[v];
                        }
                    }
                }
                workgroupBarrier();
            }
            for (var l = 0u; l < WEIGHT_LOADS; l++) { // unroll
                weight_tile[(weight_depth + l * (THREADS / QUADS_IN)) * QUADS_IN + weight_quad]
                    = select(vec4f(), next_weight[l], weight_inside[l]);
            }
            for (var l = 0u; l < GRAD_LOADS; l++) { // unroll
                let inside = vec4<bool>(grad_inside[l * 4u], grad_inside[l * 4u + 1u], grad_inside[l * 4u + 2u], grad_inside[l * 4u + 3u]);
                grad_tile[(grad_depth + l * (THREADS / QUADS_POSITIONS)) * QUADS_POSITIONS + grad_quad]
                    = select(vec4f(), next_grad[l], inside);
            }
            workgroupBarrier();
            kernel_x += KERNEL_X_STEP;
            if (kernel_x >= KERNEL_X) {
                kernel_x = first_x;
                kernel_y += KERNEL_Y_STEP;
                if (kernel_y >= KERNEL_Y) {
                    kernel_y = first_y;
                    first_channel = select(first_channel + TILE_DEPTH, 0u, first_channel + TILE_DEPTH >= OUT_PER_GROUP);
                }
            }
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var c = 0u; c < 4u * VECTORS_IN; c++) {
        let channel = first_in + local.y + c / 4u * THREADS_Y + c % 4u * QUADS_IN;
        for (var p = 0u; p < 4u * VECTORS_POSITIONS; p++) { // unroll
            let position = first_position + local.x + p / 4u * THREADS_X + p % 4u * QUADS_POSITIONS;
            let y = position / COLUMNS % ROWS * STRIDE_Y + remainder_y;
            let x = position % COLUMNS * STRIDE_X + remainder_x;
            if ((channel < IN_PER_GROUP) & (position < positions) & (y < IN_HEIGHT) & (x < IN_WIDTH)) {
                let plane = (position / (ROWS * COLUMNS) * GROUPS + conv_group) * IN_PER_GROUP + channel;
                store_output((plane * IN_HEIGHT + y) * IN_WIDTH + x, sum[p / 4u][p % 4u]);
            }
        }
        for (var k = 0u; k < (4u * VECTORS_IN - 1u) * VECTORS_POSITIONS; k++) { // unroll
            sum[k] = sum[k + VECTORS_POSITIONS];
        }
    }
}

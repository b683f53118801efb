// 2-D convolution, forward, for GPUs: a matrix product whose right factor, the patches of the input, is never stored. The
// formula is that of `conv_forward`. Accumulators are f32, summed over blocks of TILE_DEPTH input channels, then r, then s,
// then the channels of a block, in order.
//
// The columns of the product are the positions (n, y, x). A workgroup of THREADS_X x THREADS_Y invocations computes
// TILE_OUT output channels at TILE_POSITIONS positions. A step takes TILE_DEPTH input channels of one tap (r, s): while
// each invocation adds the last step's tiles in workgroup memory to its registers, its loads of the next are
// under way. Tiles are read four numbers at a time: vector q of QUADS holds numbers q, q + QUADS, q + 2 QUADS and
// q + 3 QUADS, so that neighbouring invocations load neighbouring positions and store them too.
//
// QUADS_POSITIONS and TILE_DEPTH must divide the number of invocations, which must divide TILE_DEPTH * QUADS_POSITIONS
// and TILE_DEPTH * QUADS_OUT.
// Grid: x: ceil(N * OUT_HEIGHT * OUT_WIDTH / TILE_POSITIONS) groups
//       y: GROUPS * ceil(OUT_PER_GROUP / TILE_OUT)
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const THREADS_X: u32 = 16u;
const THREADS_Y: u32 = 16u;
// Vectors of four that an invocation holds of each tile.
const VECTORS_OUT: u32 = 2u;
const VECTORS_POSITIONS: u32 = 2u;
const TILE_DEPTH: u32 = 8u;
// Terms of a tile that are unrolled; a loop goes through the rest.
const WRITTEN_DEPTH: u32 = TILE_DEPTH;

const THREADS: u32 = THREADS_X * THREADS_Y;
const QUADS_OUT: u32 = THREADS_Y * VECTORS_OUT;
const QUADS_POSITIONS: u32 = THREADS_X * VECTORS_POSITIONS;
const TILE_OUT: u32 = 4u * QUADS_OUT;
const TILE_POSITIONS: u32 = 4u * QUADS_POSITIONS;
// One vector of padding a row keeps writes that run along the depth off a single memory bank.
const WEIGHT_PITCH: u32 = QUADS_OUT + 1u;
const WEIGHT_LOADS: u32 = TILE_DEPTH * QUADS_OUT / THREADS;
const INPUT_LOADS: u32 = TILE_DEPTH * QUADS_POSITIONS / THREADS;

const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const TAPS: u32 = KERNEL_Y * KERNEL_X;
const IN_PLANE: u32 = IN_HEIGHT * IN_WIDTH;
const OUT_PLANE: u32 = OUT_HEIGHT * OUT_WIDTH;
// True if no load needs a mask because of the depth, and because of padding.
const WHOLE_DEPTH: bool = IN_PER_GROUP % TILE_DEPTH == 0u;
const NO_PADDING: bool = false;

struct Params {
    batch: u32,
    // Taps times blocks of TILE_DEPTH channels, hidden from drivers: FXC unrolls a loop of a known length, and
    // takes half a minute.
    steps: u32,
    // First elements of the operands in their storage.
    input_offset: u32,
    weight_offset: u32,
}

#import conv_forward
#import conv_grid

var<workgroup> weight_tile: array<vec4f, TILE_DEPTH * WEIGHT_PITCH>;
var<workgroup> input_tile: array<vec4f, TILE_DEPTH * QUADS_POSITIONS>;

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let group = unfolded(workgroup, groups, 1u);
    let positions = params.batch * OUT_PLANE;
    let first_position = group.x * TILE_POSITIONS;
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;

    // The loads of this invocation: input channel `input_depth` of a block at four positions, whose first taps lie in row
    // `input_y` and column `input_x`. Unsigned arithmetic wraps: left of or above the input is not below its size.
    let input_depth = local_index / QUADS_POSITIONS;
    let input_quad = local_index % QUADS_POSITIONS;
    var input_y: array<u32, 4u>;
    var input_x: array<u32, 4u>;
    var input_start: array<u32, 4u>;
    for (var j = 0u; j < 4u; j++) { // unroll
        // Positions past the end repeat the last, and are not stored.
        let position = min(first_position + input_quad + j * QUADS_POSITIONS, positions - 1u);
        input_y[j] = position % OUT_PLANE / OUT_WIDTH * STRIDE_Y - PAD_Y;
        input_x[j] = position % OUT_WIDTH * STRIDE_X - PAD_X;
        input_start[j] = ((position / OUT_PLANE * GROUPS + conv_group) * IN_PER_GROUP + input_depth) * IN_PLANE
            + input_y[j] * IN_WIDTH + input_x[j];
    }
    // And for the weights: input channel `weight_depth` of those of four output channels.
    let weight_depth = local_index % TILE_DEPTH;
    let weight_quad = local_index / TILE_DEPTH;
    var weight_start: array<u32, 4u * WEIGHT_LOADS>;
    for (var l = 0u; l < WEIGHT_LOADS; l++) { // unroll
        for (var j = 0u; j < 4u; j++) { // unroll
            let channel = min(first_out + weight_quad + l * (THREADS / TILE_DEPTH) + j * QUADS_OUT, OUT_PER_GROUP - 1u);
            weight_start[l * 4u + j] = ((conv_group * OUT_PER_GROUP + channel) * IN_PER_GROUP + weight_depth) * TAPS;
        }
    }

    var sum: array<vec4f, 4u * VECTORS_OUT * VECTORS_POSITIONS>;
    var next_weight: array<vec4f, WEIGHT_LOADS>;
    var next_input: array<vec4f, INPUT_LOADS>;
    var input_inside: array<bool, 4u * INPUT_LOADS>;
    var first_channel = 0u;
    var kernel_y = 0u;
    var kernel_x = 0u;
    // Stage 0 fetches the first tiles. An iteration of stage 1 begins to load the next, adds the present ones up and only
    // then waits; the loads of the last one (the first tiles again) are not used.
    for (var stage = 0u; stage < 2u; stage++) { // unroll
        for (var step = 0u; step < select(1u, params.steps, stage == 1u); step++) {
            let weight_inside = WHOLE_DEPTH | (first_channel + weight_depth < IN_PER_GROUP);
            let weight_shift = first_channel * TAPS + kernel_y * KERNEL_X + kernel_x;
            for (var l = 0u; l < WEIGHT_LOADS; l++) { // unroll
                for (var j = 0u; j < 4u; j++) { // unroll
                    next_weight[l][j] = load_weight(select(0u, weight_start[l * 4u + j] + weight_shift, weight_inside));
                }
            }
            let input_shift = first_channel * IN_PLANE + kernel_y * DILATION_Y * IN_WIDTH + kernel_x * DILATION_X;
            for (var j = 0u; j < 4u; j++) { // unroll
                let tap_inside = NO_PADDING
                    | ((input_y[j] + kernel_y * DILATION_Y < IN_HEIGHT) & (input_x[j] + kernel_x * DILATION_X < IN_WIDTH));
                for (var l = 0u; l < INPUT_LOADS; l++) { // unroll
                    input_inside[l * 4u + j] = tap_inside
                        & (WHOLE_DEPTH | (first_channel + input_depth + l * (THREADS / QUADS_POSITIONS) < IN_PER_GROUP));
                    next_input[l][j] = load_input(select(0u,
                        input_start[j] + input_shift + l * (THREADS / QUADS_POSITIONS) * IN_PLANE, input_inside[l * 4u + j]));
                }
            }
            if (stage == 1u) {
                for (var k = 0u; k < TILE_DEPTH; k++) { // unroll by WRITTEN_DEPTH
                    var left: array<vec4f, VECTORS_OUT>;
                    var right: array<vec4f, VECTORS_POSITIONS>;
                    for (var i = 0u; i < VECTORS_OUT; i++) { // unroll
                        left[i] = weight_tile[k * WEIGHT_PITCH + local.y + i * THREADS_Y];
                    }
                    for (var v = 0u; v < VECTORS_POSITIONS; v++) { // unroll
                        right[v] = input_tile[k * QUADS_POSITIONS + local.x + v * THREADS_X];
                    }
                    for (var o = 0u; o < 4u * VECTORS_OUT; o++) { // unroll
                        for (var v = 0u; v < VECTORS_POSITIONS; v++) { // unroll
                            sum[o * VECTORS_POSITIONS + v] += left[o / 4u][o % 4u] * right[v];
                        }
                    }
                }
                workgroupBarrier();
            }
            for (var l = 0u; l < WEIGHT_LOADS; l++) { // unroll
                weight_tile[weight_depth * WEIGHT_PITCH + weight_quad + l * (THREADS / TILE_DEPTH)]
                    = select(vec4f(), next_weight[l], weight_inside);
            }
            for (var l = 0u; l < INPUT_LOADS; l++) { // unroll
                let inside = vec4<bool>(input_inside[l * 4u], input_inside[l * 4u + 1u], input_inside[l * 4u + 2u], input_inside[l * 4u + 3u]);
                input_tile[(input_depth + l * (THREADS / QUADS_POSITIONS)) * QUADS_POSITIONS + input_quad]
                    = select(vec4f(), next_input[l], inside);
            }
            workgroupBarrier();
            kernel_x += 1u;
            if (kernel_x == KERNEL_X) {
                kernel_x = 0u;
                kernel_y += 1u;
                if (kernel_y == KERNEL_Y) {
                    kernel_y = 0u;
                    first_channel = select(first_channel + TILE_DEPTH, 0u, first_channel + TILE_DEPTH >= IN_PER_GROUP);
                }
            }
        }
    }

    var store_start: array<u32, 4u * VECTORS_POSITIONS>;
    for (var p = 0u; p < 4u * VECTORS_POSITIONS; p++) { // unroll
        let position = first_position + local.x + p / 4u * THREADS_X + p % 4u * QUADS_POSITIONS;
        store_start[p] = (position / OUT_PLANE * GROUPS + conv_group) * OUT_PER_GROUP * OUT_PLANE + position % OUT_PLANE;
    }
    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var o = 0u; o < 4u * VECTORS_OUT; o++) {
        let channel = first_out + local.y + o / 4u * THREADS_Y + o % 4u * QUADS_OUT;
        for (var p = 0u; p < 4u * VECTORS_POSITIONS; p++) { // unroll
            let position = first_position + local.x + p / 4u * THREADS_X + p % 4u * QUADS_POSITIONS;
            if ((channel < OUT_PER_GROUP) & (position < positions)) {
                store_output(store_start[p] + channel * OUT_PLANE, sum[p / 4u][p % 4u]);
            }
        }
        for (var k = 0u; k < (4u * VECTORS_OUT - 1u) * VECTORS_POSITIONS; k++) { // unroll
            sum[k] = sum[k + VECTORS_POSITIONS];
        }
    }
}

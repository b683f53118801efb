// 2-D convolution, gradient of the weight, for GPUs: a matrix product whose right factor, the patches of the input, is
// never stored. The formula is that of `conv_backward_filter`. Accumulators are f32.
//
// There are few weights and many terms, so the positions (n, y, x) of grad are divided into params.parts parts of params.span
// times TILE_DEPTH, and output[part, o, i, r, s] holds the sum over one, in order; sum_rows.wgsl adds them up in order.
//
// The columns of the product are the weights (i, r, s) of an output channel. A workgroup of THREADS_X x THREADS_Y
// invocations computes TILE_OUT output channels of TILE_COLUMNS columns. A step takes TILE_DEPTH positions: while each
// invocation adds the last step's tiles in workgroup memory to its registers, its loads of the next are under way.
// Vectors of four are spread over a tile as in conv2d_tiled.wgsl.
//
// TILE_DEPTH must divide the number of invocations, which must divide TILE_DEPTH * QUADS_OUT and
// TILE_DEPTH * QUADS_COLUMNS.
// Grid: x = ceil(COLUMNS / TILE_COLUMNS), y = GROUPS * ceil(OUT_PER_GROUP / TILE_OUT), z = parts,
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const THREADS_X: u32 = 16u;
const THREADS_Y: u32 = 16u;
// Vectors of four that an invocation holds of each tile.
const VECTORS_OUT: u32 = 2u;
const VECTORS_COLUMNS: u32 = 2u;
const TILE_DEPTH: u32 = 8u;
// Terms of a tile that are unrolled; a loop goes through the rest.
const WRITTEN_DEPTH: u32 = TILE_DEPTH;
// 1 if a column behind the others sees only ones: its weights are the sums of grad over n, y and x.
const ONES: u32 = 0u;

const THREADS: u32 = THREADS_X * THREADS_Y;
const QUADS_OUT: u32 = THREADS_Y * VECTORS_OUT;
const QUADS_COLUMNS: u32 = THREADS_X * VECTORS_COLUMNS;
const TILE_OUT: u32 = 4u * QUADS_OUT;
const TILE_COLUMNS: u32 = 4u * QUADS_COLUMNS;
// One vector of padding a row keeps writes that run along the depth off a single memory bank.
const GRAD_PITCH: u32 = QUADS_OUT + 1u;
const INPUT_PITCH: u32 = QUADS_COLUMNS + 1u;
const GRAD_LOADS: u32 = TILE_DEPTH * QUADS_OUT / THREADS;
const INPUT_LOADS: u32 = TILE_DEPTH * QUADS_COLUMNS / THREADS;
// Distance between the vectors that one invocation loads.
const NEXT_QUAD: u32 = THREADS / TILE_DEPTH;

const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const TAPS: u32 = KERNEL_Y * KERNEL_X;
const COLUMNS: u32 = IN_PER_GROUP * TAPS;
const WEIGHTS: u32 = GROUPS * OUT_PER_GROUP * COLUMNS;
const STORED: u32 = WEIGHTS + ONES * GROUPS * OUT_PER_GROUP;
const IN_PLANE: u32 = IN_HEIGHT * IN_WIDTH;
const OUT_PLANE: u32 = OUT_HEIGHT * OUT_WIDTH;
// True if no load needs a mask because of padding.
const NO_PADDING: bool = false;

struct Params {
    batch: u32,
    // Parts of the sums, and the steps of TILE_DEPTH positions of each.
    parts: u32,
    span: u32,
    // First elements of the operands in their storage.
    grad_offset: u32,
    input_offset: u32,
}

#import conv_backward_filter
#import conv_grid

var<workgroup> grad_tile: array<vec4f, TILE_DEPTH * GRAD_PITCH>;
var<workgroup> input_tile: array<vec4f, TILE_DEPTH * INPUT_PITCH>;

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let group = unfolded(workgroup, groups, params.parts);
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;
    let first_column = group.x * TILE_COLUMNS;

    // The loads of this invocation: position `load_depth` of a step, in the planes of output channels, and under the weights
    // of columns. Channels and columns past the end repeat the last, and are not stored.
    let load_depth = local_index % TILE_DEPTH;
    let load_quad = local_index / TILE_DEPTH;
    var grad_start: array<u32, 4u * GRAD_LOADS>;
    for (var l = 0u; l < GRAD_LOADS; l++) { // unroll
        for (var j = 0u; j < 4u; j++) { // unroll
            grad_start[l * 4u + j] = min(first_out + load_quad + l * NEXT_QUAD + j * QUADS_OUT, OUT_PER_GROUP - 1u) * OUT_PLANE;
        }
    }
    // Unsigned arithmetic wraps: left of or above the input is not below its size.
    var shift_y: array<u32, 4u * INPUT_LOADS>;
    var shift_x: array<u32, 4u * INPUT_LOADS>;
    var input_start: array<u32, 4u * INPUT_LOADS>;
    for (var l = 0u; l < INPUT_LOADS; l++) { // unroll
        for (var j = 0u; j < 4u; j++) { // unroll
            let column = min(first_column + load_quad + l * NEXT_QUAD + j * QUADS_COLUMNS, COLUMNS - 1u);
            shift_y[l * 4u + j] = column % TAPS / KERNEL_X * DILATION_Y - PAD_Y;
            shift_x[l * 4u + j] = column % KERNEL_X * DILATION_X - PAD_X;
            input_start[l * 4u + j] = column / TAPS * IN_PLANE + shift_y[l * 4u + j] * IN_WIDTH + shift_x[l * 4u + j];
        }
    }

    let positions = params.batch * OUT_PLANE;
    let first_step = group.z * params.span;
    let end_step = min(first_step + params.span, (positions + TILE_DEPTH - 1u) / TILE_DEPTH);
    let steps = max(end_step, first_step) - first_step;
    var sum: array<vec4f, 4u * VECTORS_OUT * VECTORS_COLUMNS>;
    var next_grad: array<vec4f, GRAD_LOADS>;
    var next_input: array<vec4f, INPUT_LOADS>;
    var input_inside: array<bool, 4u * INPUT_LOADS>;
    var position = first_step * TILE_DEPTH + load_depth;
    // Stage 0 fetches the first tiles. An iteration of stage 1 begins to load the next, adds the present ones up and only
    // then waits; the loads of the last one are not used.
    for (var stage = 0u; stage < 2u; stage++) { // unroll
        for (var step = 0u; step < select(1u, steps, stage == 1u); step++) {
            let depth_inside = position < positions;
            let used = select(0u, position, depth_inside);
            let image = used / OUT_PLANE * GROUPS + conv_group;
            let grad_shift = image * OUT_PER_GROUP * OUT_PLANE + used % OUT_PLANE;
            for (var l = 0u; l < GRAD_LOADS; l++) { // unroll
                for (var j = 0u; j < 4u; j++) { // unroll
                    next_grad[l][j] = load_grad(grad_start[l * 4u + j] + grad_shift);
                }
            }
            let y = used % OUT_PLANE / OUT_WIDTH * STRIDE_Y;
            let x = used % OUT_WIDTH * STRIDE_X;
            let input_shift = image * IN_PER_GROUP * IN_PLANE + y * IN_WIDTH + x;
            for (var l = 0u; l < INPUT_LOADS; l++) { // unroll
                for (var j = 0u; j < 4u; j++) { // unroll
                    let inside = NO_PADDING
                        | ((y + shift_y[l * 4u + j] < IN_HEIGHT) & (x + shift_x[l * 4u + j] < IN_WIDTH));
                    let loaded = load_input(select(0u, input_start[l * 4u + j] + input_shift, inside));
                    let sees_ones = (ONES == 1u) & (first_column + load_quad + l * NEXT_QUAD + j * QUADS_COLUMNS == COLUMNS);
                    next_input[l][j] = select(loaded, 1.0, sees_ones);
                    input_inside[l * 4u + j] = (inside | sees_ones) & depth_inside;
                }
            }
            if (stage == 1u) {
                for (var k = 0u; k < TILE_DEPTH; k++) { // unroll by WRITTEN_DEPTH
                    var left: array<vec4f, VECTORS_OUT>;
                    var right: array<vec4f, VECTORS_COLUMNS>;
                    for (var i = 0u; i < VECTORS_OUT; i++) { // unroll
                        left[i] = grad_tile[k * GRAD_PITCH + local.y + i * THREADS_Y];
                    }
                    for (var v = 0u; v < VECTORS_COLUMNS; v++) { // unroll
                        right[v] = input_tile[k * INPUT_PITCH + local.x + v * THREADS_X];
                    }
                    for (var o = 0u; o < 4u * VECTORS_OUT; o++) { // unroll
                        for (var v = 0u; v < VECTORS_COLUMNS; v++) { // unroll
                            sum[o * VECTORS_COLUMNS + v] += left[o / 4u][o % 4u] * right[v];
                        }
                    }
                }
                workgroupBarrier();
            }
            for (var l = 0u; l < GRAD_LOADS; l++) { // unroll
                grad_tile[load_depth * GRAD_PITCH + load_quad + l * NEXT_QUAD] = select(vec4f(), next_grad[l], depth_inside);
            }
            for (var l = 0u; l < INPUT_LOADS; l++) { // unroll
                let inside = vec4<bool>(input_inside[l * 4u], input_inside[l * 4u + 1u], input_inside[l * 4u + 2u], input_inside[l * 4u + 3u]);
                input_tile[load_depth * INPUT_PITCH + load_quad + l * NEXT_QUAD] = select(vec4f(), next_input[l], inside);
            }
            workgroupBarrier();
            position += TILE_DEPTH;
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var o = 0u; o < 4u * VECTORS_OUT; o++) {
        let channel = first_out + local.y + o / 4u * THREADS_Y + o % 4u * QUADS_OUT;
        let row = conv_group * OUT_PER_GROUP + channel;
        for (var p = 0u; p < 4u * VECTORS_COLUMNS; p++) { // unroll
            let column = first_column + local.x + p / 4u * THREADS_X + p % 4u * QUADS_COLUMNS;
            if ((channel < OUT_PER_GROUP) & (column < COLUMNS + ONES)) {
                let place = select(row * COLUMNS + column, WEIGHTS + row, (ONES == 1u) & (column == COLUMNS));
                store_output(group.z * STORED + place, sum[p / 4u][p % 4u]);
            }
        }
        for (var k = 0u; k < (4u * VECTORS_OUT - 1u) * VECTORS_COLUMNS; k++) { // unroll
            sum[k] = sum[k + VECTORS_COLUMNS];
        }
    }
}

// 2-D convolution, gradient of the weight, by strips in registers; the formula is that of `conv_backward_filter`. Accumulators
// are f32.
//
// There are few weights and many terms, so the rows (n, y) of grad are divided into params.parts parts of params.span rows,
// and output[part, o, i, r, s] holds the sum over one; sum_rows.wgsl adds them up in order.
//
// One invocation takes one row of the kernel (one i and one r) and computes its KERNEL_X weights for
// TILE_OUT output channels, in registers. One step of its loop takes TILE_X neighbouring positions of
// grad: the invocation loads the input segment that they see through its kernel row, and the values of
// grad, each once; with SHUFFLE each of 8 lanes loads an eighth of the latter and shares it, as in conv2d_strips.wgsl.
//
// The loop of one invocation runs
// params.span * ceil(OUT_WIDTH / TILE_X) times, which must not exceed 65,535.
// Grid: x = ceil(IN_PER_GROUP * KERNEL_Y / WORKGROUP), y = GROUPS * ceil(OUT_PER_GROUP / TILE_OUT), z = parts,
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const TILE_OUT: u32 = 8u;
const TILE_X: u32 = 5u;
const WORKGROUP: u32 = 8u;
const SHUFFLE: bool = false;
// 1 if a kernel row behind the others sees only ones: its weights, of which the first is stored, are the sums
// of grad over n, y and x.
const ONES: u32 = 0u;

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const KERNEL_ROWS: u32 = IN_PER_GROUP * KERNEL_Y;
const WEIGHTS: u32 = GROUPS * OUT_PER_GROUP * KERNEL_ROWS * KERNEL_X;
const STORED: u32 = WEIGHTS + ONES * GROUPS * OUT_PER_GROUP;
const SEGMENT: u32 = (TILE_X - 1u) * STRIDE_X + (KERNEL_X - 1u) * DILATION_X + 1u;
const GRAD_LOADS: u32 = (TILE_OUT * TILE_X + 7u) / 8u;

struct Params {
    batch: u32,
    // Parts of the sums, and the rows (n, y) of each.
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
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = unfolded(workgroup, groups, params.parts);
    let kernel_row = group.x * WORKGROUP + local;
    // Invocations past the end repeat the last kernel row and store nothing: all lanes must stay active.
    let used_row = min(kernel_row, KERNEL_ROWS - 1u);
    let sees_ones = (ONES == 1u) & (kernel_row == KERNEL_ROWS);
    let in_channel = used_row / KERNEL_Y;
    let kernel_y = used_row % KERNEL_Y;
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;

    let first_row = min(group.z * params.span, params.batch * OUT_HEIGHT);
    let end_row = min(first_row + params.span, params.batch * OUT_HEIGHT);

    // The start of grad's planes for each channel of the tile, for the first image, or of those of the values that this lane
    // fetches, `fetched_x` from the step's first.
    var grad_plane: array<u32, TILE_OUT>;
    var fetched_plane: array<u32, GRAD_LOADS>;
    var fetched_x: array<u32, GRAD_LOADS>;
    if (SHUFFLE) {
        for (var j = 0u; j < GRAD_LOADS; j++) { // unroll
            let entry = j * 8u + (lane & 7u);
            fetched_x[j] = entry % TILE_X;
            fetched_plane[j] = (conv_group * OUT_PER_GROUP + min(first_out + entry / TILE_X, OUT_PER_GROUP - 1u)) * OUT_HEIGHT * OUT_WIDTH;
        }
    } else {
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            grad_plane[o] = (conv_group * OUT_PER_GROUP + min(first_out + o, OUT_PER_GROUP - 1u)) * OUT_HEIGHT * OUT_WIDTH;
        }
    }

    var sum: array<f32, TILE_OUT * KERNEL_X>;
    var g = 0.0;
    var n = first_row / OUT_HEIGHT;
    var y = first_row % OUT_HEIGHT;
    var x = 0u;
    for (var strip = 0u; strip < (end_row - first_row) * STRIPS_X; strip++) {
        // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
        let input_y = y * STRIDE_Y + kernel_y * DILATION_Y - PAD_Y;
        let row_inside = input_y < IN_HEIGHT;
        let row_start = ((n * GROUPS + conv_group) * IN_PER_GROUP + in_channel) * IN_HEIGHT * IN_WIDTH
            + select(0u, input_y, row_inside) * IN_WIDTH;
        var segment: array<f32, SEGMENT>;
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            let input_x = x * STRIDE_X + j - PAD_X;
            let loaded = load_input(row_start + select(0u, input_x, input_x < IN_WIDTH));
            segment[j] = select(select(0.0, loaded, row_inside & (input_x < IN_WIDTH)), 1.0, sees_ones);
        }
        // The inputs that positions of grad see through each tap; those past the end see 0, since 0 times another may be no
        // number.
        var seen: array<f32, TILE_X * KERNEL_X>;
        for (var t = 0u; t < TILE_X; t++) { // unroll
            let inside = (OUT_WIDTH % TILE_X == 0u) | (t < OUT_WIDTH % TILE_X) | (x + t < OUT_WIDTH);
            for (var s = 0u; s < KERNEL_X; s++) { // unroll
                seen[t * KERNEL_X + s] = select(0.0, segment[t * STRIDE_X + s * DILATION_X], inside);
            }
        }
        let grad_start = n * GROUPS * OUT_PER_GROUP * OUT_HEIGHT * OUT_WIDTH + y * OUT_WIDTH;
        var fetched: array<f32, GRAD_LOADS>;
        if (SHUFFLE) {
            for (var j = 0u; j < GRAD_LOADS; j++) { // unroll
                let inside = OUT_WIDTH % TILE_X == 0u || x + fetched_x[j] < OUT_WIDTH;
                fetched[j] = select(0.0, load_grad(grad_start + fetched_plane[j] + select(0u, x + fetched_x[j], inside)), inside);
            }
        }
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var t = 0u; t < TILE_X; t++) { // unroll
                if (SHUFFLE) {
                    g = subgroupShuffle(fetched[(o * TILE_X + t) / 8u], (o * TILE_X + t) % 8u);
                } else {
                    let inside = OUT_WIDTH % TILE_X == 0u || x + t < OUT_WIDTH;
                    g = select(0.0, load_grad(grad_start + grad_plane[o] + select(0u, x + t, inside)), inside);
                }
                for (var s = 0u; s < KERNEL_X; s++) { // unroll
                    sum[o * KERNEL_X + s] += g * seen[t * KERNEL_X + s];
                }
            }
        }
        x += TILE_X;
        if (x >= OUT_WIDTH) {
            x = 0u;
            y += 1u;
            if (y == OUT_HEIGHT) {
                y = 0u;
                n += 1u;
            }
        }
    }

    // Stores take much code: a loop stores a channel at a time and moves the others down.
    for (var o = 0u; o < TILE_OUT; o++) { // rolled
        let out_channel = first_out + o;
        let channel = conv_group * OUT_PER_GROUP + out_channel;
        let row = channel * KERNEL_ROWS + kernel_row;
        for (var s = 0u; s < KERNEL_X; s++) { // unroll
            if (((kernel_row < KERNEL_ROWS) | (sees_ones & (s == 0u))) & (out_channel < OUT_PER_GROUP)) {
                let place = select(row * KERNEL_X + s, WEIGHTS + channel, sees_ones);
                store_output(group.z * STORED + place, sum[s]);
            }
        }
        for (var k = 0u; k < (TILE_OUT - 1u) * KERNEL_X; k++) { // unroll
            sum[k] = sum[k + KERNEL_X];
        }
    }
}

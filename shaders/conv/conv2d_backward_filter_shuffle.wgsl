// 2-D convolution, gradient of the weight, for adapters that run shaders on CPU cores, with subgroup shuffles.
//
//   output[o, i, r, s] = sum over n, y, x of
//       grad[n, o, y, x] * input[n, g * C + i, y * STRIDE_Y - PAD_Y + r * DILATION_Y,
//                                               x * STRIDE_X - PAD_X + s * DILATION_X]
//
// g = o / OUT_PER_GROUP is the group of o and C = IN_PER_GROUP; positions outside the input count as 0.
// input, grad and output are contiguous, shaped as in conv2d_plain.wgsl. Accumulators are f32.
//
// There are few weights and many terms, so the rows (n, y) of grad are divided into `splits` equal
// spans, and output[split, o, i, r, s] holds the sum over one span; reduce.wgsl adds the spans up
// in order. With splits = 1 the partial sums are the result.
//
// One invocation owns one row of the kernel (one i and one r) and computes its KERNEL_X weights for
// TILE_OUT output channels, in registers. One step of its loop takes TILE_X neighbouring positions of
// grad: the invocation loads the input segment that they see through its kernel row. The values
// of grad are the same for all invocations of a workgroup, so each of the first 8 lanes of a
// subgroup loads an eighth of them, and subgroupShuffle hands them round.
//
// Needs subgroups of at least 8 lanes. STORE_OUT must divide TILE_OUT. The loop of one invocation runs
// ceil(N * OUT_HEIGHT / splits) * ceil(OUT_WIDTH / TILE_X) times, which must not exceed 65,535.
// Grid: x = ceil(IN_PER_GROUP * KERNEL_Y / WORKGROUP), y = GROUPS * ceil(OUT_PER_GROUP / TILE_OUT), z = splits,
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser writes their bodies out.

alias Element = f32;
// Partial sums are f32; the only sums there are have the element type.
alias Partial = f32;

const GROUPS: u32 = 1u;
const IN_PER_GROUP: u32 = 6u;
const OUT_PER_GROUP: u32 = 16u;
const IN_HEIGHT: u32 = 14u;
const IN_WIDTH: u32 = 14u;
const OUT_HEIGHT: u32 = 10u;
const OUT_WIDTH: u32 = 10u;
const KERNEL_Y: u32 = 5u;
const KERNEL_X: u32 = 5u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const PAD_Y: u32 = 0u;
const PAD_X: u32 = 0u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;

const TILE_OUT: u32 = 8u;
const TILE_X: u32 = 5u;
const STORE_OUT: u32 = 1u;
const WORKGROUP: u32 = 8u;
// 1 where a kernel row behind the others sees nothing but ones: its weights, of which the first is stored, are the sums
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
    splits: u32,
    // First elements of the operands in their storage.
    grad_offset: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<storage, read> grad: array<Element>;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Partial>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

fn load_grad(index: u32) -> f32 {
    return f32(grad[params.grad_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Partial(value);
}

// The part of a workgroup: groups of kernel rows, tile of channels, and split. Past 65,535
// groups of a dimension the host writes another body (`Call::on_grid`).
fn unfolded(workgroup: vec3<u32>, groups: vec3<u32>) -> vec3<u32> {
    return vec3(workgroup.z / params.splits * groups.x + workgroup.x, workgroup.y, workgroup.z % params.splits);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = unfolded(workgroup, groups);
    let kernel_row = group.x * WORKGROUP + local;
    // Invocations past the end repeat the last kernel row and store nothing: all lanes must stay active.
    let used_row = min(kernel_row, KERNEL_ROWS - 1u);
    let sees_ones = (ONES == 1u) & (kernel_row == KERNEL_ROWS);
    let in_channel = used_row / KERNEL_Y;
    let kernel_y = used_row % KERNEL_Y;
    let conv_group = group.y / TILES_OUT;
    let first_out = group.y % TILES_OUT * TILE_OUT;

    let span = (params.batch * OUT_HEIGHT + params.splits - 1u) / params.splits;
    let first_row = min(group.z * span, params.batch * OUT_HEIGHT);
    let end_row = min(first_row + span, params.batch * OUT_HEIGHT);

    // Where each value of grad lies that this lane fetches, counted from the first of the step.
    var grad_x: array<u32, GRAD_LOADS>;
    var grad_plane: array<u32, GRAD_LOADS>;
    for (var j = 0u; j < GRAD_LOADS; j++) { // unroll
        let entry = j * 8u + (lane & 7u);
        grad_x[j] = entry % TILE_X;
        grad_plane[j] = (conv_group * OUT_PER_GROUP + min(first_out + entry / TILE_X, OUT_PER_GROUP - 1u)) * OUT_HEIGHT * OUT_WIDTH;
    }

    var sum: array<f32, TILE_OUT * KERNEL_X>;
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
        for (var j = 0u; j < GRAD_LOADS; j++) { // unroll
            let inside = OUT_WIDTH % TILE_X == 0u || x + grad_x[j] < OUT_WIDTH;
            fetched[j] = select(0.0, load_grad(grad_start + grad_plane[j] + select(0u, x + grad_x[j], inside)), inside);
        }
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var t = 0u; t < TILE_X; t++) { // unroll
                let g = subgroupShuffle(fetched[(o * TILE_X + t) / 8u], (o * TILE_X + t) % 8u);
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

    // Stores are long code: a loop stores STORE_OUT channels at a time and moves the others down.
    for (var block = 0u; block < TILE_OUT; block += STORE_OUT) { // rolled
        for (var o = 0u; o < STORE_OUT; o++) { // unroll
            let out_channel = first_out + block + o;
            let channel = conv_group * OUT_PER_GROUP + out_channel;
            let row = channel * KERNEL_ROWS + kernel_row;
            for (var s = 0u; s < KERNEL_X; s++) { // unroll
                if (((kernel_row < KERNEL_ROWS) | (sees_ones & (s == 0u))) & (out_channel < OUT_PER_GROUP)) {
                    let place = select(row * KERNEL_X + s, WEIGHTS + channel, sees_ones);
                    store_output(group.z * STORED + place, sum[o * KERNEL_X + s]);
                }
            }
        }
        for (var i = 0u; i < (TILE_OUT - STORE_OUT) * KERNEL_X; i++) { // unroll
            sum[i] = sum[i + STORE_OUT * KERNEL_X];
        }
    }
}

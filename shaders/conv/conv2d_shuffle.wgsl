// 2-D convolution, forward, for adapters that run shaders on CPU cores, with subgroup shuffles.
//
//   output[n, o, y, x] = sum over i, r, s of
//       weight[o, i, r, s] * input[n, g * C + i, y * STRIDE_Y - PAD_Y + r * DILATION_Y,
//                                               x * STRIDE_X - PAD_X + s * DILATION_X]
//
// g = o / OUT_PER_GROUP is the group of o and C = IN_PER_GROUP; positions outside the input count as 0.
// input is contiguous [N, GROUPS * IN_PER_GROUP, IN_HEIGHT, IN_WIDTH], weight contiguous
// [GROUPS * OUT_PER_GROUP, IN_PER_GROUP, KERNEL_Y, KERNEL_X], output contiguous
// [N, GROUPS * OUT_PER_GROUP, OUT_HEIGHT, OUT_WIDTH]. Accumulators are f32, summed over i, r, s in order.
//
// One invocation computes a strip of TILE_X neighbouring outputs of one row for TILE_OUT output channels,
// all in registers. One step of the reduction takes STEP rows of the kernel (a row is one i and one r): the
// invocation loads the input segment that the strip sees through each row, once for all taps and channels.
// The weights are the same for all invocations of a workgroup, so each of the first 8 lanes of a subgroup
// loads an eighth of them, and subgroupShuffle hands them round.
//
// Needs subgroups of at least 8 lanes. STEP must divide IN_PER_GROUP * KERNEL_Y; STORE_OUT must divide
// TILE_OUT. Strips are numbered x tile fastest, then y, then n.
// Grid: x: ceil(N * OUT_HEIGHT * ceil(OUT_WIDTH / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(OUT_PER_GROUP / TILE_OUT)
// folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser writes their bodies out.

alias Element = f32;

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
const STEP: u32 = 1u;
const STORE_OUT: u32 = 1u;
const WORKGROUP: u32 = 8u;

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const KERNEL_ROWS: u32 = IN_PER_GROUP * KERNEL_Y;
const SEGMENT: u32 = (TILE_X - 1u) * STRIDE_X + (KERNEL_X - 1u) * DILATION_X + 1u;
const STEP_WEIGHTS: u32 = STEP * KERNEL_X;
const WEIGHT_LOADS: u32 = (TILE_OUT * STEP_WEIGHTS + 7u) / 8u;

struct Params {
    batch: u32,
    // First elements of the operands in their storage.
    input_offset: u32,
    weight_offset: u32,
}

@group(0) @binding(0) var<storage, read> input: array<Element>;
@group(0) @binding(1) var<storage, read> weight: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

// The part of a workgroup: groups of strips, and tile of channels. Past 65,535
// groups of a dimension the host writes another body (`Call::on_grid`).
fn unfolded(workgroup: vec3<u32>, groups: vec3<u32>) -> vec3<u32> {
    return vec3(workgroup.z * groups.x + workgroup.x, workgroup.y, 0u);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = unfolded(workgroup, groups);
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
    // Where each weight lies that this lane fetches in the first step. Steps are STEP_WEIGHTS apart.
    var weight_index: array<u32, WEIGHT_LOADS>;
    for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
        let entry = j * 8u + (lane & 7u);
        let out_channel = min(first_out + entry / STEP_WEIGHTS, OUT_PER_GROUP - 1u);
        weight_index[j] = (conv_group * OUT_PER_GROUP + out_channel) * KERNEL_ROWS * KERNEL_X + entry % STEP_WEIGHTS;
    }

    var sum: array<f32, TILE_OUT * TILE_X>;
    var plane = (n * GROUPS + conv_group) * IN_PER_GROUP * IN_HEIGHT * IN_WIDTH;
    var kernel_y = 0u;
    for (var kernel_row = 0u; kernel_row < KERNEL_ROWS; kernel_row += STEP) {
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
        for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
            fetched[j] = load_weight(weight_index[j] + kernel_row * KERNEL_X);
        }
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var u = 0u; u < STEP; u++) { // unroll
                for (var s = 0u; s < KERNEL_X; s++) { // unroll
                    let w = subgroupShuffle(fetched[(o * STEP_WEIGHTS + u * KERNEL_X + s) / 8u], (o * STEP_WEIGHTS + u * KERNEL_X + s) % 8u);
                    for (var x = 0u; x < TILE_X; x++) { // unroll
                        sum[o * TILE_X + x] += w * segment[u * SEGMENT + x * STRIDE_X + s * DILATION_X];
                    }
                }
            }
        }
    }

    // Stores are long code: a loop stores STORE_OUT channels at a time and moves the others down.
    for (var block = 0u; block < TILE_OUT; block += STORE_OUT) { // rolled
        for (var o = 0u; o < STORE_OUT; o++) { // unroll
            let out_channel = first_out + block + o;
            let row_start = ((n * GROUPS * OUT_PER_GROUP + conv_group * OUT_PER_GROUP + out_channel) * OUT_HEIGHT + y) * OUT_WIDTH;
            for (var x = 0u; x < TILE_X; x++) { // unroll
                let column_stored = (OUT_WIDTH % TILE_X == 0u) | (first_x + x < OUT_WIDTH);
                if ((strip < strips) & (out_channel < OUT_PER_GROUP) & column_stored) {
                    store_output(row_start + first_x + x, sum[o * TILE_X + x]);
                }
            }
        }
        for (var i = 0u; i < (TILE_OUT - STORE_OUT) * TILE_X; i++) { // unroll
            sum[i] = sum[i + STORE_OUT * TILE_X];
        }
    }
}

// 2-D convolution, gradient of the input, for adapters that run shaders on CPU cores, with subgroup shuffles.
//
//   output[n, g * C + i, y, x] = sum over r, o, s of
//       weight[o, i, r, s] * grad[n, o, (y + PAD_Y - r * DILATION_Y) / STRIDE_Y,
//                                       (x + PAD_X - s * DILATION_X) / STRIDE_X]
//
// over the output channels o of group g and those r, s for which both divisions leave no remainder;
// C = IN_PER_GROUP; positions outside grad count as 0. All tensors are contiguous, shaped as in
// conv2d_plain.wgsl. Accumulators are f32, summed over r, o, s in order.
//
// One invocation computes a strip of TILE_X neighbouring positions of one row for TILE_IN input channels, all
// in registers. Every strip begins at a multiple of STRIDE_X, so which taps reach which of its positions is
// known at compile time; workgroups take only rows of one remainder modulo STRIDE_Y, so no kernel row is visited in
// vain. One step of the reduction takes one kernel row r of STEP output channels: the invocation loads the
// segments of grad that the strip sees, once for all taps and input channels. The weights are the same
// for all invocations of a workgroup, so each of the first 8 lanes of a subgroup loads an eighth of them,
// and subgroupShuffle hands them round.
//
// Needs subgroups of at least 8 lanes. STRIDE_X must divide TILE_X, STEP must divide OUT_PER_GROUP, STORE_IN
// must divide TILE_IN. Strips are numbered x tile fastest, then y, then n.
// Grid: x: ceil(N * ceil(IN_HEIGHT / STRIDE_Y) * ceil(IN_WIDTH / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(IN_PER_GROUP / TILE_IN)
//       z: STRIDE_Y
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

// STRIDE_Y / gcd(STRIDE_Y, DILATION_Y): how far apart the kernel rows lie that reach the same input row.
const KERNEL_Y_STEP: u32 = 1u;

const TILE_IN: u32 = 6u;
const TILE_X: u32 = 7u;
const STEP: u32 = 1u;
const STORE_IN: u32 = 1u;
const WORKGROUP: u32 = 8u;

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

@group(0) @binding(0) var<storage, read> grad: array<Element>;
@group(0) @binding(1) var<storage, read> weight: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_grad(index: u32) -> f32 {
    return f32(grad[params.grad_offset + index]);
}

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

// The part of a workgroup: groups of strips, tile of channels, and remainder of rows. Past 65,535
// groups of a dimension the host writes another body (`Call::on_grid`).
fn unfolded(workgroup: vec3<u32>, groups: vec3<u32>) -> vec3<u32> {
    return vec3(workgroup.z / STRIDE_Y * groups.x + workgroup.x, workgroup.y, workgroup.z % STRIDE_Y);
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
    // Where each weight lies that this lane fetches in a step, counted from the step's first kernel row.
    var weight_index: array<u32, WEIGHT_LOADS>;
    for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
        let entry = j * 8u + (lane & 7u);
        let in_channel = min(first_in + entry / STEP_WEIGHTS, IN_PER_GROUP - 1u);
        let step_out = entry % STEP_WEIGHTS / KERNEL_X;
        weight_index[j] = ((conv_group * OUT_PER_GROUP + step_out) * IN_PER_GROUP + in_channel) * KERNEL_Y * KERNEL_X
            + entry % KERNEL_X;
    }
    var first_kernel_y = 0u;
    while (first_kernel_y < KERNEL_Y
        && (remainder_y + PAD_Y + REACH_Y * STRIDE_Y - first_kernel_y * DILATION_Y) % STRIDE_Y != 0u) {
        first_kernel_y += 1u;
    }

    var sum: array<f32, TILE_IN * TILE_X>;
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
            for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
                fetched[j] = load_weight(weight_index[j] + (out_channel * IN_PER_GROUP * KERNEL_Y + kernel_y) * KERNEL_X);
            }
            for (var i = 0u; i < TILE_IN; i++) { // unroll
                for (var u = 0u; u < STEP; u++) { // unroll
                    for (var s = 0u; s < KERNEL_X; s++) { // unroll
                        let w = subgroupShuffle(fetched[(i * STEP_WEIGHTS + u * KERNEL_X + s) / 8u], (i * STEP_WEIGHTS + u * KERNEL_X + s) % 8u);
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

    // Stores are long code: a loop stores STORE_IN channels at a time and moves the others down.
    for (var block = 0u; block < TILE_IN; block += STORE_IN) { // rolled
        for (var i = 0u; i < STORE_IN; i++) { // unroll
            let in_channel = first_in + block + i;
            let store_start = (((n * GROUPS + conv_group) * IN_PER_GROUP + in_channel) * IN_HEIGHT + y) * IN_WIDTH;
            for (var x = 0u; x < TILE_X; x++) { // unroll
                if ((strip < strips) & (y < IN_HEIGHT) & (in_channel < IN_PER_GROUP) & (first_x + x < IN_WIDTH)) {
                    store_output(store_start + first_x + x, sum[i * TILE_X + x]);
                }
            }
        }
        for (var k = 0u; k < (TILE_IN - STORE_IN) * TILE_X; k++) { // unroll
            sum[k] = sum[k + STORE_IN * TILE_X];
        }
    }
}

// 2-D convolution of signed bytes, four input channels to a word, with sums in i32.
//
//   sum[n, o, y, x] = offset[o] + sum over i, r, s of
//       weight[o, i, r, s] * input[n, g * C + i, y * STRIDE_Y - PAD_Y + r * DILATION_Y,
//                                               x * STRIDE_X - PAD_X + s * DILATION_X]
//
// g = o / OUT_PER_GROUP is the group of o and C = 4 * IN_PER_GROUP; positions outside the input count as `padding`, four times the
// input's zero point. input is contiguous [N, GROUPS * IN_PER_GROUP, IN_HEIGHT, IN_WIDTH] and weight contiguous
// [GROUPS * OUT_PER_GROUP, IN_PER_GROUP, KERNEL_Y, KERNEL_X], of words whose lowest byte is the first channel; offset and multiplier
// are [GROUPS * OUT_PER_GROUP]. The result is one of two:
//
//   BYTES false: output[n, o, y, x] = f32(sum) * multiplier[o]
//   BYTES true:  clamp(round(f32(sum) * multiplier[o]) + zero_point, low, high), four channels to a word, in
//                output[n, o / 4, y, x]; rounded half to even. GROUPS is 1, or OUT_PER_GROUP a multiple of 4.
//
// One invocation computes a strip of TILE_X neighbouring outputs of one row for TILE_OUT output channels, all in registers. One
// step takes TAPS taps of one row of the kernel and one word of channels: the invocation loads the segment of the input that the
// strip sees, once for all taps and channels. The weights are the same for all invocations of a workgroup: SHARERS lanes of a
// subgroup load a part each, and `shared_word` exchanges them.
//
// TAPS must be KERNEL_X or 1; STORE_OUT must divide TILE_OUT, and is 4 for bytes. If SHARERS is 8, invocations are lanes in their
// order. Strips are numbered x tile fastest, then y, then n.
// Grid: x: ceil(N * OUT_HEIGHT * ceil(OUT_WIDTH / TILE_X) / WORKGROUP) groups
//       y: GROUPS * ceil(OUT_PER_GROUP / TILE_OUT)
// numbered in a row, y fastest, and folded.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

#import conv_geometry

const TILE_OUT: u32 = 8u;
const TILE_X: u32 = 5u;
const TAPS: u32 = 3u;
const STORE_OUT: u32 = 4u;
const SHARERS: u32 = 1u;
const WORKGROUP: u32 = 8u;
// True if the result is bytes.
const BYTES: bool = false;

const STRIPS_X: u32 = (OUT_WIDTH + TILE_X - 1u) / TILE_X;
const TILES_OUT: u32 = (OUT_PER_GROUP + TILE_OUT - 1u) / TILE_OUT;
const PIECES: u32 = KERNEL_X / TAPS;
const SEGMENT: u32 = (TILE_X - 1u) * STRIDE_X + (TAPS - 1u) * DILATION_X + 1u;
const STEP_WEIGHTS: u32 = TILE_OUT * TAPS;
const WEIGHT_LOADS: u32 = (STEP_WEIGHTS + SHARERS - 1u) / SHARERS;

struct Params {
    batch: u32,
    // Words of channels times rows of the kernel times pieces of a row, hidden from drivers.
    steps: u32,
    // Tiles of channels of all groups.
    down: u32,
    padding: u32,
    zero_point: i32,
    low: i32,
    high: i32,
    // First elements of the operands in their storage.
    input_offset: u32,
    weight_offset: u32,
    offset_offset: u32,
    multiplier_offset: u32,
}

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read> weight: array<u32>;
@group(0) @binding(2) var<storage, read> offset: array<i32>;
@group(0) @binding(3) var<storage, read> multiplier: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<Element>;
@group(0) @binding(5) var<uniform> params: Params;

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

// Set by the host if a subgroup shares weights.
fn shared_word(word: u32, lane: u32) -> u32 {
    return word;
}

// A sum as a byte, in the lowest eight bits.
fn level(total: i32, factor: f32) -> u32 {
    let rounded = round(f32(total) * factor) + f32(params.zero_point);
    return bitcast<u32>(i32(clamp(rounded, f32(params.low), f32(params.high)))) & 255u;
}

// The sum of the products of four bytes. Set by the host where that has no instruction.
fn product(left: u32, right: u32) -> i32 { return dot4I8Packed(left, right); }

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.y * groups.x + workgroup.x;
    let strip = group / params.down * WORKGROUP + local;
    let strips = params.batch * OUT_HEIGHT * STRIPS_X;
    // Invocations past the end repeat the last strip and store nothing: all lanes must stay active.
    let used_strip = min(strip, strips - 1u);
    let first_x = used_strip % STRIPS_X * TILE_X;
    let y = used_strip / STRIPS_X % OUT_HEIGHT;
    let n = used_strip / (STRIPS_X * OUT_HEIGHT);
    let conv_group = group % params.down / TILES_OUT;
    let first_out = group % params.down % TILES_OUT * TILE_OUT;
    let first_channel = conv_group * OUT_PER_GROUP;

    // The position of each weight that this lane fetches in the first step; steps are TAPS apart.
    var weight_index: array<u32, WEIGHT_LOADS>;
    for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
        let entry = j * SHARERS + local % SHARERS;
        let channel = first_channel + min(first_out + entry / TAPS, OUT_PER_GROUP - 1u);
        weight_index[j] = params.weight_offset + channel * IN_PER_GROUP * KERNEL_Y * KERNEL_X + entry % TAPS;
    }

    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    let first_input_y = y * STRIDE_Y - PAD_Y;
    let first_input_x = first_x * STRIDE_X - PAD_X;
    var sum: array<i32, TILE_OUT * TILE_X>;
    var plane = params.input_offset + (n * GROUPS + conv_group) * IN_PER_GROUP * IN_HEIGHT * IN_WIDTH;
    var kernel_y = 0u;
    var piece = 0u;
    for (var step = 0u; step < params.steps; step++) {
        let input_y = first_input_y + kernel_y * DILATION_Y;
        let row_inside = input_y < IN_HEIGHT;
        let row_start = plane + select(0u, input_y, row_inside) * IN_WIDTH;
        var segment: array<u32, SEGMENT>;
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            let input_x = first_input_x + piece * DILATION_X + j;
            let column_inside = input_x < IN_WIDTH;
            segment[j] = select(params.padding, input[row_start + select(0u, input_x, column_inside)], row_inside & column_inside);
        }
        piece += 1u;
        if (piece == PIECES) {
            piece = 0u;
            kernel_y += 1u;
            if (kernel_y == KERNEL_Y) {
                kernel_y = 0u;
                plane += IN_HEIGHT * IN_WIDTH;
            }
        }
        var fetched: array<u32, WEIGHT_LOADS>;
        for (var j = 0u; j < WEIGHT_LOADS; j++) { // unroll
            fetched[j] = weight[weight_index[j] + step * TAPS];
        }
        for (var o = 0u; o < TILE_OUT; o++) { // unroll
            for (var s = 0u; s < TAPS; s++) { // unroll
                let w = shared_word(fetched[(o * TAPS + s) / SHARERS], (o * TAPS + s) % SHARERS);
                for (var x = 0u; x < TILE_X; x++) { // unroll
                    sum[o * TILE_X + x] += product(w, segment[x * STRIDE_X + s * DILATION_X]);
                }
            }
        }
    }

    // Stores take much code: a loop stores STORE_OUT channels at a time and moves the others down.
    for (var block = 0u; block < TILE_OUT; block += STORE_OUT) { // rolled
        var scale: array<f32, STORE_OUT>;
        var start: array<i32, STORE_OUT>;
        for (var o = 0u; o < STORE_OUT; o++) { // unroll
            let channel = first_channel + min(first_out + block + o, OUT_PER_GROUP - 1u);
            scale[o] = multiplier[params.multiplier_offset + channel];
            start[o] = offset[params.offset_offset + channel];
        }
        for (var x = 0u; x < TILE_X; x++) { // unroll
            let is_stored = (strip < strips) & ((OUT_WIDTH % TILE_X == 0u) | (first_x + x < OUT_WIDTH));
            let place = y * OUT_WIDTH + first_x + x;
            if (BYTES) {
                var word = 0u;
                for (var o = 0u; o < STORE_OUT; o++) { // unroll
                    word |= level(sum[o * TILE_X + x] + start[o], scale[o]) << (8u * o);
                }
                let row = n * ((GROUPS * OUT_PER_GROUP + 3u) / 4u) + (first_channel + first_out + block) / 4u;
                if (is_stored & (first_out + block < OUT_PER_GROUP)) {
                    output[row * OUT_HEIGHT * OUT_WIDTH + place] = Element(word);
                }
            } else {
                for (var o = 0u; o < STORE_OUT; o++) { // unroll
                    let row = n * GROUPS * OUT_PER_GROUP + first_channel + first_out + block + o;
                    if (is_stored & (first_out + block + o < OUT_PER_GROUP)) {
                        store_output(row * OUT_HEIGHT * OUT_WIDTH + place, f32(sum[o * TILE_X + x] + start[o]) * scale[o]);
                    }
                }
            }
        }
        for (var i = 0u; i < (TILE_OUT - STORE_OUT) * TILE_X; i++) { // unroll
            sum[i] = sum[i + STORE_OUT * TILE_X];
        }
    }
}

// Winograd's convolution of 3 x 3 taps, first step: weights and tiles of the input, transformed.
//
//   filters[t, o, i] = (G w Gt)[t]       with w the 3 x 3 taps of weight[o, i]
//   tiles[n, t, c, tile] = (B d Bt)[t]
//
// with d the INPUTS x INPUTS numbers of plane input[first_image + n, c] from row tile_y * OUTPUTS - PAD_Y and column tile_x *
// OUTPUTS - PAD_X on, zeros outside; tiles overlap by 2, INPUTS = OUTPUTS + 2, and t counts the positions of a tile in rows; G
// and B are the functions `transform_filter` and `transform_input` along one dimension. With ROTATE = true, for the gradient of
// the input, the taps are rotated by 180 degrees and o and i are swapped: filters[t, g, i, o]. weight is contiguous [GROUPS *
// OUT_PER_GROUP, IN_PER_GROUP, 3, 3], input [N, CHANNELS, IN_HEIGHT, IN_WIDTH]; the results are f32. The first
// `filter_invocations` invocations transform the taps of one o and i each, or do nothing; the others transform one tile each, of
// the images `first_image` to `first_image + images`. (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2015.)
//
// Grid: filter_invocations / 64 + ceil(images * CHANNELS * TILES_Y * TILES_X / 64) groups, folded past 65,535; filter_invocations
// is a multiple of 64. Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;

const GROUPS: u32 = 1u;
const IN_PER_GROUP: u32 = 64u;
const OUT_PER_GROUP: u32 = 64u;
const ROTATE: bool = false;
const CHANNELS: u32 = 64u;
const IN_HEIGHT: u32 = 32u;
const IN_WIDTH: u32 = 32u;
const PAD_Y: u32 = 1u;
const PAD_X: u32 = 1u;
const TILES_Y: u32 = 16u;
const TILES_X: u32 = 16u;
const OUTPUTS: u32 = 2u;

const INPUTS: u32 = OUTPUTS + 2u;
const WEIGHTS: u32 = GROUPS * OUT_PER_GROUP * IN_PER_GROUP;
const TILES: u32 = TILES_Y * TILES_X;

struct Params {
    filter_invocations: u32,
    first_image: u32,
    images: u32,
    // First elements of weight and input in their storages.
    weight_offset: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<Element>;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> filters: array<f32>;
@group(0) @binding(3) var<storage, read_write> tiles: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

fn transform_filter(w: array<f32, 3>) -> array<f32, INPUTS> {
    return array(w[0], 0.5 * (w[0] + w[1] + w[2]), 0.5 * (w[0] - w[1] + w[2]), w[2]);
}

fn transform_input(d: array<f32, INPUTS>) -> array<f32, INPUTS> {
    return array(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

fn spread_filter(index: u32) {
    var columns: array<array<f32, INPUTS>, 3>;
    for (var s = 0u; s < 3u; s++) { // unroll
        let tap = index * 9u + select(s, 8u - s, ROTATE);
        columns[s] = transform_filter(array(
            load_weight(tap), load_weight(select(tap + 3u, tap - 3u, ROTATE)), load_weight(select(tap + 6u, tap - 6u, ROTATE))));
    }
    let in_channel = index % IN_PER_GROUP;
    let out_channel = index / IN_PER_GROUP % OUT_PER_GROUP;
    let turned = (index / (OUT_PER_GROUP * IN_PER_GROUP) * IN_PER_GROUP + in_channel) * OUT_PER_GROUP + out_channel;
    let start = select(index, turned, ROTATE);
    for (var y = 0u; y < INPUTS; y++) { // unroll
        let row = transform_filter(array(columns[0][y], columns[1][y], columns[2][y]));
        for (var x = 0u; x < INPUTS; x++) { // unroll
            filters[(y * INPUTS + x) * WEIGHTS + start] = row[x];
        }
    }
}

fn spread_input(index: u32) {
    let tile = index % TILES;
    let channel = index / TILES % CHANNELS;
    let image = index / (TILES * CHANNELS);
    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    let first_y = tile / TILES_X * OUTPUTS - PAD_Y;
    let first_x = tile % TILES_X * OUTPUTS - PAD_X;
    let plane = ((params.first_image + image) * CHANNELS + channel) * IN_HEIGHT * IN_WIDTH;

    var columns: array<array<f32, INPUTS>, INPUTS>;
    for (var x = 0u; x < INPUTS; x++) { // unroll
        var column: array<f32, INPUTS>;
        for (var y = 0u; y < INPUTS; y++) { // unroll
            let inside = (first_y + y < IN_HEIGHT) & (first_x + x < IN_WIDTH);
            let position = select(0u, (first_y + y) * IN_WIDTH + first_x + x, inside);
            column[y] = select(0.0, load_input(plane + position), inside);
        }
        columns[x] = transform_input(column);
    }
    for (var y = 0u; y < INPUTS; y++) { // unroll
        var row: array<f32, INPUTS>;
        for (var x = 0u; x < INPUTS; x++) { // unroll
            row[x] = columns[x][y];
        }
        row = transform_input(row);
        for (var x = 0u; x < INPUTS; x++) { // unroll
            tiles[((image * INPUTS * INPUTS + y * INPUTS + x) * CHANNELS + channel) * TILES + tile] = row[x];
        }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * 64u + local;
    if (index < params.filter_invocations) {
        if (index < WEIGHTS) {
            spread_filter(index);
        }
        return;
    }
    let place = index - params.filter_invocations;
    if (place < params.images * CHANNELS * TILES) {
        spread_input(place);
    }
}

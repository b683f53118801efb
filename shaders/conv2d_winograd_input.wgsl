// Winograd's convolution of 3 x 3 taps, second step: tiles of the input, transformed.
//
//   output[n, t, c, tile] = (B d Bt)[t]
//
// with d the INPUTS x INPUTS numbers of plane input[FIRST + n, c] from row tile_y * OUTPUTS - PAD_Y and column
// tile_x * OUTPUTS - PAD_X on, zeros outside; tiles overlap by 2, INPUTS = OUTPUTS + 2, and t counts the positions of a tile
// in rows; B is the function `transform` along one dimension. input is contiguous [N, CHANNELS, IN_HEIGHT, IN_WIDTH];
// output, of the images `first_image` to `first_image + images`, is f32. One invocation transforms one tile.
//
// Grid: ceil(images * CHANNELS * TILES_Y * TILES_X / 64) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser writes their bodies out.

alias Element = f32;

const CHANNELS: u32 = 64u;
const IN_HEIGHT: u32 = 32u;
const IN_WIDTH: u32 = 32u;
const PAD_Y: u32 = 1u;
const PAD_X: u32 = 1u;
const TILES_Y: u32 = 16u;
const TILES_X: u32 = 16u;
const OUTPUTS: u32 = 2u;

const INPUTS: u32 = OUTPUTS + 2u;
const TILES: u32 = TILES_Y * TILES_X;

struct Params {
    first_image: u32,
    images: u32,
    // First element of the input in its storage.
    input_offset: u32,
}

@group(0) @binding(0) var<storage, read> input: array<Element>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = value;
}

fn transform(d: array<f32, INPUTS>) -> array<f32, INPUTS> {
    return array(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * 64u + local;
    if (index >= params.images * CHANNELS * TILES) {
        return;
    }
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
        columns[x] = transform(column);
    }
    for (var y = 0u; y < INPUTS; y++) { // unroll
        var row: array<f32, INPUTS>;
        for (var x = 0u; x < INPUTS; x++) { // unroll
            row[x] = columns[x][y];
        }
        row = transform(row);
        for (var x = 0u; x < INPUTS; x++) { // unroll
            store_output(((image * INPUTS * INPUTS + y * INPUTS + x) * CHANNELS + channel) * TILES + tile, row[x]);
        }
    }
}

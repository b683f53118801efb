// Winograd's convolution of 3 x 3 taps, last step: tiles of the output from the products.
//
//   output[first_image + n, c, tile_y * OUTPUTS + y, tile_x * OUTPUTS + x] = (A m At)[y, x]     with m = products[n, :, c, tile]
//
// of INPUTS x INPUTS numbers, in rows; INPUTS = OUTPUTS + 2, and A is the function `transform` along one dimension. products
// is f32, of the images `first_image` to `first_image + images`; output is contiguous [N, CHANNELS, HEIGHT, WIDTH].
// One invocation computes one tile.
//
// Grid: ceil(images * CHANNELS * TILES_Y * TILES_X / 64) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;

const CHANNELS: u32 = 64u;
const HEIGHT: u32 = 32u;
const WIDTH: u32 = 32u;
const TILES_Y: u32 = 16u;
const TILES_X: u32 = 16u;
const OUTPUTS: u32 = 2u;

const INPUTS: u32 = OUTPUTS + 2u;
const TILES: u32 = TILES_Y * TILES_X;

struct Params {
    first_image: u32,
    images: u32,
}

@group(0) @binding(0) var<storage, read> products: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<Element>;
@group(0) @binding(2) var<uniform> params: Params;

fn load_products(index: u32) -> f32 {
    return products[index];
}

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

fn transform(m: array<f32, INPUTS>) -> array<f32, OUTPUTS> {
    return array(m[0] + m[1] + m[2], m[1] - m[2] - m[3]);
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

    var columns: array<array<f32, OUTPUTS>, INPUTS>;
    for (var x = 0u; x < INPUTS; x++) { // unroll
        var column: array<f32, INPUTS>;
        for (var y = 0u; y < INPUTS; y++) { // unroll
            column[y] = load_products(((image * INPUTS * INPUTS + y * INPUTS + x) * CHANNELS + channel) * TILES + tile);
        }
        columns[x] = transform(column);
    }
    let first_y = tile / TILES_X * OUTPUTS;
    let first_x = tile % TILES_X * OUTPUTS;
    let plane = ((params.first_image + image) * CHANNELS + channel) * HEIGHT * WIDTH;
    for (var y = 0u; y < OUTPUTS; y++) { // unroll
        var row: array<f32, INPUTS>;
        for (var x = 0u; x < INPUTS; x++) { // unroll
            row[x] = columns[x][y];
        }
        let values = transform(row);
        for (var x = 0u; x < OUTPUTS; x++) { // unroll
            if ((first_y + y < HEIGHT) & (first_x + x < WIDTH)) {
                store_output(plane + (first_y + y) * WIDTH + first_x + x, values[x]);
            }
        }
    }
}

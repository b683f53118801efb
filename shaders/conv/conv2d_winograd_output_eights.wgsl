// Winograd's convolution of 3 x 3 taps for adapters that run shaders on CPU cores, last step: tiles of the output from the
// products.
//
//   output[first_image + n, c, tile_y * 4 + y, tile_x * 4 + x] = (A m At)[y, x]     with m = products[:, c, n * TILES + tile]
//
// of 6 x 6 numbers, in rows; A is the transform of F(4x4, 3x3)'s output. Tiles are in the order of
// conv2d_winograd_spread_eights.wgsl; an invocation computes a run of eight. output is contiguous [N, channels, height, width].
//
// Grid: ceil(images * channels * runs / 8) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;
alias Stored = Element;
alias Quad = vec4<f32>;
// The type of the products, which lie in memory as f32.
alias Sum = f32;

const RUN_X: u32 = 4u;
const RUN_Y: u32 = 2u;
// True if eight neighbours are stored together: then `width` is a multiple of 8 and RUN_X at least 2.
const STORE_EIGHTS: bool = false;

struct Params {
    channels: u32,
    first_image: u32,
    images: u32,
    height: u32,
    width: u32,
    // Runs across a plane, and all runs of it.
    runs_x: u32,
    runs: u32,
}

@group(0) @binding(1) var<storage, read_write> output: array<Stored>;
@group(0) @binding(2) var<uniform> params: Params;

#import eight
#import store_eight
#import winograd_products

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

fn transform(m: array<Sum, 6>) -> array<Sum, 4> {
    let even = m[1] + m[2];
    let odd = m[1] - m[2];
    let far_even = m[3] + m[4];
    let far_odd = m[3] - m[4];
    return array<Sum, 4>(m[0] + even + far_even, odd + 2 * far_odd, even + 4 * far_even, odd + 8 * far_odd + m[5]);
}

fn result(value: Sum) -> f32 {
    return value;
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * 8u + local;
    if (index >= params.images * params.channels * params.runs) {
        return;
    }
    let run = index % params.runs;
    let channel = index / params.runs % params.channels;
    let image = index / (params.runs * params.channels);
    let row_length = params.images * params.runs * 8u;
    let start = channel * row_length + 8u * (image * params.runs + run);

    // Loads and stores take much code: loops load one column and store one row, and move the others.
    var columns: array<array<Sum, 4>, 48>;
    for (var x = 0u; x < 6u; x++) { // rolled
        for (var k = 0u; k < 8u; k++) { // unroll
            for (var moved = 0u; moved < 5u; moved++) { // unroll
                columns[k * 6u + moved] = columns[k * 6u + moved + 1u];
            }
        }
        var taken: array<mat2x4<f32>, 6>;
        for (var y = 0u; y < 6u; y++) { // unroll
            taken[y] = load_products_eight(start + (y * 6u + x) * params.channels * row_length);
        }
        for (var k = 0u; k < 8u; k++) { // unroll
            columns[k * 6u + 5u] = transform(array<Sum, 6>(bitcast<Sum>(taken[0][k / 4u][k % 4u]),
                bitcast<Sum>(taken[1][k / 4u][k % 4u]), bitcast<Sum>(taken[2][k / 4u][k % 4u]),
                bitcast<Sum>(taken[3][k / 4u][k % 4u]), bitcast<Sum>(taken[4][k / 4u][k % 4u]),
                bitcast<Sum>(taken[5][k / 4u][k % 4u])));
        }
    }
    let first_x = run % params.runs_x * RUN_X * 4u;
    let first_y = run / params.runs_x * RUN_Y * 4u;
    let plane = ((params.first_image + image) * params.channels + channel) * params.height * params.width;
    for (var y = 0u; y < 4u; y++) { // rolled
        for (var r = 0u; r < RUN_Y; r++) { // unroll
            let row = first_y + r * 4u + y;
            var values: array<array<f32, 4>, RUN_X>;
            for (var k = 0u; k < RUN_X; k++) { // unroll
                var tile: array<Sum, 6>;
                for (var x = 0u; x < 6u; x++) { // unroll
                    tile[x] = columns[(r * RUN_X + k) * 6u + x][0];
                }
                let sums = transform(tile);
                values[k] = array(result(sums[0]), result(sums[1]), result(sums[2]), result(sums[3]));
            }
            if (STORE_EIGHTS) {
                for (var e = 0u; e < RUN_X / 2u; e++) { // unroll
                    let column = first_x + 8u * e;
                    if ((row < params.height) & (column < params.width)) {
                        let low = values[2u * e];
                        let high = values[2u * e + 1u];
                        store_output_eight(plane + row * params.width + column, Quad(low[0], low[1], low[2], low[3]),
                            Quad(high[0], high[1], high[2], high[3]));
                    }
                }
            } else {
                for (var x = 0u; x < 4u * RUN_X; x++) { // unroll
                    if ((row < params.height) & (first_x + x < params.width)) {
                        store_output(plane + row * params.width + first_x + x, values[x / 4u][x % 4u]);
                    }
                }
            }
        }
        for (var column = 0u; column < 48u; column++) { // unroll
            for (var moved = 0u; moved < 3u; moved++) { // unroll
                columns[column][moved] = columns[column][moved + 1u];
            }
        }
    }
}

// Winograd's gradient of 3 x 3 taps for adapters that run shaders on CPU cores, last step: taps from the products of tiles.
//
//   output[pair, r, s] = (A m At)[r, s]     with m = products[:, pair]
//
// of 6 x 6 numbers, in rows; A is the transform of F(3x3, 4x4)'s output. output is contiguous [pairs, 3, 3], pairs being those
// of output and input channels, a multiple of 8. One invocation computes the taps of eight pairs.
//
// Grid: ceil(pairs / 64) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;
alias Stored = Element;
alias Quad = vec4<f32>;

// True if eight neighbours are stored together.
const STORE_EIGHTS: bool = false;

struct Params {
    // Groups of eight pairs.
    eights: u32,
}

@group(0) @binding(1) var<storage, read_write> output: array<Stored>;
@group(0) @binding(2) var<uniform> params: Params;

#import eight
#import store_eight
#import winograd_products

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

fn transform(m: array<f32, 6>) -> array<f32, 3> {
    let near = m[1] + m[2];
    let far = m[3] + m[4];
    return array(m[0] + near + far, m[1] - m[2] + 2.0 * (m[3] - m[4]), near + 4.0 * far + m[5]);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * 8u + local;
    if (index >= params.eights) {
        return;
    }
    // Loads and stores take much code: loops load one column and store one group of eight, and move the others.
    var columns: array<array<f32, 3>, 48>;
    for (var x = 0u; x < 6u; x++) { // rolled
        for (var k = 0u; k < 8u; k++) { // unroll
            for (var moved = 0u; moved < 5u; moved++) { // unroll
                columns[k * 6u + moved] = columns[k * 6u + moved + 1u];
            }
        }
        var taken: array<mat2x4<f32>, 6>;
        for (var y = 0u; y < 6u; y++) { // unroll
            taken[y] = load_products_eight(8u * ((y * 6u + x) * params.eights + index));
        }
        for (var k = 0u; k < 8u; k++) { // unroll
            columns[k * 6u + 5u] = transform(array(taken[0][k / 4u][k % 4u], taken[1][k / 4u][k % 4u],
                taken[2][k / 4u][k % 4u], taken[3][k / 4u][k % 4u], taken[4][k / 4u][k % 4u], taken[5][k / 4u][k % 4u]));
        }
    }
    var taps: array<f32, 72>;
    for (var k = 0u; k < 8u; k++) { // unroll
        for (var y = 0u; y < 3u; y++) { // unroll
            let row = transform(array(columns[k * 6u][y], columns[k * 6u + 1u][y], columns[k * 6u + 2u][y],
                columns[k * 6u + 3u][y], columns[k * 6u + 4u][y], columns[k * 6u + 5u][y]));
            taps[k * 9u + y * 3u] = row[0];
            taps[k * 9u + y * 3u + 1u] = row[1];
            taps[k * 9u + y * 3u + 2u] = row[2];
        }
    }
    for (var e = 0u; e < 9u; e++) { // rolled
        store_output_eight(index * 72u + 8u * e, Quad(taps[0], taps[1], taps[2], taps[3]), Quad(taps[4], taps[5], taps[6], taps[7]));
        for (var moved = 0u; moved < 64u; moved++) { // unroll
            taps[moved] = taps[moved + 8u];
        }
    }
}

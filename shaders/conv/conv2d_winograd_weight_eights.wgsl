// Winograd's convolution of 3 x 3 taps for adapters that run shaders on CPU cores: the weight, transformed.
//
//   filters[t, pair] = (G w Gt)[t]       with w the 3 x 3 taps of weight[pair]
//
// t counts the 6 x 6 numbers, in rows; G is the transform of F(4x4, 3x3)'s taps. With ROTATE = true, for the gradient of the
// input, the taps are rotated by 180 degrees. weight is contiguous [pairs, 3, 3], pairs being those of output and input channels,
// a multiple of 8. One invocation transforms the taps of eight pairs, which are neighbours in the result; it loads and stores
// them eight numbers at a time.
//
// Grid: ceil(pairs / 64) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;
alias Loaded = Element;
alias Transformed = f32;
alias Quad = vec4<f32>;

const ROTATE: bool = false;

struct Params {
    // Groups of eight pairs.
    eights: u32,
    // First element of the weight in its storage.
    weight_offset: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<Loaded>;
@group(0) @binding(1) var<storage, read_write> filters: array<Transformed>;
@group(0) @binding(2) var<uniform> params: Params;

#import eight

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

// The eight numbers from `index` on, a multiple of eight.
fn load_weight_eight(index: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        load_weight(index), load_weight(index + 1u), load_weight(index + 2u), load_weight(index + 3u),
        load_weight(index + 4u), load_weight(index + 5u), load_weight(index + 6u), load_weight(index + 7u),
    );
}

fn store_filters_eight(index: u32, low: Quad, high: Quad) {
    for (var i = 0u; i < 4u; i++) {
        filters[index + i] = low[i];
        filters[index + 4u + i] = high[i];
    }
}

fn transform(w: array<f32, 3>) -> array<f32, 6> {
    let even = w[0] + w[2];
    let far = w[0] / 24.0 + w[2] / 6.0;
    return array(0.25 * w[0], (even + w[1]) / -6.0, (even - w[1]) / -6.0, far + w[1] / 12.0, far - w[1] / 12.0, w[2]);
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
    var taps: array<f32, 72>;
    for (var e = 0u; e < 9u; e++) { // unroll
        let eight = load_weight_eight(index * 72u + 8u * e);
        for (var i = 0u; i < 4u; i++) { // unroll
            taps[8u * e + i] = eight[0][i];
            taps[8u * e + 4u + i] = eight[1][i];
        }
    }
    var columns: array<array<f32, 6>, 24>;
    for (var k = 0u; k < 8u; k++) { // unroll
        for (var s = 0u; s < 3u; s++) { // unroll
            if (ROTATE) {
                columns[3u * k + s] = transform(array(taps[9u * k + 8u - s], taps[9u * k + 5u - s], taps[9u * k + 2u - s]));
            } else {
                columns[3u * k + s] = transform(array(taps[9u * k + s], taps[9u * k + 3u + s], taps[9u * k + 6u + s]));
            }
        }
    }
    // Stores take much code: a loop stores one row and moves the others.
    for (var y = 0u; y < 6u; y++) { // rolled
        var rows: array<array<f32, 6>, 8>;
        for (var k = 0u; k < 8u; k++) { // unroll
            rows[k] = transform(array(columns[3u * k][0], columns[3u * k + 1u][0], columns[3u * k + 2u][0]));
        }
        for (var x = 0u; x < 6u; x++) { // unroll
            let low = Quad(rows[0][x], rows[1][x], rows[2][x], rows[3][x]);
            let high = Quad(rows[4][x], rows[5][x], rows[6][x], rows[7][x]);
            store_filters_eight(8u * ((y * 6u + x) * params.eights + index), low, high);
        }
        for (var column = 0u; column < 24u; column++) { // unroll
            for (var moved = 0u; moved < 5u; moved++) { // unroll
                columns[column][moved] = columns[column][moved + 1u];
            }
        }
    }
}

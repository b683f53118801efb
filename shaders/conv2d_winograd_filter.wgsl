// Winograd's convolution of 3 x 3 taps, first step: the weights, transformed.
//
//   output[t, o, i] = (G w Gt)[t]     with w the 3 x 3 taps of weight[o, i]
//
// t counts the INPUTS x INPUTS positions of a tile in rows, where INPUTS = OUTPUTS + 2; G is the function `transform` along
// one dimension. With ROTATE = true, for the gradient of the input, the taps are turned by half a circle and o and i change
// places: output[t, g, i, o]. weight is contiguous [GROUPS * OUT_PER_GROUP, IN_PER_GROUP, 3, 3]; output is f32.
// One invocation computes the INPUTS^2 numbers of one o and i. (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015.)
//
// Grid: ceil(GROUPS * OUT_PER_GROUP * IN_PER_GROUP / 64) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser writes their bodies out.

alias Element = f32;

const GROUPS: u32 = 1u;
const IN_PER_GROUP: u32 = 64u;
const OUT_PER_GROUP: u32 = 64u;
const OUTPUTS: u32 = 2u;
const ROTATE: bool = false;

const INPUTS: u32 = OUTPUTS + 2u;
const WEIGHTS: u32 = GROUPS * OUT_PER_GROUP * IN_PER_GROUP;

struct Params {
    // First element of the weight in its storage.
    weight_offset: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<Element>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = value;
}

fn transform(w: array<f32, 3>) -> array<f32, INPUTS> {
    return array(w[0], 0.5 * (w[0] + w[1] + w[2]), 0.5 * (w[0] - w[1] + w[2]), w[2]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * 64u + local;
    if (index >= WEIGHTS) {
        return;
    }
    var columns: array<array<f32, INPUTS>, 3>;
    for (var s = 0u; s < 3u; s++) { // unroll
        let tap = index * 9u + select(s, 8u - s, ROTATE);
        columns[s] = transform(array(
            load_weight(tap), load_weight(select(tap + 3u, tap - 3u, ROTATE)), load_weight(select(tap + 6u, tap - 6u, ROTATE))));
    }
    let in_channel = index % IN_PER_GROUP;
    let out_channel = index / IN_PER_GROUP % OUT_PER_GROUP;
    let turned = (index / (OUT_PER_GROUP * IN_PER_GROUP) * IN_PER_GROUP + in_channel) * OUT_PER_GROUP + out_channel;
    let start = select(index, turned, ROTATE);
    for (var y = 0u; y < INPUTS; y++) { // unroll
        let row = transform(array(columns[0][y], columns[1][y], columns[2][y]));
        for (var x = 0u; x < INPUTS; x++) { // unroll
            store_output((y * INPUTS + x) * WEIGHTS + start, row[x]);
        }
    }
}

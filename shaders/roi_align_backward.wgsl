// The gradient of roi_align's input: output[n, c, y, x] = sum over the regions k of image n, i and j of
// rows[k, i, y] * columns[k, j, x] * grad[k, c, i, j]. Layouts are those of roi_align.wgsl, with `grad` for its output.
//
// One invocation computes one element and walks all regions in order: no atomics, the same bits every time. Loops are
// nested so that none runs past 65,535. Accumulator: f32.

const CHANNELS: u32 = 1u;
const HEIGHT: u32 = 1u;
const WIDTH: u32 = 1u;
const BINS_Y: u32 = 1u;
const BINS_X: u32 = 1u;

struct Params {
    count: u32,
    regions: u32,
    grad_offset: u32,
    boxes_offset: u32,
    rows_offset: u32,
    columns_offset: u32,
    padding0: u32,
    padding1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read> boxes: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<f32>;
@group(0) @binding(4) var<storage, read> columns: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

// What region `k` adds.
fn share(k: u32, c: u32, y: u32, x: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < BINS_Y; i++) {
        let row = rows[params.rows_offset + (k * BINS_Y + i) * HEIGHT + y];
        if (row != 0.0) {
            var line = 0.0;
            for (var j = 0u; j < BINS_X; j++) {
                let column = columns[params.columns_offset + (k * BINS_X + j) * WIDTH + x];
                if (column != 0.0) {
                    line += column * grad[params.grad_offset + ((k * CHANNELS + c) * BINS_Y + i) * BINS_X + j];
                }
            }
            sum += row * line;
        }
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let x = place % WIDTH;
    let y = place / WIDTH % HEIGHT;
    let c = place / (WIDTH * HEIGHT) % CHANNELS;
    let n = place / (WIDTH * HEIGHT * CHANNELS);
    var sum = 0.0;
    for (var block = 0u; block < params.regions; block += 1024u) {
        for (var k = block; k < min(block + 1024u, params.regions); k++) {
            let image = boxes[params.boxes_offset + k * 5u];
            if (image > -1.0 && u32(max(image, 0.0)) == n) {
                sum += share(k, c, y, x);
            }
        }
    }
    output[place] = sum;
}

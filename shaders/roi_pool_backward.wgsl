// The gradient of roi_pool's input: output[n, c, p] = sum over the regions k of image n and the bins b whose index is p
// of grad[k, c, b]. Layouts are those of roi_pool.wgsl, with `grad` for its output.
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
    index_offset: u32,
    bounds_offset: u32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read> bounds: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

// What region `k` adds to element (y, x).
fn share(k: u32, c: u32, y: i32, x: i32) -> f32 {
    let rows = params.bounds_offset + k * (1u + 2u * BINS_Y + 2u * BINS_X) + 1u;
    let columns = rows + 2u * BINS_Y;
    var sum = 0.0;
    for (var i = 0u; i < BINS_Y; i++) {
        if (y >= bounds[rows + i] && y < bounds[rows + BINS_Y + i]) {
            for (var j = 0u; j < BINS_X; j++) {
                if (x >= bounds[columns + j] && x < bounds[columns + BINS_X + j]) {
                    let bin = ((k * CHANNELS + c) * BINS_Y + i) * BINS_X + j;
                    if (index[params.index_offset + bin] == y * i32(WIDTH) + x) {
                        sum += grad[params.grad_offset + bin];
                    }
                }
            }
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
    let x = i32(place % WIDTH);
    let y = i32(place / WIDTH % HEIGHT);
    let c = place / (WIDTH * HEIGHT) % CHANNELS;
    let n = i32(place / (WIDTH * HEIGHT * CHANNELS));
    let width = 1u + 2u * BINS_Y + 2u * BINS_X;
    var sum = 0.0;
    for (var block = 0u; block < params.regions; block += 1024u) {
        for (var k = block; k < min(block + 1024u, params.regions); k++) {
            if (bounds[params.bounds_offset + k * width] == n) {
                sum += share(k, c, y, x);
            }
        }
    }
    output[place] = sum;
}

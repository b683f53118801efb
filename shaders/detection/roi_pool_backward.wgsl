// The gradient of roi_pool's input: output[n, c, p] = sum over the regions k of image n and the bins b whose index is p
// of grad[k, c, b]. Layouts are those of roi_pool.wgsl, with `grad` for its output.
//
// One invocation computes one of params.parts parts of an element, of params.span regions each, in order: no atomics, the
// same bits every time, and no invocation's loops run past 65,535. sum_rows.wgsl adds the parts up. Accumulator: f32.

alias Sum = f32;

#import roi_geometry

struct Params {
    count: u32,
    regions: u32,
    grad_offset: u32,
    index_offset: u32,
    bounds_offset: u32,
    parts: u32,
    span: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read> bounds: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<Sum>;

// The contribution of region `k` to element (y, x).
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

#import invocations_of_parts

fn compute(id: u32) {
    let place = id % params.count;
    let x = i32(place % WIDTH);
    let y = i32(place / WIDTH % HEIGHT);
    let c = place / (WIDTH * HEIGHT) % CHANNELS;
    let n = i32(place / (WIDTH * HEIGHT * CHANNELS));
    let width = 1u + 2u * BINS_Y + 2u * BINS_X;
    var sum = 0.0;
    let first = id / params.count * params.span;
    for (var k = first; k < min(first + params.span, params.regions); k++) {
        if (bounds[params.bounds_offset + k * width] == n) {
            sum += share(k, c, y, x);
        }
    }
    output[id] = sum;
}

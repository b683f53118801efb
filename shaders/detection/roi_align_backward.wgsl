// The gradient of roi_align's input: output[n, c, y, x] = sum over the regions k of image n on this level, i and j of
// rows[k, i, y] * columns[k, j, x] * grad[k, c, i, j]. Layouts are those of roi_align.wgsl, with `grad` for its output.
//
// One invocation computes one of params.parts parts of an element, of params.span regions each, in order: no atomics, the
// same bits every time, and no invocation's loops run past 65,535. sum_rows.wgsl adds the parts up. Accumulator: f32.

alias Sum = f32;

#import roi_geometry
#import roi_levels

struct Params {
    count: u32,
    regions: u32,
    grad_offset: u32,
    boxes_offset: u32,
    rows_offset: u32,
    columns_offset: u32,
    parts: u32,
    span: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read> boxes: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<f32>;
@group(0) @binding(4) var<storage, read> columns: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Sum>;

// The contribution of region `k`.
fn share(k: u32, c: u32, y: u32, x: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < BINS_Y; i++) {
        let row = rows[params.rows_offset + (k * BINS_Y + i) * ROW + y];
        if (row != 0.0) {
            var line = 0.0;
            for (var j = 0u; j < BINS_X; j++) {
                let column = columns[params.columns_offset + (k * BINS_X + j) * COLUMN + x];
                if (column != 0.0) {
                    line += column * grad[params.grad_offset + ((k * CHANNELS + c) * BINS_Y + i) * BINS_X + j];
                }
            }
            sum += row * line;
        }
    }
    return sum;
}

#import invocations_of_parts

fn compute(id: u32) {
    let place = id % params.count;
    let x = place % WIDTH;
    let y = place / WIDTH % HEIGHT;
    let c = place / (WIDTH * HEIGHT) % CHANNELS;
    let n = place / (WIDTH * HEIGHT * CHANNELS);
    var sum = 0.0;
    let first = id / params.count * params.span;
    for (var k = first; k < min(first + params.span, params.regions); k++) {
        let first_of_box = params.boxes_offset + k * BOX;
        let image = boxes[first_of_box];
        if (!is_elsewhere(first_of_box) && image > -1.0 && u32(max(image, 0.0)) == n) {
            sum += share(k, c, y, x);
        }
    }
    output[id] = sum;
}

// The mean of an image over the bins of regions: output[k, c, i, j] = sum over y and x of
// rows[k, i, y] * columns[k, j, x] * input[image(k), c, y, x]. Input [images, CHANNELS, HEIGHT, WIDTH], boxes as in
// roi_levels.wgsl, rows [k, BINS_Y, ROW], columns [k, BINS_X, COLUMN], output [k, CHANNELS, BINS_Y, BINS_X].
//
// One invocation computes one element from those under its bin, if the region lies on this level. An image that does not exist
// gives NaN and is reported in `fault`. Accumulator: f32.

alias Sum = f32;

#import roi_geometry
#import roi_levels

// Columns in one iteration of the loop: more than one if a loop would run past 65,535.
const BLOCK: u32 = 1u;
const ALIGNED: bool = false;

struct Params {
    count: u32,
    images: u32,
    // A float's bits.
    scale: u32,
    fault: u32,
    input_offset: u32,
    boxes_offset: u32,
    rows_offset: u32,
    columns_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> boxes: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<f32>;
@group(0) @binding(4) var<storage, read> columns: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Sum>;
@group(0) @binding(6) var<storage, read_write> fault: array<atomic<u32>>;

// The first and one past the last element that a bin may touch.
fn touched(low: f32, high: f32, bin: u32, bins: u32, size: u32) -> vec2<u32> {
    let scale = bitcast<f32>(params.scale);
    let shift = select(0.0, 0.5, ALIGNED);
    let start = low * scale - shift;
    var extent = high * scale - shift - start;
    if (!ALIGNED) {
        extent = max(extent, 1.0);
    }
    let bin_size = extent / f32(bins);
    let last = f32(size - 1u);
    // One more at each end to allow for rounding.
    let first = clamp(floor(start + f32(bin) * bin_size) - 1.0, 0.0, last);
    let end = clamp(floor(start + f32(bin + 1u) * bin_size) + 2.0, 0.0, last);
    return vec2<u32>(min(u32(first), size - 1u), min(u32(end) + 1u, size));
}

#import report
#import invocations

fn compute(place: u32) {
    let j = place % BINS_X;
    let i = place / BINS_X % BINS_Y;
    let c = place / (BINS_X * BINS_Y) % CHANNELS;
    let k = place / (BINS_X * BINS_Y * CHANNELS);
    let first = params.boxes_offset + k * BOX;
    if (is_elsewhere(first)) {
        return;
    }
    let image = boxes[first];
    if (!(image > -1.0 && image < f32(params.images))) {
        report(params.fault, params.images, i32(clamp(image, -1.0, 2e9)));
        output[place] = bitcast<f32>(0x7fc00000u + min(params.count, 1u));
        return;
    }
    let ys = touched(boxes[first + 2u], boxes[first + 4u], i, BINS_Y, HEIGHT);
    let xs = touched(boxes[first + 1u], boxes[first + 3u], j, BINS_X, WIDTH);
    let plane = params.input_offset + (u32(image) * CHANNELS + c) * HEIGHT * WIDTH;
    let row = params.rows_offset + (k * BINS_Y + i) * ROW;
    let column = params.columns_offset + (k * BINS_X + j) * COLUMN;
    var sum = 0.0;
    for (var y = ys.x; y < ys.y; y++) {
        let share = rows[row + y];
        if (share != 0.0) {
            var line = 0.0;
            for (var block = xs.x; block < xs.y; block += BLOCK) {
                for (var b = 0u; b < BLOCK; b++) { // unroll
                    let x = min(block + b, WIDTH - 1u);
                    let part = columns[column + x];
                    if ((block + b < xs.y) & (part != 0.0)) {
                        line += part * input[plane + y * WIDTH + x];
                    }
                }
            }
            sum += share * line;
        }
    }
    output[place] = sum;
}

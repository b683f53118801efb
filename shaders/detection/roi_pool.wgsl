// The largest element of each bin of regions, and its index in its plane: output[k, c, i, j] = max over y and x in bin (i, j) of
// region k of input[image(k), c, y, x]; 0 and -1 if a bin is empty. Input [images, CHANNELS, HEIGHT, WIDTH], bounds [k, 1 + 2
// BINS_Y + 2 BINS_X]: the image, the first row of each bin, one past the last, then columns.
//
// One invocation computes one element. The first of equal elements counts. An image that does not exist gives NaN and
// is reported in `fault`.

#import roi_geometry

// Columns in one iteration of the loop: more than one if a loop would run past 65,535.
const BLOCK: u32 = 1u;

struct Params {
    count: u32,
    images: u32,
    fault: u32,
    input_offset: u32,
    bounds_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> bounds: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
@group(0) @binding(4) var<storage, read_write> index: array<i32>;
@group(0) @binding(5) var<storage, read_write> fault: array<atomic<u32>>;

#import report
#import invocations

fn compute(place: u32) {
    let j = place % BINS_X;
    let i = place / BINS_X % BINS_Y;
    let c = place / (BINS_X * BINS_Y) % CHANNELS;
    let k = place / (BINS_X * BINS_Y * CHANNELS);
    let first = params.bounds_offset + k * (1u + 2u * BINS_Y + 2u * BINS_X);
    let image = bounds[first];
    index[place] = -1;
    if (image < 0 || u32(image) >= params.images) {
        report(params.fault, params.images, image);
        output[place] = bitcast<f32>(0x7fc00000u + min(params.count, 1u));
        return;
    }
    let rows = first + 1u;
    let columns = rows + 2u * BINS_Y;
    let plane = params.input_offset + (u32(image) * CHANNELS + c) * HEIGHT * WIDTH;
    let y_end = u32(bounds[rows + BINS_Y + i]);
    let x_end = u32(bounds[columns + BINS_X + j]);
    let is_empty = u32(bounds[rows + i]) >= y_end || u32(bounds[columns + j]) >= x_end;
    // torchvision starts there too: values that are not above count as nothing.
    var best = select(-3.4028234e38, 0.0, is_empty);
    var at = -1;
    for (var y = u32(bounds[rows + i]); y < y_end; y++) {
        for (var block = u32(bounds[columns + j]); block < x_end; block += BLOCK) {
            for (var b = 0u; b < BLOCK; b++) { // unroll
                let x = min(block + b, x_end - 1u);
                let value = input[plane + y * WIDTH + x];
                if (value > best) {
                    best = value;
                    at = i32(y * WIDTH + x);
                }
            }
        }
    }
    output[place] = best;
    index[place] = at;
}

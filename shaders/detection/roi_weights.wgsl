// The weight of each element along one dimension in each bin of a region: output[k, bin, y] = sum over the bin's samples s of the
// weight of element y at sample s, divided by their number, for the regions on this level. Output [k, BINS, ROW].
//
// The region runs from `low * scale - shift` to `high * scale - shift`, bins divide it evenly, and samples are spread evenly over
// a bin. A sample between -1 and SIZE is clamped to 0 .. SIZE - 1 and divided between its two neighbours; others count nothing.
// One invocation computes one weight, from the samples less than 1 away. Accumulator: f32.

#import roi_levels

// Columns of the box, samples a bin (0: the length of the bin), true if a region may be shorter than 1.
const LOW: u32 = 2u;
const HIGH: u32 = 4u;
const SAMPLES: u32 = 0u;
const ALIGNED: bool = false;
const BINS: u32 = 1u;
const SIZE: u32 = 1u;

struct Params {
    count: u32,
    // A float's bits.
    scale: u32,
    boxes_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// The weight of element `y` at a sample.
fn weight(position: f32, y: f32) -> f32 {
    if (!(position >= -1.0 && position <= f32(SIZE))) {
        return 0.0;
    }
    let inside = clamp(position, 0.0, f32(SIZE) - 1.0);
    return max(1.0 - abs(inside - y), 0.0);
}

#import invocations

fn compute(place: u32) {
    let y = f32(place % ROW);
    let bin = f32(place / ROW % BINS);
    let first = params.boxes_offset + place / ROW / BINS * BOX;
    if (is_elsewhere(first)) {
        return;
    }
    let scale = bitcast<f32>(params.scale);
    let shift = select(0.0, 0.5, ALIGNED);
    let start = boxes[first + LOW] * scale - shift;
    var extent = boxes[first + HIGH] * scale - shift - start;
    if (!ALIGNED) {
        extent = max(extent, 1.0);
    }
    let bin_size = extent / f32(BINS);
    var samples = f32(SAMPLES);
    if (SAMPLES == 0u) {
        samples = ceil(bin_size);
    }
    var sum = 0.0;
    if (samples >= 1.0) {
        // Samples less than 1 away, and one more at each end to allow for rounding.
        let begin = start + bin * bin_size;
        let near = (y - 1.0 - begin) / bin_size * samples - 0.5;
        let far = (y + 1.0 - begin) / bin_size * samples - 0.5;
        let from_sample = clamp(floor(min(near, far)) - 1.0, 0.0, samples);
        let to_sample = clamp(ceil(max(near, far)) + 2.0, 0.0, samples);
        let many = u32(clamp(to_sample - from_sample, 0.0, 65535.0));
        for (var i = 0u; i < many; i++) {
            let sample = from_sample + f32(i);
            sum += weight(begin + (sample + 0.5) * bin_size / samples, y);
        }
        sum /= samples;
    }
    output[place] = sum;
}

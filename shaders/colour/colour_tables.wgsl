// Tables for the steps of `colour` that need a statistic, from the chunks' parts of it. partials [images, chunks, 9 + 256
// CHANNELS] holds for each chunk the step's code, its pixels, the sum of their grey values, the least and the largest value of
// three channels, and the count of each byte; tables [images, stages, 256 CHANNELS].
//
// A workgroup makes a table, an invocation the result for a byte. Chunks are summed in order. Accumulators: f32, u32.

const CHANNELS: u32 = 3u;
// The largest value.
const BOUND: f32 = 1.0;

const CONTRAST: u32 = 11u;
const AUTOCONTRAST: u32 = 12u;
const EQUALIZE: u32 = 13u;

struct Params {
    images: u32,
    chunks: u32,
    stage: u32,
    stages: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> tables: array<f32>;

var<workgroup> counts: array<u32, 768>;

fn partial(image: u32, chunk: u32, word: u32) -> f32 {
    return partials[(image * params.chunks + chunk) * (9u + 256u * CHANNELS) + word];
}

// Equalized as in Pillow: each byte gets the same number of a channel's pixels, not counting those of the largest.
fn equalized(channel: u32, byte: u32, pixels: u32) -> f32 {
    var below = 0u;
    var largest = 0u;
    for (var other = 0u; other < 256u; other++) {
        let count = counts[channel * 256u + other];
        below += select(0u, count, other < byte);
        largest = select(largest, count, count > 0u);
    }
    let step = (pixels - largest) / 255u;
    if (step == 0u) {
        return f32(byte);
    }
    return select(f32(min((below + step / 2u) / step, 255u)), 0.0, byte == 0u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = group.x + group.y * groups.x;
    if (image >= params.images) {
        return;
    }
    let table = (image * params.stages + params.stage) * 256u * CHANNELS;
    for (var channel = 0u; channel < CHANNELS; channel++) {
        var count = 0u;
        for (var chunk = 0u; chunk < params.chunks; chunk++) {
            count += u32(partial(image, chunk, 9u + channel * 256u + lane));
        }
        counts[channel * 256u + lane] = count;
    }
    workgroupBarrier();
    let code = u32(partial(image, 0u, 0u));
    var pixels = 0u;
    for (var chunk = 0u; chunk < params.chunks; chunk++) {
        pixels += u32(partial(image, chunk, 1u));
    }
    if (code == EQUALIZE) {
        for (var channel = 0u; channel < CHANNELS; channel++) {
            tables[table + channel * 256u + lane] = equalized(channel, lane, pixels);
        }
    }
    if (code == CONTRAST && lane == 0u) {
        var sum = 0.0;
        for (var chunk = 0u; chunk < params.chunks; chunk++) {
            sum += partial(image, chunk, 2u);
        }
        tables[table] = sum / f32(pixels);
    }
    if (code == AUTOCONTRAST && lane < 3u) {
        var low = partial(image, 0u, 3u + lane);
        var high = partial(image, 0u, 6u + lane);
        for (var chunk = 1u; chunk < params.chunks; chunk++) {
            low = min(low, partial(image, chunk, 3u + lane));
            high = max(high, partial(image, chunk, 6u + lane));
        }
        let is_even = low >= high;
        tables[table + lane] = select(low, 0.0, is_even);
        tables[table + 3u + lane] = select((high - low) / BOUND, 1.0, is_even);
    }
}

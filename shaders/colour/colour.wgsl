// Images after a program of steps, each of which changes the colour of a pixel: input and output
// [images, CHANNELS, pixels], program [images, steps, 4] of a code and three numbers a step.
//
// A step may need a statistic of the image at that point: the mean of its grey values, the least and the largest value of each
// channel, or their counts. With STATISTICS, the image's step number `stage` of this kind is the last, and each chunk of an image
// stores its part of the statistic: [images, chunks, 9 + 256 CHANNELS], from which `colour_tables` makes a table, [images,
// stages, 256 CHANNELS].
//
// A program may begin with the height and width of the image, in the upper left corner: pixels outside are unchanged, and no part
// of its statistics.
//
// A workgroup takes a chunk of an image. Bytes are whole numbers from 0 to 255, truncated after each step as in torchvision;
// other values are from 0 to 1. Accumulator: f32.

alias Element = f32;
alias Stored = f32;

const CHANNELS: u32 = 3u;
const BYTES: bool = false;
const STATISTICS: bool = false;

const BRIGHTNESS: u32 = 1u;
const SATURATION: u32 = 2u;
const HUE: u32 = 3u;
const GAMMA: u32 = 4u;
const INVERT: u32 = 5u;
const POSTERIZE: u32 = 6u;
const SOLARIZE: u32 = 7u;
const GRAYSCALE: u32 = 8u;
const PERMUTE: u32 = 9u;
const EXTENT: u32 = 10u;
// Codes from here on need a statistic.
const CONTRAST: u32 = 11u;
const AUTOCONTRAST: u32 = 12u;
const EQUALIZE: u32 = 13u;

struct Params {
    images: u32,
    pixels: u32,
    width: u32,
    // Pixels per chunk, and chunks per image.
    chunk: u32,
    chunks: u32,
    steps: u32,
    // Distance between the programs of two images: 0 if all share one.
    stride: u32,
    stage: u32,
    stages: u32,
    input_offset: u32,
    program_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> program: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<Stored>;

var<workgroup> sums: array<f32, 256>;
var<workgroup> counted: array<u32, 256>;
var<workgroup> lows: array<vec3<f32>, 256>;
var<workgroup> highs: array<vec3<f32>, 256>;
var<workgroup> counts: array<atomic<u32>, 768>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

fn store_output(index: u32, value: f32) { output[index] = Stored(value); }

fn bound() -> f32 { return select(1.0, 255.0, BYTES); }

// Values that are stored as bytes lose their fraction.
fn cut(color: vec3<f32>) -> vec3<f32> {
    if (BYTES) {
        return floor(color);
    }
    return color;
}

fn bounded(color: vec3<f32>) -> vec3<f32> { return cut(clamp(color, vec3(0.0), vec3(bound()))); }

// Between 0 and 1, and back.
fn floated(color: vec3<f32>) -> vec3<f32> { return color * select(1.0, 0.003921569, BYTES); }

fn restored(color: vec3<f32>) -> vec3<f32> { return cut(color * select(1.0, 255.999, BYTES)); }

fn gray_of(color: vec3<f32>) -> f32 {
    if (CHANNELS == 1u) {
        return color.x;
    }
    return cut(vec3(color.x * 0.2989 + color.y * 0.587 + color.z * 0.114)).x;
}

fn blend(color: vec3<f32>, other: f32, share: f32) -> vec3<f32> {
    return bounded(color * share + vec3(other * (1.0 - share)));
}

// Hue is rotated as in Pillow: hue from 0 to 1, saturation and value.
fn turned(color: vec3<f32>, turn: f32) -> vec3<f32> {
    let high = max(max(color.x, color.y), color.z);
    let low = min(min(color.x, color.y), color.z);
    let range = high - low;
    let part = (vec3(high) - color) / select(range, 1.0, range <= 0.0);
    var hue = 4.0 + part.y - part.x;
    if (high <= color.x) {
        hue = part.z - part.y;
    } else if (high <= color.y) {
        hue = 2.0 + part.x - part.z;
    }
    hue = fract(fract(hue * 0.16666667 + 1.0) + turn);
    let saturation = range / select(high, 1.0, range <= 0.0);
    let sector = floor(hue * 6.0);
    let within = saturation * (hue * 6.0 - sector);
    let q = clamp((1.0 - within) * high, 0.0, 1.0);
    let t = clamp((within + (1.0 - saturation)) * high, 0.0, 1.0);
    let p = clamp((1.0 - saturation) * high, 0.0, 1.0);
    switch (u32(sector) % 6u) {
        case 0u: { return vec3(high, t, p); }
        case 1u: { return vec3(q, high, p); }
        case 2u: { return vec3(p, high, t); }
        case 3u: { return vec3(p, q, high); }
        case 4u: { return vec3(t, p, high); }
        default: { return vec3(high, p, q); }
    }
}

fn powered(color: vec3<f32>, gamma: f32, gain: f32) -> vec3<f32> {
    let power = select(pow(color, vec3(gamma)), vec3(select(0.0, 1.0, gamma <= 0.0)), color <= vec3(0.0));
    if (gain == 1.0) {
        return power;
    }
    return clamp(power * gain, vec3(0.0), vec3(1.0));
}

fn posterized(color: vec3<f32>, bits: u32) -> vec3<f32> {
    let levels = f32(1u << bits);
    if (BYTES) {
        let step = 256.0 / levels;
        return floor(color / step) * step;
    }
    return clamp(floor(color * levels), vec3(0.0), vec3(levels - 1.0)) / levels;
}

fn stepped(color: vec3<f32>, at: u32) -> vec3<f32> {
    let numbers = vec3(program[at + 1u], program[at + 2u], program[at + 3u]);
    let code = u32(program[at]);
    // Grey images have no saturation and no hue.
    if ((CHANNELS == 1u) & ((code == SATURATION) | (code == HUE))) {
        return color;
    }
    switch (code) {
        case BRIGHTNESS: { return bounded(color * numbers.x); }
        case SATURATION: { return blend(color, gray_of(color), numbers.x); }
        case HUE: { return restored(turned(floated(color), numbers.x)); }
        case GAMMA: { return restored(powered(floated(color), numbers.x, numbers.y)); }
        case INVERT: { return vec3(bound()) - color; }
        case POSTERIZE: { return posterized(color, u32(numbers.x)); }
        case SOLARIZE: { return select(color, vec3(bound()) - color, color >= vec3(numbers.x)); }
        case GRAYSCALE: { return vec3(gray_of(color)); }
        case PERMUTE: { return vec3(color[u32(numbers.x)], color[u32(numbers.y)], color[u32(numbers.z)]); }
        default: { return color; }
    }
}

// A value as a byte.
fn byte_of(value: f32) -> u32 { return u32(clamp(value * select(255.999, 1.0, BYTES), 0.0, 255.0)); }

fn equalized(color: vec3<f32>, table: u32) -> vec3<f32> {
    let x = tables[table + byte_of(color.x)];
    if (CHANNELS == 1u) {
        return vec3(x) * select(0.003921569, 1.0, BYTES);
    }
    let y = tables[table + 256u + byte_of(color.y)];
    let z = tables[table + 512u + byte_of(color.z)];
    return vec3(x, y, z) * select(0.003921569, 1.0, BYTES);
}

// A step with its statistic in a table: the mean; or the least values and the divisors of the three channels; or the
// result for each byte in each of them.
fn with_table(color: vec3<f32>, at: u32, table: u32) -> vec3<f32> {
    switch (u32(program[at])) {
        case CONTRAST: { return blend(color, tables[table], program[at + 1u]); }
        case AUTOCONTRAST: {
            let low = vec3(tables[table], tables[table + 1u], tables[table + 2u]);
            return bounded((color - low) / vec3(tables[table + 3u], tables[table + 4u], tables[table + 5u]));
        }
        default: { return equalized(color, table); }
    }
}

fn changed(first: vec3<f32>, image: u32) -> vec3<f32> {
    var color = first;
    var stage = 0u;
    for (var step = 0u; step < params.steps; step++) {
        let at = params.program_offset + image * params.stride + step * 4u;
        if (program[at] < f32(CONTRAST)) {
            color = stepped(color, at);
            continue;
        }
        if (STATISTICS & (stage == params.stage)) {
            break;
        }
        color = with_table(color, at, (image * params.stages + stage) * 256u * CHANNELS);
        stage++;
    }
    return color;
}

// The code of the step that needs the statistic; 0 if the image has no such step.
fn step_of(image: u32) -> u32 {
    var stage = 0u;
    for (var step = 0u; step < params.steps; step++) {
        let code = program[params.program_offset + image * params.stride + step * 4u];
        if (code >= f32(CONTRAST)) {
            if (stage == params.stage) {
                return u32(code);
            }
            stage++;
        }
    }
    return 0u;
}

fn is_inside(pixel: u32, image: u32) -> bool {
    let at = params.program_offset + image * params.stride;
    if (program[at] != f32(EXTENT)) {
        return true;
    }
    return (f32(pixel / params.width) < program[at + 1u]) & (f32(pixel % params.width) < program[at + 2u]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if (row >= params.images * params.chunks) {
        return;
    }
    let image = row / params.chunks;
    let first = row % params.chunks * params.chunk;
    let end = min(first + params.chunk, params.pixels);
    let code = step_of(image);
    if (STATISTICS) {
        for (var at = lane; at < 768u; at += 256u) {
            atomicStore(&counts[at], 0u);
        }
        workgroupBarrier();
    }
    var count = 0u;
    var sum = 0.0;
    var low = vec3(3.4028234e38);
    var high = vec3(-3.4028234e38);
    for (var pixel = first + lane; pixel < end; pixel += 256u) {
        let at = image * CHANNELS * params.pixels + pixel;
        var color = vec3(load_input(at));
        if (CHANNELS == 3u) {
            color.y = load_input(at + params.pixels);
            color.z = load_input(at + 2u * params.pixels);
        }
        let inside = is_inside(pixel, image);
        if (inside) {
            color = changed(color, image);
            count++;
        }
        if (!STATISTICS) {
            store_output(at, color.x);
            if (CHANNELS == 3u) {
                store_output(at + params.pixels, color.y);
                store_output(at + 2u * params.pixels, color.z);
            }
        } else if (!inside) {
            continue;
        } else if (code == EQUALIZE) {
            atomicAdd(&counts[byte_of(color.x)], 1u);
            atomicAdd(&counts[256u + byte_of(color.y)], 1u);
            atomicAdd(&counts[512u + byte_of(color.z)], 1u);
        } else {
            sum += gray_of(color);
            low = min(low, color);
            high = max(high, color);
        }
    }
    if (STATISTICS) {
        sums[lane] = sum;
        counted[lane] = count;
        lows[lane] = low;
        highs[lane] = high;
        workgroupBarrier();
        for (var reach = 128u; reach > 0u; reach /= 2u) {
            if (lane < reach) {
                sums[lane] += sums[lane + reach];
                counted[lane] += counted[lane + reach];
                lows[lane] = min(lows[lane], lows[lane + reach]);
                highs[lane] = max(highs[lane], highs[lane + reach]);
            }
            workgroupBarrier();
        }
        let partial = row * (9u + 256u * CHANNELS);
        if (lane == 0u) {
            store_output(partial, f32(code));
            store_output(partial + 1u, f32(counted[0]));
            store_output(partial + 2u, sums[0]);
        }
        if (lane < 3u) {
            store_output(partial + 3u + lane, lows[0][lane]);
            store_output(partial + 6u + lane, highs[0][lane]);
        }
        for (var at = lane; at < 256u * CHANNELS; at += 256u) {
            store_output(partial + 9u + at, f32(atomicLoad(&counts[at])));
        }
    }
}

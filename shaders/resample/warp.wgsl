// Images sampled where a map sends their elements, each by its own map: output[n, c, y, x] is a weighted sum of input[n, c, j, i]
// around the image of (x, y), blended with fill values past the edges; or the transpose of that map. Input [n, CHANNELS, HEIGHT,
// WIDTH], output [n, CHANNELS, OUT_HEIGHT, OUT_WIDTH]; the reverse if TRANSPOSED.
//
// maps [n, STRIDE] holds for each image: the output's width and height, from whose centre its positions count; the matrix to the
// input, whose positions count from element (WIDTH / 2, HEIGHT / 2); the window that is read and the canvas around it, each x0,
// y0, x1, y1; the filter's widths in x and y; fill values of the canvas and of the space beyond, one per channel each; the
// inverse matrix; the matrix to the field of displacements; then CLIPS of a matrix, a width, a height, a mark and fill values. A
// clip's mark is set if its matrix applies after the displacement.
// field [n, FIELD_HEIGHT, FIELD_WIDTH, 2] is in elements.
//
// One invocation computes one element. Accumulator: f32.

alias Element = f32;

const NEAREST: u32 = 0u;
const LINEAR: u32 = 1u;
const CUBIC: u32 = 2u;
// Past the canvas: no taps, and the weights of the others add up to 1; fill values; or these by twice the missing weight.
const IGNORE: u32 = 0u;
const FILL: u32 = 1u;
const TWICE: u32 = 2u;

const FILTER: u32 = 1u;
const BEYOND: u32 = 0u;
const CUBIC_A: f32 = -0.5;
const CLIPS: u32 = 0u;
const DISPLACED: bool = false;
const TRANSPOSED: bool = false;
// Rows are rounded and clamped to bytes before they are added up, as if images of bytes were resized in two steps.
const BYTES: bool = false;
// Without fill values, which are no factors of the input.
const HOMOGENEOUS: bool = false;
const CHANNELS: u32 = 1u;
const HEIGHT: u32 = 1u;
const WIDTH: u32 = 1u;
const OUT_HEIGHT: u32 = 1u;
const OUT_WIDTH: u32 = 1u;
const FIELD_HEIGHT: u32 = 1u;
const FIELD_WIDTH: u32 = 1u;

struct Params {
    // Elements of the output, words of an image, first elements of the inputs.
    count: u32,
    stride: u32,
    input_offset: u32,
    maps_offset: u32,
    field_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> maps: array<f32>;
@group(0) @binding(3) var<storage, read> field: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

fn store_output(index: u32, value: f32) { output[index] = value; }

// The elements along a dimension that a position reads.
struct Taps {
    first: i32,
    end: i32,
    place: f32,
    width: f32,
}

fn project(at: u32, place: vec2<f32>) -> vec2<f32> {
    let x = maps[at] * place.x + maps[at + 1u] * place.y + maps[at + 2u];
    let y = maps[at + 3u] * place.x + maps[at + 4u] * place.y + maps[at + 5u];
    let w = maps[at + 6u] * place.x + maps[at + 7u] * place.y + maps[at + 8u];
    // Positions behind the horizon go far outside.
    if (w < 1e-6) {
        return vec2<f32>(-1e6, -1e6);
    }
    return clamp(vec2<f32>(x, y) / w, vec2<f32>(-1e6, -1e6), vec2<f32>(1e6, 1e6));
}

// The displaced position, in the field's image.
fn displaced(n: u32, at: u32, place: vec2<f32>) -> vec2<f32> {
    let to = project(at, place);
    let last = vec2<f32>(f32(FIELD_WIDTH) - 1.0, f32(FIELD_HEIGHT) - 1.0);
    let within = clamp(to - 0.5, vec2<f32>(0.0, 0.0), last);
    let low = floor(within);
    let part = within - low;
    let x0 = u32(low.x);
    let y0 = u32(low.y);
    let x1 = min(x0 + 1u, FIELD_WIDTH - 1u);
    let y1 = min(y0 + 1u, FIELD_HEIGHT - 1u);
    var moved = to;
    for (var d = 0u; d < 2u; d++) {
        let first = params.field_offset + n * FIELD_HEIGHT * FIELD_WIDTH * 2u + d;
        let upper = mix(field[first + (y0 * FIELD_WIDTH + x0) * 2u], field[first + (y0 * FIELD_WIDTH + x1) * 2u], part.x);
        let lower = mix(field[first + (y1 * FIELD_WIDTH + x0) * 2u], field[first + (y1 * FIELD_WIDTH + x1) * 2u], part.x);
        let by = mix(upper, lower, part.y);
        moved += select(vec2<f32>(0.0, by), vec2<f32>(by, 0.0), d == 0u);
    }
    return moved;
}

fn taps(place: f32, width: f32, origin: i32) -> Taps {
    if (FILTER == NEAREST) {
        // Between two elements, grid_sample takes the even one and interpolation the later one, in spite of rounding errors.
        let odd = f32(origin & 1);
        let at = i32(select(round(place - 0.5 + odd) - odd, floor(place + 1e-4), BEYOND == IGNORE));
        return Taps(at, at + 1, place, width);
    }
    let reach = width * select(1.0, 2.0, FILTER == CUBIC);
    return Taps(i32(floor(place - reach + 0.5)), i32(floor(place + reach + 0.5)), place, width);
}

fn weight(t: Taps, i: i32) -> f32 {
    if (FILTER == NEAREST) {
        return select(0.0, 1.0, i == t.first);
    }
    let x = abs((f32(i) + 0.5 - t.place) / t.width);
    if (FILTER == LINEAR) {
        return max(0.0, 1.0 - x);
    }
    if (x < 1.0) {
        return ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0;
    }
    return select(0.0, ((CUBIC_A * x - 5.0 * CUBIC_A) * x + 8.0 * CUBIC_A) * x - 4.0 * CUBIC_A, x < 2.0);
}

// The weight of the taps between two positions.
fn weight_within(t: Taps, low: f32, high: f32) -> f32 {
    var sum = 0.0;
    let end = min(t.end, i32(high));
    for (var i = max(t.first, i32(low)); i < end; i++) {
        sum += weight(t, i);
    }
    return sum;
}

// The coverage of a position by a frame: it falls along the outermost element.
fn coverage(place: vec2<f32>, size: vec2<f32>) -> f32 {
    if (FILTER == NEAREST) {
        return select(0.0, 1.0, all(place >= vec2<f32>(0.0, 0.0)) & all(place < size));
    }
    let zero = vec2<f32>(0.0, 0.0);
    let one = vec2<f32>(1.0, 1.0);
    let inside = clamp(place + 0.5, zero, one) * clamp(size - place + 0.5, zero, one);
    return inside.x * inside.y;
}

#import invocations

fn compute(index: u32) {
    let width = select(OUT_WIDTH, WIDTH, TRANSPOSED);
    let height = select(OUT_HEIGHT, HEIGHT, TRANSPOSED);
    let x = index % width;
    let y = index / width % height;
    let plane = index / (width * height);
    let c = plane % CHANNELS;
    let n = plane / CHANNELS;
    let map = params.maps_offset + n * params.stride;
    let size = vec2<f32>(maps[map], maps[map + 1u]);
    let window = vec4<f32>(maps[map + 11u], maps[map + 12u], maps[map + 13u], maps[map + 14u]);
    let canvas = vec4<f32>(maps[map + 15u], maps[map + 16u], maps[map + 17u], maps[map + 18u]);
    let origin = vec2<i32>(i32(WIDTH / 2u), i32(HEIGHT / 2u));
    let fills = map + 21u + c;
    let inverse = map + 21u + 2u * CHANNELS;
    let outer = inverse + 9u;
    let clips = outer + 9u;

    // The outputs to visit: this one, or all that may read this element.
    var first = vec2<i32>(i32(x), i32(y));
    var end = first + 1;
    let element = vec2<i32>(i32(x), i32(y)) - origin;
    if (TRANSPOSED) {
        let place = vec2<f32>(element) + 0.5;
        let outside = (place.x < window.x) | (place.x > window.z) | (place.y < window.y) | (place.y > window.w);
        if (outside) {
            store_output(index, 0.0);
            return;
        }
        let reach = vec2<f32>(maps[map + 19u], maps[map + 20u]) * select(1.0, 2.0, FILTER == CUBIC) + 0.01;
        var low = vec2<f32>(1e6, 1e6);
        var high = vec2<f32>(-1e6, -1e6);
        var has_horizon = false;
        for (var corner = 0u; corner < 4u; corner++) {
            let side = vec2<f32>(select(-1.0, 1.0, (corner & 1u) == 1u), select(-1.0, 1.0, (corner & 2u) == 2u));
            let back = project(inverse, place + side * reach);
            has_horizon = has_horizon | (back.x <= -1e6);
            low = min(low, back);
            high = max(high, back);
        }
        let all_of_it = vec2<f32>(size);
        low = select(low + 0.5 * size - 1.0, vec2<f32>(0.0, 0.0), has_horizon);
        high = select(high + 0.5 * size + 1.0, all_of_it, has_horizon);
        first = vec2<i32>(floor(clamp(low, vec2<f32>(0.0, 0.0), all_of_it)));
        end = vec2<i32>(ceil(clamp(high, vec2<f32>(0.0, 0.0), all_of_it)));
    }
    var result = 0.0;
    for (var v = first.y; v < end.y; v++) {
        for (var u = first.x; u < end.x; u++) {
            let at = vec2<f32>(f32(u) + 0.5, f32(v) + 0.5) - 0.5 * size;
            let inside = (f32(u) < size.x) & (f32(v) < size.y);
            var behind = at;
            if (DISPLACED) {
                behind = displaced(n, outer, at);
            }
            let place = project(map + 2u, behind);
            let across = taps(place.x, maps[map + 19u], origin.x);
            let down = taps(place.y, maps[map + 20u], origin.y);
            // Weights of all taps, of those on the canvas and of those in the window.
            let total = weight_within(across, -2e6, 2e6) * weight_within(down, -2e6, 2e6);
            let drawn = weight_within(across, canvas.x, canvas.z) * weight_within(down, canvas.y, canvas.w);
            let of_sum = select(1.0 / total, select(0.0, 1.0 / drawn, drawn != 0.0), BEYOND == IGNORE);
            let visible = select(1.0, drawn / total, BEYOND == TWICE);
            var value = 0.0;
            if (TRANSPOSED) {
                let g = load_input(((n * CHANNELS + c) * OUT_HEIGHT + u32(v)) * OUT_WIDTH + u32(u));
                value = g * weight(across, element.x) * weight(down, element.y) * of_sum * visible;
            } else {
                let x_first = max(across.first, i32(window.x));
                let x_end = min(across.end, i32(window.z));
                let y_end = min(down.end, i32(window.w));
                let of_line = weight_within(across, canvas.x, canvas.z);
                for (var j = max(down.first, i32(window.y)); j < y_end; j++) {
                    let row = (plane * HEIGHT + u32(j + origin.y)) * WIDTH;
                    var line = 0.0;
                    for (var i = x_first; i < x_end; i++) {
                        line += weight(across, i) * load_input(row + u32(i + origin.x));
                    }
                    if (BYTES) {
                        line = clamp(round(line / of_line), 0.0, 255.0) * of_line;
                    }
                    value += weight(down, j) * line;
                }
                if (!HOMOGENEOUS) {
                    let read = weight_within(across, window.x, window.z) * weight_within(down, window.y, window.w);
                    value += maps[fills] * (drawn - read);
                }
                value *= of_sum;
                if ((BEYOND == FILL) & !HOMOGENEOUS) {
                    value += maps[fills + CHANNELS] * (total - drawn) * of_sum;
                }
                if (BEYOND == TWICE) {
                    let fill = select(maps[fills + CHANNELS], 0.0, HOMOGENEOUS);
                    value = (value - fill) * visible + fill;
                }
            }
            for (var k = 0u; k < CLIPS; k++) {
                let clip = clips + k * (12u + CHANNELS);
                let start = select(at, behind, maps[clip + 11u] != 0.0);
                let share = coverage(project(clip, start), vec2<f32>(maps[clip + 9u], maps[clip + 10u]));
                let fill = select(maps[clip + 12u + c], 0.0, HOMOGENEOUS | TRANSPOSED);
                value = value * share + fill * (1.0 - share);
            }
            result += select(0.0, value, inside);
        }
    }
    store_output(index, result);
}

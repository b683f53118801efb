// The largest value of each row of heatmaps that are stretched over boxes: values[r, k, y] and its column places[r, k, y], of
// heatmaps [regions, K, HEIGHT, WIDTH] over boxes [regions, 4] of x1, y1, x2, y2, by cubic convolution (a = -0.75) to whole
// pixels.
//
// One invocation computes one row. A row past the end of its box has the lowest value. Accumulator: f32.

const HEIGHT: u32 = 1u;
const WIDTH: u32 = 1u;
const POINTS: u32 = 1u;
const ROWS: u32 = 1u;
const LOWEST: f32 = -3.4028234e38;

struct Params {
    count: u32,
    maps_offset: u32,
    boxes_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> maps: array<f32>;
@group(0) @binding(2) var<storage, read> boxes: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> places: array<i32>;

// The weights of the four neighbours of a position `t` past the second one.
fn taps(t: f32) -> vec4<f32> {
    let far = vec2<f32>(1.0 + t, 2.0 - t);
    let near = vec2<f32>(t, 1.0 - t);
    let outer = ((-0.75 * far + 3.75) * far - 6.0) * far + 3.0;
    let inner = (1.25 * near - 2.25) * near * near + 1.0;
    return vec4<f32>(outer.x, inner.x, inner.y, outer.y);
}

// The element at a position, clamped to the edges.
fn inside(place: i32, size: u32) -> u32 {
    return u32(clamp(place, 0, i32(size) - 1));
}

// The sum of four elements of a row.
fn across(first: u32, column: i32, weights: vec4<f32>) -> f32 {
    let elements = vec4<f32>(
        maps[first + inside(column - 1, WIDTH)],
        maps[first + inside(column, WIDTH)],
        maps[first + inside(column + 1, WIDTH)],
        maps[first + inside(column + 2, WIDTH)],
    );
    return dot(elements, weights);
}

#import invocations

fn compute(id: u32) {
    let y = f32(id % ROWS);
    let map = id / ROWS;
    let corner = params.boxes_offset + map / POINTS * 4u;
    let columns = ceil(max(boxes[corner + 2u] - boxes[corner], 1.0));
    let rows = ceil(max(boxes[corner + 3u] - boxes[corner + 1u], 1.0));
    var best = LOWEST;
    var at = 0;
    if (y < rows) {
        let position = (y + 0.5) * (f32(HEIGHT) / rows) - 0.5;
        let row = i32(floor(position));
        let down = taps(position - floor(position));
        let first = params.maps_offset + map * HEIGHT * WIDTH;
        let lines = first + WIDTH * vec4<u32>(
            inside(row - 1, HEIGHT),
            inside(row, HEIGHT),
            inside(row + 1, HEIGHT),
            inside(row + 2, HEIGHT),
        );
        // A box that was clipped to an image never has so many columns.
        let end = min(columns, 65535.0);
        for (var x = 0.0; x < end; x += 1.0) {
            let place = (x + 0.5) * (f32(WIDTH) / columns) - 0.5;
            let column = i32(floor(place));
            let right = taps(place - floor(place));
            let sums = vec4<f32>(
                across(lines.x, column, right),
                across(lines.y, column, right),
                across(lines.z, column, right),
                across(lines.w, column, right),
            );
            let value = dot(sums, down);
            if (value > best) {
                best = value;
                at = i32(x);
            }
        }
    }
    values[id] = best;
    places[id] = at;
}

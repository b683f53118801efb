// One step of a stable merge sort: neighbouring sorted runs of `run` elements become one of twice the length, in every
// row of [rows, length].
//
// One invocation writes TILE neighbouring elements of a merged run. It finds by bisection how many of the elements before them
// come from the first of the two runs, and merges from there; equal elements of the first run go first. A tile must divide a run.
// Source: Green, Odeh, Birk, "Merge Path: A Visually Intuitive Approach to Parallel Merging", 2014.

const TILE: u32 = 16u;

struct Params {
    // Rows times tiles.
    count: u32,
    length: u32,
    tiles: u32,
    run: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> merged_keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> merged_places: array<u32>;

#import invocations

fn compute(id: u32) {
    let row = id / params.tiles * params.length;
    let to = id % params.tiles * TILE;
    let first = to / (2u * params.run) * (2u * params.run);
    // The runs, from `first` up to `middle` and from there up to `end`.
    let middle = min(first + params.run, params.length);
    let end = min(middle + params.run, params.length);
    let done = to - first;
    var low = max(done, end - middle) - (end - middle);
    var high = min(done, middle - first);
    while (low < high) {
        let half = (low + high) / 2u;
        let goes_first = keys[row + first + half] <= keys[row + middle + done - 1u - half];
        low = select(low, half + 1u, goes_first);
        high = select(half, high, goes_first);
    }
    var left = first + low;
    var right = middle + done - low;
    // Past its end a run repeats its last element, which is never taken.
    var left_key = keys[row + min(left, middle - 1u)];
    var right_key = keys[row + min(right, end - 1u)];
    let stop = min(to + TILE, end);
    for (var at = to; at < stop; at++) {
        let take_left = right >= end || (left < middle && left_key <= right_key);
        merged_keys[row + at] = select(right_key, left_key, take_left);
        merged_places[row + at] = places[row + select(right, left, take_left)];
        if (take_left) {
            left += 1u;
            left_key = keys[row + min(left, middle - 1u)];
        } else {
            right += 1u;
            right_key = keys[row + min(right, end - 1u)];
        }
    }
}

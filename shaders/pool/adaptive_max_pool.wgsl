// Adaptive max pooling along one dimension.
//
//   output[o, j, i] = max over k in window(j) of input[o, k, i]
//   index[o, j, i]  = its position, (o % slices * from + k) * inner + i: the first of equal ones; a NaN wins, the
//                     last of several, as in PyTorch. slices consecutive outer indices are one volume.
//
// with window(j) from floor(j from / to) to ceil((j + 1) from / to) - 1. input is contiguous [outer, from, inner] from
// params.input_offset, output and index [outer, to, inner].
//
// One invocation computes one element, BLOCK elements of the input an iteration, so that its loop does not run past 65,535.

alias Element = f32;

#import adaptive_window

const BLOCK: u32 = 1u;

struct Params {
    count: u32,
    from_size: u32,
    to_size: u32,
    inner: u32,
    slices: u32,
    input_offset: u32,
}

#import pool_maxima
#import invocations

fn compute(place: u32) {
    let outer = place / (params.to_size * params.inner);
    let inner = place % params.inner;
    let start = outer * (params.from_size * params.inner) + inner;
    let elements = window(place / params.inner % params.to_size, params.from_size, params.to_size);
    var best = load_input(start + elements.x * params.inner);
    var best_at = elements.x;
    for (var block = elements.x + 1u; block < elements.y; block += BLOCK) {
        for (var i = 0u; i < BLOCK; i++) { // unroll
            let k = block + i;
            let value = load_input(start + min(k, elements.y - 1u) * params.inner);
            let wins = (k < elements.y) & (is_nan(value) | ((value > best) & !is_nan(best)));
            best = select(best, value, wins);
            best_at = select(best_at, k, wins);
        }
    }
    store_output(place, best);
    index[place] = i32((outer % params.slices * params.from_size + best_at) * params.inner + inner);
}

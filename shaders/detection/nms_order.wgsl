// The order of the scores in each row, the largest first: order[rank(i)] = i, where rank(i) counts the scores that come before
// score i. NaN comes before all others, and of equal scores the earlier one first.
//
// One invocation ranks one score against all others of its row. Sixteen at a time, so that its loop does not run past 65,535.

struct Params {
    count: u32,
    row: u32,
    scores_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<u32>;
@group(0) @binding(2) var<storage, read_write> order: array<i32>;

// The bits of a float, as integers in the same order.
fn key(place: u32) -> u32 {
    let bits = scores[params.scores_offset + place];
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return 0xffffffffu;
    }
    if (bits > 0x80000000u) {
        return 0x80000000u - magnitude;
    }
    return 0x80000000u + magnitude;
}

#import invocations

fn compute(number: u32) {
    let place = number % params.row;
    let start = number - place;
    let mine = key(number);
    var rank = 0u;
    for (var block = 0u; block < params.row; block += 16u) {
        for (var i = 0u; i < 16u; i++) { // unroll
            let other = block + i;
            let theirs = key(start + min(other, params.row - 1u));
            let is_before = (theirs > mine) | ((theirs == mine) & (other < place));
            rank += select(0u, 1u, is_before & (other < params.row));
        }
    }
    order[start + rank] = i32(place);
}

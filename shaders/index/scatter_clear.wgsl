// winners[p] = 0 for every destination: no source has claimed it yet.
//
// One invocation clears one destination.

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> winners: array<u32>;

#import invocations

fn compute(place: u32) {
    winners[place] = 0u;
}

// output[p] = input[winners[p] - 1], and 0 if winners[p] is 0.
//
// One invocation computes one element.

alias Element = f32;

struct Params {
    count: u32,
    input_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> winners: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;

fn load_input(place: u32) -> Element { return input[params.input_offset + place]; }

#import invocations

fn compute(place: u32) {
    let winner = winners[place];
    if (winner == 0u) {
        output[place] = Element(0);
        return;
    }
    output[place] = load_input(winner - 1u);
}

// Position of the largest or smallest element over some dimensions: output[o] = argmax over e of
// input[place(o, e)], the first where several are equal; a NaN wins over everything.
//
// One invocation compares every `parts`-th element of one output; if there are several parts, a second run over their
// candidates decides. The planner writes `place` for the input's strides, and `candidate` for the second run.

alias Element = f32;
alias Value = f32;

// 1: largest, 2: smallest.
const KIND: u32 = 1u;

struct Params {
    count: u32,
    length: u32,
    parts: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<i32>;

fn place(index: u32, element: u32) -> u32 { return index * params.length + element; }

// The position of candidate number `element` of an output.
fn candidate(index: u32, element: u32) -> u32 { return element; }

fn load_input(index: u32, position: u32) -> Value { return Value(input[params.offset + place(index, position)]); }

fn not_a_number(x: Value) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

#import invocations_of_parts

fn compute(id: u32) {
    let index = id / params.parts;
    var element = id % params.parts;
    var best_position = candidate(index, element);
    var best = load_input(index, best_position);
    element += params.parts;
    while (element < params.length) {
        let position = candidate(index, element);
        let value = load_input(index, position);
        let beats = select((value < best), (value > best), KIND == 1u) | (not_a_number(value) & !not_a_number(best));
        let ties = (value == best) | (not_a_number(value) & not_a_number(best));
        let wins = (beats & !not_a_number(best)) | (ties & (position < best_position));
        best = select(best, value, wins);
        best_position = select(best_position, position, wins);
        element += params.parts;
    }
    output[id] = i32(best_position);
}

// output[o, j, i] = input[o, index[o, j, i], i], all contiguous: input [outer, size, inner], index and output
// [outer, taken, inner]. With SHARED the index is [taken], the same for all o and i.
//
// One invocation computes one element. An index outside 0..size gives NaN (0 for integers) and is reported in
// `fault`, which the device reads at the next synchronisation.

alias Element = f32;
// The stored type: f32, or integers.
alias Value = f32;

#import index_operands

fn load_input(place: u32) -> Value { return Value(input[params.input_offset + place]); }

fn invalid() -> Value { return Value(bitcast<f32>(0x7fc00000u + min(params.count, 1u))); }

fn store_output(index: u32, value: Value) { output[index] = Element(value); }

#import invocations

fn compute(place: u32) {
    let row = place / params.inner;
    let i = place % params.inner;
    let taken = index[params.index_offset + select(place, row % params.taken, SHARED)];
    if (taken < 0 || u32(taken) >= params.size) {
        report(params.fault, params.size, taken);
        store_output(place, invalid());
        return;
    }
    store_output(place, load_input((row / params.taken * params.size + u32(taken)) * params.inner + i));
}

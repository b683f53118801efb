// output[o, d, i] = sum over j with index[o, j, i] = d of input[o, j, i], all contiguous: input and index
// [outer, taken, inner], output [outer, size, inner]. With SHARED the index is [taken], the same for all o and i.
// `combine` and START turn the sum into a product.
//
// One invocation computes one element of the output and scans the whole row of indices, in order: no atomics, the same bits every
// time; for short rows only. Accumulator: f32 (i32, u32 for integers). An index outside 0..size is skipped and reported in
// `fault`.

alias Element = f32;
alias Accumulator = f32;

const START: i32 = 0;

#import index_operands

fn load_input(place: u32) -> Accumulator { return Accumulator(input[params.input_offset + place]); }

fn combine(a: Accumulator, b: Accumulator) -> Accumulator { return a + b; }

fn store_output(index: u32, value: Accumulator) { output[index] = Element(value); }

#import invocations

fn compute(place: u32) {
    let row = place / params.inner;
    let destination = row % params.size;
    let start = row / params.size * params.taken * params.inner + place % params.inner;
    var total = Accumulator(START);
    for (var j = 0u; j < params.taken; j++) {
        let source = start + j * params.inner;
        let found = index[params.index_offset + select(source, j, SHARED)];
        if (u32(found) == destination) {
            total = combine(total, load_input(source));
        } else if (destination == 0u && u32(found) >= params.size) {
            report(params.fault, params.size, found);
        }
    }
    store_output(place, total);
}

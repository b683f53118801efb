// Reduction over some dimensions: output[o] = f over e of input[start(o) + place(e)], f being a sum, a product or an extreme.
//
// One invocation combines every `chunks`-th element of one output; where there are several chunks, a second
// run combines their results. A loop runs 1,024 times at the most. `start` and `place` step evenly
// by strides in the parameters; the planner writes them anew where the input's dimensions don't. Accumulator: f32 (i32, u32 for integers).

alias Element = f32;
alias Accumulator = f32;
alias Result = f32;

// 0: sum, 1: largest, 2: smallest, 3: product.
const KIND: u32 = 0u;
// The result over nothing.
const NOTHING: u32 = 0u;
// Whether neighbouring invocations belong to neighbouring outputs or to neighbouring chunks.
const OUTPUT_FASTEST: bool = false;

struct Params {
    outputs: u32,
    length: u32,
    chunks: u32,
    // Steps from output to output and from element to element.
    output_stride: u32,
    element_stride: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Result>;

fn start(index: u32) -> u32 { return index * params.output_stride; }

fn place(element: u32) -> u32 { return element * params.element_stride; }

fn load_input(first: u32, element: u32) -> Accumulator { return Accumulator(input[first + place(element)]); }

fn not_a_number(x: Accumulator) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

fn combine(a: Accumulator, b: Accumulator) -> Accumulator {
    if (KIND == 0u) {
        return a + b;
    }
    if (KIND == 3u) {
        return a * b;
    }
    // A NaN wins over everything, as in PyTorch.
    let b_wins = select((b < a), (b > a), KIND == 1u) | not_a_number(b);
    return select(a, b, b_wins & !not_a_number(a));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = (group.x + group.y * groups.x) * 64u + lane;
    if (id >= params.outputs * params.chunks) {
        return;
    }
    var index = id / params.chunks;
    var chunk = id % params.chunks;
    if (OUTPUT_FASTEST) {
        index = id % params.outputs;
        chunk = id / params.outputs;
    }
    let step = params.chunks;
    let first = params.offset + start(index);
    var element = chunk;
    if (element >= params.length) {
        output[id] = Result(NOTHING);
        return;
    }
    var total = load_input(first, element);
    element += step;
    // Four at a time, so that additions don't wait for each other.
    if (element + 3u * step < params.length) {
        var a = load_input(first, element);
        var b = load_input(first, element + step);
        var c = load_input(first, element + 2u * step);
        var d = load_input(first, element + 3u * step);
        element += 4u * step;
        while (element + 3u * step < params.length) {
            a = combine(a, load_input(first, element));
            b = combine(b, load_input(first, element + step));
            c = combine(c, load_input(first, element + 2u * step));
            d = combine(d, load_input(first, element + 3u * step));
            element += 4u * step;
        }
        total = combine(total, combine(combine(a, b), combine(c, d)));
    }
    while (element < params.length) {
        total = combine(total, load_input(first, element));
        element += step;
    }
    output[id] = Result(total);
}

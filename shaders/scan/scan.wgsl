// Running sums, products or extremes: output[o, j, i] = f over k <= j of input[o, k, i], or over k >= j, for contiguous
// [outer, length, inner].
//
// A row of `length` elements is cut into chunks. One invocation goes through one chunk of one row: with TOTALS it stores the
// chunk's total, in [outer, chunks, inner]; otherwise it stores every running value, on top of the total of the chunks before
// (`before`, which is `totals` scanned by the same kernels). Neighbouring invocations belong to neighbouring rows if rows are
// adjacent. Accumulator: f32 (i32, u32 for integers).

alias Element = f32;
alias Accumulator = f32;
alias Result = f32;

// 0: sum, 1: product.
const KIND: u32 = 0u;
const TOTALS: bool = false;

struct Params {
    // Rows times chunks.
    count: u32,
    length: u32,
    inner: u32,
    // Elements in a chunk, and chunks in a row.
    chunk: u32,
    chunks: u32,
    // 1 if the scan runs from the end.
    reverse: u32,
    // 1 if `before` holds something.
    continues: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> before: array<Accumulator>;
@group(0) @binding(3) var<storage, read_write> output: array<Result>;

fn load_input(index: u32) -> Accumulator { return Accumulator(input[params.offset + index]); }

fn load_before(index: u32) -> Accumulator { return before[index]; }

fn combine(a: Accumulator, b: Accumulator) -> Accumulator {
    if (KIND == 0u) {
        return a + b;
    }
    return a * b;
}

#import invocations

fn compute(id: u32) {
    let within = id % params.inner;
    let chunk = id / params.inner % params.chunks;
    let outer = id / params.inner / params.chunks;
    let row = outer * params.length * params.inner + within;
    let backwards = params.reverse == 1u;
    let first = chunk * params.chunk;
    let end = min(first + params.chunk, params.length);
    var step = first;
    var total = load_input(row + select(step, params.length - 1u - step, backwards) * params.inner);
    if (!TOTALS) {
        if (params.continues == 1u && chunk > 0u) {
            total = combine(load_before(id - params.inner), total);
        }
        output[row + select(step, params.length - 1u - step, backwards) * params.inner] = Result(total);
    }
    step += 1u;
    while (step < end) {
        let at = row + select(step, params.length - 1u - step, backwards) * params.inner;
        total = combine(total, load_input(at));
        if (!TOTALS) {
            output[at] = Result(total);
        }
        step += 1u;
    }
    if (TOTALS) {
        output[id] = Result(total);
    }
}

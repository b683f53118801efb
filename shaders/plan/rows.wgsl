// Reductions along rows, with the pointwise operations before and after them: output[row] = sum over e of x[row, e],
// softmax, normalization and their gradients.
//
// A team of LANES invocations runs over one row, or over one of several chunks of it. The planner writes the body of
// `run` (loops over the row's elements, each ending in reductions that the next one uses) and the bindings it loads
// from; `F`, `I`, `U` and `B` are four elements of a row, or of four rows, or single ones. `params.words` holds the
// offsets of the inputs and the numbers that may change from run to run. Accumulator: f32 (i32, u32 for integers).

alias F = f32;
alias I = i32;
alias U = u32;
alias B = bool;

const LANES: u32 = 1u;
const WORKGROUP: u32 = 64u;
const WORDS: u32 = 1u;

struct Params {
    // Rows (or groups of four), elements of a row, and chunks a row is split into.
    rows: u32,
    length: u32,
    chunks: u32,
    // Steps from row to row and from element to element, if they are even.
    row_stride: u32,
    element_stride: u32,
    // Elements altogether.
    count: u32,
    padding0: u32,
    padding1: u32,
    words: array<vec4<u32>, WORDS>,
}

@group(0) @binding(0) var<uniform> params: Params;

fn word(index: u32) -> u32 { return params.words[index / 4u][index % 4u]; }

fn run(team: u32, lane: u32, local: u32) { }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    run((group.x + group.y * groups.x) * (WORKGROUP / LANES) + local / LANES, local % LANES, local);
}

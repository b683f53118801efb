// Pointwise operations, one or several fused: output[i] = evaluate(i).
//
// One unit is four neighbouring elements of each output, or eight. The planner writes the body of `evaluate` and the
// bindings it loads from; `params.words` holds the offsets of the inputs and the numbers that may change
// from run to run. Buffers are padded to a multiple of eight elements, so the last unit may be ragged.
// Accumulator: none; f16 is computed with in f32.

alias F = vec4<f32>;
alias I = vec4<i32>;
alias U = vec4<u32>;
alias B = vec4<bool>;

const WORKGROUP: u32 = 64u;
const WORDS: u32 = 1u;

struct Params {
    // Elements of an output, and the groups of four in it.
    count: u32,
    quads: u32,
    // All units, and those of one workgroup.
    units: u32,
    span: u32,
    words: array<vec4<u32>, WORDS>,
}

@group(0) @binding(0) var<uniform> params: Params;

fn word(index: u32) -> u32 { return params.words[index / 4u][index % 4u]; }

fn evaluate(unit: u32) { }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = (group.x + group.y * groups.x) * params.span;
    let end = min(first + params.span, params.units);
    for (var unit = first + lane; unit < end; unit += WORKGROUP) {
        evaluate(unit);
    }
}

// Counts of predicted classes by true class, in groups of elements; element at belongs to group
// g = at / inner % groups:
//
//   TALLIED 0: output[g, t, p] = number of elements with target t and prediction p
//   TALLIED 1: output[g, 0, c] = elements of class c that were predicted as such, output[g, 1, c] = elements predicted as c,
//              output[g, 2, c] = elements of class c
//   TALLIED 2: output[g, 0, c] = elements of class c
//
// Elements with the ignored target are not counted; neither are those with a class outside 0..classes, which are reported in
// `fault`. Operands are contiguous from their offsets, output starts at zero.
//
// One invocation counts one element. The sums are of integers, so their order does not matter.

const TALLIED: u32 = 0u;

struct Params {
    count: u32,
    fault: u32,
    classes: u32,
    groups: u32,
    inner: u32,
    // 1 if there is a class to ignore, and that class.
    ignores: u32,
    ignored: i32,
    preds_offset: u32,
    target_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> preds: array<i32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

#import report

fn load_preds(index: u32) -> i32 { return preds[params.preds_offset + index]; }

fn load_labels(index: u32) -> i32 { return labels[params.target_offset + index]; }

#import invocations

fn compute(at: u32) {
    let is = load_labels(at);
    if (params.ignores != 0u && is == params.ignored) {
        return;
    }
    let said = load_preds(at);
    if (u32(is) >= params.classes) {
        report(params.fault, params.classes, is);
        return;
    }
    if (u32(said) >= params.classes) {
        report(params.fault, params.classes, said);
        return;
    }
    let g = at / params.inner % params.groups;
    let first = g * params.classes;
    if (TALLIED == 0u) {
        atomicAdd(&output[(first + u32(is)) * params.classes + u32(said)], 1u);
    } else if (TALLIED == 1u) {
        if (is == said) {
            atomicAdd(&output[3u * first + u32(is)], 1u);
        }
        atomicAdd(&output[3u * first + params.classes + u32(said)], 1u);
        atomicAdd(&output[3u * first + 2u * params.classes + u32(is)], 1u);
    } else {
        atomicAdd(&output[first + u32(is)], 1u);
    }
}

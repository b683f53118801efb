// The index among scores of [outer, classes, inner] of each label's class:
//
//   output[o, i] = (o * classes + label[o, i]) * inner + i
//
// -1 for ignored labels, -2 for those outside 0..classes, which are reported in `fault`; the device reads that at the next
// synchronisation. label is contiguous from params.label_offset.
//
// One invocation computes one element.

struct Params {
    count: u32,
    fault: u32,
    classes: u32,
    inner: u32,
    // 1 if there is a label to ignore, and that label.
    ignores: u32,
    ignored: i32,
    label_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> label: array<i32>;
@group(0) @binding(2) var<storage, read_write> output: array<i32>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

#import report
#import invocations

fn compute(at: u32) {
    let class_label = label[params.label_offset + at];
    if (params.ignores != 0u && class_label == params.ignored) {
        output[at] = -1;
        return;
    }
    if (class_label < 0 || u32(class_label) >= params.classes) {
        report(params.fault, params.classes, class_label);
        output[at] = -2;
        return;
    }
    output[at] = i32((at / params.inner * params.classes + u32(class_label)) * params.inner + at % params.inner);
}

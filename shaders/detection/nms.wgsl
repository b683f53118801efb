// Non-maximum suppression in each row: keep[i] = 1 if no kept box of its label before box order[i] covers it by more than the
// threshold, otherwise 0. Boxes [rows, count, 4] hold x1, y1, x2, y2; the overlap is intersection / union.
//
// One workgroup walks a row's boxes from params.first to params.end in order; each of its invocations clears every 256th box that
// the current one covers. Other dispatches walk those before and after them, so that no invocation's loops run past 65,535.

struct Params {
    rows: u32,
    count: u32,
    // A float's bits.
    threshold: u32,
    boxes_offset: u32,
    labels_offset: u32,
    first: u32,
    end: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> order: array<i32>;
@group(0) @binding(4) var<storage, read_write> keep: array<i32>;

// The index among all boxes of the one at a position of a row's order.
fn box_at(start: u32, place: u32) -> u32 {
    return start + u32(order[start + place]);
}

fn load_box(number: u32) -> vec4<f32> {
    let first = params.boxes_offset + number * 4u;
    return vec4<f32>(boxes[first], boxes[first + 1u], boxes[first + 2u], boxes[first + 3u]);
}

fn load_label(number: u32) -> i32 {
    return labels[params.labels_offset + number];
}

fn area(corners: vec4<f32>) -> f32 {
    return (corners.z - corners.x) * (corners.w - corners.y);
}

fn overlap(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let sides = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2<f32>(0.0));
    let shared_area = sides.x * sides.y;
    return shared_area / (area(a) + area(b) - shared_area);
}

// Clears what the box covers among those of its label before `end`.
fn clear_covered(start: u32, current: u32, end: u32, lane: u32) {
    let number = box_at(start, current);
    let corners = load_box(number);
    let label = load_label(number);
    for (var place = current + 1u + lane; place < end; place += 256u) {
        let other = box_at(start, place);
        let is_alike = (keep[start + place] == 1) & (load_label(other) == label);
        if (is_alike && overlap(corners, load_box(other)) > bitcast<f32>(params.threshold)) {
            keep[start + place] = 0;
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    // A folded grid has groups without a row, which have no boxes.
    let count = select(0u, params.count, row < params.rows);
    let end = min(params.end, count);
    let start = row * count;
    if (params.first == 0u) {
        for (var place = lane; place < count; place += 256u) {
            keep[start + place] = 1;
        }
    }
    storageBarrier();
    for (var current = params.first; current < end; current++) {
        // A branch that depends on `keep` must not enclose a barrier, not even one that ends before it (FXC's X3663).
        clear_covered(start, current, select(0u, count, keep[start + current] == 1), lane);
        storageBarrier();
    }
}

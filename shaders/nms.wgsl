// Non-maximum suppression: keep[i] = 1 where no kept box before box order[i] covers it by more than the threshold,
// else 0. Boxes [count, 4] hold x1, y1, x2, y2; the overlap is intersection / union.
//
// One workgroup walks the boxes from params.first to params.end in order; each of its invocations clears every 256th box
// that the current one covers. Others walk those before and after them, so that no invocation's loops run past 65,535.

struct Params {
    count: u32,
    // A float's bits.
    threshold: u32,
    boxes_offset: u32,
    first: u32,
    end: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<i32>;
@group(0) @binding(3) var<storage, read_write> keep: array<i32>;

fn load_box(place: u32) -> vec4<f32> {
    let first = params.boxes_offset + u32(order[place]) * 4u;
    return vec4<f32>(boxes[first], boxes[first + 1u], boxes[first + 2u], boxes[first + 3u]);
}

fn area(corners: vec4<f32>) -> f32 {
    return (corners.z - corners.x) * (corners.w - corners.y);
}

fn overlap(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let sides = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2<f32>(0.0));
    let shared_area = sides.x * sides.y;
    return shared_area / (area(a) + area(b) - shared_area);
}

// Clears what the box covers among those before `end`.
fn clear_covered(current: u32, end: u32, lane: u32) {
    let corners = load_box(current);
    for (var other = current + 1u + lane; other < end; other += 256u) {
        if (keep[other] == 1 && overlap(corners, load_box(other)) > bitcast<f32>(params.threshold)) {
            keep[other] = 0;
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    if (params.first == 0u) {
        for (var place = lane; place < params.count; place += 256u) {
            keep[place] = 1;
        }
    }
    storageBarrier();
    for (var current = params.first; current < params.end; current++) {
        // No branch that `keep` decides may stand round a barrier, not even one that ends before it (FXC's X3663).
        clear_covered(current, select(0u, params.count, keep[current] == 1), lane);
        storageBarrier();
    }
}

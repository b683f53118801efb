// Non-maximum suppression: keep[i] = 1 where no kept box before box order[i] covers it by more than the threshold,
// else 0. Boxes [count, 4] hold x1, y1, x2, y2; the overlap is intersection / union.
//
// One workgroup walks the boxes in order; each of its invocations clears every 256th box that the current one covers.
// Loops are nested so that none runs past 65,535.

struct Params {
    count: u32,
    // A float's bits.
    threshold: u32,
    boxes_offset: u32,
    padding: u32,
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

fn clear_covered(current: u32, lane: u32) {
    let corners = load_box(current);
    for (var block = current + 1u; block < params.count; block += 262144u) {
        for (var other = block + lane; other < min(block + 262144u, params.count); other += 256u) {
            if (keep[other] == 1 && overlap(corners, load_box(other)) > bitcast<f32>(params.threshold)) {
                keep[other] = 0;
            }
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var block = 0u; block < params.count; block += 262144u) {
        for (var place = block + lane; place < min(block + 262144u, params.count); place += 256u) {
            keep[place] = 1;
        }
    }
    storageBarrier();
    for (var block = 0u; block < params.count; block += 1024u) {
        for (var current = block; current < min(block + 1024u, params.count); current++) {
            if (keep[current] == 1) {
                clear_covered(current, lane);
            }
            storageBarrier();
        }
    }
}

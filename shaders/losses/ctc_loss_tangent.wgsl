// The derivative of the sums of `ctc_loss` along a direction v of its log probabilities, without each state's own part:
//   output[t, s] = sum over k in s, s-1, s-2 of w[k] (output[t-1, k] + v[t-1, l(k)]),
//   w[k] = e^(path[t-1, k] + x[t, l(s)] - path[t, s])
// for `steps` time steps from `first` on. States, shapes and the halves of path and output [2, batch, time, states] are
// those of `ctc_loss`, x = log_probs and v = direction are [time, batch, classes]. Weights of states that no path
// reaches are 0.
//
// A sample of one direction is shared by LANES invocations, as there. Accumulator: f32.

#import ctc_lanes

struct Params {
    rows: u32,
    first: u32,
    steps: u32,
    batch: u32,
    time: u32,
    classes: u32,
    states: u32,
    width: u32,
    // Total number of labels.
    labels: u32,
    blank: u32,
    log_probs_offset: u32,
    targets_offset: u32,
    spans_offset: u32,
    path_offset: u32,
    direction_offset: u32,
}

#import ctc_operands
@group(0) @binding(4) var<storage, read> path: array<f32>;
@group(0) @binding(5) var<storage, read> direction: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

fn load_path(place: u32) -> f32 { return path[params.path_offset + place]; }

// The class of a state of the sample whose labels begin at `start`; one that does not exist has been reported.
fn class_of(start: u32, state: u32) -> u32 {
    if (state % 2u == 0u) {
        return params.blank;
    }
    return min(bitcast<u32>(targets[params.targets_offset + start + state / 2u]), params.classes - 1u);
}

// The part that comes from state `from` of the row before, whose classes begin at `classes`.
fn part(row: u32, start: u32, from_: u32, classes: u32, own: f32) -> f32 {
    let weight = exp(load_path(row + from_) + own);
    let value = output[row + from_] + direction[params.direction_offset + classes + class_of(start, from_)];
    // Not a product: the direction may have any value where the weight is 0.
    return select(0.0, weight * value, weight > 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = (group.x + group.y * groups.x) * (64u / LANES) + local / LANES;
    let lane = local % LANES;
    // Rows past the end repeat the last one without writing, so that every invocation meets every barrier.
    let used = min(row, params.rows - 1u);
    let sample = used % params.batch;
    let reversed = used >= params.batch;
    let labels = load_span(1u, sample);
    let start = load_span(2u, sample);
    // Lengths that do not exist have been reported.
    let known = (load_span(0u, sample) <= params.time) & (labels <= params.width) & (start <= params.labels);
    let works = (row < params.rows) & known & (start + labels <= params.labels);
    let length = select(0u, load_span(0u, sample), works);
    let most = 2u * select(0u, labels, works);
    let base = used * params.time;
    for (var step = 0u; step < params.steps; step++) {
        let t = params.first + step;
        if (t < length) {
            let time = select(t, length - 1u - t, reversed);
            let earlier = select(time - 1u, time + 1u, reversed);
            let here = (base + time) * params.states;
            let before = (base + earlier) * params.states;
            let classes = (earlier * params.batch + sample) * params.classes;
            for (var s = lane; s <= most; s += LANES) {
                let state = select(s, most - s, reversed);
                let class_ = class_of(start, state);
                let total = load_path(here + state);
                var sum = 0.0;
                if ((t > 0u) & (total > -3.0e38)) {
                    let own = load_log_probs((time * params.batch + sample) * params.classes + class_) - total;
                    sum = part(before, start, state, classes, own);
                    if (s > 0u) {
                        sum += part(before, start, select(state - 1u, state + 1u, reversed), classes, own);
                    }
                    if ((s > 1u) & (state % 2u == 1u)) {
                        let second = select(state - 2u, state + 2u, reversed);
                        if (class_of(start, second) != class_) {
                            sum += part(before, start, second, classes, own);
                        }
                    }
                }
                output[here + state] = sum;
            }
        }
        meet();
    }
}

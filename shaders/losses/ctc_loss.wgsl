// The sums over all paths of Connectionist Temporal Classification (Graves et al. 2006), in logarithms, for `steps`
// time steps from `first` on; the dispatches of one call follow each other.
//
// A sample's states are its labels with a blank before, between and after them: 2 target_length + 1 of them, blanks at even
// indices. With x = log_probs [time, batch, classes] and l(s) the class of state s,
//   path[t, s] = x[t, l(s)] + log(e^path[t-1, s] + e^path[t-1, s-1] + e^path[t-1, s-2])
// where the last term exists only for labels that differ from the one before. At t = 0, only the first two states are reached.
// The loss is -log of the sum over the last two states at the last time. The second half of `path` [2, batch, time, states] is
// the same, with time and states counted from the end; entries past a sample's lengths are not written.
//
// A sample of one direction is shared by LANES invocations, which take every LANES-th state and meet after each step; with
// LANES = 1 one invocation does it all. A label, a length or an end of all labels that does not exist gives a loss of NaN and is
// reported in `fault`. Accumulator: f32.

#import ctc_lanes

struct Params {
    rows: u32,
    first: u32,
    steps: u32,
    batch: u32,
    time: u32,
    classes: u32,
    // Columns of `path`, and the most labels that fit.
    states: u32,
    width: u32,
    // Total number of labels, if they are concatenated; otherwise 0.
    labels: u32,
    blank: u32,
    fault: u32,
    log_probs_offset: u32,
    targets_offset: u32,
    spans_offset: u32,
}

#import ctc_operands
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> path: array<f32>;
@group(0) @binding(6) var<storage, read_write> fault: array<atomic<u32>>;

fn load_target(place: u32) -> i32 { return targets[params.targets_offset + place]; }

fn none() -> f32 { return bitcast<f32>(0xff800000u + min(params.rows, 0u)); }

fn not_a_number() -> f32 { return bitcast<f32>(0x7fc00000u + min(params.rows, 1u)); }

#import report

// log(e^a + e^b + e^c)
fn log_sum(a: f32, b: f32, c: f32) -> f32 {
    let largest = max(max(a, b), c);
    // If all terms are 0, their logarithms would subtract -inf from itself.
    let base = select(largest, 0.0, largest < -3.0e38);
    return base + log(exp(a - base) + exp(b - base) + exp(c - base));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = (group.x + group.y * groups.x) * (64u / LANES) + local / LANES;
    let lane = local % LANES;
    let exists = row < params.rows;
    // Rows past the end work on the last one's numbers without writing, so that every invocation meets every barrier.
    let used = min(row, params.rows - 1u);
    let sample = used % params.batch;
    let reversed = used >= params.batch;
    let input_length = bitcast<i32>(load_span(0u, sample));
    let target_length = bitcast<i32>(load_span(1u, sample));
    let start = bitcast<i32>(load_span(2u, sample));
    let bad_time = (input_length < 0) | (input_length > i32(params.time));
    let bad_width = (target_length < 0) | (target_length > i32(params.width));
    let end = bitcast<u32>(start) + bitcast<u32>(target_length);
    let last = (params.labels > 0u) & (sample == params.batch - 1u);
    let bad_end = (params.labels > 0u) & ((start < 0) | (end > params.labels) | (last & (end != params.labels)));
    let bad = bad_time | bad_width | bad_end;
    if (exists & bad & (lane == 0u) & (params.first == 0u)) {
        if (bad_time) {
            report(params.fault, params.time + 1u, input_length);
        } else if (bad_width) {
            report(params.fault, params.width + 1u, target_length);
        } else {
            report(params.fault, params.labels, bitcast<i32>(end));
        }
        loss[sample] = not_a_number();
    }
    let works = exists & !bad;
    let length = select(0u, bitcast<u32>(input_length), works);
    let most = 2u * select(0u, bitcast<u32>(target_length), works);
    let base = used * params.time;
    for (var step = 0u; step < params.steps; step++) {
        let t = params.first + step;
        if (t < length) {
            let time = select(t, length - 1u - t, reversed);
            let here = (base + time) * params.states;
            let before = (base + select(time - 1u, time + 1u, reversed)) * params.states;
            for (var s = lane; s <= most; s += LANES) {
                let state = select(s, most - s, reversed);
                var label = i32(params.blank);
                var value = none();
                if (state % 2u == 1u) {
                    label = load_target(bitcast<u32>(start) + state / 2u);
                }
                if (t == 0u) {
                    value = select(none(), 0.0, s < 2u);
                } else {
                    let next = select(state - 1u, state + 1u, reversed);
                    let second = select(state - 2u, state + 2u, reversed);
                    var a = path[before + state];
                    var b = none();
                    var c = none();
                    if (s > 0u) {
                        b = path[before + next];
                    }
                    if ((s > 1u) & (state % 2u == 1u)) {
                        if (label != load_target(bitcast<u32>(start) + second / 2u)) {
                            c = path[before + second];
                        }
                    }
                    value = log_sum(a, b, c);
                }
                if ((label < 0) | (label >= i32(params.classes))) {
                    report(params.fault, params.classes, label);
                    value = not_a_number();
                } else {
                    value += load_log_probs((time * params.batch + sample) * params.classes + bitcast<u32>(label));
                }
                path[here + state] = value;
            }
        }
        meet();
    }
    // The last of the dispatches that see the sample's last time, or the first if there is none.
    let seen = (length > params.first) & (length <= params.first + params.steps);
    let empty = (length == 0u) & (params.first == 0u);
    if (works & (lane == 0u) & !reversed & (seen | empty)) {
        var total = select(none(), 0.0, most == 0u);
        if (length > 0u) {
            let final_row = (base + length - 1u) * params.states;
            var other = none();
            if (most > 0u) {
                other = path[final_row + most - 1u];
            }
            total = log_sum(path[final_row + most], other, none());
        }
        loss[sample] = -total;
    }
}

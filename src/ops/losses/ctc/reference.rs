//! The reference in double precision, sample by sample.

use super::kernels::{CtcLoss, OP};
use super::sums;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::host_tensor::HostTensor;
use crate::number::nearest;

/// One sample: its length in time, and the class of each state.
struct Sample {
    length: usize,
    classes: Vec<usize>,
}

/// A sample of the inputs log probabilities, labels, spans.
fn sample(blank: usize, inputs: &[HostTensor], n: usize) -> Sample {
    let span = |kind: usize| nearest::<usize>(inputs[2].values[kind * inputs[0].shape[1] + n]);
    let mut classes = vec![blank];
    for label in &inputs[1].values[span(2)..span(2) + span(1)] {
        classes.extend([nearest::<usize>(*label), blank]);
    }
    Sample { length: span(0), classes }
}

/// The logarithm of the sum of these numbers' exponentials.
fn log_sum(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY && !terms.iter().any(|t| t.is_nan()) {
        return largest;
    }
    largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()
}

/// The predecessors of a state on a path, in the direction of the walk.
fn sources(classes: &[usize], state: usize, reversed: bool) -> Vec<usize> {
    let step = |by: usize| {
        let from = if reversed { state + by } else { state.checked_sub(by)? };
        (from < classes.len()).then_some(from)
    };
    let skip = step(2).filter(|&from| state % 2 == 1 && classes[from] != classes[state]);
    [Some(state), step(1), skip].into_iter().flatten().collect()
}

/// The times of a sample in the order of the walk, each with its predecessor.
fn times(length: usize, reversed: bool) -> impl Iterator<Item = (usize, Option<usize>)> {
    (0..length).map(move |t| {
        let at = |t: usize| if reversed { length - 1 - t } else { t };
        (at(t), t.checked_sub(1).map(at))
    })
}

pub(super) fn loss(op: &CtcLoss, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    let (x, labels, spans) = (&inputs[0], &inputs[1], &inputs[2]);
    let (time, batch, classes) = (x.shape[0], x.shape[1], x.shape[2]);
    let shape = sums(1 + usize::from(op.both), &x.shape, op.width)?;
    let states = shape[3];
    let mut paths = vec![f64::NEG_INFINITY; shape.numel()];
    let mut losses = Vec::with_capacity(batch);
    let checked = |value: f64, size: usize| {
        let fits = value >= 0.0 && value < size as f64;
        if fits {
            Ok(nearest::<usize>(value))
        } else {
            Err(Error::IndexOutOfRange { op: OP, index: nearest::<i64>(value), size })
        }
    };
    for n in 0..batch {
        checked(spans.values[n], time + 1)?;
        let count = checked(spans.values[batch + n], op.width + 1)?;
        let start = spans.values[2 * batch + n];
        let end = nearest::<usize>(start.max(0.0)) + count;
        if op.labels > 0 && (start < 0.0 || end > op.labels || n + 1 == batch && end != op.labels) {
            return Err(Error::IndexOutOfRange { op: OP, index: end as i64, size: op.labels });
        }
        for label in &labels.values[end - count..end] {
            checked(*label, classes)?;
        }
        let sample = sample(op.blank, inputs, n);
        let most = sample.classes.len() - 1;
        for direction in 0..shape[0] {
            let reversed = direction == 1;
            let row = |t: usize| ((direction * batch + n) * time + t) * states;
            for (t, before) in times(sample.length, reversed) {
                for (s, &class) in sample.classes.iter().enumerate() {
                    let sum = match before {
                        None if (if reversed { most - s } else { s }) < 2 => 0.0,
                        None => f64::NEG_INFINITY,
                        Some(before) => {
                            let from = sources(&sample.classes, s, reversed);
                            log_sum(&from.iter().map(|from| paths[row(before) + from]).collect::<Vec<_>>())
                        }
                    };
                    paths[row(t) + s] = sum + x.values[(t * batch + n) * classes + class];
                }
            }
        }
        losses.push(match sample.length {
            0 if most == 0 => 0.0,
            0 => f64::INFINITY,
            length => {
                let row = (n * time + length - 1) * states;
                -log_sum(&paths[row + most.saturating_sub(1)..=row + most])
            }
        });
    }
    Ok(vec![
        HostTensor::new(x.shape.without(&[0, 2], false), DType::F32, losses),
        HostTensor::new(shape, DType::F32, paths),
    ])
}

/// The posterior, from log probabilities, labels, spans, sums over paths, losses and perhaps tangents.
pub(super) fn posterior(blank: usize, inputs: &[HostTensor]) -> HostTensor {
    let (x, paths, losses) = (&inputs[0], &inputs[3], &inputs[4]);
    let (time, batch, classes) = (x.shape[0], x.shape[1], x.shape[2]);
    let (states, half) = (paths.shape[3], paths.values.len() / 2);
    let mut values = vec![0.0; x.values.len()];
    for n in (0..batch).filter(|&n| !losses.values[n].is_infinite()) {
        let sample = sample(blank, inputs, n);
        for t in 0..sample.length {
            if losses.values[n].is_nan() {
                values[(t * batch + n) * classes..][..classes].fill(f64::NAN);
                continue;
            }
            for (s, &class) in sample.classes.iter().enumerate() {
                let (place, to) = ((n * time + t) * states + s, (t * batch + n) * classes + class);
                let weight = inputs.get(5).map_or(1.0, |tangent| tangent.values[place] + tangent.values[half + place]);
                if x.values[to] > f64::NEG_INFINITY {
                    let share = paths.values[place] + paths.values[half + place] + losses.values[n] - x.values[to];
                    values[to] += share.exp() * weight;
                }
            }
        }
    }
    HostTensor::new(x.shape, DType::F32, values)
}

/// The tangent, from log probabilities, labels, spans, sums over paths and a direction.
pub(super) fn tangent(blank: usize, inputs: &[HostTensor]) -> HostTensor {
    let (x, paths, along) = (&inputs[0], &inputs[3], &inputs[4]);
    let (time, batch, classes) = (x.shape[0], x.shape[1], x.shape[2]);
    let states = paths.shape[3];
    let mut values = vec![0.0; paths.values.len()];
    for n in 0..batch {
        let sample = sample(blank, inputs, n);
        for reversed in [false, true] {
            let row = |t: usize| ((usize::from(reversed) * batch + n) * time + t) * states;
            for (t, before) in times(sample.length, reversed) {
                let Some(before) = before else { continue };
                for (s, &class) in sample.classes.iter().enumerate() {
                    let total = paths.values[row(t) + s];
                    if total == f64::NEG_INFINITY {
                        continue;
                    }
                    let own = x.values[(t * batch + n) * classes + class] - total;
                    for from in sources(&sample.classes, s, reversed) {
                        let weight = (paths.values[row(before) + from] + own).exp();
                        let step = along.values[(before * batch + n) * classes + sample.classes[from]];
                        values[row(t) + s] += weight * (values[row(before) + from] + step);
                    }
                }
            }
        }
    }
    HostTensor::new(paths.shape, DType::F32, values)
}

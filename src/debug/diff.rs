//! Finds the first kernel whose result differs from the reference's.

use super::part::{Parts, coordinates};
use super::tolerance::{Moved, Tolerance};
use crate::error::{Error, Result};
use crate::graph::{Class, Node, Schedule};
use crate::host_tensor::HostTensor;
use crate::reference::{Value, checked, walk};
use std::sync::Arc;

/// Compares a part's results with those that the reference computes from the same inputs. If several calls of one kernel differ,
/// each is run by itself, to tell a wrong call from a wrong fusion.
pub(super) fn check(parts: &Parts, part: &Schedule) -> Result<()> {
    let Some(difference) = first(parts, part)? else { return Ok(()) };
    let calls = part.calls();
    if calls.len() > 1 {
        parts.each_call(part, |single| {
            first(parts, single)?.map_or(Ok(()), |difference| Err(difference.error(single)))
        })?;
    }
    Err(difference.error(part))
}

struct Difference {
    /// Position in the part.
    node: usize,
    output: usize,
    element: usize,
    value: f64,
    expected: f64,
    allowed: f64,
}

fn first(parts: &Parts, part: &Schedule) -> Result<Option<Difference>> {
    let sources: Vec<Value> =
        part.sources.iter().map(|source| parts.stored(source, source.layout())).collect::<Result<_>>()?;
    let expected = evaluate(part, &sources, |_, _| ())?;
    let tolerance = Tolerance::of(part);
    for (node, outputs) in expected.iter().enumerate().filter(|(node, _)| part.kept[*node] && !part.is_view(*node)) {
        for (output, expected) in outputs.iter().take(part.nodes[node].op.results()).enumerate() {
            let got = parts.output(&part.nodes[node], output)?;
            if tolerance.first_beyond(&got, expected, &[], |_| true).is_none() {
                continue;
            }
            // Only now find how far the result depends on last bits, and which elements are padding.
            let moved = (0..Moved::PATTERNS).map(|pattern| {
                let mut moved = Moved::new(pattern, tolerance.epsilon);
                let sources = moved.sources(&sources);
                Ok(evaluate(part, &sources, |_, results| moved.results(results))?[node].swap_remove(output))
            });
            let moved: Vec<Arc<HostTensor>> = moved.collect::<Result<_>>()?;
            let padded = evaluate(part, &sources, spoil_padding)?[node].swap_remove(output);
            let counts = |at: usize| !padded.values[at].is_nan() || expected.values[at].is_nan();
            if let Some((element, allowed)) = tolerance.first_beyond(&got, expected, &moved, counts) {
                let (value, expected) = (got.values[element], expected.values[element]);
                return Ok(Some(Difference { node, output, element, value, expected, allowed }));
            }
        }
    }
    Ok(None)
}

/// The reference's results of every kept call; `alter` may change each call's results.
fn evaluate(
    part: &Schedule,
    sources: &[Value],
    mut alter: impl FnMut(&Node, &mut [HostTensor]),
) -> Result<Vec<Vec<Arc<HostTensor>>>> {
    let mut results: Vec<Vec<Arc<HostTensor>>> = vec![Vec::new(); part.nodes.len()];
    let call = |node: &Node, inputs: &[HostTensor]| {
        let mut results = checked(node, node.op.reference(inputs)?)?;
        alter(node, &mut results);
        Ok(results)
    };
    walk(
        part,
        |source| Ok(sources[source].clone()),
        call,
        |index, values| {
            if part.kept[index] && !part.is_view(index) {
                results[index] = values.iter().map(|(values, _)| values.clone()).collect();
            }
        },
    )?;
    Ok(results)
}

/// Puts NaN between the segments of a pack, where values are arbitrary: everything computed from them becomes NaN too.
fn spoil_padding(node: &Node, results: &mut [HostTensor]) {
    let Class::Pack { starts } = node.op.class() else { return };
    let segments: Vec<(usize, usize)> =
        starts.iter().copied().zip(node.state.lock().inputs.iter().map(|input| input.numel())).collect();
    let mut padded = vec![f64::NAN; results[0].values.len()];
    for (start, count) in segments {
        padded[start..start + count].copy_from_slice(&results[0].values[start..start + count]);
    }
    results[0].values = padded;
}

impl Difference {
    fn error(self, part: &Schedule) -> Error {
        let node: &Arc<Node> = &part.nodes[self.node];
        let shape = node.outputs[self.output].shape;
        Error::Differs {
            op: node.op.name(),
            calls: part.calls().into_iter().map(|call| part.nodes[call].op.name()).collect(),
            inputs: part.sources.iter().map(|source| *source.shape()).collect(),
            output: self.output,
            shape,
            element: coordinates(&shape, self.element),
            value: self.value,
            expected: self.expected,
            allowed: self.allowed,
            recorded_at: node.source,
        }
    }
}

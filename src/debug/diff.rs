//! The first kernel whose result differs from the reference's.

use super::part::{Parts, coordinates};
use super::tolerance::{Tolerance, perturbed};
use crate::error::{Error, Result};
use crate::graph::{Node, Schedule};
use crate::host_tensor::HostTensor;
use crate::reference::{Value, checked, walk};
use std::sync::Arc;

/// Compares what a part computed with what the reference computes from the same inputs. Where calls that one kernel
/// computes differ together, each is run by itself, to tell a wrong call from a wrong fusion.
pub(super) fn check(parts: &Parts, part: &Schedule) -> Result<()> {
    let Some(difference) = first(parts, part)? else { return Ok(()) };
    let calls = part.calls();
    if calls.len() > 1 {
        parts.apart(part, |single| first(parts, single)?.map_or(Ok(()), |difference| Err(difference.error(single))))?;
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
    let expected = evaluate(part, &sources)?;
    let tolerance = Tolerance::of(part);
    for (node, outputs) in expected.iter().enumerate().filter(|(node, _)| part.kept[*node] && !part.is_view(*node)) {
        for (output, expected) in outputs.iter().take(part.nodes[node].op.results()).enumerate() {
            let got = parts.output(&part.nodes[node], output)?;
            if tolerance.first_beyond(&got, expected, None).is_none() {
                continue;
            }
            // Only now find out how much the result hangs on the last bits of the inputs, which takes three more runs.
            let responses = (0..3).map(|pattern| evaluate(part, &perturbed(&sources, pattern, tolerance.epsilon)));
            let others: Vec<HostTensor> = responses.flatten().map(|mut run| run[node].swap_remove(output)).collect();
            if let Some((element, allowed)) = tolerance.first_beyond(&got, expected, Some(&others)) {
                let (value, expected) = (got.values[element], expected.values[element]);
                return Ok(Some(Difference { node, output, element, value, expected, allowed }));
            }
        }
    }
    Ok(None)
}

/// Every kept call's results by the reference.
fn evaluate(part: &Schedule, sources: &[Value]) -> Result<Vec<Vec<HostTensor>>> {
    let mut results: Vec<Vec<HostTensor>> = vec![Vec::new(); part.nodes.len()];
    let call = |node: &Node, inputs: &[HostTensor]| checked(node, node.op.reference(inputs)?);
    walk(
        part,
        |source| Ok(sources[source].clone()),
        call,
        |index, values| {
            if part.kept[index] && !part.is_view(index) {
                results[index] = values.iter().map(|(values, _)| HostTensor::clone(values)).collect();
            }
        },
    )?;
    Ok(results)
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

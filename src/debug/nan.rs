//! Finds the first call whose result is not finite.

use super::part::{Parts, coordinates, layout, stored};
use crate::error::{Error, Result};
use crate::graph::{Class, Edge, Schedule, Tensor};
use crate::host_tensor::HostTensor;

/// Checks the results of a part, which is one call with the views that it reads through.
pub(super) fn check(parts: &Parts, part: &Schedule) -> Result<()> {
    for call in part.calls() {
        let node = &part.nodes[call];
        let results = node.outputs.iter().take(node.op.results()).enumerate();
        for (output, view) in results.filter(|(_, view)| view.dtype.is_float()) {
            let values = parts.output(node, output)?;
            let Some(element) = first_not_finite(&values) else { continue };
            if node.op.scalars().iter().any(|&word| is_meant(word)) || !inputs_are_finite(parts, part, call)? {
                return Ok(());
            }
            return Err(Error::NotFinite {
                op: node.op.name(),
                output,
                shape: view.shape,
                element: coordinates(&view.shape, element),
                value: values.values[element],
                leaf: false,
                recorded_at: node.source,
            });
        }
    }
    Ok(())
}

fn first_not_finite(values: &HostTensor) -> Option<usize> {
    values.values.iter().position(|value| !value.is_finite())
}

/// True if a scalar is a number that is not finite, so that the result is infinite on purpose, as a mask of minus infinity is.
fn is_meant(word: u32) -> bool {
    [f32::INFINITY, f32::NEG_INFINITY, f32::NAN].iter().any(|special| special.to_bits() == word)
}

/// True if all inputs of a call are finite. A NaN from the caller is an error of its own; an infinity is taken as intended.
fn inputs_are_finite(parts: &Parts, part: &Schedule, call: usize) -> Result<bool> {
    let mut finite = true;
    for &edge in &part.edges[call] {
        let view = layout(part, edge);
        let Edge::Source(source) = stored(part, edge) else { continue };
        if !view.dtype.is_float() {
            continue;
        }
        let source = &part.sources[source];
        // The storage behind the view, in the layout through which the call reads it.
        let values = parts.view(source, &view)?;
        finite &= first_not_finite(&values).is_none();
        if let (Class::Leaf, Some(element)) = (source.node.op.class(), values.values.iter().position(|v| v.is_nan())) {
            return Err(leaf(source, &values, element));
        }
    }
    Ok(finite)
}

fn leaf(source: &Tensor, values: &HostTensor, element: usize) -> Error {
    Error::NotFinite {
        op: source.node.op.name(),
        output: source.output,
        shape: values.shape,
        element: coordinates(&values.shape, element),
        value: values.values[element],
        leaf: true,
        recorded_at: source.node.source,
    }
}

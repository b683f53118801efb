//! The promises that a caller's own operation makes.

use crate::error::{Error, Result};
use crate::graph::op::{Class, Op};
use crate::shape::{Layout, Shape};

/// True if the outputs of a caller's own operation are what its class promises. Nothing else has checked them, and the kernels
/// that read them rely on it.
pub(super) fn check_custom(op: &dyn Op, inputs: &[Layout], outputs: &[Layout]) -> Result<()> {
    let broken = |rule: String| Err(Error::invalid(op.name(), rule));
    let single = || match outputs {
        [only] => Ok(only),
        _ => Err(Error::invalid(op.name(), format!("{} outputs; an operation of its class has one", outputs.len()))),
    };
    match op.class() {
        Class::Leaf => return broken("a leaf computes nothing; Tensor::from_slice makes one".to_string()),
        Class::View => {
            let view = single()?;
            let [input] = inputs else { return broken(format!("a view has one input, not {}", inputs.len())) };
            if !view.is_within(input) {
                return broken(format!("its view {view:?} shows elements that its input {input:?} does not"));
            }
            return Ok(());
        }
        Class::Pointwise(_) => {
            let output = single()?;
            if let Some(other) = inputs.iter().find(|input| input.shape != output.shape) {
                return broken(format!("an input of shape {} for an output of shape {}", other.shape, output.shape));
            }
        }
        Class::Pack { starts } => {
            let output = single()?;
            let ends = starts.iter().zip(inputs).map(|(&start, input)| start.checked_add(input.shape.numel()));
            let ends: Option<Vec<usize>> = ends.collect();
            let fits = |ends: &Vec<usize>| {
                let limits = starts.iter().skip(1).chain([&output.shape[0]]);
                ends.iter().zip(limits).all(|(end, limit)| end <= limit)
            };
            let is_aligned = starts.iter().all(|start| start.is_multiple_of(128));
            if output.shape.len() != 1 || starts.len() != inputs.len() || !is_aligned || !ends.is_some_and(|e| fits(&e))
            {
                let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape).collect();
                return broken(format!("{shapes:?} from {starts:?} on do not lie side by side in {}", output.shape));
            }
            if let Some(other) = inputs.iter().find(|input| input.dtype != output.dtype || !input.is_contiguous()) {
                return broken(format!("it packs contiguous {} tensors, not {other:?}", output.dtype));
            }
        }
        Class::Rows { dims, .. } => {
            single()?;
            let [input] = inputs else { return broken(format!("it reduces one input, not {}", inputs.len())) };
            if !dims.is_sorted_by(|a, b| a < b) || dims.iter().any(|&dim| dim >= input.shape.len()) {
                return broken(format!("the dimensions {dims:?} of {} can't be reduced", input.shape));
            }
        }
        Class::Kernel if outputs.is_empty() => return broken("it has no outputs".to_string()),
        Class::Kernel => {}
    }
    match outputs.iter().find(|output| **output != Layout::contiguous(output.shape, output.dtype)) {
        Some(output) => broken(format!("an output must be contiguous and start at 0, not {output:?}")),
        None => Ok(()),
    }
}

//! Lets the outputs of a kernel take over the buffers of inputs that nothing reads later.

use crate::graph::Edge;
use crate::plan::analysis::wiring::Root;
use crate::plan::codegen::emit::{Emitter, Input};
use std::collections::BTreeSet;

impl Emitter<'_> {
    /// Lets outputs take over the buffers of inputs that this kernel reads last, element by element. `may_overwrite` says
    /// which output may take which input; `is_full` tells outputs with an element a place from those with one a row.
    pub fn take_over(&mut self, may_overwrite: impl Fn(Root, &Input) -> bool, is_full: impl Fn(Root) -> bool) {
        // A parameter's new value belongs where its old one was, so that each run finds it in the same place. The old value
        // is one of an earlier run that few other outputs need, and outputs that need few such values choose first.
        let read: Vec<BTreeSet<usize>> = self.outputs.iter().map(|&root| self.read_by(root)).collect();
        let mut order: Vec<usize> = (0..self.outputs.len()).collect();
        order.sort_by_key(|&output| {
            let sources = read[output].iter().filter(|&&i| self.is_source(i)).count();
            (!self.wiring.is_assigned(self.outputs[output]), sources)
        });
        for output in order {
            let layout = self.wiring.stored(self.outputs[output]);
            let of_rows = !is_full(self.outputs[output]);
            let fits = |&i: &usize| {
                let input = &self.inputs[i];
                let flat = input.layout.is_contiguous() && input.layout.offset == 0 && input.is_row == of_rows;
                flat && input.layout.dtype == layout.dtype
                    && input.layout.shape.numel() == layout.shape.numel()
                    && self.in_place.iter().all(|taken| taken.1 != i)
                    && self.inputs.iter().filter(|other| other.root == input.root).count() == 1
                    && may_overwrite(self.outputs[output], input)
            };
            let readers = |i: usize| read.iter().filter(|inputs| inputs.contains(&i)).count();
            let sources = read[output].iter().copied().filter(|&i| self.is_source(i)).filter(|i| fits(i));
            let source = sources.min_by_key(|&i| readers(i));
            if let Some(input) = source.or_else(|| (0..self.inputs.len()).find(fits)) {
                self.inputs[input].buffer = self.output_name(output);
                self.in_place.push((output, input));
            }
        }
    }

    fn is_source(&self, input: usize) -> bool {
        matches!(self.inputs[input].root, Edge::Source(_))
    }

    /// The inputs that a value is computed from.
    pub fn read_by(&self, output: Root) -> BTreeSet<usize> {
        let mut open: Vec<usize> = output.node().into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut read = BTreeSet::new();
        while let Some(member) = open.pop() {
            if !seen.insert(member) {
                continue;
            }
            for argument in 0..self.wiring.schedule.edges[member].len() {
                match self.cluster.producer(self.wiring, member, argument) {
                    Some(producer) => open.push(producer),
                    None => read.extend(self.input(member, argument).ok()),
                }
            }
        }
        read
    }
}

//! Parts shared by the writers of kernels: inputs, scalars, and calls as WGSL expressions.

use crate::error::{Error, Result};
use crate::graph::{Class, Edge};
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::{Access, rounded, stored};
use crate::shader::{Kernel, Kernels, Operand, Slot, Word};
use crate::shape::Layout;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

/// Kernels, and the sources of their inputs, outputs and data words.
#[derive(Default)]
pub(in crate::plan) struct Emitted {
    pub kernels: Kernels,
    /// For each bound input its call and argument.
    pub inputs: Vec<(usize, usize)>,
    pub outputs: Vec<Root>,
    /// For each scalar word the call and the index among its scalars.
    pub scalars: Vec<(usize, usize)>,
    /// Outputs that take over the buffer of an input.
    pub in_place: Vec<(usize, usize)>,
}

impl Emitted {
    /// The kernels of a call that nothing is fused with.
    pub fn unfused(wiring: &Wiring, call: usize, kernels: Kernels) -> Emitted {
        let schedule = wiring.schedule;
        Emitted {
            kernels,
            inputs: (0..schedule.edges[call].len()).map(|argument| (call, argument)).collect(),
            outputs: wiring.outputs(call).collect(),
            scalars: (0..schedule.nodes[call].op.scalars().len()).map(|scalar| (call, scalar)).collect(),
            in_place: Vec::new(),
        }
    }
}

/// An input that the emitted text loads itself.
pub(in crate::plan) struct Input {
    pub from: (usize, usize),
    pub root: Root,
    pub layout: Layout,
    pub access: Access,
    /// Its variable in the shader; an output's if that takes over its buffer.
    pub buffer: String,
    /// One value a row, loaded before the rows' elements.
    pub is_row: bool,
}

/// Emits the text of a cluster's kernels, and keeps track of what it reads and stores.
pub(in crate::plan) struct Emitter<'a> {
    pub wiring: &'a Wiring<'a>,
    pub cluster: &'a Cluster,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Root>,
    pub scalars: Vec<(usize, usize)>,
    pub in_place: Vec<(usize, usize)>,
    /// Numbers of a vector in full values.
    pub width: usize,
    /// The constants in order of use; their names are their indices.
    constants: Vec<usize>,
    libraries: Vec<&'static str>,
}

pub(in crate::plan) fn internal(reason: &str) -> Error {
    Error::Internal { op: "plan", reason: reason.to_string() }
}

impl<'a> Emitter<'a> {
    /// `access(is_row, layout)` picks the loads of an input; `is_row` is true if there is one value a row.
    pub fn new(
        wiring: &'a Wiring<'a>,
        cluster: &'a Cluster,
        outputs: Vec<Root>,
        width: usize,
        access: impl Fn(bool, &Layout) -> Access,
    ) -> Emitter<'a> {
        let inputs = cluster.inputs(wiring).into_iter().enumerate().map(|(i, from)| {
            let (layout, is_row) = cluster.shown(wiring, from.0, from.1);
            let (root, access) = (wiring.argument(from.0, from.1), access(is_row, &layout));
            Input { from, root, layout, access, buffer: format!("input{i}"), is_row }
        });
        Emitter {
            wiring,
            cluster,
            inputs: inputs.collect(),
            outputs,
            scalars: Vec::new(),
            in_place: Vec::new(),
            libraries: Vec::new(),
            width,
            constants: Vec::new(),
        }
    }

    /// Lets outputs take over the buffers of inputs that this kernel is the last to read, element by element as it writes.
    /// `may_overwrite` decides which may take which; `is_full` is true for outputs with a value per element, and not per row.
    pub fn take_over(&mut self, may_overwrite: impl Fn(Root, &Input) -> bool, is_full: impl Fn(Root) -> bool) {
        // A parameter's new value belongs in its old buffer: then each run finds it in the same one. That buffer holds a value of
        // an earlier run that few other outputs read, and outputs that read few such values choose first.
        let read: Vec<Vec<usize>> = self.outputs.iter().map(|&root| self.read_by(root)).collect();
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
                self.inputs[input].buffer = output_name(output);
                self.in_place.push((output, input));
            }
        }
    }

    fn is_source(&self, input: usize) -> bool {
        matches!(self.inputs[input].root, Edge::Source(_))
    }

    /// The inputs that an output is computed from, ascending.
    fn read_by(&self, output: Root) -> Vec<usize> {
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
        read.into_iter().collect()
    }

    /// The input that an argument is read from.
    pub fn input(&self, node: usize, argument: usize) -> Result<usize> {
        // A call's own arguments, which its kernels bind, come first.
        let (root, (layout, _)) =
            (self.wiring.argument(node, argument), self.cluster.shown(self.wiring, node, argument));
        let found = self.inputs.iter().rposition(|input| input.root == root && input.layout == layout);
        found.ok_or_else(|| internal("an input that was not found"))
    }

    /// The number in the names of a call's values: its index in the cluster. So equal calls give equal text, and one pipeline,
    /// anywhere in a graph.
    pub fn number(&self, call: usize) -> usize {
        self.cluster.members.range(..call).count()
    }

    /// The name of a call's value, of one element.
    pub fn value(&self, call: usize) -> String {
        format!("v{}", self.number(call))
    }

    /// The name of an output's value.
    pub fn result(&self, output: usize) -> String {
        self.outputs[output].node().map(|call| self.value(call)).unwrap_or_default()
    }

    /// The statement that loads an input as `x{input}`, at `index` of `count` if that may lie past the end.
    pub fn load(&self, input: usize, index: &str, count: Option<&str>) -> String {
        let Input { access, buffer, layout, .. } = &self.inputs[input];
        let value = access.load(buffer, &format!("word({input}u)"), index, count, layout.dtype);
        format!("    let x{input} = {value};\n")
    }

    /// The name of a constant. Its line, and those of the constants that it depends on, are appended to `body` unless they are
    /// among the `written` ones.
    pub fn constant(&mut self, node: usize, written: &mut BTreeSet<usize>, body: &mut String) -> Result<String> {
        let number = self.constants.iter().position(|&constant| constant == node).unwrap_or_else(|| {
            self.constants.push(node);
            self.constants.len() - 1
        });
        let name = format!("c{number}");
        if written.insert(node) {
            let mut arguments = Vec::new();
            for argument in 0..self.wiring.schedule.edges[node].len() {
                match self.wiring.argument(node, argument) {
                    Edge::Node { index, .. } => arguments.push(self.constant(index, written, body)?),
                    Edge::Source(_) => return Err(internal("a constant that is read")),
                }
            }
            let value = self.pointwise(node, &arguments)?;
            body.push_str(&self.line(&name, node, &value));
        }
        Ok(name)
    }

    /// The formula of a pointwise call with its operands and scalars filled in.
    pub fn pointwise(&mut self, node: usize, arguments: &[String]) -> Result<String> {
        let Class::Pointwise(formula) = self.wiring.schedule.nodes[node].op.class() else {
            return Err(internal("a call that is not pointwise"));
        };
        formula.library.iter().for_each(|library| self.library(library));
        Ok(self.filled(node, formula.wgsl, arguments, &[]))
    }

    /// A text with its operands, the call's scalars and the results of its reductions filled in.
    pub fn filled(&mut self, node: usize, text: &str, arguments: &[String], results: &[String]) -> String {
        let is_vector = self.width == 4;
        let scalars = self.wiring.schedule.nodes[node].op.scalars().len();
        Slot::fill(text, |slot| match slot {
            Slot::Operand(operand) => arguments.get(operand).cloned(),
            Slot::First => arguments.first().map(|first| format!("{first}{}", if is_vector { ".x" } else { "" })),
            Slot::Indices => Some(if is_vector { "(U(index) + U(0u, 1u, 2u, 3u))" } else { "index" }.to_string()),
            Slot::Scalar(scalar) if scalar < scalars => Some(format!("word({}u)", self.word(node, scalar..scalar + 1))),
            Slot::Words => Some(format!("{}u", self.word(node, 0..scalars))),
            Slot::Result(result) => results.get(result).cloned(),
            Slot::Scalar(_) => None,
        })
    }

    /// The place of the first of these scalars of a call among the words, where they follow the offsets.
    fn word(&mut self, node: usize, scalars: Range<usize>) -> usize {
        let at = self.scalars.iter().position(|&scalar| scalar == (node, scalars.start)).unwrap_or_else(|| {
            let at = self.scalars.len();
            self.scalars.extend(scalars.map(|scalar| (node, scalar)));
            at
        });
        self.inputs.len() + at
    }

    /// A line that names the value of a call. All readers of the value use that name.
    pub fn line(&self, name: &str, node: usize, value: &str) -> String {
        let node = &self.wiring.schedule.nodes[node];
        format!("    let {name} = {}; // {}\n", rounded(value, node.outputs[0].dtype, self.width), node.op.name())
    }

    /// The value of an output as it is stored, in vectors or not.
    pub fn stored(&self, output: usize, value: &str, width: usize) -> String {
        stored(value, self.wiring.stored(self.outputs[output]).dtype, width)
    }

    /// The parameter words that the code refers to.
    pub fn words(&self) -> Vec<Word> {
        let offsets = (0..self.inputs.len()).map(Word::Offset);
        offsets.chain((0..self.scalars.len()).map(Word::Scalar)).collect()
    }

    /// Adds a library to the kernels' functions.
    pub fn library(&mut self, library: &'static str) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
        }
    }

    pub fn libraries(&self) -> String {
        self.libraries.join("\n")
    }

    /// Declares and binds the inputs and outputs that `body` mentions, from binding `first` on. The element type of an output's
    /// array comes from `array`.
    pub fn bind(
        &self,
        kernel: &mut Kernel,
        body: &str,
        first: usize,
        skip_output: bool,
        array: impl Fn(Root) -> &'static str,
    ) {
        let mut binding = first;
        let mut text = String::new();
        for (i, input) in self.inputs.iter().enumerate() {
            if input.buffer.starts_with("input") && body.contains(&format!("{}[", input.buffer)) {
                let array = input.access.array_type(input.layout.dtype);
                let name = &input.buffer;
                let _ = writeln!(text, "@group(0) @binding({binding}) var<storage, read> {name}: array<{array}>;");
                kernel.bindings.push((name.clone(), Operand::Input(i)));
                binding += 1;
            }
        }
        for (k, &root) in self.outputs.iter().enumerate() {
            let name = output_name(k);
            if !body.contains(&format!("{name}[")) {
                continue;
            }
            if k > 0 || !skip_output {
                let array = array(root);
                let _ =
                    writeln!(text, "@group(0) @binding({binding}) var<storage, read_write> {name}: array<{array}>;");
                binding += 1;
                kernel.bindings.push((name, Operand::Output(k)));
            }
        }
        kernel.declarations.push_str(&text);
    }

    pub fn finish(self, kernels: Kernels) -> Emitted {
        Emitted {
            kernels,
            inputs: self.inputs.iter().map(|input| input.from).collect(),
            outputs: self.outputs,
            scalars: self.scalars,
            in_place: self.in_place,
        }
    }
}

/// The variable of an output.
pub(in crate::plan) fn output_name(output: usize) -> String {
    format!("output{output}")
}

//! The emitter that all kinds of kernels share: inputs, scalars, and calls as WGSL expressions.

use crate::error::{Error, Result};
use crate::graph::{Class, Edge};
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::{Access, rounded, stored};
use crate::shader::{Kernel, Kernels, Operand, Placeholder, Word};
use crate::shape::Layout;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;

/// Kernels, and where their inputs, outputs and data words come from.
#[derive(Default)]
pub(in crate::plan) struct Emitted {
    pub kernels: Kernels,
    /// For each bound input the call and the argument that it comes from.
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
    /// Its variable in the shader; an output's where that takes over its buffer.
    pub buffer: String,
    /// True for one value a row, loaded before the row's elements.
    pub is_row: bool,
}

/// The buffers that a text refers to.
#[derive(Clone, Default)]
pub(in crate::plan) struct Uses {
    pub inputs: BTreeSet<usize>,
    pub outputs: BTreeSet<usize>,
}

impl Uses {
    /// The buffers of several texts.
    pub fn of_all<'a>(all: impl Iterator<Item = &'a Uses>) -> Uses {
        all.fold(Uses::default(), |mut sum, uses| {
            sum.inputs.extend(&uses.inputs);
            sum.outputs.extend(&uses.outputs);
            sum
        })
    }
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
    /// The constants in the order in which they are used; they are named by their places.
    constants: Vec<usize>,
    libraries: Vec<&'static str>,
    /// True for hooks of a template, which binds the first output itself, as `output`.
    in_template: bool,
    /// The buffers of the text emitted since they were last taken.
    uses: RefCell<Uses>,
}

pub(in crate::plan) fn internal(reason: &str) -> Error {
    Error::Internal { op: "plan", reason: reason.to_string() }
}

impl<'a> Emitter<'a> {
    /// `access(is_row, layout)` picks how an input is loaded.
    pub fn new(
        wiring: &'a Wiring<'a>,
        cluster: &'a Cluster,
        outputs: Vec<Root>,
        width: usize,
        access: impl Fn(bool, &Layout) -> Access,
    ) -> Emitter<'a> {
        let inputs = cluster.inputs(wiring).into_iter().enumerate().map(|(i, from)| {
            let (layout, is_row) = cluster.view(wiring, from.0, from.1);
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
            in_template: false,
            uses: RefCell::default(),
        }
    }

    /// The same for hooks of a template, which binds the first output itself, as `output`.
    pub fn in_template(self) -> Emitter<'a> {
        Emitter { in_template: true, ..self }
    }

    /// The buffers of the text emitted since the last call.
    pub fn take_uses(&self) -> Uses {
        mem::take(&mut self.uses.borrow_mut())
    }

    /// The inputs that the text emitted since then loads.
    pub fn loaded(&self) -> BTreeSet<usize> {
        self.uses.borrow().inputs.clone()
    }

    /// The variable of an output, which the text refers to.
    pub fn output(&self, output: usize) -> String {
        self.uses.borrow_mut().outputs.insert(output);
        self.output_name(output)
    }

    /// The variable of an output.
    pub fn output_name(&self, output: usize) -> String {
        if output == 0 && self.in_template { "output".to_string() } else { format!("output{output}") }
    }

    /// The variable of an input, which the text refers to.
    pub fn buffer(&self, input: usize) -> &str {
        let mut uses = self.uses.borrow_mut();
        uses.inputs.insert(input);
        // It is that of an output that takes over the buffer.
        uses.outputs.extend(self.in_place.iter().filter(|taken| taken.1 == input).map(|taken| taken.0));
        &self.inputs[input].buffer
    }

    /// The input that an argument is read from.
    pub fn input(&self, node: usize, argument: usize) -> Result<usize> {
        // A call's own arguments, which its kernels bind, come first.
        let (root, (layout, _)) =
            (self.wiring.argument(node, argument), self.cluster.view(self.wiring, node, argument));
        let found = self.inputs.iter().rposition(|input| input.root == root && input.layout == layout);
        found.ok_or_else(|| internal("an input that was not found"))
    }

    /// The number in the names of a call's values: its position among the cluster's calls. So equal computations have equal
    /// text, and one pipeline, wherever they stand in a graph.
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

    /// The statement that loads an input as `x{input}`, at `index` of `count` where that may lie past the end.
    pub fn load(&self, input: usize, index: &str, count: Option<&str>) -> String {
        let Input { access, layout, .. } = &self.inputs[input];
        let value = access.load(self.buffer(input), &format!("word({input}u)"), index, count, layout.dtype);
        format!("    let x{input} = {value};\n")
    }

    /// The name of a constant. Its line, and those of the constants that it is computed from, go to `body` where they are
    /// not among the `written` ones.
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
        Placeholder::fill(text, |placeholder| match placeholder {
            Placeholder::Operand(operand) => arguments.get(operand).cloned(),
            Placeholder::First => {
                arguments.first().map(|first| format!("{first}{}", if is_vector { ".x" } else { "" }))
            }
            Placeholder::Indices => {
                Some(if is_vector { "(U(index) + U(0u, 1u, 2u, 3u))" } else { "index" }.to_string())
            }
            Placeholder::Scalar(scalar) if scalar < scalars => {
                Some(format!("word({}u)", self.word(node, scalar..scalar + 1)))
            }
            Placeholder::Words => Some(format!("{}u", self.word(node, 0..scalars))),
            Placeholder::Result(result) => results.get(result).cloned(),
            Placeholder::Scalar(_) => None,
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

    /// Appends the calls of `members`, in order, loading their operands at `index` of `count`, where that may lie past the
    /// end; values are named after their calls.
    pub fn calls(
        &mut self,
        members: impl IntoIterator<Item = usize>,
        index: &str,
        count: Option<&str>,
        body: &mut String,
    ) -> Result<()> {
        self.calls_given(&BTreeSet::new(), members, index, count, body)
    }

    /// As [`calls`](Emitter::calls), where the inputs `given` are loaded already.
    pub fn calls_given(
        &mut self,
        given: &BTreeSet<usize>,
        members: impl IntoIterator<Item = usize>,
        index: &str,
        count: Option<&str>,
        body: &mut String,
    ) -> Result<()> {
        let mut loaded = given.clone();
        let mut constants = BTreeSet::new();
        for node in members {
            let mut arguments = Vec::new();
            for argument in 0..self.wiring.schedule.edges[node].len() {
                if let Some(producer) = self.cluster.producer(self.wiring, node, argument) {
                    arguments.push(self.value(producer));
                } else if let Some(constant) = self.wiring.constant(self.wiring.argument(node, argument)) {
                    arguments.push(self.constant(constant, &mut constants, body)?);
                } else {
                    let input = self.input(node, argument)?;
                    if loaded.insert(input) {
                        body.push_str(&self.load(input, index, count));
                    }
                    arguments.push(format!("x{input}"));
                }
            }
            let value = self.pointwise(node, &arguments)?;
            body.push_str(&self.line(&self.value(node), node, &value));
        }
        Ok(())
    }

    /// A line that names the value of a call. All who read the value read that name.
    pub fn line(&self, name: &str, node: usize, value: &str) -> String {
        let node = &self.wiring.schedule.nodes[node];
        format!("    let {name} = {}; // {}\n", rounded(value, node.outputs[0].dtype, self.width), node.op.name())
    }

    /// The value of an output as it is stored, in vectors or not.
    pub fn stored(&self, output: usize, value: &str, width: usize) -> String {
        stored(value, self.wiring.stored(self.outputs[output]).dtype, width)
    }

    /// The words that the code refers to.
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

    /// Declares and binds the buffers that a text refers to, from binding `first` on. `array` gives the element type of an
    /// output.
    pub fn bind(&self, kernel: &mut Kernel, uses: &Uses, first: usize, array: impl Fn(Root) -> &'static str) {
        let is_free = |&&input: &&usize| self.in_place.iter().all(|taken| taken.1 != input);
        let mut number = first;
        for &i in uses.inputs.iter().filter(is_free) {
            let input = &self.inputs[i];
            let array = input.access.array_type(input.layout.dtype);
            kernel.declarations.push_str(&binding(number, "read", &input.buffer, array));
            kernel.bindings.push((input.buffer.clone(), Operand::Input(i)));
            number += 1;
        }
        for &k in uses.outputs.iter().filter(|&&k| k > 0 || !self.in_template) {
            let name = self.output_name(k);
            kernel.declarations.push_str(&binding(number, "read_write", &name, array(self.outputs[k])));
            kernel.bindings.push((name, Operand::Output(k)));
            number += 1;
        }
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

/// The declaration of a storage buffer.
pub(super) fn binding(number: usize, access: &str, name: &str, element: &str) -> String {
    format!("@group(0) @binding({number}) var<storage, {access}> {name}: array<{element}>;\n")
}

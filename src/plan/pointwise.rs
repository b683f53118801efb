//! Writes the kernel of a fused group of pointwise calls.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Edge, Schedule};
use crate::plan::fuse::{Root, Wiring};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::collections::HashMap;
use std::fmt::Write;

const TEMPLATE: &str = include_str!("../../shaders/pointwise.wgsl");

/// Invocations of a workgroup in `shaders/pointwise.wgsl`.
const WORKGROUP: usize = 64;

/// A kernel and where its inputs and data words come from.
pub(super) struct Fused {
    pub kernels: Kernels,
    /// For each bound input the call and its argument that it is.
    pub inputs: Vec<(usize, usize)>,
    /// For each scalar word the call and the index among its scalars.
    pub scalars: Vec<(usize, usize)>,
}

/// Writes the kernel that computes `members` (in order, the last being the output). `dying` says which roots
/// may be overwritten.
pub(super) fn write(wiring: &Wiring, members: &[usize], dying: &dyn Fn(Root) -> bool) -> Result<Fused> {
    let schedule = wiring.schedule;
    let last = members[members.len() - 1];
    let output = schedule.nodes[last].outputs[0];
    let mut writer = Writer {
        wiring,
        schedule,
        members,
        names: HashMap::new(),
        inputs: Vec::new(),
        loaded: Vec::new(),
        scalars: Vec::new(),
        body: String::new(),
        libraries: Vec::new(),
    };
    writer.find_inputs();
    let in_place = writer.in_place(&output, dying);
    for &member in members {
        writer.call(member)?;
    }
    let result = writer.names[&last].clone();
    let stored = match output.dtype {
        DType::Bool => format!("select(U(0u), U(1u), {result})"),
        DType::F16 => format!("vec4<f16>({result})"),
        _ => result,
    };
    let _ = writeln!(writer.body, "    return {stored};");

    let mut declarations = String::new();
    let mut kernel = Kernel::new("pointwise", TEMPLATE).alias("Element", output.dtype.wgsl());
    let mut binding = 2;
    for (i, input) in writer.inputs.iter().enumerate() {
        let element = input.layout.dtype.wgsl();
        if in_place == Some(i) {
            continue;
        }
        let array = if input.is_scalar_access() { element.to_string() } else { format!("vec4<{element}>") };
        let _ = writeln!(declarations, "@group(0) @binding({binding}) var<storage, read> input{i}: array<{array}>;");
        kernel = kernel.bind(format!("input{i}"), Operand::Input(i));
        binding += 1;
    }
    for library in &writer.libraries {
        declarations.push_str(library);
        declarations.push('\n');
    }
    let mut body = writer.body;
    if let Some(i) = in_place {
        body = body.replace(&format!("input{i}["), "output[");
    }
    let count = output.shape.numel();
    let quads = count.div_ceil(4);
    let offsets = (0..writer.inputs.len()).map(Word::Offset);
    let scalars = (0..writer.scalars.len()).map(Word::Scalar);
    let words = writer.inputs.len() + writer.scalars.len();
    kernel = kernel
        .constant("WORDS", format!("{}u", words.div_ceil(4).max(1)))
        .hook("evaluate", format!("\n{body}"))
        .bind("output", Operand::Output(0))
        .values(&[count, quads, 0, 0])
        .words(offsets)
        .words(scalars)
        .grid(fold_groups(quads, WORKGROUP))
        .work(count * members.len());
    kernel.declarations = declarations;
    Ok(Fused {
        kernels: Kernels { kernels: vec![kernel], temporaries: Vec::new(), in_place },
        inputs: writer.inputs.iter().map(|input| input.from).collect(),
        scalars: writer.scalars,
    })
}

/// How the four elements of an invocation lie in an input.
enum Access {
    /// At the same place: one vector.
    Flat,
    /// One vector at a computed place.
    Vector(String),
    /// One element for all four.
    Splat(String),
    /// Four elements, each at a computed place.
    Gather(Box<dyn Fn(&str) -> String>),
}

struct Input {
    from: (usize, usize),
    root: Root,
    layout: Layout,
    access: Access,
}

impl Input {
    fn is_scalar_access(&self) -> bool {
        matches!(self.access, Access::Splat(_) | Access::Gather(_))
    }
}

struct Writer<'a> {
    wiring: &'a Wiring<'a>,
    schedule: &'a Schedule,
    members: &'a [usize],
    names: HashMap<usize, String>,
    inputs: Vec<Input>,
    loaded: Vec<bool>,
    scalars: Vec<(usize, usize)>,
    body: String,
    libraries: Vec<&'static str>,
}

impl Writer<'_> {
    /// The member, if any, that computes the value behind an edge within this kernel.
    fn member(&self, edge: Edge) -> Option<usize> {
        match self.wiring.root(edge) {
            Edge::Node { index, .. } if self.members.contains(&index) => Some(index),
            _ => None,
        }
    }

    fn constant(&self, edge: Edge) -> Option<usize> {
        match self.wiring.root(edge) {
            Edge::Node { index, .. } if self.wiring.is_constant(index) => Some(index),
            _ => None,
        }
    }

    fn find_inputs(&mut self) {
        for &member in self.members {
            for (argument, &edge) in self.schedule.edges[member].iter().enumerate() {
                if self.member(edge).is_some() || self.constant(edge).is_some() || self.input(edge).is_some() {
                    continue;
                }
                let layout = *self.wiring.layout(edge);
                let access = access(&layout, &layout.shape);
                self.inputs.push(Input { from: (member, argument), root: self.wiring.root(edge), layout, access });
                self.loaded.push(false);
            }
        }
    }

    fn input(&self, edge: Edge) -> Option<usize> {
        let (root, layout) = (self.wiring.root(edge), self.wiring.layout(edge));
        self.inputs.iter().position(|input| input.root == root && input.layout == *layout)
    }

    /// An input that this kernel is the last to read, element by element where it writes.
    fn in_place(&self, output: &Layout, dying: &dyn Fn(Root) -> bool) -> Option<usize> {
        self.inputs.iter().position(|input| {
            matches!(input.access, Access::Flat)
                && input.layout.offset == 0
                && input.layout.dtype == output.dtype
                && self.inputs.iter().filter(|other| other.root == input.root).count() == 1
                && dying(input.root)
        })
    }

    fn call(&mut self, member: usize) -> Result<()> {
        let node = &self.schedule.nodes[member];
        let arguments: Vec<String> =
            self.schedule.edges[member].iter().map(|&edge| self.argument(edge)).collect::<Result<_>>()?;
        let expression = self.expression(member, &arguments)?;
        let name = format!("v{}", self.names.len());
        let _ = writeln!(self.body, "    let {name} = {expression}; // {}", node.op.name());
        self.names.insert(member, name);
        Ok(())
    }

    fn argument(&mut self, edge: Edge) -> Result<String> {
        if let Some(member) = self.member(edge) {
            return Ok(self.names[&member].clone());
        }
        if let Some(constant) = self.constant(edge) {
            let edges = self.schedule.edges[constant].to_vec();
            let arguments: Vec<String> = edges.into_iter().map(|edge| self.argument(edge)).collect::<Result<_>>()?;
            return self.expression(constant, &arguments);
        }
        let index = self.input(edge).ok_or_else(|| internal("an input that was not found"))?;
        if !self.loaded[index] {
            self.loaded[index] = true;
            let load = load(index, &self.inputs[index]);
            let _ = writeln!(self.body, "    let x{index} = {load};");
        }
        Ok(format!("x{index}"))
    }

    /// The formula of a call with its operands and scalars filled in.
    fn expression(&mut self, member: usize, arguments: &[String]) -> Result<String> {
        let node = &self.schedule.nodes[member];
        let Class::Pointwise(formula) = node.op.class() else {
            return Err(internal("a call that is not pointwise"));
        };
        for library in formula.library {
            if !self.libraries.contains(library) {
                self.libraries.push(library);
            }
        }
        let mut text = formula.wgsl.to_string();
        for (i, argument) in arguments.iter().enumerate() {
            text = text.replace(&format!("{{{i}}}"), argument);
        }
        for scalar in 0..node.op.scalars().len() {
            let placeholder = format!("{{s{scalar}}}");
            if text.contains(&placeholder) {
                text = text.replace(&placeholder, &self.scalar(member, scalar));
            }
        }
        Ok(text)
    }

    /// Scalar words follow the offsets, whose number is known by now.
    fn scalar(&mut self, member: usize, scalar: usize) -> String {
        let at = self.scalars.iter().position(|&s| s == (member, scalar)).unwrap_or_else(|| {
            self.scalars.push((member, scalar));
            self.scalars.len() - 1
        });
        format!("word({}u)", self.inputs.len() + at)
    }
}

fn internal(reason: &str) -> Error {
    Error::Internal { op: "pointwise", reason: reason.to_string() }
}

/// The expression that loads an input's four elements, in the type they are computed with.
fn load(index: usize, input: &Input) -> String {
    let offset = format!("word({index}u)");
    let raw = match &input.access {
        Access::Flat => format!("input{index}[{offset} / 4u + quad]"),
        Access::Vector(place) => format!("input{index}[({offset} + {place}) / 4u]"),
        Access::Splat(place) => format!("vec4(input{index}[{offset} + {place}])"),
        Access::Gather(place) => {
            let element = |lane: u32| {
                let at = format!("min(quad * 4u + {lane}u, params.count - 1u)");
                format!("input{index}[{offset} + {}]", place(&at))
            };
            format!("vec4({}, {}, {}, {})", element(0), element(1), element(2), element(3))
        }
    };
    match input.layout.dtype {
        DType::Bool => format!("({raw} != U(0u))"),
        DType::F16 => format!("F({raw})"),
        _ => raw,
    }
}

/// How a layout is read by a kernel that writes `shape` in order. Sizes become constants of the kernel, all but
/// the outermost, which a shorter last batch changes.
fn access(layout: &Layout, shape: &Shape) -> Access {
    if layout.is_contiguous() && layout.offset.is_multiple_of(4) {
        return Access::Flat;
    }
    // Dimensions that step alike count as one; of size 1, not at all.
    let mut dims: Vec<(usize, usize)> = Vec::new();
    for (&size, &stride) in shape.iter().zip(layout.strides()) {
        match dims.last_mut() {
            _ if size == 1 => {}
            Some(last) if last.1 == stride * size => *last = (last.0 * size, stride),
            _ => dims.push((size, stride)),
        }
    }
    let terms: Vec<(usize, Option<usize>, usize)> = dims
        .iter()
        .enumerate()
        .filter(|(_, (_, stride))| *stride != 0)
        .map(|(d, &(size, stride))| {
            let inner: usize = dims[d + 1..].iter().map(|d| d.0).product();
            (inner, (d > 0).then_some(size), stride)
        })
        .collect();
    let place = move |at: &str| {
        let mut sum = String::new();
        for (i, (inner, size, stride)) in terms.iter().enumerate() {
            if i > 0 {
                sum.push_str(" + ");
            }
            let mut term = if *inner == 1 { format!("({at})") } else { format!("({at}) / {inner}u") };
            if let Some(size) = size {
                term = format!("({term}) % {size}u");
            }
            let _ = write!(sum, "({term}) * {stride}u");
        }
        if sum.is_empty() { "0u".to_string() } else { sum }
    };
    match dims.last() {
        None => Access::Splat("0u".to_string()),
        Some((_, 0)) if dims.len() == 1 => Access::Splat("0u".to_string()),
        Some((size, 0)) if size % 4 == 0 => Access::Splat(place("quad * 4u")),
        Some((size, 1))
            if size % 4 == 0 && layout.offset.is_multiple_of(4) && dims.iter().rev().skip(1).all(|d| d.1 % 4 == 0) =>
        {
            Access::Vector(place("quad * 4u"))
        }
        _ => Access::Gather(Box::new(place)),
    }
}

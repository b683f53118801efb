//! Packs: who computes a segment writes it where it belongs, and what exists already is copied.

use crate::graph::{Class, Edge};
use crate::number::nearest;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::form::Cluster;
use crate::plan::cluster::liveness::Lives;
use crate::plan::codegen::access::{Access, array_type, stored};
use crate::plan::codegen::emit::Written;
use crate::plan::codegen::pointwise::{TEMPLATE, WORKGROUP};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Segments that one kernel copies: it binds that many inputs, and the pack.
const MOST_COPIED: usize = 7;

/// Where a value lies that is computed in its place in a pack.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Home {
    pub pack: Root,
    /// First byte in the pack.
    pub start: usize,
}

/// The values that are computed in their places in packs.
#[derive(Default)]
pub(in crate::plan) struct Packs {
    homes: BTreeMap<Root, Home>,
}

impl Packs {
    /// What can be computed in its place: values of this schedule that a pack takes as they are and only once, and that
    /// no kernel computes from another segment of the same pack, since none could read and write one buffer.
    pub fn new(wiring: &Wiring, clusters: &[Cluster]) -> Packs {
        let mut packs = Packs::default();
        for call in wiring.calls().filter(|&call| is_pack(wiring, call)) {
            let node = &wiring.schedule.nodes[call];
            let arguments = wiring.schedule.edges[call].len();
            for (argument, &start) in node.op.starts().iter().enumerate() {
                let edge = wiring.schedule.edges[call][argument];
                let (root, layout) = (wiring.root(edge), wiring.layout(edge));
                if (0..arguments).any(|other| other != argument && wiring.argument(call, other) == root) {
                    continue;
                }
                let Edge::Node { index, .. } = root else { continue };
                let whole = layout.is_contiguous()
                    && layout.offset == 0
                    && layout.shape.numel() == wiring.stored(root).shape.numel();
                if whole && !is_pack(wiring, index) {
                    let start = start * layout.dtype.size();
                    packs.homes.entry(root).or_insert(Home { pack: Edge::Node { index: call, output: 0 }, start });
                }
            }
        }
        for cluster in clusters {
            let read: BTreeSet<Root> = cluster
                .inputs(wiring)
                .iter()
                .filter_map(|&(node, argument)| packs.home(wiring.argument(node, argument)))
                .map(|home| home.pack)
                .collect();
            for index in cluster.core() {
                for output in 0..wiring.schedule.nodes[index].outputs.len() {
                    let root = Edge::Node { index, output };
                    if packs.home(root).is_some_and(|home| read.contains(&home.pack)) {
                        packs.homes.remove(&root);
                    }
                }
            }
        }
        packs
    }

    /// Where a value is computed, if that is in a pack.
    pub fn home(&self, root: Root) -> Option<Home> {
        self.homes.get(&root).copied()
    }

    /// A pack lives as long as its segments.
    pub fn prolong(&self, lives: &mut Lives) {
        self.homes.iter().for_each(|(&root, home)| lives.prolong(home.pack, root));
    }

    /// The packs that hold a kept value.
    pub fn kept(&self, is_kept: impl Fn(Root) -> bool) -> impl Iterator<Item = Root> {
        self.homes.iter().filter(move |&(&root, _)| is_kept(root)).map(|(_, home)| home.pack)
    }
}

/// Whether a call lays its arguments side by side.
pub(in crate::plan) fn is_pack(wiring: &Wiring, call: usize) -> bool {
    matches!(wiring.schedule.nodes[call].op.class(), Class::Pack)
}

/// Writes the kernels that copy those segments of a pack that are not in their places yet, with zeros up to the next
/// segment.
pub(in crate::plan) fn write(wiring: &Wiring, call: usize, packs: &Packs) -> Written {
    let schedule = wiring.schedule;
    let output = Edge::Node { index: call, output: 0 };
    let starts = schedule.nodes[call].op.starts();
    let Layout { shape, dtype, .. } = *wiring.stored(output);
    let end = |argument: usize| starts.get(argument + 1).copied().unwrap_or(shape.numel());
    let in_place = |argument: usize| {
        let home = packs.home(wiring.argument(call, argument));
        home.is_some_and(|home| home.pack == output && home.start == starts[argument] * dtype.size())
    };
    let copied: Vec<usize> = (0..starts.len()).filter(|&argument| !in_place(argument)).collect();
    let mut kernels = Kernels::default();
    for copied in copied.chunks(MOST_COPIED) {
        let mut words = Vec::new();
        let mut body = String::new();
        let mut declarations = String::new();
        let mut bindings = Vec::new();
        let mut quads = 0;
        for (i, &argument) in copied.iter().enumerate() {
            let layout = wiring.layout(schedule.edges[call][argument]);
            let access = Access::new(layout, Wide::Elements { ragged: true });
            let from = quads;
            quads += (end(argument) - starts[argument]) / 4;
            words.push(Word::Offset(argument));
            words.extend(
                [from, layout.shape.numel(), starts[argument] / 4].map(|word| Word::Value(nearest::<u32>(word))),
            );
            let word = |offset: usize| format!("word({}u)", 4 * i + offset);
            let next = if i + 1 < copied.len() { format!("word({}u)", 4 * i + 5) } else { "params.quads".to_string() };
            let buffer = format!("input{i}");
            let value = access.load(&buffer, &word(0), "index", Some(&word(2)), dtype);
            let stored = stored("select(F(), value, vec4(index) + vec4(0u, 1u, 2u, 3u) < vec4(count))", dtype, 4);
            let _ = write!(
                body,
                "    if (quad >= {first} && quad < {next}) {{
        let index = (quad - {first}) * 4u;
        let count = {count};
        var value = F();
        if (index < count) {{ value = {value}; }}
        output[{start} + quad - {first}] = {stored};
    }}
",
                first = word(1),
                count = word(2),
                start = word(3),
            );
            let (array, binding) = (access.array_type(dtype), i + 1);
            let _ =
                writeln!(declarations, "@group(0) @binding({binding}) var<storage, read> {buffer}: array<{array}>;");
            bindings.push((buffer, Operand::Input(argument)));
        }
        let (array, binding) = (array_type(dtype, true), copied.len() + 1);
        let _ =
            writeln!(declarations, "@group(0) @binding({binding}) var<storage, read_write> output: array<{array}>;");
        bindings.push(("output".to_string(), Operand::Output(0)));
        let mut kernel = Kernel::new("pack", TEMPLATE)
            .constant("WORDS", format!("{}u", copied.len()))
            .values(&[4 * quads, quads, quads, WORKGROUP])
            .words(words)
            .grid(fold_groups(quads, WORKGROUP))
            .work(4 * quads)
            .hook("evaluate", format!("\n    let quad = unit;\n{body}"));
        kernel.declarations = declarations;
        kernel.bindings = bindings;
        kernels.kernels.push(kernel);
    }
    Written {
        kernels,
        inputs: (0..starts.len()).map(|argument| (call, argument)).collect(),
        outputs: vec![output],
        scalars: Vec::new(),
        in_place: Vec::new(),
    }
}

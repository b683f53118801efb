//! Packs: a computed segment is written directly to its destination, and existing values are copied.

use crate::graph::Edge;
use crate::number::nearest;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::Wiring;
use crate::plan::cluster::destinations::Destinations;
use crate::plan::codegen::access::{Access, array_type, stored};
use crate::plan::codegen::emit::Emitted;
use crate::plan::codegen::pointwise::{TEMPLATE, WORKGROUP};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::fmt::Write;

/// Segments that one kernel copies: it binds that many inputs, and the pack.
const MOST_COPIED: usize = 7;

/// Writes the kernels that copy the segments of a pack that are not computed at their destinations, with zeros up to the next
/// segment.
pub(in crate::plan) fn emit(wiring: &Wiring, call: usize, destinations: &Destinations) -> Emitted {
    let schedule = wiring.schedule;
    let output = Edge::Node { index: call, output: 0 };
    let starts = wiring.starts(call);
    let Layout { shape, dtype, .. } = *wiring.stored(output);
    let end = |argument: usize| starts.get(argument + 1).copied().unwrap_or(shape.numel());
    let in_place = |argument: usize| {
        let destination = destinations.of(wiring.argument(call, argument));
        destination.is_some_and(|taken| taken.pack == output && taken.start == starts[argument] * dtype.size())
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
    Emitted {
        kernels,
        inputs: (0..starts.len()).map(|argument| (call, argument)).collect(),
        outputs: vec![output],
        scalars: Vec::new(),
        in_place: Vec::new(),
    }
}

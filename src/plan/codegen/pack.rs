//! Emits the kernels of packs, which copy the segments that no kernel computes in place.

use crate::dtype::DType;
use crate::graph::Edge;
use crate::number::nearest;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::Wiring;
use crate::plan::cluster::destinations::Destinations;
use crate::plan::codegen::access::{Access, array_type, stored};
use crate::plan::codegen::emit::{Emitted, binding};
use crate::plan::codegen::pointwise::{TEMPLATE, WORKGROUP};
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::fmt::Write;

/// Segments that one kernel copies: it binds that many inputs, and the pack.
const MOST_COPIED: usize = 7;

/// Emits the kernels that copy those segments of a pack that are not in their places yet, with zeros up to the next
/// segment.
pub(in crate::plan) fn emit(wiring: &Wiring, call: usize, destinations: &Destinations) -> Emitted {
    let output = Edge::Node { index: call, output: 0 };
    let starts = wiring.starts(call);
    let Layout { shape, dtype, .. } = *wiring.stored(output);
    let in_place = |argument: usize| {
        let destination = destinations.of(wiring.argument(call, argument));
        destination.is_some_and(|taken| taken.pack == output && taken.start == starts[argument] * dtype.size())
    };
    let segment = |argument: usize| Segment {
        argument,
        layout: wiring.layout(wiring.schedule.edges[call][argument]),
        start: starts[argument],
        end: starts.get(argument + 1).copied().unwrap_or(shape.numel()),
    };
    let segments: Vec<Segment> = (0..starts.len()).filter(|&argument| !in_place(argument)).map(segment).collect();
    Emitted {
        kernels: Kernels {
            kernels: segments.chunks(MOST_COPIED).map(|segments| copy(segments, dtype)).collect(),
            temporaries: Vec::new(),
        },
        inputs: (0..starts.len()).map(|argument| (call, argument)).collect(),
        outputs: vec![output],
        scalars: Vec::new(),
        in_place: Vec::new(),
    }
}

/// A part of a pack, and the argument that belongs there.
struct Segment<'a> {
    argument: usize,
    layout: &'a Layout,
    start: usize,
    end: usize,
}

/// The kernel that copies some segments of a pack.
fn copy(segments: &[Segment], dtype: DType) -> Kernel {
    let mut words = Vec::new();
    let mut body = "\n    let quad = unit;\n".to_string();
    let mut quads = 0;
    let mut kernel = Kernel::new("pack", TEMPLATE);
    for (i, Segment { argument, layout, start, end }) in segments.iter().enumerate() {
        let access = Access::new(layout, Wide::Elements { ragged: true });
        words.push(Word::Offset(*argument));
        words.extend([quads, layout.shape.numel(), start / 4].map(|word| Word::Value(nearest::<u32>(word))));
        quads += (end - start) / 4;
        let word = |offset: usize| format!("word({}u)", 4 * i + offset);
        let next = if i + 1 < segments.len() { format!("word({}u)", 4 * i + 5) } else { "params.quads".to_string() };
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
        kernel.declarations.push_str(&binding(i + 1, "read", &buffer, access.array_type(dtype)));
        kernel = kernel.bind(buffer, Operand::Input(*argument));
    }
    kernel.declarations.push_str(&binding(segments.len() + 1, "read_write", "output", array_type(dtype, true)));
    kernel
        .bind("output", Operand::Output(0))
        .constant("WORDS", format!("{}u", segments.len()))
        .values(&[4 * quads, quads, quads, WORKGROUP])
        .words(words)
        .grid(fold_groups(quads, WORKGROUP))
        .work(4 * quads)
        .hook("evaluate", body)
}

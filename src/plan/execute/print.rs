//! A plan as text and as Graphviz DOT.

use crate::plan::memory::assign::{Location, Plan, Step};
use std::fmt::Write;

fn location(location: Option<Location>) -> String {
    match location {
        Some(Location::Slot(slot)) => format!("slot{slot}"),
        Some(Location::Part(slot, start, _)) => format!("slot{slot}at{start}"),
        Some(Location::Source(source)) => format!("source{source}"),
        None => "fault".to_string(),
    }
}

/// The step's bindings by name, read or written.
fn bindings(step: &Step) -> impl Iterator<Item = (&str, String, bool)> {
    step.pipeline
        .buffers
        .iter()
        .zip(&step.buffers)
        .map(|((name, _, writes), &at)| (name.as_str(), location(at), *writes))
}

/// Names of the calls that a step computes, fused ones joined by `+`.
pub(in crate::plan) fn calls(plan: &Plan, step: &Step) -> String {
    let names: Vec<&str> = step.nodes.iter().map(|&node| plan.calls[node]).collect();
    names.join("+")
}

/// A line a dispatch: the kernel, the calls it computes, its grid and the location of each binding; then the slots' sizes and the
/// notes.
pub(in crate::plan) fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} dispatches, {} slots of {} bytes, peak {} bytes with what it reads",
        plan.steps.len(),
        plan.slots.len(),
        plan.slot_bytes,
        plan.bytes()
    );
    for (i, step) in plan.steps.iter().enumerate() {
        let [x, y, z] = step.groups;
        let _ = write!(out, "{i:4}  {} for {} [{x}, {y}, {z}]", step.name, calls(plan, step));
        for (name, at, writes) in bindings(step) {
            let _ = write!(out, "  {name}{}{at}", if writes { " -> " } else { " <- " });
        }
        out.push('\n');
    }
    for (slot, bytes) in plan.slots.iter().enumerate() {
        let _ = writeln!(out, "slot{slot}: {bytes} bytes");
    }
    for note in &plan.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// Dispatches as boxes, locations as ellipses.
pub(in crate::plan) fn dot(plan: &Plan) -> String {
    let mut out = String::from("digraph plan {\n  node [shape=box, fontname=monospace];\n");
    for (i, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(out, "  k{i} [label=\"{}\\n{}\"];", step.name, calls(plan, step));
        for (_, at, writes) in bindings(step) {
            let _ = writeln!(out, "  {at} [shape=ellipse];");
            let _ = if writes { writeln!(out, "  k{i} -> {at};") } else { writeln!(out, "  {at} -> k{i};") };
        }
    }
    out.push_str("}\n");
    out
}

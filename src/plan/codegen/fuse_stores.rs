//! Puts pointwise calls, and a sum on the side, into the stores of another call's kernels.

use crate::error::Result;
use crate::graph::Edge;
use crate::number::nearest;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::emit::{Emitter, Uses};
use crate::plan::codegen::hooks::{FOURS, extend, hook_body, spelled};
use crate::plan::codegen::u64_pairs;
use crate::shader::{Kernel, Kernels, Operand, Word};
use std::fmt::Write;

/// A store hook that computes further values.
pub(super) struct FusedStore {
    pub body: String,
    pub uses: Uses,
}

/// The hook that stores an element of `call`, named `value`, and of what is computed from it; `None` where the
/// template's own is right.
pub(super) fn emit(emitter: &mut Emitter, call: usize) -> Result<Option<FusedStore>> {
    let (wiring, cluster) = (emitter.wiring, emitter.cluster);
    let behind = cluster.behind(wiring, call);
    let mut body = emitter.line(&emitter.value(call), call, "value");
    emitter.calls(behind.iter().copied(), "index", None, &mut body)?;
    let elementwise = (0..emitter.outputs.len()).filter(|&k| has_elements(wiring, cluster, call, emitter.outputs[k]));
    for output in elementwise {
        let value = emitter.stored(output, &emitter.result(output), emitter.width);
        let _ = writeln!(body, "    {}[index] = {value};", emitter.output(output));
    }
    let store = FusedStore { body, uses: emitter.take_uses() };
    Ok((!behind.is_empty() || cluster.side_sum(wiring).is_some()).then_some(store))
}

/// True for an output with an element for each of the call's result: neither another output of the call, nor a sum on the
/// side.
pub(super) fn has_elements(wiring: &Wiring, cluster: &Cluster, call: usize, root: Root) -> bool {
    match root {
        Edge::Node { index, output } if index == call => output == 0,
        _ => cluster.side_sum(wiring).is_none_or(|sum| root.node() != Some(sum)),
    }
}

/// Stores the sums too, which the kernels pass to the hook after the elements. The number of elements is one more word.
pub(super) fn add_side_sum(emitter: &Emitter, call: usize, store: &mut FusedStore, words: &mut Vec<Word>) {
    let Some(sum) = emitter.cluster.side_sum(emitter.wiring) else { return };
    let Some(output) = emitter.outputs.iter().position(|root| root.node() == Some(sum)) else { return };
    let count = format!("word({}u)", words.len());
    words.push(Word::Value(nearest::<u32>(emitter.wiring.schedule.nodes[call].outputs[0].shape.numel())));
    let value = emitter.stored(output, "value", emitter.width);
    let sums = format!("{}[index - {count}] = {value};", emitter.output(output));
    store.uses = Uses::of_all([&store.uses, &emitter.take_uses()].into_iter());
    store.body.insert_str(0, &format!("    if (index >= {count}) {{\n    {sums}\n    return;\n    }}\n"));
}

/// True if all kernels that store the result hand over eight elements at a time, and nothing but stores is fused.
pub(super) fn in_u64_pairs(
    wiring: &Wiring,
    cluster: &Cluster,
    call: usize,
    kernels: &Kernels,
    outputs: &[Root],
) -> bool {
    let arguments = 0..wiring.schedule.edges[call].len();
    let mut writers = kernels.kernels.iter().filter(|kernel| kernel.shows(Operand::Output(0)));
    cluster.side_sum(wiring).is_none()
        && wiring.outputs(call).count() == 1
        && !cluster.behind(wiring, call).is_empty()
        && arguments.clone().all(|argument| cluster.producer(wiring, call, argument).is_none())
        && writers.all(Kernel::has_eights)
        && u64_pairs::fits(wiring, cluster, outputs)
}

/// Rewrites the hooks that store eight elements of `call` at a time.
pub(super) fn emit_u64_pairs(emitter: &mut Emitter, call: usize, kernels: &mut Kernels) -> Result<()> {
    let behind = emitter.cluster.behind(emitter.wiring, call);
    let pairs = u64_pairs::emit(emitter, behind.into_iter(), Some(call), None)?;
    let words = emitter.words();
    let uses = emitter.take_uses();
    let body = format!("\n    let unit = index / 8u;{}", hook_body(&pairs.body, FOURS));
    for kernel in kernels.kernels.iter_mut().filter(|kernel| kernel.shows(Operand::Output(0))) {
        extend(kernel, emitter, &words, FOURS, &uses, |_| "vec4<u64>")?;
        kernel.store_eights_by(body.clone());
        kernel.declarations.push_str(&spelled(&pairs.function, FOURS));
    }
    Ok(())
}

//! Fuses pointwise calls into the stores of another call's kernels, together with those that `fuse_loads` writes into their
//! loads.

use crate::error::Result;
use crate::graph::Edge;
use crate::number::nearest;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Emitted, Emitter, Input, internal, output_name};
use crate::plan::codegen::fuse_loads;
use crate::plan::codegen::pointwise::calls;
use crate::plan::codegen::u64_pairs;
use crate::shader::{Kernel, Kernels, Operand, Word, with_words};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The types of `F`, `I`, `U` and `B` in a store of one number.
const SINGLE: [&str; 4] = ["f32", "i32", "u32", "bool"];

/// The same in a kernel that stores eight numbers at a time, as fours.
const FOURS: [&str; 4] = ["vec4<f32>", "vec4<i32>", "vec4<u32>", "vec4<bool>"];

/// The kernels of `call`, storing `outputs` besides (or instead of) its own result.
pub(in crate::plan) fn emit(
    wiring: &Wiring,
    cluster: &Cluster,
    call: usize,
    mut kernels: Kernels,
    stored_roots: Vec<Root>,
    may_overwrite: impl Fn(Root, &Input) -> bool,
) -> Result<Emitted> {
    let own = Edge::Node { index: call, output: 0 };
    let dtype = wiring.stored(own).dtype;
    // The template's `output` shows a result of the call's type. The call's other outputs keep their numbers.
    let others = wiring.schedule.nodes[call].outputs.len();
    let sum = cluster.side_sum(wiring);
    let is_sum = |root: Root| sum.is_some() && root.node() == sum;
    let is_rest = |root: &Root| root.node() != Some(call);
    let mut rest: Vec<Root> = stored_roots.iter().copied().filter(is_rest).collect();
    let mut shown = own;
    if !stored_roots.contains(&own)
        && let Some(at) = rest.iter().position(|&root| wiring.stored(root).dtype == dtype)
    {
        shown = rest.remove(at);
    }
    let mut outputs = vec![shown];
    outputs.extend((1..others).map(|output| Edge::Node { index: call, output }));
    outputs.extend(rest);
    let behind = cluster.behind(wiring, call);
    let arguments = wiring.schedule.edges[call].len();
    let stores = !behind.is_empty() || sum.is_some();
    let mut writers = kernels.kernels.iter().filter(|kernel| kernel.shows(Operand::Output(0)));
    let in_eights = stores
        && (sum.is_none() && others == 1)
        && (0..arguments).all(|argument| cluster.producer(wiring, call, argument).is_none())
        && writers.all(Kernel::has_eights)
        && u64_pairs::fits(wiring, cluster, &outputs);
    let (width, wide) = if in_eights { (4, Wide::Elements { ragged: false }) } else { (1, Wide::Single) };
    let mut emitter = Emitter::new(wiring, cluster, outputs, width, |_, layout| Access::new(layout, wide));
    emitter.scalars = (0..wiring.schedule.nodes[call].op.scalars().len()).map(|scalar| (call, scalar)).collect();
    // The call's kernels read their inputs in an order of their own, when some outputs are stored already.
    let before = (0..arguments).flat_map(|argument| cluster.before(wiring, call, argument));
    let read: BTreeSet<Root> = before
        .chain([call])
        .flat_map(|node| (0..wiring.schedule.edges[node].len()).map(move |argument| wiring.argument(node, argument)))
        .collect();
    let is_note = |root| matches!(root, Edge::Node { index, output } if index == call && output > 0);
    let is_whole = |root| !is_note(root) && !is_sum(root);
    // Nothing here is read by rows, so no other output takes over a buffer.
    let is_free = |input: &Input| !read.contains(&input.root);
    emitter.take_over(|output, input| is_free(input) && may_overwrite(output, input), is_whole);

    let numel = wiring.stored(own).shape.numel();
    if in_eights {
        let eights = u64_pairs::emit(&mut emitter, behind.into_iter(), Some(call), None)?;
        let words = emitter.words();
        for kernel in kernels.kernels.iter_mut().filter(|kernel| kernel.shows(Operand::Output(0))) {
            let text = format!("{}{}", eights.body, eights.function);
            extend(kernel, &emitter, &words, FOURS, &text, |_| "vec4<u64>")?;
            let body = spelled(&eights.body.replace("output0[", "output["), FOURS);
            kernel.store_eights_by(format!("\n    let unit = index / 8u;\n{body}"));
            kernel.declarations.push_str(&spelled(&eights.function, FOURS));
        }
        return Ok(emitter.finish(kernels));
    }
    let mut body = emitter.line(&emitter.value(call), call, "value");
    calls(&mut emitter, behind.iter().copied(), "index", None, &mut body)?;
    for output in (0..emitter.outputs.len()).filter(|&output| is_whole(emitter.outputs[output])) {
        let value = emitter.stored(output, &emitter.result(output), emitter.width);
        let _ = writeln!(body, "    {}[index] = {value};", output_name(output));
    }
    let loaded = fuse_loads::emit(&mut emitter, call, &kernels, &body)?;
    let mut words = emitter.words();
    if let Some(output) = emitter.outputs.iter().position(|&root| is_sum(root)) {
        // Sums follow the elements.
        let count = format!("word({}u)", words.len());
        words.push(Word::Value(nearest::<u32>(numel)));
        let value = emitter.stored(output, "value", emitter.width);
        let store = format!("{}[index - {count}] = {value};", output_name(output));
        body.insert_str(0, &format!("    if (index >= {count}) {{\n    {store}\n    return;\n    }}\n"));
    }
    for kernel in &mut kernels.kernels {
        let loaded = fuse_loads::take_off(kernel, &emitter, call, &loaded);
        let mut bodies: Vec<(&'static str, &String)> = loaded.iter().map(|load| (load.hook, &load.body)).collect();
        if stores && kernel.shows(Operand::Output(0)) {
            bodies.push(("store_output", &body));
        }
        if bodies.is_empty() {
            continue;
        }
        let functions: String = loaded.iter().map(|load| load.function.as_str()).collect();
        let text: String = bodies.iter().map(|body| body.1.as_str()).chain([functions.as_str()]).collect();
        extend(kernel, &emitter, &words, SINGLE, &text, |root| wiring.stored(root).dtype.wgsl())?;
        for (hook, body) in bodies {
            let body = format!("\n{}", spelled(&body.replace("output0[", "output["), SINGLE));
            if hook == "store_output" { kernel.store_by(body) } else { kernel.hooks.push((hook, body)) }
        }
        kernel.declarations.push_str(&spelled(&functions, SINGLE));
    }
    Ok(emitter.finish(kernels))
}

/// Adds everything to a kernel that `text` mentions: parameter words, bindings, libraries.
fn extend(
    kernel: &mut Kernel,
    emitter: &Emitter,
    words: &[Word],
    types: [&str; 4],
    text: &str,
    array: impl Fn(Root) -> &'static str,
) -> Result<()> {
    let fields = kernel.param_fields().ok_or_else(|| internal("a kernel without parameters"))?;
    kernel.params.resize(fields.next_multiple_of(4), Word::Value(0));
    kernel.extra_words = words.len().div_ceil(4).max(1);
    kernel.params.extend(words.iter().copied());
    emitter.bind(kernel, text, kernel.free_binding(), true, array);
    kernel.declarations.push_str("\nfn word(index: u32) -> u32 { return params.words[index / 4u][index % 4u]; }\n");
    kernel.declarations.push_str(&spelled(&emitter.libraries(), types));
    Ok(())
}

/// A text with the types of `F`, `I`, `U` and `B` written out: another call's template may give such a name another meaning, as
/// cooperative matrices do with `B`.
fn spelled(text: &str, types: [&str; 4]) -> String {
    with_words(text, |word| {
        let alias = ["F", "I", "U", "B"].iter().position(|&alias| alias == word);
        alias.map_or(word, |at| types[at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_spelled_by_whole_names() {
        let text = "let B0 = F(I_x) + bitcast<F>(U(0xFu)); // I";
        assert_eq!(spelled(text, SINGLE), "let B0 = f32(I_x) + bitcast<f32>(u32(0xFu)); // i32");
    }
}

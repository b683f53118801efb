//! Puts pointwise calls into the stores of another call's kernels.

use crate::error::Result;
use crate::graph::Edge;
use crate::plan::access::Access;
use crate::plan::code::{Code, Input, Written, internal, output_name};
use crate::plan::domain::Wide;
use crate::plan::form::Cluster;
use crate::plan::pointwise::calls;
use crate::plan::wiring::{Root, Wiring};
use crate::shader::{Kernels, Operand, Word};
use std::fmt::Write;

/// Single numbers: a store has one.
const ALIASES: &str = "alias F = f32;\nalias I = i32;\nalias U = u32;\nalias B = bool;\n";

/// The kernels of `call`, storing `outputs` besides (or instead of) its own result.
pub(super) fn write(
    wiring: &Wiring,
    cluster: &Cluster,
    call: usize,
    mut kernels: Kernels,
    stored_roots: Vec<Root>,
    may_take: impl Fn(Root, &Input) -> bool,
) -> Result<Written> {
    let own = Edge::Node { index: call, output: 0 };
    let dtype = wiring.stored(own).dtype;
    // The template's `output` shows a result of the call's type. The call's other outputs keep their numbers.
    let others = wiring.schedule.nodes[call].outputs.len();
    let sum = cluster.side_sum(wiring);
    let is_sum = |root: Root| sum.is_some() && super::wiring::node(root) == sum;
    let is_rest = |root: &Root| super::wiring::node(*root) != Some(call);
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
    let mut code = Code::new(wiring, cluster, outputs, 1, |_, layout| Access::new(layout, Wide::Single));
    code.scalars = (0..wiring.schedule.nodes[call].op.scalars().len()).map(|scalar| (call, scalar)).collect();
    let arguments = wiring.schedule.edges[call].len();
    // The call's own inputs are read in an order of their own while others are stored already.
    let is_own = |input: &Input| (0..arguments).any(|argument| wiring.argument(call, argument) == input.root);
    let is_note = |root| matches!(root, Edge::Node { index, output } if index == call && output > 0);
    let is_whole = |root| !is_note(root) && !is_sum(root);
    // Nothing here is read by rows, so no other output takes anything over.
    let is_free = |input: &Input| input.from.0 != call && !is_own(input);
    code.take_over(|output, input| is_free(input) && may_take(output, input), is_whole);

    let numel = wiring.stored(own).shape.numel();
    let mut body = format!("    let v{call} = value;\n");
    let rest = cluster.members.iter().copied().filter(|&member| member != call && Some(member) != sum);
    calls(&mut code, rest, "index", &format!("{numel}u"), &mut body)?;
    for output in (0..code.outputs.len()).filter(|&output| is_whole(code.outputs[output])) {
        let node = super::wiring::node(code.outputs[output]).ok_or_else(|| internal("a source is no result"))?;
        let value = code.stored(output, &format!("v{node}"), code.width);
        let _ = writeln!(body, "    {}[index] = {value};", output_name(output));
    }
    let mut words = code.words();
    if let Some(output) = code.outputs.iter().position(|&root| is_sum(root)) {
        // Sums follow the elements.
        let count = format!("word({}u)", words.len());
        words.push(Word::Value(numel as u32));
        let value = code.stored(output, "value", code.width);
        let store = format!("{}[index - {count}] = {value};", output_name(output));
        body.insert_str(0, &format!("    if (index >= {count}) {{\n    {store}\n    return;\n    }}\n"));
    }
    for kernel in kernels.kernels.iter_mut().filter(|kernel| kernel.shows(Operand::Output(0))) {
        let fields = kernel.param_fields().ok_or_else(|| internal("a kernel without parameters"))?;
        let start = fields.next_multiple_of(4);
        kernel.params.resize(start, Word::Value(0));
        kernel.extra_words = words.len().div_ceil(4).max(1);
        kernel.params.extend(words.iter().copied());
        kernel.declarations.push_str(ALIASES);
        let binding = kernel.free_binding();
        code.bind(kernel, &body, binding, true, |_| false);
        let text = body.replace("output0[", "output[");
        kernel.hooks.push(("store_output", format!("\n{text}")));
        kernel.declarations.push_str("\nfn word(index: u32) -> u32 { return params.words[index / 4u][index % 4u]; }\n");
        kernel.declarations.push_str(&code.libraries());
    }
    Ok(code.finish(kernels))
}

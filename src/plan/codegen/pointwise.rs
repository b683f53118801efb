//! Writes the kernel of a cluster of pointwise calls.

use crate::device::Adapter;
use crate::error::Result;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::{Access, array_type};
use crate::plan::codegen::emit::{Emitted, Emitter, Input, output_name};
use crate::plan::codegen::u64_pairs;
use crate::shader::{Kernel, Kernels, fold_groups};
use std::collections::BTreeSet;
use std::fmt::Write;

pub(in crate::plan) const TEMPLATE: &str = wgsl!("plan/pointwise");

/// Invocations of a workgroup in `shaders/plan/pointwise.wgsl`, unless another number is set.
pub(in crate::plan) const WORKGROUP: usize = 64;

/// Writes the kernel that computes `outputs`. `may_overwrite` decides which inputs' buffers may be overwritten.
pub(in crate::plan) fn emit(
    wiring: &Wiring,
    cluster: &Cluster,
    outputs: Vec<Root>,
    may_overwrite: impl Fn(Root, &Input) -> bool,
    adapter: &Adapter,
) -> Result<Emitted> {
    let count = outputs.first().map_or(0, |&root| wiring.stored(root).shape.numel());
    let wide = Wide::Elements { ragged: true };
    let mut emitter = Emitter::new(wiring, cluster, outputs, wide.width(), |_, layout| Access::new(layout, wide));
    emitter.take_over(may_overwrite, |_| true);
    let quads = count.div_ceil(4);
    let mut kernel = Kernel::new("pointwise", TEMPLATE).work(count * cluster.members.len());
    let fits_pairs = u64_pairs::pays(&emitter) && u64_pairs::fits(wiring, cluster, &emitter.outputs);
    let body = if adapter.profile.u64_pairs && fits_pairs {
        let units = quads.div_ceil(2);
        let span = u64_pairs::span(units);
        kernel = kernel
            .constant("WORKGROUP", format!("{}u", u64_pairs::WORKGROUP))
            .values(&[count, quads, units, span])
            .grid(fold_groups(units, span));
        let members = cluster.members.iter().copied();
        let eights = u64_pairs::emit(&mut emitter, members, None, Some("params.count"))?;
        emitter.bind(&mut kernel, &format!("{}{}", eights.body, eights.function), 1, false, |_| "vec4<u64>");
        kernel.declarations.push_str(u64_pairs::LIBRARY);
        kernel.declarations.push_str(&eights.function);
        eights.body
    } else {
        kernel = kernel.values(&[count, quads, quads, WORKGROUP]).grid(fold_groups(quads, WORKGROUP));
        let mut body = "    let quad = unit;\n    let index = quad * 4u;\n".to_string();
        calls(&mut emitter, cluster.members.iter().copied(), "index", Some("params.count"), &mut body)?;
        for output in 0..emitter.outputs.len() {
            let value = emitter.stored(output, &emitter.result(output), 4);
            let _ = writeln!(body, "    {}[quad] = {value};", output_name(output));
        }
        emitter.bind(&mut kernel, &body, 1, false, |root| array_type(wiring.stored(root).dtype, true));
        body
    };
    let words = emitter.words();
    let mut kernel = kernel
        .constant("WORDS", format!("{}u", words.len().div_ceil(4).max(1)))
        .words(words)
        .hook("evaluate", format!("\n{body}"));
    kernel.declarations.push_str(&emitter.libraries());
    Ok(emitter.finish(Kernels::from(kernel)))
}

/// Appends the calls of `members`, in order, loading their inputs at `index` of `count`, if that may lie past the end; values are
/// named after their calls.
pub(in crate::plan) fn calls(
    emitter: &mut Emitter,
    members: impl Iterator<Item = usize>,
    index: &str,
    count: Option<&str>,
    body: &mut String,
) -> Result<()> {
    let mut loaded = vec![false; emitter.inputs.len()];
    let mut constants = BTreeSet::new();
    for node in members {
        let mut arguments = Vec::new();
        for argument in 0..emitter.wiring.schedule.edges[node].len() {
            if let Some(producer) = emitter.cluster.producer(emitter.wiring, node, argument) {
                arguments.push(emitter.value(producer));
            } else if let Some(constant) = emitter.wiring.constant(emitter.wiring.argument(node, argument)) {
                arguments.push(emitter.constant(constant, &mut constants, body)?);
            } else {
                let input = emitter.input(node, argument)?;
                if !std::mem::replace(&mut loaded[input], true) {
                    body.push_str(&emitter.load(input, index, count));
                }
                arguments.push(format!("x{input}"));
            }
        }
        let value = emitter.pointwise(node, &arguments)?;
        body.push_str(&emitter.line(&emitter.value(node), node, &value));
    }
    Ok(())
}

//! Emits the kernel of a cluster of pointwise calls.

use crate::device::Adapter;
use crate::error::Result;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::{Access, array_type};
use crate::plan::codegen::emit::{Emitted, Emitter, Input};
use crate::plan::codegen::u64_pairs;
use crate::shader::{Kernel, Kernels, fold_groups};
use std::fmt::Write;

pub(in crate::plan) const TEMPLATE: &str = wgsl!("plan/pointwise");

/// Invocations of a workgroup in `shaders/plan/pointwise.wgsl`, where no other number is set.
pub(in crate::plan) const WORKGROUP: usize = 64;

/// Emits the kernel that computes `outputs`. `may_overwrite` says which inputs' buffers may be overwritten.
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
        let pairs = u64_pairs::emit(&mut emitter, members, None, Some("params.count"))?;
        emitter.bind(&mut kernel, &emitter.take_uses(), 1, |_| "vec4<u64>");
        kernel.declarations.push_str(u64_pairs::LIBRARY);
        kernel.declarations.push_str(&pairs.function);
        pairs.body
    } else {
        kernel = kernel.values(&[count, quads, quads, WORKGROUP]).grid(fold_groups(quads, WORKGROUP));
        let mut body = "    let quad = unit;\n    let index = quad * 4u;\n".to_string();
        emitter.calls(cluster.members.iter().copied(), "index", Some("params.count"), &mut body)?;
        for output in 0..emitter.outputs.len() {
            let value = emitter.stored(output, &emitter.result(output), 4);
            let _ = writeln!(body, "    {}[quad] = {value};", emitter.output(output));
        }
        emitter.bind(&mut kernel, &emitter.take_uses(), 1, |root| array_type(wiring.stored(root).dtype, true));
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

//! Emits the kernels of a call that pointwise calls are fused with: `fuse_loads` writes the hooks that load its arguments,
//! `fuse_stores` the one that stores its result.

use crate::error::Result;
use crate::graph::Edge;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Emitted, Emitter, Input, Uses};
use crate::plan::codegen::hooks::{SINGLE, extend, hook_body, spelled};
use crate::plan::codegen::{fuse_loads, fuse_stores};
use crate::shader::{Kernels, Operand};
use std::collections::BTreeSet;

/// Emits the kernels of `call`, storing `stored` besides its own result or instead of it.
pub(in crate::plan) fn emit(
    wiring: &Wiring,
    cluster: &Cluster,
    call: usize,
    mut kernels: Kernels,
    stored: Vec<Root>,
    may_overwrite: impl Fn(Root, &Input) -> bool,
) -> Result<Emitted> {
    let outputs = outputs(wiring, call, stored);
    let in_pairs = fuse_stores::in_u64_pairs(wiring, cluster, call, &kernels, &outputs);
    let (width, wide) = if in_pairs { (4, Wide::Elements { ragged: false }) } else { (1, Wide::Single) };
    let emitter = Emitter::new(wiring, cluster, outputs, width, |_, layout| Access::new(layout, wide));
    let mut emitter = emitter.in_template();
    emitter.scalars = (0..wiring.schedule.nodes[call].op.scalars().len()).map(|scalar| (call, scalar)).collect();
    take_over(&mut emitter, call, may_overwrite);
    if in_pairs {
        fuse_stores::emit_u64_pairs(&mut emitter, call, &mut kernels)?;
        return Ok(emitter.finish(kernels));
    }
    let mut store = fuse_stores::emit(&mut emitter, call)?;
    let loads = fuse_loads::emit(&mut emitter, call, &kernels, store.as_ref())?;
    let mut words = emitter.words();
    if let Some(store) = &mut store {
        fuse_stores::add_side_sum(&emitter, call, store, &mut words);
    }
    for kernel in &mut kernels.kernels {
        let loads = fuse_loads::unbind(kernel, &emitter, call, &loads);
        let store = store.as_ref().filter(|_| kernel.shows(Operand::Output(0)));
        if loads.is_empty() && store.is_none() {
            continue;
        }
        let functions: String = loads.iter().map(|load| load.function.as_str()).collect();
        let uses = Uses::of_all(loads.iter().map(|load| &load.uses).chain(store.map(|store| &store.uses)));
        extend(kernel, &emitter, &words, SINGLE, &uses, |root| wiring.stored(root).dtype.wgsl())?;
        for load in loads {
            kernel.hooks.push((load.hook.name, hook_body(&load.body, SINGLE)));
        }
        if let Some(store) = store {
            kernel.store_by(hook_body(&store.body, SINGLE));
        }
        kernel.declarations.push_str(&spelled(&functions, SINGLE));
    }
    Ok(emitter.finish(kernels))
}

/// The values that the kernels store. The template's `output` is the first, of the type of the call's result; the call's other
/// outputs keep their numbers.
fn outputs(wiring: &Wiring, call: usize, stored: Vec<Root>) -> Vec<Root> {
    let result = Edge::Node { index: call, output: 0 };
    let dtype = wiring.stored(result).dtype;
    let is_stored = stored.contains(&result);
    let mut rest: Vec<Root> = stored.into_iter().filter(|root| root.node() != Some(call)).collect();
    let in_its_place = rest.iter().position(|&root| !is_stored && wiring.stored(root).dtype == dtype);
    let first = in_its_place.map_or(result, |at| rest.remove(at));
    [first].into_iter().chain(wiring.outputs(call).skip(1)).chain(rest).collect()
}

/// Lets outputs take over the buffers of inputs, other than those that the call's kernels load in an order of their own while
/// others are stored already.
fn take_over(emitter: &mut Emitter, call: usize, may_overwrite: impl Fn(Root, &Input) -> bool) {
    let Emitter { wiring, cluster, .. } = *emitter;
    let arguments = 0..wiring.schedule.edges[call].len();
    let before = arguments.flat_map(|argument| cluster.before(wiring, call, argument));
    let read: BTreeSet<Root> =
        before.chain([call]).flat_map(|node| &wiring.schedule.edges[node]).map(|&edge| wiring.root(edge)).collect();
    let may_overwrite = |output, input: &Input| !read.contains(&input.root) && may_overwrite(output, input);
    emitter.take_over(may_overwrite, |root| fuse_stores::has_elements(wiring, cluster, call, root));
}

//! Puts pointwise calls into the loads of another call's kernels.

use crate::error::Result;
use crate::plan::code::Code;
use crate::plan::form::Cluster;
use crate::plan::pointwise::calls;
use crate::plan::wiring::{Root, Wiring, node};
use crate::shader::{Formula, Kernel, Operand, Word};
use crate::shape::Layout;
use std::collections::{BTreeMap, HashSet};

/// What a load costs in operations.
const LOAD: u64 = 12;

/// Loads that an element may take more than if it were stored: its own store, and a load of what it is computed from.
const SAVED: u64 = 2;

/// The part of a kernel's work that computing in its loads may add.
const SHARE: u64 = 16;

/// Whether computing an argument in each of the `loads` of its call's kernels, whose own work is `work`, costs less than
/// storing it.
pub(super) fn pays(
    wiring: &Wiring,
    cluster: &Cluster,
    call: usize,
    argument: usize,
    (loads, work): (u64, u64),
) -> bool {
    let Some(result) = node(wiring.argument(call, argument)) else { return false };
    let members = cluster.before(wiring, call, argument);
    let mut read: HashSet<(Root, Layout)> = HashSet::new();
    let mut cost = 0;
    for &member in &members {
        cost += wiring.formula(member).map_or(0, Formula::operations);
        for &edge in &wiring.schedule.edges[member] {
            let root = wiring.root(edge);
            if wiring.constant(root).is_none() && node(root).is_none_or(|node| !members.contains(&node)) {
                read.insert((root, *wiring.layout(edge)));
            }
        }
    }
    // One load there is anyway.
    cost += LOAD * (read.len() as u64).saturating_sub(1);
    let elements = wiring.schedule.nodes[result].outputs[0].shape.numel() as u64;
    loads.saturating_sub(elements) * cost <= SAVED * LOAD * elements || loads * cost <= work / SHARE
}

/// For each argument that is computed in the loads the body of the function that loads it.
pub(super) fn bodies(code: &mut Code, call: usize) -> Result<BTreeMap<usize, String>> {
    let mut bodies = BTreeMap::new();
    for argument in 0..code.wiring.schedule.edges[call].len() {
        if let Some(result) = code.cluster.producer(code.wiring, call, argument) {
            let members = code.cluster.before(code.wiring, call, argument);
            let count = format!("{}u", code.wiring.schedule.nodes[result].outputs[0].shape.numel());
            let mut body = String::new();
            calls(code, members.into_iter(), "index", &count, &mut body)?;
            bodies.insert(argument, format!("{body}    return v{result};\n"));
        }
    }
    Ok(bodies)
}

/// Takes the arguments that it computes itself off a kernel, and numbers those that are left as the code does; returns
/// the hooks by which it loads the former.
pub(super) fn take_over(kernel: &mut Kernel, code: &Code, call: usize, taken: &[usize]) -> Vec<(&'static str, usize)> {
    let hook = |&argument: &usize| Some((kernel.load_hook(Operand::Input(argument))?.0, argument));
    let hooks = taken.iter().filter_map(hook).collect();
    let place = |argument: usize| code.inputs.iter().position(|input| input.from == (call, argument));
    kernel.bindings.retain(|(_, operand)| !matches!(operand, Operand::Input(argument) if taken.contains(argument)));
    for (_, operand) in &mut kernel.bindings {
        if let Operand::Input(argument) = operand {
            *argument = place(*argument).unwrap_or(*argument);
        }
    }
    for word in &mut kernel.params {
        if let Word::Offset(argument) = *word {
            // What is not in memory begins at its first element.
            *word = place(argument).map_or(Word::Value(0), Word::Offset);
        }
    }
    hooks
}

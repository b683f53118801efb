//! The cost of clusters in multiply-adds, by the adapter's roofline: their loads and stores, arithmetic and launches.

use crate::device::Adapter;
use crate::graph::Class;
use crate::number::nearest;
use crate::plan::analysis::domain::steps;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::kernel_choice::KernelChoice;
use crate::plan::cluster::{Cluster, Kind};
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use std::collections::HashSet;

/// Words that an element moves more if it is stored: its store, and the load of its input.
const SAVED: u64 = 2;

/// Computing in its loads may add one part in so many of a kernel's work.
const WORK_FRACTION: u64 = 16;

/// Bytes of the distinct elements of a layout.
pub(in crate::plan) fn distinct_bytes(layout: &Layout) -> usize {
    let sizes = steps(layout).into_iter().filter(|&(_, stride)| stride != 0).map(|(size, _)| size);
    sizes.product::<usize>() * layout.dtype.size()
}

/// The costs of a word that is moved, of one that a cache holds, and of a launch.
fn prices(adapter: &Adapter) -> [u64; 3] {
    let roofline = &adapter.profile.roofline;
    [roofline.word(), roofline.cached_word(), roofline.launch()].map(nearest::<u64>)
}

/// The cost of running a cluster once.
pub(in crate::plan) fn cost(wiring: &Wiring, adapter: &Adapter, kernels: &KernelChoice, cluster: &Cluster) -> u64 {
    let chosen = kernels.of(wiring, cluster);
    let [word, cached_word, launch] = prices(adapter);
    let loads = |&(node, argument): &(usize, usize)| {
        let distinct = distinct_bytes(wiring.layout(wiring.schedule.edges[node][argument])) as u64 / 4;
        // Kernels may load an element several times.
        let of_call = matches!(cluster.kind, Kind::Call(call) if call == node);
        let loads = chosen.filter(|_| of_call).and_then(|kernels| kernels.open_loads(argument));
        word * distinct + cached_word * loads.map_or(0, |(loads, _)| loads.saturating_sub(distinct))
    };
    let outputs = cluster.core().flat_map(|index| wiring.outputs(index));
    let written = outputs.filter(|&root| cluster.is_wanted(wiring, root));
    let stores = written.map(|root| word * (wiring.stored(root).bytes() as u64 / 4));
    let moved: u64 = cluster.inputs(wiring).iter().map(loads).chain(stores).sum();
    let computed: u64 = cluster.members.iter().map(|&member| arithmetic(wiring, member)).sum();
    let kernels = chosen.map_or(&[][..], |chosen| &chosen.kernels);
    let work: u64 = kernels.iter().map(|kernel| kernel.work).sum();
    launch * kernels.len().max(1) as u64 + moved + computed + work
}

/// The arithmetic of a call that has no kernels of its own.
fn arithmetic(wiring: &Wiring, member: usize) -> u64 {
    match wiring.schedule.nodes[member].op.class() {
        Class::Pointwise(formula) => formula.cost() * wiring.schedule.nodes[member].outputs[0].shape.numel() as u64,
        Class::Rows { .. } => wiring.layout(wiring.schedule.edges[member][0]).shape.numel() as u64,
        _ => 0,
    }
}

/// True if computing an argument in each of the `loads` of its call's kernels, whose own work is `work`, costs less than
/// storing it.
pub(in crate::plan) fn pays_in_loads(
    wiring: &Wiring,
    adapter: &Adapter,
    cluster: &Cluster,
    [call, argument]: [usize; 2],
    (loads, work): (u64, u64),
) -> bool {
    let [word, cached_word, _] = prices(adapter);
    let Some(result) = wiring.argument(call, argument).node() else { return false };
    let shape = wiring.schedule.nodes[result].outputs[0].shape;
    let members = cluster.before(wiring, call, argument);
    let mut read: HashSet<(Root, Layout)> = HashSet::new();
    let mut cost = 0;
    for &member in &members {
        cost += wiring.formula(member).map_or(0, Formula::cost);
        for &edge in &wiring.schedule.edges[member] {
            let root = wiring.root(edge);
            if wiring.constant(root).is_none() && root.node().is_none_or(|node| !members.contains(&node)) {
                read.insert((root, *wiring.layout(edge)));
            }
        }
    }
    // The kernel has one load anyway, of neighbours as they lie in memory.
    let is_flat = |layout: &Layout| layout.is_contiguous() && layout.shape.numel() == shape.numel();
    let is_there = read.iter().any(|(_, layout)| is_flat(layout));
    cost += cached_word * (read.len() - usize::from(is_there)) as u64;
    let elements = shape.numel() as u64;
    let more = loads.saturating_sub(elements);
    // A weight is loaded more often the larger the batch is, and a shorter last batch should compile nothing.
    let is_fixed = more == 0 || is_of_batch(wiring, call, argument);
    is_fixed && more * cost <= SAVED * word * elements || loads * cost <= work / WORK_FRACTION
}

/// True if an argument's outermost size is that of the result or of another argument, so that it is the batch's.
fn is_of_batch(wiring: &Wiring, call: usize, argument: usize) -> bool {
    let outermost = |shape: Shape| shape.iter().position(|&size| size != 1).map(|dim| (dim, shape[dim]));
    let edges = &wiring.schedule.edges[call];
    let others = (0..edges.len()).filter(|&other| other != argument).map(|other| wiring.layout(edges[other]).shape);
    let mut all = others.chain([wiring.schedule.nodes[call].outputs[0].shape]);
    all.any(|shape| outermost(shape) == outermost(wiring.layout(edges[argument]).shape))
}

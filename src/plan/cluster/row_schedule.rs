//! Schedules a kernel over rows: the loop that computes each value, and the invocations that share a row.

use crate::device::{Adapter, LONGEST_LOOP};
use crate::plan::analysis::domain::{Domain, Wide};
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::{Cluster, Kind};
use crate::shader::Placeholder;
use crate::shape::Layout;
use std::collections::HashMap;

/// Iterations that the loops of an invocation which has rows for itself take together, on any adapter.
const MOST_ITERATIONS: usize = LONGEST_LOOP / 2;

/// The loop that computes each value. Loops count from 1.
pub(in crate::plan) struct Levels {
    /// For each member the loop after which its value is known; 0 is before all of them.
    pub of: HashMap<usize, usize>,
    /// The reductions of each loop: the call, the number among its reductions.
    pub reductions: Vec<Vec<(usize, usize)>>,
}

impl Levels {
    pub fn new(wiring: &Wiring, cluster: &Cluster) -> Levels {
        let mut of: HashMap<usize, usize> = HashMap::new();
        let mut reductions: Vec<Vec<(usize, usize)>> = Vec::new();
        for &member in &cluster.members {
            let arguments = (0..wiring.schedule.edges[member].len())
                .filter_map(|argument| cluster.producer(wiring, member, argument))
                .map(|producer| of[&producer]);
            let given = arguments.max().unwrap_or(0);
            let Some(formula) = wiring.row_formula(member) else {
                of.insert(member, given);
                continue;
            };
            let mut after: Vec<usize> = Vec::new();
            let known = |text: &str, after: &[usize]| {
                let level = |placeholder| match placeholder {
                    Placeholder::Operand(_) => given,
                    Placeholder::Result(result) => after.get(result).copied().unwrap_or(0),
                    _ => 0,
                };
                Placeholder::all(text).map(level).max().unwrap_or(0)
            };
            for (at, (_, element)) in formula.reductions.iter().enumerate() {
                let level = known(element, &after) + 1;
                if reductions.len() < level {
                    reductions.resize(level, Vec::new());
                }
                reductions[level - 1].push((member, at));
                after.push(level);
            }
            of.insert(member, known(formula.result, &after));
        }
        Levels { of, reductions }
    }
}

/// True if rows can be split into chunks: one loop is enough for everything that has an element a place.
pub(in crate::plan) fn is_one_loop(wiring: &Wiring, cluster: &Cluster, levels: &Levels) -> bool {
    levels.reductions.len() == 1
        && cluster.members.iter().all(|&member| levels.of[&member] == 0 || !cluster.is_full(wiring, member))
}

/// Checks that the rows of a cluster of several loops are neither too long nor too few: whole rows belong to one team.
pub(in crate::plan) fn check(
    cluster: &Cluster,
    wiring: &Wiring,
    adapter: &Adapter,
) -> std::result::Result<(), &'static str> {
    let Kind::Rows(domain) = &cluster.kind else { return Ok(()) };
    let levels = Levels::new(wiring, cluster);
    if is_one_loop(wiring, cluster, &levels) {
        return Ok(());
    }
    let loops = levels.reductions.len() + 1;
    let teams = domain.rows / if domain.wide() == Wide::Rows { 4 } else { 1 };
    let fits = if !adapter.profile.workgroup_memory {
        loops * domain.length / along(domain, adapter) <= MOST_ITERATIONS && (teams >= 16 || domain.numel() <= 1 << 14)
    } else if domain.rows_are_runs() {
        domain.length <= 1 << 16 && (teams >= 32 || domain.numel() <= 1 << 15)
    } else {
        loops * domain.length <= 1 << 13 && (teams >= 1024 || domain.numel() <= 1 << 15)
    };
    if fits { Ok(()) } else { Err("rows too long or too few for several loops in one kernel") }
}

/// True if a cluster's rows are split into chunks: one kernel leaves partial results of each, another combines them.
pub(in crate::plan) fn is_split(cluster: &Cluster, wiring: &Wiring, adapter: &Adapter) -> bool {
    let Kind::Rows(domain) = &cluster.kind else { return false };
    let levels = Levels::new(wiring, cluster);
    is_one_loop(wiring, cluster, &levels) && chunks(domain, lanes(domain, 1, adapter), adapter).is_some()
}

/// The numbers of inputs of the two kernels of split rows: the first reads elements and the row values that these need, the
/// second the row values.
pub(in crate::plan) fn inputs_of_stages(cluster: &Cluster, wiring: &Wiring) -> [usize; 2] {
    let levels = Levels::new(wiring, cluster);
    let mut stages: [Vec<(Root, Layout)>; 2] = Default::default();
    for &member in &cluster.members {
        let is_reduction = wiring.row_formula(member).is_some();
        let of_elements = is_reduction || cluster.is_full(wiring, member);
        for argument in 0..wiring.schedule.edges[member].len() {
            let root = wiring.argument(member, argument);
            if cluster.producer(wiring, member, argument).is_some() || wiring.constant(root).is_some() {
                continue;
            }
            let item = (root, cluster.view(wiring, member, argument).0);
            let reads = [of_elements || levels.of[&member] == 0, !of_elements];
            for (stage, _) in stages.iter_mut().zip(reads).filter(|(stage, reads)| *reads && !stage.contains(&item)) {
                stage.push(item);
            }
        }
    }
    stages.map(|stage| stage.len())
}

/// Elements of a row that one step takes.
pub(in crate::plan) fn along(domain: &Domain, adapter: &Adapter) -> usize {
    match domain.wide() {
        Wide::Elements { .. } if adapter.profile.u64_pairs && domain.has_u64_pairs() => 8,
        Wide::Elements { .. } => 4,
        Wide::Single | Wide::Rows => 1,
    }
}

/// Invocations that share a row or a chunk of one. A length that depends on the batch size is not looked at, so that a
/// shorter last batch uses the same kernel.
pub(in crate::plan) fn lanes(domain: &Domain, loops: usize, adapter: &Adapter) -> usize {
    let steps = domain.length.div_ceil(along(domain, adapter));
    if !adapter.profile.workgroup_memory || !domain.rows_are_runs() {
        return if loops * steps > MOST_ITERATIONS { 64 } else { 1 };
    }
    let steps = if domain.length_each.is_some() { 512 } else { steps };
    (steps / 2).max(1).next_power_of_two().min(256)
}

/// Chunks that a row is split into, so that no invocation's loop grows long and the adapter is busy; `None` if rows stay
/// whole. If the length depends on the batch size, the other dimensions decide, so that a shorter last batch uses the same
/// kernels.
pub(in crate::plan) fn chunks(domain: &Domain, lanes: usize, adapter: &Adapter) -> Option<usize> {
    let steps = domain.length.div_ceil(along(domain, adapter) * lanes);
    let units = domain.rows / if domain.wide() == Wide::Rows { 4 } else { 1 };
    // Fewer steps are not worth a chunk of their own.
    let fewest = if adapter.profile.workgroup_memory { 8 } else { 16 };
    let for_loops = steps.div_ceil(1024);
    let for_teams = (adapter.profile.invocations_to_fill / (units * lanes).max(1)).min(steps / fewest);
    let chunks = for_loops.max(for_teams).clamp(1, 1 << 14);
    let split = match domain.length_each {
        Some(each) => each >= 64 || domain.length > 1 << 13,
        None => chunks > 1,
    };
    split.then_some(chunks)
}

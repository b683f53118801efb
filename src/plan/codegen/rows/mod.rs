//! Emits the kernels of a cluster with reductions: loops over the elements of a row, one after the other, each ending
//! in the reductions that the next one needs.

mod chunks;
mod elements;
mod kernel;

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::Result;
use crate::plan::analysis::domain::{Domain, Wide, steps};
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::row_schedule::{Levels, along, chunks, is_one_loop, lanes};
use crate::plan::cluster::{Cluster, Kind};
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Emitted, Emitter, Input, Uses, internal};
use crate::plan::codegen::reduction::{self, Accumulator};
use crate::plan::codegen::u64_pairs;
use crate::shader::{Combine, Kernels, RowFormula};
use crate::shape::Layout;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The access to an argument, which has one value for each row or not.
fn access(wide: Wide, is_row: bool, layout: &Layout) -> Access {
    match wide {
        Wide::Single if is_row => Access::Single(steps(layout)),
        Wide::Elements { .. } if is_row => Access::Splat(steps(layout)),
        Wide::Rows if is_row => Access::new(layout, Wide::Elements { ragged: true }),
        _ => Access::new(layout, wide),
    }
}

/// Emits the kernels that compute `outputs`.
pub(in crate::plan) fn emit(
    wiring: &Wiring,
    cluster: &Cluster,
    outputs: Vec<Root>,
    may_overwrite: impl Fn(Root, &Input) -> bool,
    adapter: &Adapter,
) -> Result<Emitted> {
    let Kind::Rows(domain) = &cluster.kind else { return Err(internal("not a cluster of rows")) };
    let mut rows = RowEmitter::new(wiring, cluster, outputs, domain, adapter);
    let is_full = |root: Root| root.node().is_some_and(|member| cluster.is_full(wiring, member));
    let full: Vec<usize> = (0..rows.emitter.outputs.len()).filter(|&k| is_full(rows.emitter.outputs[k])).collect();
    // Elements are stored by the first loop that knows all of them.
    let levels = full.iter().filter_map(|&k| rows.emitter.outputs[k].node()).map(|member| rows.levels.of[&member]);
    let store_in = levels.max().map(|level| level + 1);
    let loops = rows.levels.reductions.len().max(store_in.unwrap_or(0));
    let mut lanes = lanes(domain, loops, adapter);
    let chunks = if is_one_loop(wiring, cluster, &rows.levels) { chunks(domain, lanes, adapter) } else { None };
    if store_in.is_none_or(|store_in| store_in == loops) {
        rows.emitter.take_over(may_overwrite, is_full);
    }
    rows.rows_until(0, false)?;
    for level in 1..=loops {
        rows.elements(level, if store_in == Some(level) { &full } else { &[] }, lanes)?;
        if chunks.is_none() {
            rows.rows_until(level, false)?;
        }
    }
    let mut stages = Vec::new();
    let mut temporaries = Vec::new();
    if let Some(chunks) = chunks {
        let accumulators = rows.accumulators(1);
        temporaries.push(4 * chunks * domain.rows * accumulators.len());
        stages.push(rows.end_of_chunks(&accumulators, lanes));
        lanes = if adapter.profile.workgroup_memory && chunks >= 256 { 64 } else { 1 };
        rows.combine_chunks(&accumulators, lanes)?;
    }
    rows.store_rows();
    stages.push(rows.end_of_stage(lanes));
    if (1..=loops).any(|level| rows.accumulators(level).iter().any(Accumulator::is_extreme)) {
        rows.emitter.library(reduction::LIBRARY);
    }
    let kernels =
        stages.into_iter().enumerate().map(|(number, stage)| rows.kernel(&stage, number, chunks, adapter)).collect();
    Ok(rows.emitter.finish(Kernels { kernels, temporaries }))
}

/// The text of one kernel.
struct Stage {
    body: String,
    uses: Uses,
    /// Invocations of a team.
    lanes: usize,
}

/// Emits the text of loops over rows, one part after the other.
struct RowEmitter<'a> {
    emitter: Emitter<'a>,
    domain: &'a Domain,
    levels: Levels,
    wide: Wide,
    /// Elements of a row that one step takes.
    along: usize,
    text: String,
    /// Inputs of rows that are loaded.
    loaded: BTreeSet<String>,
    /// Constants that are written.
    constants: BTreeSet<usize>,
    /// True if a loop loads or stores pairs of 64 bits.
    has_pairs: bool,
}

impl<'a> RowEmitter<'a> {
    fn new(
        wiring: &'a Wiring<'a>,
        cluster: &'a Cluster,
        outputs: Vec<Root>,
        domain: &'a Domain,
        adapter: &Adapter,
    ) -> RowEmitter<'a> {
        let wide = domain.wide();
        let along = along(domain, adapter);
        let mut emitter =
            Emitter::new(wiring, cluster, outputs, wide.width(), |is_row, layout| access(wide, is_row, layout));
        if along == 8 {
            u64_pairs::load_pairs(&mut emitter);
        }
        RowEmitter {
            emitter,
            domain,
            levels: Levels::new(wiring, cluster),
            wide,
            along,
            text: String::new(),
            loaded: BTreeSet::new(),
            constants: BTreeSet::new(),
            has_pairs: false,
        }
    }

    /// Ends the text of a kernel.
    fn end_of_stage(&mut self, lanes: usize) -> Stage {
        Stage { body: std::mem::take(&mut self.text), uses: self.emitter.take_uses(), lanes }
    }

    fn is_full(&self, member: usize) -> bool {
        self.emitter.cluster.is_full(self.emitter.wiring, member)
    }

    /// True if an output's elements are stored in pairs of 64 bits.
    fn stores_pairs(&self, root: Root) -> bool {
        let is_full = root.node().is_some_and(|member| self.is_full(member));
        self.along == 8 && is_full && self.emitter.wiring.stored(root).dtype.size() == 4
    }

    /// The name of a call's value, of one row.
    fn row(&self, member: usize) -> String {
        format!("r{}", self.emitter.number(member))
    }

    /// The name of the result of one of a call's reductions.
    fn total(&self, member: usize, at: usize) -> String {
        format!("t{}_{at}", self.emitter.number(member))
    }

    fn dtype(&self, member: usize) -> DType {
        self.emitter.wiring.schedule.nodes[member].outputs[0].dtype
    }

    /// The members, ascending.
    fn members(&self) -> Vec<usize> {
        self.emitter.cluster.members.iter().copied().collect()
    }

    /// The value of an argument, if it is one for each row; loads it where it comes from memory.
    fn row_argument(&mut self, node: usize, argument: usize) -> Result<Option<String>> {
        if let Some(producer) = self.emitter.cluster.producer(self.emitter.wiring, node, argument) {
            return Ok((!self.is_full(producer)).then(|| self.row(producer)));
        }
        let root = self.emitter.wiring.argument(node, argument);
        if let Some(constant) = self.emitter.wiring.constant(root) {
            return self.emitter.constant(constant, &mut self.constants, &mut self.text).map(Some);
        }
        let input = self.emitter.input(node, argument)?;
        if !self.emitter.inputs[input].is_row {
            return Ok(None);
        }
        if self.loaded.insert(format!("x{input}")) {
            let rows = if self.wide == Wide::Rows { "params.rows * 4u" } else { "params.rows" };
            let load = self.emitter.load(input, "row", Some(rows));
            self.text.push_str(&load);
        }
        Ok(Some(format!("x{input}")))
    }

    /// Computes the row values that are known after a loop. A kernel that `combines` partial results has no elements and
    /// needs no row values for them.
    fn rows_until(&mut self, level: usize, combines: bool) -> Result<()> {
        for member in self.members() {
            let arguments = self.emitter.wiring.schedule.edges[member].len();
            let is_needed = !combines || !self.is_full(member) && self.emitter.wiring.row_formula(member).is_none();
            if level == 0 && is_needed {
                // Before the loops: the row values that elements need.
                for argument in 0..arguments {
                    self.row_argument(member, argument)?;
                }
            }
            if self.is_full(member) || self.levels.of[&member] != level {
                continue;
            }
            let value = match self.emitter.wiring.row_formula(member) {
                Some(formula) => self.result(member, formula, ""),
                None => {
                    let mut values = Vec::new();
                    for argument in 0..arguments {
                        let value = self.row_argument(member, argument)?;
                        values.push(value.ok_or_else(|| internal("a row value made of elements"))?);
                    }
                    self.emitter.pointwise(member, &values)?
                }
            };
            let line = self.emitter.line(&self.row(member), member, &value);
            self.text.push_str(&line);
        }
        Ok(())
    }

    /// The result of a call of rows, for an element if it has one for each.
    fn result(&mut self, member: usize, formula: &RowFormula, element: &str) -> String {
        let totals = self.totals(member, formula);
        let value = self.emitter.filled(member, formula.result, &[element.to_string()], &totals);
        if self.dtype(member) == DType::Bool { format!("({value} != U(0u))") } else { value }
    }

    /// The names of the results of a call's reductions.
    fn totals(&self, member: usize, formula: &RowFormula) -> Vec<String> {
        (0..formula.reductions.len()).map(|at| self.total(member, at)).collect()
    }

    fn accumulators(&self, level: usize) -> Vec<Accumulator> {
        let reductions = self.levels.reductions.get(level - 1);
        let of = |&(member, at): &(usize, usize)| {
            let combine = self.emitter.wiring.row_formula(member).map(|formula| formula.reductions[at].0)?;
            let largest = at.checked_sub(1).filter(|_| combine == Combine::Exponentials);
            let name = |at: usize| self.total(member, at);
            Some(Accumulator { name: name(at), combine, dtype: self.dtype(member), largest: largest.map(name) })
        };
        reductions.into_iter().flatten().filter_map(of).collect()
    }

    /// Stores the outputs with one value for each row.
    fn store_rows(&mut self) {
        for k in 0..self.emitter.outputs.len() {
            let Some(member) = self.emitter.outputs[k].node().filter(|&member| !self.is_full(member)) else { continue };
            let value = match self.wide {
                Wide::Elements { .. } => {
                    let value = self.emitter.stored(k, &self.row(member), 4);
                    format!("({value}).x")
                }
                _ => self.emitter.stored(k, &self.row(member), self.emitter.width),
            };
            let _ = writeln!(self.text, "    if (leads) {{ {}[unit] = {value}; }}", self.emitter.output(k));
        }
    }
}

//! Writes the kernels of a cluster with reductions: a sequence of loops over the elements of a row, each ending in the reductions
//! that the next one needs.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::Result;
use crate::plan::analysis::domain::{Domain, Wide, steps};
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::row_schedule::{Levels, along, chunks, is_one_loop, lanes};
use crate::plan::cluster::{Cluster, Kind};
use crate::plan::codegen::access::{Access, array_type};
use crate::plan::codegen::emit::{Emitted, Emitter, Input, internal, output_name};
use crate::plan::codegen::reduction::{self, Accumulator, share};
use crate::plan::codegen::u64_pairs;
use crate::shader::{Combine, Kernel, Kernels, Operand, RowFormula, fold_groups};
use crate::shape::Layout;
use std::collections::BTreeSet;
use std::fmt::Write;

const TEMPLATE: &str = wgsl!("plan/rows");

/// Elements (or vectors of them) that one invocation adds up before it starts another partial sum: long chains of additions lose
/// digits.
const BLOCK: usize = 256;

/// The loads of an argument, of which there is one value for each row or not.
fn access(wide: Wide, is_row: bool, layout: &Layout) -> Access {
    match wide {
        Wide::Single if is_row => Access::Single(steps(layout)),
        Wide::Elements { .. } if is_row => Access::Splat(steps(layout)),
        Wide::Rows if is_row => Access::new(layout, Wide::Elements { ragged: true }),
        _ => Access::new(layout, wide),
    }
}

/// Writes the kernels that compute `outputs`.
pub(in crate::plan) fn emit(
    wiring: &Wiring,
    cluster: &Cluster,
    outputs: Vec<Root>,
    may_overwrite: impl Fn(Root, &Input) -> bool,
    adapter: &Adapter,
) -> Result<Emitted> {
    let Kind::Rows(domain) = &cluster.kind else { return Err(internal("not a cluster of rows")) };
    let levels = Levels::new(wiring, cluster);
    let mut emitter = Emitter::new(wiring, cluster, outputs, domain.wide().width(), |is_row, layout| {
        access(domain.wide(), is_row, layout)
    });
    let is_full = |root: Root| root.node().is_some_and(|member| cluster.is_full(wiring, member));
    let full: Vec<usize> = (0..emitter.outputs.len()).filter(|&k| is_full(emitter.outputs[k])).collect();
    // Elements are stored by the first loop that knows all of them.
    let store_in = full.iter().filter_map(|&k| emitter.outputs[k].node()).map(|member| levels.of[&member] + 1).max();
    let loops = levels.reductions.len().max(store_in.unwrap_or(0));
    let lanes_first = lanes(domain, loops, adapter);
    let is_split = is_one_loop(wiring, cluster, &levels);
    let chunks = if is_split { chunks(domain, lanes_first, adapter) } else { None };
    if store_in.is_none_or(|store_in| store_in == loops) {
        emitter.take_over(may_overwrite, is_full);
    }
    let along = along(domain, adapter);
    if along == 8 {
        u64_pairs::load_eights(&mut emitter);
    }
    let mut writer = Writer {
        emitter,
        domain,
        levels,
        wide: domain.wide(),
        along,
        text: String::new(),
        loaded: BTreeSet::new(),
        constants: BTreeSet::new(),
    };

    let mut kernels = Vec::new();
    writer.rows_until(0, false)?;
    for level in 1..=loops {
        writer.elements(level, if store_in == Some(level) { &full } else { &[] }, lanes_first)?;
        if chunks.is_none() {
            writer.rows_until(level, false)?;
        }
    }
    let accumulators: Vec<Accumulator> = writer.accumulators(1);
    let mut temporaries = Vec::new();
    if let Some(chunks) = chunks {
        writer.store_partials(&accumulators);
        temporaries.push(4 * chunks * domain.rows * accumulators.len());
        kernels.push((std::mem::take(&mut writer.text), lanes_first));
        writer.loaded.clear();
        writer.constants.clear();
        writer.rows_until(0, true)?;
        let lanes = if adapter.profile.workgroup_memory && chunks >= 256 { 64 } else { 1 };
        writer.combine_partials(&accumulators, lanes);
        writer.rows_until(1, true)?;
        kernels.push((String::new(), lanes));
    }
    writer.store_rows();
    match kernels.last_mut() {
        Some(last) => last.0 = std::mem::take(&mut writer.text),
        None => kernels.push((std::mem::take(&mut writer.text), lanes_first)),
    }
    if (1..=loops).any(|level| writer.accumulators(level).iter().any(Accumulator::is_extreme)) {
        writer.emitter.library(reduction::LIBRARY);
    }
    let kernels = kernels
        .into_iter()
        .enumerate()
        .map(|(stage, (body, lanes))| writer.kernel(&body, stage, chunks.unwrap_or(1), lanes, adapter))
        .collect();
    Ok(writer.emitter.finish(Kernels { kernels, temporaries }))
}

struct Writer<'a> {
    emitter: Emitter<'a>,
    domain: &'a Domain,
    levels: Levels,
    wide: Wide,
    /// Elements of a row in one step.
    along: usize,
    text: String,
    /// Row inputs that are loaded, and members whose row values are named.
    loaded: BTreeSet<String>,
    /// Constants that are written.
    constants: BTreeSet<usize>,
}

impl Writer<'_> {
    fn is_full(&self, member: usize) -> bool {
        self.emitter.cluster.is_full(self.emitter.wiring, member)
    }

    /// True if an output's elements are stored eight at a time.
    fn stores_eights(&self, root: Root) -> bool {
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

    /// The value of an argument, if it is one for each row; loads it if it comes from memory.
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

    /// Row values that are known after a loop. If there are no elements, since the kernel `combines` partial results, theirs are
    /// not needed.
    fn rows_until(&mut self, level: usize, combines: bool) -> Result<()> {
        for member in self.members() {
            let arguments = self.emitter.wiring.schedule.edges[member].len();
            let is_needed = !combines || !self.is_full(member) && self.emitter.wiring.row_formula(member).is_none();
            if level == 0 && is_needed {
                // Before the loops: row values that elements need.
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

    /// The names of what a call's reductions come to.
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

    /// The members with a value per element that a loop needs, ascending.
    fn needed(&self, level: usize, stored: &[usize]) -> BTreeSet<usize> {
        let wiring = self.emitter.wiring;
        let mut open: Vec<usize> = stored.iter().filter_map(|&k| self.emitter.outputs[k].node()).collect();
        for &(member, _) in self.levels.reductions.get(level - 1).into_iter().flatten() {
            open.extend(self.emitter.cluster.producer(wiring, member, 0));
        }
        let mut needed = BTreeSet::new();
        while let Some(member) = open.pop() {
            if self.is_full(member) && needed.insert(member) {
                let arguments = 0..wiring.schedule.edges[member].len();
                open.extend(arguments.filter_map(|argument| self.emitter.cluster.producer(wiring, member, argument)));
            }
        }
        needed
    }

    /// The value per element of an argument, loaded if it was not yet in this loop.
    fn element(&mut self, node: usize, argument: usize, loaded: &mut [bool], body: &mut String) -> Result<String> {
        if let Some(value) = self.row_argument(node, argument)? {
            return Ok(value);
        }
        if let Some(producer) = self.emitter.cluster.producer(self.emitter.wiring, node, argument) {
            return Ok(self.emitter.value(producer));
        }
        let input = self.emitter.input(node, argument)?;
        if !std::mem::replace(&mut loaded[input], true) {
            body.push_str(&self.emitter.load(input, "index", Some("params.count")));
        }
        Ok(format!("x{input}"))
    }

    /// A loop over the elements: its reductions, and the stores of `stored`.
    fn elements(&mut self, level: usize, stored: &[usize], lanes: usize) -> Result<()> {
        let wiring = self.emitter.wiring;
        let mut body = String::new();
        let mut loaded = vec![false; self.emitter.inputs.len()];
        for member in self.needed(level, stored) {
            let mut values = Vec::new();
            for argument in 0..wiring.schedule.edges[member].len() {
                values.push(self.element(member, argument, &mut loaded, &mut body)?);
            }
            let value = match wiring.row_formula(member) {
                Some(formula) => self.result(member, formula, &values[0]),
                None => self.emitter.pointwise(member, &values)?,
            };
            body.push_str(&self.emitter.line(&self.emitter.value(member), member, &value));
        }
        let ragged = self.wide == Wide::Elements { ragged: true };
        let accumulators = self.accumulators(level);
        // Sums of exponentials come after the values of the same elements that they need.
        let (mut first, mut growth, mut last) = (String::new(), String::new(), String::new());
        for (accumulator, (member, at)) in
            accumulators.iter().zip(self.levels.reductions.get(level - 1).cloned().unwrap_or_default())
        {
            let Some(formula) = wiring.row_formula(member) else { continue };
            let element = self.element(member, 0, &mut loaded, &mut body)?;
            let totals = self.totals(member, formula);
            let value = self.emitter.filled(member, formula.reductions[at].1, &[element], &totals);
            let mut value = accumulator.element(value);
            if accumulator.dtype == DType::Bool {
                value = format!("select(U(0u), U(1u), {value})");
            }
            if ragged {
                value = format!("select({}, {value}, inside)", accumulator.nothing());
            }
            let part = format!("part_{}", accumulator.name);
            let steps = if accumulator.largest.is_some() { &mut last } else { &mut first };
            let _ = writeln!(steps, "    {part} = {};", accumulator.combined(&part, &value));
            growth.push_str(&accumulator.growth());
        }
        // A team that repeats the last row must not read values that are stored in place.
        let guarded = |store: String| if lanes > 1 { format!("if (team < teams) {{ {store} }}") } else { store };
        let (mut fours_stored, mut stores) = (String::new(), String::new());
        for &k in stored {
            let name = output_name(k);
            let value = self.emitter.stored(k, &self.emitter.result(k), self.emitter.width);
            if self.stores_eights(self.emitter.outputs[k]) {
                let _ = writeln!(last, "    {name}_fours[half] = bitcast<U>({value});");
                let joined = format!("eight({name}_fours[0], {name}_fours[1])");
                let _ = writeln!(fours_stored, "    var {name}_fours: array<U, 2>;");
                let _ = writeln!(stores, "    {}", guarded(format!("{name}[start / 8u] = {joined};")));
            } else {
                let at = if self.emitter.width == 4 { "index / 4u" } else { "index" };
                let _ = writeln!(last, "    {}", guarded(format!("{name}[{at}] = {value};")));
            }
        }
        if body.contains("quad") {
            body.insert_str(0, "    let quad = index / 4u;\n");
        }
        if ragged {
            body.insert_str(0, "    let inside = (U(index) + U(0u, 1u, 2u, 3u)) < U(params.length);\n");
        }
        let (loads, fours) = u64_pairs::loads(&self.emitter, &loaded);
        let part = |text: &str| match self.along {
            8 => u64_pairs::halves(&format!("{fours}{text}"), ragged),
            _ => format!("    {{\n    let index = start;\n{text}    }}\n"),
        };
        let step = if growth.is_empty() {
            part(&format!("{body}{first}{last}"))
        } else {
            format!("{}{growth}{}", part(&format!("{body}{first}")), part(&format!("{body}{last}")))
        };
        let along = self.along;
        let distance = self.domain.distance("e");
        let block = BLOCK * along.min(4) / along;
        let out = &mut self.text;
        for accumulator in &accumulators {
            out.push_str(&accumulator.start());
        }
        // Blocks, so that no chain of additions is long. No index is counted past the end of a row, where it might wrap: a row
        // may be as long as 32 bits allow.
        let _ = writeln!(out, "    for (var block = first * {along}u; block < params.length;) {{");
        let _ = writeln!(out, "    let span = min(params.length - block, {block}u * step * {along}u);");
        for accumulator in &accumulators {
            let _ = writeln!(out, "    var part_{} = {};", accumulator.name, accumulator.nothing());
        }
        let _ = writeln!(out, "    for (var at = 0u; at < span; at += step * {along}u) {{\n    let e = block + at;");
        let _ = writeln!(out, "    let start = row_start + {distance};\n{loads}{fours_stored}{step}{stores}    }}");
        for accumulator in &accumulators {
            let sum = format!("sum_{}", accumulator.name);
            let _ = writeln!(out, "    {sum} = {};", accumulator.combined(&sum, &format!("part_{}", accumulator.name)));
        }
        out.push_str("    block += span;\n    }\n");
        let across = matches!(self.wide, Wide::Elements { .. });
        for accumulator in &accumulators {
            out.push_str(&accumulator.end(across, self.emitter.width, lanes));
        }
        Ok(())
    }

    /// Stores a chunk's results, side by side in one buffer whatever their types.
    fn store_partials(&mut self, accumulators: &[Accumulator]) {
        let count = accumulators.len();
        let part = if matches!(self.wide, Wide::Elements { .. }) { ".x" } else { "" };
        for (k, Accumulator { name, .. }) in accumulators.iter().enumerate() {
            let at = format!("(chunk * {count}u + {k}u) * params.rows + unit");
            let bits = self.partial_type();
            let _ = writeln!(self.text, "    if (leads) {{ partial[{at}] = bitcast<{bits}>({name}{part}); }}");
        }
    }

    /// The element type of the buffer of partial results, which are kept as bits.
    fn partial_type(&self) -> &'static str {
        array_type(DType::U32, self.wide == Wide::Rows)
    }

    /// The loop that combines the chunks of a row.
    fn combine_partials(&mut self, accumulators: &[Accumulator], lanes: usize) {
        let count = accumulators.len();
        let out = &mut self.text;
        for accumulator in accumulators {
            let _ = writeln!(out, "    var sum_{} = {};", accumulator.name, accumulator.nothing());
        }
        out.push_str("    for (var e = first; e < params.length; e += step) {\n");
        for (k, accumulator) in accumulators.iter().enumerate() {
            let sum = format!("sum_{}", accumulator.name);
            let bits = format!("partial[(e * {count}u + {k}u) * params.rows + unit]");
            let of = array_type(accumulator.computed(), self.wide == Wide::Rows);
            let partial = format!("{}(bitcast<{of}>({bits}))", accumulator.vector());
            let _ = writeln!(out, "    {sum} = {};", accumulator.combined(&sum, &partial));
        }
        out.push_str("    }\n");
        for accumulator in accumulators {
            // All four numbers are the row's if they are its elements.
            let total = accumulator.total(&format!("sum_{}", accumulator.name), false, self.emitter.width, lanes);
            let _ = writeln!(out, "    let {} = {total};", accumulator.name);
        }
    }

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
            let _ = writeln!(self.text, "    if (leads) {{ {}[unit] = {value}; }}", output_name(k));
        }
    }

    /// The kernel with this body; `stage` 1 combines the chunks that stage 0 leaves.
    fn kernel(&self, body: &str, stage: usize, chunks: usize, lanes: usize, adapter: &Adapter) -> Kernel {
        let unit_rows = if self.wide == Wide::Rows { 4 } else { 1 };
        let units = self.domain.rows / unit_rows;
        let (length, split) = if stage == 0 { (self.domain.length, chunks) } else { (chunks, 1) };
        let (row_stride, element_stride) = self.domain.even().unwrap_or((0, 0));
        let words = self.emitter.words();
        let workgroup = match lanes {
            1 => adapter.profile.workgroup,
            2..=64 => 64,
            _ => 256,
        };
        let mut kernel = Kernel::new("rows", TEMPLATE)
            .constant("LANES", format!("{lanes}u"))
            .constant("WORKGROUP", format!("{workgroup}u"))
            .constant("WORDS", format!("{}u", words.len().div_ceil(4).max(1)))
            .values(&[units, length, split, row_stride, element_stride, self.domain.numel(), 0, 0])
            .words(words)
            .grid(fold_groups(units * split * lanes, workgroup))
            .work(self.domain.numel() * self.emitter.cluster.members.len());
        for (alias, single, vector) in [
            ("F", "f32", "vec4<f32>"),
            ("I", "i32", "vec4<i32>"),
            ("U", "u32", "vec4<u32>"),
            ("B", "bool", "vec4<bool>"),
        ] {
            kernel = kernel.alias(alias, if self.emitter.width == 4 { vector } else { single });
        }
        let row = if unit_rows == 4 { "unit * 4u" } else { "unit" };
        let mut start = String::from("\n    let teams = params.rows * params.chunks;\n");
        if lanes == 1 {
            start.push_str("    if (team >= teams) { return; }\n    let leads = true;\n    let used = team;\n");
        } else {
            // Teams past the end repeat the last one, so that every invocation meets every barrier.
            start.push_str("    let used = min(team, teams - 1u);\n    let leads = (team < teams) & (lane == 0u);\n");
        }
        let _ = writeln!(
            start,
            "    let unit = used % params.rows;\n    let row = {row};\n    let chunk = used / params.rows;"
        );
        let _ = writeln!(start, "    let row_start = {};", self.domain.row_start("row"));
        start.push_str("    let first = chunk * LANES + lane;\n    let step = params.chunks * LANES;\n");
        let is_vector = |root: Root| match root.node() {
            Some(member) if self.is_full(member) => self.emitter.width == 4,
            _ => self.wide == Wide::Rows,
        };
        let array = |root: Root| match self.stores_eights(root) {
            true => "vec4<u64>",
            false => array_type(self.emitter.wiring.stored(root).dtype, is_vector(root)),
        };
        self.emitter.bind(&mut kernel, body, 1, false, array);
        if body.contains("partial[") {
            let (binding, element) = (1 + kernel.bindings.len(), self.partial_type());
            let mode = if stage == 0 { "read_write" } else { "read" };
            let _ = writeln!(
                kernel.declarations,
                "@group(0) @binding({binding}) var<storage, {mode}> partial: array<{element}>;"
            );
            kernel.bindings.push(("partial".to_string(), Operand::Temporary(0)));
        }
        if body.contains("eight") {
            kernel.declarations.push_str(u64_pairs::LIBRARY);
        }
        kernel.declarations.push_str(&self.emitter.libraries());
        let all: Vec<Accumulator> =
            (1..=self.levels.reductions.len()).flat_map(|level| self.accumulators(level)).collect();
        kernel.declarations.push_str(&share(&all, lanes));
        kernel.hook("run", format!("{start}{body}"))
    }
}

//! Emits a loop over the elements of a row: loads, computation, reductions and stores.

use super::RowEmitter;
use crate::dtype::DType;
use crate::error::Result;
use crate::plan::analysis::domain::Wide;
use crate::plan::codegen::reduction::Accumulator;
use crate::plan::codegen::u64_pairs::PairedStep;
use crate::shader::Formula;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Elements (vectors of them) one invocation adds up before it starts another partial sum: long chains of additions
/// lose digits.
const BLOCK: usize = 256;

/// The parts of a loop's step, in the order in which they run.
#[derive(Default)]
struct Loop {
    accumulators: Vec<Accumulator>,
    /// Loads and computes a vector of elements.
    compute: String,
    /// Combines it with the partial results.
    combine: String,
    /// Rescales sums of exponentials to the largest element so far.
    rescale: String,
    /// Adds the vector to these sums.
    sum_exponentials: String,
    /// Stores the vector.
    store: String,
    /// Loads and stores that are of more than one vector.
    pairs: Option<PairedStep>,
}

impl RowEmitter<'_> {
    /// The members with an element a place that a loop needs, ascending.
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

    /// The value of an argument with an element a place, loaded where it was not yet in this loop.
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
    pub(super) fn elements(&mut self, level: usize, stored: &[usize], lanes: usize) -> Result<()> {
        let wiring = self.emitter.wiring;
        let mut loaded = vec![false; self.emitter.inputs.len()];
        let mut parts = Loop { accumulators: self.accumulators(level), ..Loop::default() };
        self.compute(level, stored, &mut loaded, &mut parts)?;
        self.combine(level, &mut loaded, &mut parts)?;
        let is_positional = |member: &usize| wiring.formula(*member).is_some_and(Formula::is_positional);
        if self.needed(level, stored).iter().any(is_positional) {
            parts.compute.insert_str(0, "    let quad = index / 4u;\n");
        }
        if self.is_ragged() {
            parts.compute.insert_str(0, "    let inside = (U(index) + U(0u, 1u, 2u, 3u)) < U(params.length);\n");
        }
        if self.along == 8 {
            parts.pairs = Some(PairedStep::new(&self.emitter, &loaded));
        }
        self.store(stored, lanes, &mut parts);
        self.has_pairs |= parts.pairs.as_ref().is_some_and(|pairs| !pairs.is_empty());
        let text = self.render(&parts, lanes);
        self.text.push_str(&text);
        Ok(())
    }

    fn is_ragged(&self) -> bool {
        self.wide == Wide::Elements { ragged: true }
    }

    /// The values of elements that a loop needs.
    fn compute(&mut self, level: usize, stored: &[usize], loaded: &mut [bool], parts: &mut Loop) -> Result<()> {
        let wiring = self.emitter.wiring;
        for member in self.needed(level, stored) {
            let mut values = Vec::new();
            for argument in 0..wiring.schedule.edges[member].len() {
                values.push(self.element(member, argument, loaded, &mut parts.compute)?);
            }
            let value = match wiring.row_formula(member) {
                Some(formula) => self.result(member, formula, &values[0]),
                None => self.emitter.pointwise(member, &values)?,
            };
            parts.compute.push_str(&self.emitter.line(&self.emitter.value(member), member, &value));
        }
        Ok(())
    }

    /// Combines elements with the partial results of a loop's reductions.
    fn combine(&mut self, level: usize, loaded: &mut [bool], parts: &mut Loop) -> Result<()> {
        let reductions = self.levels.reductions.get(level - 1).cloned().unwrap_or_default();
        for (k, (member, at)) in reductions.into_iter().enumerate() {
            let Some(formula) = self.emitter.wiring.row_formula(member) else { continue };
            let element = self.element(member, 0, loaded, &mut parts.compute)?;
            let totals = self.totals(member, formula);
            let accumulator = &parts.accumulators[k];
            let value = self.emitter.filled(member, formula.reductions[at].1, &[element], &totals);
            let mut value = accumulator.element(value);
            if accumulator.dtype == DType::Bool {
                value = format!("select(U(0u), U(1u), {value})");
            }
            if self.is_ragged() {
                value = format!("select({}, {value}, inside)", accumulator.nothing());
            }
            let part = format!("part_{}", accumulator.name);
            let lines = if accumulator.largest.is_some() { &mut parts.sum_exponentials } else { &mut parts.combine };
            let _ = writeln!(lines, "    {part} = {};", accumulator.combined(&part, &value));
            parts.rescale.push_str(&accumulator.growth());
        }
        Ok(())
    }

    /// Stores elements of outputs.
    fn store(&self, stored: &[usize], lanes: usize, parts: &mut Loop) {
        // A team that repeats the last row must not read what is stored in place.
        let guarded = |store: String| if lanes > 1 { format!("if (team < teams) {{ {store} }}") } else { store };
        for &k in stored {
            let name = self.emitter.output(k);
            let value = self.emitter.stored(k, &self.emitter.result(k), self.emitter.width);
            let line = match &mut parts.pairs {
                Some(pairs) if self.stores_pairs(self.emitter.outputs[k]) => pairs.store(&name, &value, guarded),
                _ => {
                    let at = if self.emitter.width == 4 { "index / 4u" } else { "index" };
                    guarded(format!("{name}[{at}] = {value};"))
                }
            };
            let _ = writeln!(parts.store, "    {line}");
        }
    }

    /// The text of a loop.
    fn render(&self, parts: &Loop, lanes: usize) -> String {
        let Loop { accumulators, compute, combine, rescale, sum_exponentials, store, pairs } = parts;
        let vectors = |text: String| match pairs {
            Some(pairs) => pairs.vectors(&text, self.is_ragged()),
            None => format!("    {{\n    let index = start;\n{text}    }}\n"),
        };
        let step = if rescale.is_empty() {
            vectors(format!("{compute}{combine}{sum_exponentials}{store}"))
        } else {
            let first = vectors(format!("{compute}{combine}"));
            format!("{first}{rescale}{}", vectors(format!("{compute}{sum_exponentials}{store}")))
        };
        let step = match pairs {
            Some(pairs) => pairs.around(&step),
            None => step,
        };
        let along = self.along;
        let distance = self.domain.distance("e");
        let block = BLOCK * along.min(4) / along;
        let mut out: String = accumulators.iter().map(Accumulator::start).collect();
        // Blocks, so that no chain of additions is long. No place is counted past the end of a row, where it might wrap: a row
        // may be as long as 32 bits can say.
        let _ = writeln!(out, "    for (var block = first * {along}u; block < params.length;) {{");
        let _ = writeln!(out, "    let span = min(params.length - block, {block}u * step * {along}u);");
        for accumulator in accumulators {
            let _ = writeln!(out, "    var part_{} = {};", accumulator.name, accumulator.nothing());
        }
        let _ = writeln!(out, "    for (var at = 0u; at < span; at += step * {along}u) {{\n    let e = block + at;");
        let _ = writeln!(out, "    let start = row_start + {distance};\n{step}    }}");
        for accumulator in accumulators {
            let sum = format!("sum_{}", accumulator.name);
            let _ = writeln!(out, "    {sum} = {};", accumulator.combined(&sum, &format!("part_{}", accumulator.name)));
        }
        out.push_str("    block += span;\n    }\n");
        let across = matches!(self.wide, Wide::Elements { .. });
        out.extend(accumulators.iter().map(|accumulator| accumulator.end(across, self.emitter.width, lanes)));
        out
    }
}

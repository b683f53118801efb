//! Eight elements at a time for software adapters: two vectors of four, loaded and stored as four pairs of 64 bits.
//!
//! Such an adapter loads and stores one number at a time, for one invocation after the other, and takes no longer for 64
//! bits than for 32. Workgroups of one subgroup that run over many units of eight elements save most of its cost for each.

use crate::error::Result;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::Emitter;
use crate::shader::index_expr;
use std::fmt::Write;

/// Splits four pairs into two vectors of four, and joins them.
pub(super) const LIBRARY: &str = wgsl!("import/eight");

/// Invocations of a workgroup: a subgroup's.
pub(super) const WORKGROUP: usize = 8;

/// Workgroups that keep some ten cores busy.
const ENOUGH_GROUPS: usize = 64;

/// Units that one invocation runs over.
const MOST_STEPS: usize = 128;

/// Units of eight that one workgroup runs over, of so many.
pub(super) fn span(units: usize) -> usize {
    WORKGROUP * units.div_ceil(WORKGROUP * ENOUGH_GROUPS).clamp(1, MOST_STEPS)
}

/// True if all outputs are numbers of 32 bits, and no formula is of four numbers as such.
pub(super) fn fits(wiring: &Wiring, cluster: &Cluster, outputs: &[Root]) -> bool {
    let is_scalar = |&node: &usize| wiring.formula(node).is_none_or(|formula| formula.is_scalar());
    outputs.iter().all(|&root| wiring.stored(root).dtype.size() == 4) && cluster.members.iter().all(is_scalar)
}

/// True if no input is gathered number by number, the long code for which would be there twice.
pub(super) fn pays(emitter: &Emitter) -> bool {
    !emitter.inputs.iter().any(|input| matches!(input.access, Access::Gather(_)))
}

/// Loads inputs in pairs whose elements lie in memory so.
pub(super) fn load_pairs(emitter: &mut Emitter) {
    for input in emitter.inputs.iter_mut().filter(|input| !input.is_row) {
        if let Some(access) = input.access.pairs(&input.layout) {
            input.access = access;
        }
    }
}

/// The expression that loads the eight numbers from `index` on.
fn load(buffer: &str, steps: &[(usize, usize)], index: &str) -> String {
    format!("{buffer}[{} / 8u]", index_expr(buffer, steps, index))
}

/// A step of eight elements of a row: text that loads, unpacks and stores pairs around that of each vector of four.
pub(super) struct PairedStep {
    load: String,
    unpack: String,
    store: String,
}

impl PairedStep {
    /// A step that loads those of the `loaded` inputs that are read in pairs.
    pub fn new(emitter: &Emitter, loaded: &[bool]) -> PairedStep {
        let mut paired = PairedStep { load: String::new(), unpack: String::new(), store: String::new() };
        for (input, _) in emitter.inputs.iter().zip(loaded).filter(|(_, loaded)| **loaded) {
            let Access::Pairs(steps) = &input.access else { continue };
            let buffer = &input.buffer;
            let _ = writeln!(paired.load, "    let eight_{buffer} = {};", load(buffer, steps, "start"));
            let _ = writeln!(paired.unpack, "    let four_{buffer} = four_of(eight_{buffer}, half);");
        }
        paired
    }

    /// True if nothing is loaded or stored in pairs.
    pub fn is_empty(&self) -> bool {
        self.load.is_empty() && self.store.is_empty()
    }

    /// Has an output stored after both vectors. Returns the statement that keeps a vector of it until then.
    pub fn store(&mut self, name: &str, value: &str, guarded: impl Fn(String) -> String) -> String {
        let _ = writeln!(self.load, "    var {name}_fours: array<U, 2>;");
        let store = guarded(format!("{name}[start / 8u] = eight({name}_fours[0], {name}_fours[1]);"));
        let _ = writeln!(self.store, "    {store}");
        format!("{name}_fours[half] = bitcast<U>({value});")
    }

    /// The text of both vectors; the second may lie past a `ragged` row.
    pub fn vectors(&self, text: &str, ragged: bool) -> String {
        let condition = if ragged { "if (e + 4u * half < params.length) " } else { "" };
        format!(
            "    for (var half = 0u; half < 2u; half++) {{ // unroll\n    {condition}{{\n    let index = start + 4u * half;\n\
             {}{text}    }}\n    }}\n",
            self.unpack
        )
    }

    /// The whole step around the text of its vectors.
    pub fn around(&self, vectors: &str) -> String {
        format!("{}{vectors}{}", self.load, self.store)
    }
}

/// The text that computes a unit of eight elements.
pub(super) struct PairText {
    /// Loads, computes and stores unit `unit`.
    pub body: String,
    /// The function that `body` calls.
    pub function: String,
}

/// Emits the calls of `members` among `count` elements, or of whole units only. If `given` is a call, its results are there
/// already, as `low` and `high`.
pub(super) fn emit(
    emitter: &mut Emitter,
    members: impl Iterator<Item = usize>,
    given: Option<usize>,
    count: Option<&str>,
) -> Result<PairText> {
    load_pairs(emitter);
    let (mut parameters, mut low) = ("quad: u32".to_string(), "unit * 2u".to_string());
    let mut high = match count {
        Some(count) => format!("min(unit * 2u + 1u, ({count} - 1u) / 4u)"),
        None => "unit * 2u + 1u".to_string(),
    };
    let mut four = "    let index = quad * 4u;\n".to_string();
    if let Some(call) = given {
        parameters.push_str(", value: F");
        low.push_str(", low");
        high.push_str(", high");
        four.push_str(&emitter.line(&emitter.value(call), call, "value"));
    }
    emitter.calls(members, "index", count, &mut four)?;
    let loaded = emitter.loaded();
    let mut body = String::new();
    // The call's own kernels load the other inputs.
    for input in loaded.into_iter().map(|input| &emitter.inputs[input]) {
        let Access::Pairs(steps) = &input.access else { continue };
        let buffer = &input.buffer;
        let _ = writeln!(body, "    let eight_{buffer} = {};", load(buffer, steps, "unit * 8u"));
        let _ = write!(parameters, ", four_{buffer}: vec4<u32>");
        let _ = write!(low, ", four_of(eight_{buffer}, 0u)");
        let _ = write!(high, ", four_of(eight_{buffer}, 1u)");
    }
    let _ = writeln!(body, "    let first = fours({low});\n    let second = fours({high});");
    let (mut fields, mut values) = (String::new(), Vec::new());
    for output in 0..emitter.outputs.len() {
        let name = emitter.output(output);
        let _ = writeln!(body, "    {name}[unit] = eight(first.{name}, second.{name});");
        let _ = writeln!(fields, "    {name}: vec4<u32>,");
        values.push(format!("bitcast<vec4<u32>>({})", emitter.stored(output, &emitter.result(output), 4)));
    }
    let values = values.join(", ");
    let function = format!(
        "\nstruct Fours {{\n{fields}}}\n\nfn fours({parameters}) -> Fours {{\n{four}    return Fours({values});\n}}\n"
    );
    Ok(PairText { body, function })
}

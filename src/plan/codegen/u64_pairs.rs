//! Computes eight elements at a time on software adapters: two vectors of four, which are four numbers of 64 bits in memory.
//!
//! Such an adapter loads and stores for one invocation after the other, one number at a time, and takes no longer for one of 64
//! bits than for one of 32. Workgroups of one subgroup that run over many units of eight avoid most of its work per workgroup.

use crate::error::Result;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Emitter, output_name};
use crate::plan::codegen::pointwise::calls;
use crate::shader::index_expr;
use std::fmt::Write;

/// Splits groups of eight into vectors of four and joins them.
pub(in crate::plan) const LIBRARY: &str = wgsl!("import/eight");

/// Invocations of a workgroup: a subgroup's.
pub(in crate::plan) const WORKGROUP: usize = 8;

/// Workgroups that keep some ten cores busy.
const ENOUGH_GROUPS: usize = 64;

/// Most units of one invocation.
const MOST_STEPS: usize = 128;

/// Units of eight that one workgroup runs over, out of `units`.
pub(in crate::plan) fn span(units: usize) -> usize {
    WORKGROUP * units.div_ceil(WORKGROUP * ENOUGH_GROUPS).clamp(1, MOST_STEPS)
}

/// True if all outputs are numbers of 32 bits, and no formula depends on vectors of four.
pub(in crate::plan) fn fits(wiring: &Wiring, cluster: &Cluster, outputs: &[Root]) -> bool {
    let is_scalar = |&node: &usize| wiring.formula(node).is_none_or(|formula| formula.is_scalar());
    outputs.iter().all(|&root| wiring.stored(root).dtype.size() == 4) && cluster.members.iter().all(is_scalar)
}

/// True if no input is gathered number by number, which would double that long code.
pub(in crate::plan) fn pays(emitter: &Emitter) -> bool {
    !emitter.inputs.iter().any(|input| matches!(input.access, Access::Gather(_)))
}

/// Loads inputs eight at a time if they are laid out for that.
pub(in crate::plan) fn load_eights(emitter: &mut Emitter) {
    for input in emitter.inputs.iter_mut().filter(|input| !input.is_row) {
        if let Some(access) = input.access.eight(&input.layout) {
            input.access = access;
        }
    }
}

/// The expression that loads the eight numbers from `index` on.
pub(in crate::plan) fn eight(buffer: &str, steps: &[(usize, usize)], index: &str) -> String {
    format!("{buffer}[{} / 8u]", index_expr(buffer, steps, index))
}

/// The text that loads a step's groups of eight of a row, for the inputs that are `loaded` so, and the text that takes four of
/// each.
pub(in crate::plan) fn loads(emitter: &Emitter, loaded: &[bool]) -> (String, String) {
    let (mut eights, mut fours) = (String::new(), String::new());
    for (input, _) in emitter.inputs.iter().zip(loaded).filter(|(_, loaded)| **loaded) {
        let Access::Eight(steps) = &input.access else { continue };
        let buffer = &input.buffer;
        let _ = writeln!(eights, "    let eight_{buffer} = {};", eight(buffer, steps, "start"));
        let _ = writeln!(fours, "    let four_{buffer} = four_of(eight_{buffer}, half);");
    }
    (eights, fours)
}

/// A step of eight elements of a row, four of which `text` computes; the second four may lie past a `ragged` row.
pub(in crate::plan) fn halves(text: &str, ragged: bool) -> String {
    let condition = if ragged { "if (e + 4u * half < params.length) " } else { "" };
    format!(
        "    for (var half = 0u; half < 2u; half++) {{ // unroll\n    {condition}{{\n    let index = start + 4u * half;\n\
         {text}    }}\n    }}\n"
    )
}

/// The text for eight elements.
pub(in crate::plan) struct Eights {
    /// Loads, computes and stores unit `unit`.
    pub body: String,
    /// The function that it calls.
    pub function: String,
}

/// Writes the calls of `members` among `count` elements, or for whole groups of eight only. If `given` is a call, its results
/// exist already, as `low` and `high`.
pub(in crate::plan) fn emit(
    emitter: &mut Emitter,
    members: impl Iterator<Item = usize>,
    given: Option<usize>,
    count: Option<&str>,
) -> Result<Eights> {
    load_eights(emitter);
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
    calls(emitter, members, "index", count, &mut four)?;
    let mut body = String::new();
    for input in &emitter.inputs {
        let Access::Eight(steps) = &input.access else { continue };
        let buffer = &input.buffer;
        if !four.contains(&format!("(four_{buffer})")) {
            // The call's own.
            continue;
        }
        let _ = writeln!(body, "    let eight_{buffer} = {};", eight(buffer, steps, "unit * 8u"));
        let _ = write!(parameters, ", four_{buffer}: vec4<u32>");
        let _ = write!(low, ", four_of(eight_{buffer}, 0u)");
        let _ = write!(high, ", four_of(eight_{buffer}, 1u)");
    }
    let _ = writeln!(body, "    let first = fours({low});\n    let second = fours({high});");
    let (mut fields, mut values) = (String::new(), Vec::new());
    for output in 0..emitter.outputs.len() {
        let name = output_name(output);
        let _ = writeln!(body, "    {name}[unit] = eight(first.{name}, second.{name});");
        let _ = writeln!(fields, "    {name}: vec4<u32>,");
        values.push(format!("bitcast<vec4<u32>>({})", emitter.stored(output, &emitter.result(output), 4)));
    }
    let values = values.join(", ");
    let function = format!(
        "\nstruct Fours {{\n{fields}}}\n\nfn fours({parameters}) -> Fours {{\n{four}    return Fours({values});\n}}\n"
    );
    Ok(Eights { body, function })
}

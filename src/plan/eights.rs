//! What software adapters compute eight elements at a time: two fours, which lie in memory as four numbers of 64 bits.
//!
//! Such an adapter loads and stores for one invocation after the other, one number at a time, and takes no longer for one
//! of 64 bits than for one of 32. Workgroups of one subgroup that run over many units of eight spare it most of what it does
//! for each.

use crate::error::Result;
use crate::plan::access::Access;
use crate::plan::code::{Code, output_name};
use crate::plan::form::Cluster;
use crate::plan::pointwise::calls;
use crate::plan::wiring::{Root, Wiring, node};
use std::fmt::Write;

pub(super) const LIBRARY: &str = include_str!("../../shaders/lib/eight.wgsl");

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

/// Whether all outputs are numbers of 32 bits, and no formula is of four numbers as such.
pub(super) fn fits(wiring: &Wiring, cluster: &Cluster, outputs: &[Root]) -> bool {
    let is_scalar = |&node: &usize| wiring.formula(node).is_none_or(|formula| formula.is_scalar());
    outputs.iter().all(|&root| wiring.stored(root).dtype.size() == 4) && cluster.members.iter().all(is_scalar)
}

/// The text of eight elements.
pub(super) struct Eights {
    /// Loads, computes and stores unit `unit`.
    pub body: String,
    /// What that calls.
    pub function: String,
}

/// Writes the calls of `members` among `count` elements. `second` is the second four of a unit; where `given` is a call, its
/// results are there already, as `low` and `high`.
pub(super) fn write(
    code: &mut Code,
    members: impl Iterator<Item = usize>,
    given: Option<usize>,
    count: &str,
    second: &str,
) -> Result<Eights> {
    for input in &mut code.inputs {
        if matches!(input.access, Access::Flat) && input.layout.offset == 0 && input.layout.dtype.size() == 4 {
            input.access = Access::Eight;
        }
    }
    let (mut parameters, mut low, mut high) = ("quad: u32".to_string(), "unit * 2u".to_string(), second.to_string());
    let mut four = "    let index = quad * 4u;\n".to_string();
    if let Some(call) = given {
        parameters.push_str(", value: F");
        low.push_str(", low");
        high.push_str(", high");
        let _ = writeln!(four, "    let v{call} = value;");
    }
    calls(code, members, "index", count, &mut four)?;
    let mut body = String::new();
    for input in code.inputs.iter().filter(|input| four.contains(&format!("(four_{})", input.buffer))) {
        let buffer = &input.buffer;
        let _ = writeln!(body, "    let eight_{buffer} = {buffer}[unit];");
        let _ = write!(parameters, ", four_{buffer}: vec4<u32>");
        let _ = write!(low, ", low_four(eight_{buffer})");
        let _ = write!(high, ", high_four(eight_{buffer})");
    }
    let _ = writeln!(body, "    let first = fours({low});\n    let second = fours({high});");
    let (mut fields, mut values) = (String::new(), Vec::new());
    for output in 0..code.outputs.len() {
        let name = output_name(output);
        let _ = writeln!(body, "    {name}[unit] = eight(first.{name}, second.{name});");
        let _ = writeln!(fields, "    {name}: vec4<u32>,");
        values.push(format!("bitcast<vec4<u32>>({})", code.stored(output, &result(code, output), 4)));
    }
    let values = values.join(", ");
    let function = format!(
        "\nstruct Fours {{\n{fields}}}\n\nfn fours({parameters}) -> Fours {{\n{four}    return Fours({values});\n}}\n"
    );
    Ok(Eights { body, function })
}

/// The name of an output's value.
fn result(code: &Code, output: usize) -> String {
    node(code.outputs[output]).map(|node| format!("v{node}")).unwrap_or_default()
}

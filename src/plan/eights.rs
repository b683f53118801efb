//! Kernels of software adapters: two fours at a time, which lie in memory as four numbers of 64 bits.
//!
//! Such an adapter loads and stores for one invocation after the other, one number at a time, and takes no longer for one
//! of 64 bits than for one of 32. Workgroups of one subgroup that run over many units spare it most of what it does for
//! each.

use crate::error::Result;
use crate::plan::access::Access;
use crate::plan::code::{Code, output_name};
use crate::plan::domain::place;
use crate::plan::pointwise::{calls, result};
use crate::shader::Kernel;
use std::fmt::Write;

/// Splits eights into fours and joins them.
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
pub(super) fn fits(code: &Code) -> bool {
    let is_scalar = |&node: &usize| code.wiring.formula(node).is_some_and(|formula| formula.is_scalar());
    code.outputs.iter().all(|&root| code.wiring.stored(root).dtype.size() == 4)
        && code.cluster.members.iter().all(is_scalar)
}

/// Lets inputs be loaded in eights that lie in memory as such.
pub(super) fn load_eights(code: &mut Code) {
    for input in code.inputs.iter_mut().filter(|input| !input.is_row) {
        if let Some(access) = input.access.eight(&input.layout) {
            input.access = access;
        }
    }
}

/// The expression that loads the eight numbers from `index` on.
pub(super) fn eight(buffer: &str, steps: &[(usize, usize)], index: &str) -> String {
    format!("{buffer}[{} / 8u]", place(steps, index))
}

/// What loads a step's eights of a row, of those inputs that are `loaded` so, and what takes a four of each.
pub(super) fn loads(code: &Code, loaded: &[bool]) -> (String, String) {
    let (mut eights, mut fours) = (String::new(), String::new());
    for (input, _) in code.inputs.iter().zip(loaded).filter(|(_, loaded)| **loaded) {
        let Access::Eight(steps) = &input.access else { continue };
        let buffer = &input.buffer;
        let _ = writeln!(eights, "    let eight_{buffer} = {};", eight(buffer, steps, "start"));
        let _ = writeln!(fours, "    let four_{buffer} = four_of(eight_{buffer}, half);");
    }
    (eights, fours)
}

/// A step of eight elements of a row, four of which `text` computes; the second four may lie past a `ragged` row.
pub(super) fn halves(text: &str, ragged: bool) -> String {
    let condition = if ragged { "if (e + 4u * half < params.length) " } else { "" };
    format!(
        "    for (var half = 0u; half < 2u; half++) {{ // unroll\n    {condition}{{\n    let index = start + 4u * half;\n\
         {text}    }}\n    }}\n"
    )
}

/// Writes the body that computes a unit, and what it calls; binds what these load and store.
pub(super) fn write(code: &mut Code, kernel: &mut Kernel) -> Result<String> {
    load_eights(code);
    let mut body = "    let index = quad * 4u;\n".to_string();
    calls(code, code.cluster.members.iter().copied(), "index", "params.count", &mut body)?;
    let (mut fields, mut values) = (String::new(), Vec::new());
    for output in 0..code.outputs.len() {
        let _ = writeln!(fields, "    {}: U,", output_name(output));
        values.push(format!("bitcast<U>({})", code.stored(output, &result(code, output), 4)));
    }
    let (mut loads, mut parameters, mut low, mut high) = (String::new(), String::new(), String::new(), String::new());
    for input in &code.inputs {
        let Access::Eight(steps) = &input.access else { continue };
        let buffer = &input.buffer;
        let _ = writeln!(loads, "    let eight_{buffer} = {};", eight(buffer, steps, "unit * 8u"));
        let _ = write!(parameters, ", four_{buffer}: U");
        let _ = write!(low, ", four_of(eight_{buffer}, 0u)");
        let _ = write!(high, ", four_of(eight_{buffer}, 1u)");
    }
    let mut unit = format!(
        "{loads}    let low = fours(unit * 2u{low});\n    \
         let high = fours(min(unit * 2u + 1u, params.quads - 1u){high});\n"
    );
    for name in (0..code.outputs.len()).map(output_name) {
        let _ = writeln!(unit, "    {name}[unit] = eight(low.{name}, high.{name});");
    }
    let text = format!("{body}{unit}");
    code.bind(kernel, &text, 1, false, |_| "vec4<u64>");
    let _ = write!(
        kernel.declarations,
        "\n{LIBRARY}\nstruct Fours {{\n{fields}}}\n\n\
         fn fours(quad: u32{parameters}) -> Fours {{\n{body}    return Fours({});\n}}\n",
        values.join(", ")
    );
    Ok(unit)
}

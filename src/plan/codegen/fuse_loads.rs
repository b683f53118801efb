//! Puts pointwise calls into the loads of another call's kernels.

use crate::error::Result;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Emitter, Input};
use crate::shader::{Kernel, Kernels, LoadHook, Loads, Operand, Word};
use std::fmt::Write;

/// A load hook whose value is computed in it.
pub(super) struct FusedLoad {
    argument: usize,
    pub hook: LoadHook,
    pub body: String,
    /// A function that the body calls.
    pub function: String,
}

/// Emits the hooks that compute the arguments of `call` where its kernels load them. `store` is the body of its other hook.
pub(super) fn emit(emitter: &mut Emitter, call: usize, kernels: &Kernels, store: &str) -> Result<Vec<FusedLoad>> {
    let mut loads = Vec::new();
    for argument in 0..emitter.wiring.schedule.edges[call].len() {
        let hook = kernels.kernels.iter().find_map(|kernel| kernel.load_hook(Operand::Input(argument)));
        if let (Some(result), Some(hook)) = (emitter.cluster.producer(emitter.wiring, call, argument), hook) {
            let members = emitter.cluster.before(emitter.wiring, call, argument);
            let mut body = String::new();
            emitter.calls(members, "index", None, &mut body)?;
            let _ = writeln!(body, "    return {};", emitter.value(result));
            loads.push(FusedLoad { argument, hook, body, function: String::new() });
        }
    }
    for at in 0..loads.len() {
        let FusedLoad { hook, ref body, .. } = loads[at];
        if hook.loads == Loads::One {
            continue;
        }
        let others = loads.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
        let text: String = others.flat_map(|other| [&*other.body, &*other.function]).chain([store]).collect();
        let vectors = if hook.loads == Loads::Neighbours { vectors(emitter, body, &text) } else { Vec::new() };
        let (body, function) = of_four(hook, body, emitter, &vectors);
        vectors.into_iter().for_each(|input| emitter.inputs[input].access = Access::Flat);
        (loads[at].body, loads[at].function) = (body, function);
    }
    Ok(loads)
}

/// The inputs that a body which is called for neighbours can read four at a time, since no other text reads them.
fn vectors(emitter: &Emitter, body: &str, others: &str) -> Vec<usize> {
    let is_vector = |&input: &usize| {
        let Input { layout, buffer, .. } = &emitter.inputs[input];
        let is_flat = layout.is_contiguous() && layout.offset.is_multiple_of(4) && layout.dtype.is_float();
        is_flat && body.contains(&emitter.load(input, "index", None)) && !others.contains(&format!("{buffer}["))
    };
    (0..emitter.inputs.len()).filter(is_vector).collect()
}

/// The body of a hook that loads four elements, and the function it calls for each, which is `body`. It reads `vectors`
/// four at a time.
fn of_four(hook: LoadHook, body: &str, emitter: &Emitter, vectors: &[usize]) -> (String, String) {
    let (mut body, mut parameters, mut loads) = (body.to_string(), String::new(), String::new());
    for &input in vectors {
        body = body.replace(&emitter.load(input, "index", None), "");
        let _ = write!(parameters, ", x{input}: f32");
        let buffer = &emitter.inputs[input].buffer;
        let _ = writeln!(loads, "    let quad{input} = Quad({buffer}[(word({input}u) + first) / 4u]);");
    }
    let element = |at: usize| {
        let index = match hook.loads {
            Loads::Neighbours => format!("first + {at}u"),
            _ => ["first", "second", "third", "fourth"][at].to_string(),
        };
        let values: String = vectors.iter().map(|input| format!(", quad{input}[{at}]")).collect();
        format!("{}_element({index}{values})", hook.name)
    };
    let call = format!("{loads}    return Quad({}, {}, {}, {});\n", element(0), element(1), element(2), element(3));
    (call, format!("\nfn {}_element(index: u32{parameters}) -> f32 {{\n{body}}}\n", hook.name))
}

/// Unbinds the operands that a kernel computes in its loads and renumbers the rest as the emitter numbers its inputs. Returns
/// the hooks of those it unbound.
pub(super) fn unbind<'a>(
    kernel: &mut Kernel,
    emitter: &Emitter,
    call: usize,
    loads: &'a [FusedLoad],
) -> Vec<&'a FusedLoad> {
    let fused: Vec<&FusedLoad> = loads.iter().filter(|load| kernel.shows(Operand::Input(load.argument))).collect();
    // A hook that loads eight elements calls this one in the template.
    kernel.hooks.retain(|(name, _)| fused.iter().all(|load| !name.starts_with(load.hook.name)));
    let is_fused = |operand: Operand| fused.iter().any(|load| operand == Operand::Input(load.argument));
    kernel.bindings.retain(|(_, operand)| !is_fused(*operand));
    let number = |argument: usize| emitter.inputs.iter().position(|input| input.from == (call, argument));
    for (_, operand) in &mut kernel.bindings {
        if let Operand::Input(argument) = operand {
            *argument = number(*argument).unwrap_or(*argument);
        }
    }
    for word in &mut kernel.params {
        if let Word::Offset(argument) = *word {
            // A value that is not in memory begins at its first element.
            *word = number(argument).map_or(Word::Value(0), Word::Offset);
        }
    }
    fused
}

//! Puts pointwise calls into the loads of another call's kernels.

use crate::error::Result;
use crate::graph::Edge;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Emitter, Uses};
use crate::plan::codegen::fuse_stores::FusedStore;
use crate::shader::{Kernel, Kernels, LoadHook, Loads, Operand, Word};
use crate::shape::Layout;
use std::collections::BTreeSet;
use std::fmt::Write;

/// A load hook whose value is computed in it.
pub(super) struct FusedLoad {
    argument: usize,
    pub hook: LoadHook,
    pub body: String,
    /// A function that the body calls.
    pub function: String,
    pub uses: Uses,
}

/// Emits the hooks that compute the arguments of `call` where its kernels load them, beside the hook `store`.
pub(super) fn emit(
    emitter: &mut Emitter,
    call: usize,
    kernels: &Kernels,
    store: Option<&FusedStore>,
) -> Result<Vec<FusedLoad>> {
    let mut hooks = Vec::new();
    for argument in 0..emitter.wiring.schedule.edges[call].len() {
        let hook = kernels.kernels.iter().find_map(|kernel| kernel.load_hook(Operand::Input(argument)));
        if let (Some(result), Some(hook)) = (emitter.cluster.producer(emitter.wiring, call, argument), hook) {
            let mut reads = emitter.read_by(Edge::Node { index: result, output: 0 });
            // Constants are words, also where the call reads one from memory.
            reads.retain(|&input| emitter.wiring.constant(emitter.inputs[input].root).is_none());
            hooks.push((argument, hook, result, reads));
        }
    }
    let stored = store.map(|store| &store.uses.inputs);
    let mut loads = Vec::new();
    for (argument, hook, result, reads) in &hooks {
        let others = hooks.iter().filter(|other| other.0 != *argument).map(|other| &other.3);
        let is_read_elsewhere = |input: &usize| others.clone().chain(stored).any(|reads| reads.contains(input));
        let is_vector = |input: &usize| is_flat(&emitter.inputs[*input].layout) && !is_read_elsewhere(input);
        let vectors: BTreeSet<usize> = match hook.loads {
            Loads::Neighbours => reads.iter().copied().filter(is_vector).collect(),
            _ => BTreeSet::new(),
        };
        let members = emitter.cluster.before(emitter.wiring, call, *argument);
        let mut body = String::new();
        emitter.calls_given(&vectors, members, "index", None, &mut body)?;
        let _ = writeln!(body, "    return {};", emitter.value(*result));
        let function = match hook.loads {
            Loads::One => String::new(),
            _ => of_four(*hook, &mut body, emitter, &vectors),
        };
        vectors.into_iter().for_each(|input| emitter.inputs[input].access = Access::Flat);
        loads.push(FusedLoad { argument: *argument, hook: *hook, body, function, uses: emitter.take_uses() });
    }
    Ok(loads)
}

/// True if neighbours of an input can be read four at a time.
fn is_flat(layout: &Layout) -> bool {
    layout.is_contiguous() && layout.offset.is_multiple_of(4) && layout.dtype.is_float()
}

/// Turns `body`, the text of one element, into that of a hook that loads four. Returns the function of one element, which the new
/// body calls for each. The hook reads `vectors`, which no other text reads, four at a time.
fn of_four(hook: LoadHook, body: &mut String, emitter: &Emitter, vectors: &BTreeSet<usize>) -> String {
    let (mut parameters, mut loads) = (String::new(), String::new());
    for &input in vectors {
        let _ = write!(parameters, ", x{input}: f32");
        let buffer = emitter.buffer(input);
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
    let all = format!("{loads}    return Quad({}, {}, {}, {});\n", element(0), element(1), element(2), element(3));
    let one = std::mem::replace(body, all);
    format!("\nfn {}_element(index: u32{parameters}) -> f32 {{\n{one}}}\n", hook.name)
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
    fused.iter().for_each(|load| kernel.reset_hook(load.hook.name));
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

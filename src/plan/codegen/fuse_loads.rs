//! Puts pointwise calls into the loads of another call's kernels.

use crate::error::Result;
use crate::plan::analysis::wiring::{Root, Wiring, node};
use crate::plan::cluster::form::Cluster;
use crate::plan::codegen::access::Access;
use crate::plan::codegen::emit::{Code, Input};
use crate::plan::codegen::pointwise::calls;
use crate::shader::{Formula, Kernel, Kernels, LoadHook, Loads, Operand, Word};
use crate::shape::{Layout, Shape};
use std::collections::HashSet;
use std::fmt::Write;

/// What a load costs in additions. On llvmpipe 1.4 ns, a rectifier less than 0.2 and a hyperbolic tangent 0.8 to 2.6.
pub(in crate::plan) const LOAD: u64 = 32;

/// Loads that an element takes more where it is stored: its store, and the load of what it is computed from.
const SAVED: u64 = 2;

/// The part of a kernel's work that computing in its loads may add.
const SHARE: u64 = 16;

/// Whether computing an argument in each of the `loads` of its call's kernels, whose own work is `work`, costs less than
/// storing it.
pub(in crate::plan) fn pays(
    wiring: &Wiring,
    cluster: &Cluster,
    call: usize,
    argument: usize,
    (loads, work): (u64, u64),
) -> bool {
    let Some(result) = node(wiring.argument(call, argument)) else { return false };
    let shape = wiring.schedule.nodes[result].outputs[0].shape;
    let members = cluster.before(wiring, call, argument);
    let mut read: HashSet<(Root, Layout)> = HashSet::new();
    let mut cost = 0;
    for &member in &members {
        cost += wiring.formula(member).map_or(0, Formula::operations);
        for &edge in &wiring.schedule.edges[member] {
            let root = wiring.root(edge);
            if wiring.constant(root).is_none() && node(root).is_none_or(|node| !members.contains(&node)) {
                read.insert((root, *wiring.layout(edge)));
            }
        }
    }
    // One load there is anyway, of neighbours as they lie in memory.
    let is_flat = |layout: &Layout| layout.is_contiguous() && layout.shape.numel() == shape.numel();
    let is_there = read.iter().any(|(_, layout)| is_flat(layout));
    cost += LOAD * (read.len() - usize::from(is_there)) as u64;
    let elements = shape.numel() as u64;
    let more = loads.saturating_sub(elements);
    // A weight is loaded more often the larger the batch is, and a shorter last batch should compile nothing.
    let is_fixed = more == 0 || is_of_batch(wiring, call, argument);
    is_fixed && more * cost <= SAVED * LOAD * elements || loads * cost <= work / SHARE
}

/// Whether an argument's outermost size is that of the result or of another argument, so that it is the batch's.
fn is_of_batch(wiring: &Wiring, call: usize, argument: usize) -> bool {
    let outermost = |shape: Shape| shape.iter().position(|&size| size != 1).map(|dim| (dim, shape[dim]));
    let edges = &wiring.schedule.edges[call];
    let others = (0..edges.len()).filter(|&other| other != argument).map(|other| wiring.layout(edges[other]).shape);
    let mut all = others.chain([wiring.schedule.nodes[call].outputs[0].shape]);
    all.any(|shape| outermost(shape) == outermost(wiring.layout(edges[argument]).shape))
}

/// What a call's kernels load an argument by that they compute themselves.
pub(in crate::plan) struct Loaded {
    argument: usize,
    pub hook: &'static str,
    pub body: String,
    /// A function that the body calls.
    pub function: String,
}

/// Writes the hooks by which `call` loads what is computed there. `stores` is the text of its other hook.
pub(in crate::plan) fn write(code: &mut Code, call: usize, kernels: &Kernels, stores: &str) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::new();
    for argument in 0..code.wiring.schedule.edges[call].len() {
        let hook = kernels.kernels.iter().find_map(|kernel| kernel.load_hook(Operand::Input(argument)));
        if let (Some(result), Some(hook)) = (code.cluster.producer(code.wiring, call, argument), hook) {
            let members = code.cluster.before(code.wiring, call, argument);
            let mut body = String::new();
            calls(code, members.into_iter(), "index", None, &mut body)?;
            let _ = writeln!(body, "    return {};", code.value(result));
            loaded.push((hook, Loaded { argument, hook: hook.name, body, function: String::new() }));
        }
    }
    for at in 0..loaded.len() {
        if loaded[at].0.loads != Loads::One {
            let others = loaded.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, (_, other))| other);
            let text: String = others.flat_map(|other| [&*other.body, &*other.function]).chain([stores]).collect();
            let (hook, Loaded { body, .. }) = &loaded[at];
            let vectors = if hook.loads == Loads::Neighbours { vectors(code, body, &text) } else { Vec::new() };
            let (body, function) = of_four(hook, body, code, &vectors);
            vectors.into_iter().for_each(|input| code.inputs[input].access = Access::Flat);
            (loaded[at].1.body, loaded[at].1.function) = (body, function);
        }
    }
    Ok(loaded.into_iter().map(|(_, loaded)| loaded).collect())
}

/// The inputs that a body which is called for neighbours can read four at a time, since no other text reads them.
fn vectors(code: &Code, body: &str, others: &str) -> Vec<usize> {
    let is_vector = |&input: &usize| {
        let Input { layout, buffer, .. } = &code.inputs[input];
        let is_flat = layout.is_contiguous() && layout.offset.is_multiple_of(4) && layout.dtype.is_float();
        is_flat && body.contains(&code.load(input, "index", None)) && !others.contains(&format!("{buffer}["))
    };
    (0..code.inputs.len()).filter(is_vector).collect()
}

/// The body of a hook that loads four elements, and the function it calls for each, which is `body`. It reads `vectors`
/// four at a time.
fn of_four(hook: &LoadHook, body: &str, code: &Code, vectors: &[usize]) -> (String, String) {
    let (mut body, mut parameters, mut loads) = (body.to_string(), String::new(), String::new());
    for &input in vectors {
        body = body.replace(&code.load(input, "index", None), "");
        let _ = write!(parameters, ", x{input}: f32");
        let buffer = &code.inputs[input].buffer;
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

/// Takes what it computes in its loads off a kernel's operands, and numbers those that are left as the code does. Returns
/// the former.
pub(in crate::plan) fn take_off<'a>(
    kernel: &mut Kernel,
    code: &Code,
    call: usize,
    loaded: &'a [Loaded],
) -> Vec<&'a Loaded> {
    let taken: Vec<&Loaded> = loaded.iter().filter(|loaded| kernel.shows(Operand::Input(loaded.argument))).collect();
    // One that loads eight calls this one in the template.
    kernel.hooks.retain(|(name, _)| taken.iter().all(|loaded| !name.starts_with(loaded.hook)));
    let is_taken = |operand: Operand| taken.iter().any(|loaded| operand == Operand::Input(loaded.argument));
    kernel.bindings.retain(|(_, operand)| !is_taken(*operand));
    let place = |argument: usize| code.inputs.iter().position(|input| input.from == (call, argument));
    for (_, operand) in &mut kernel.bindings {
        if let Operand::Input(argument) = operand {
            *argument = place(*argument).unwrap_or(*argument);
        }
    }
    for word in &mut kernel.params {
        if let Word::Offset(argument) = *word {
            // What is not in memory begins at its first element.
            *word = place(argument).map_or(Word::Value(0), Word::Offset);
        }
    }
    taken
}

//! Observes a forward pass: every layer's name, type, input and output; and replaces outputs.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::Module;
use crate::nn::module::joined;
use scoped_tls_hkt::{ReborrowMut, scoped_thread_local};
use std::collections::BTreeMap;

/// A running layer.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// The dotted name, empty for the model itself. A module that no `children()` lists goes by its type, in parentheses.
    pub name: &'a str,
    /// The layer.
    pub module: &'a dyn Module,
    /// The number of modules it is in, the model included.
    pub depth: usize,
}

/// An observer of a [forward pass](Module::forward_with). A closure of a layer, its input and its output is one, and is called as
/// layers end.
pub trait Probe {
    /// Called when a layer begins.
    ///
    /// # Errors
    /// An error ends the pass.
    fn enter(&mut self, layer: &Layer<'_>, input: &Tensor) -> Result<()> {
        let _ = (layer, input);
        Ok(())
    }

    /// Called when a layer has ended. The pass goes on with the returned tensor, or with the output.
    ///
    /// # Errors
    /// An error ends the pass.
    fn leave(&mut self, layer: &Layer<'_>, input: &Tensor, output: &Tensor) -> Result<Option<Tensor>>;
}

impl<F: FnMut(&Layer<'_>, &Tensor, &Tensor) -> Result<Option<Tensor>>> Probe for F {
    fn leave(&mut self, layer: &Layer<'_>, input: &Tensor, output: &Tensor) -> Result<Option<Tensor>> {
        self(layer, input, output)
    }
}

/// The identity of a module: its address, and its type, since a field may have the address of its owner.
pub type Identity = (usize, &'static str);

/// A module that is running.
struct Frame {
    name: String,
    within: Vec<Place>,
}

/// The position of a module within a running one.
struct Place {
    identity: Identity,
    name: String,
    /// The number of modules between them.
    depth: usize,
    ran: bool,
}

/// A pass that a probe observes.
struct Session<'a> {
    probe: &'a mut dyn Probe,
    running: &'a mut Vec<Frame>,
}

impl<'a> ReborrowMut<'a> for Session<'_> {
    type Result = Session<'a>;
    fn reborrow_mut(&'a mut self) -> Session<'a> {
        Session { probe: &mut *self.probe, running: &mut *self.running }
    }
}

scoped_thread_local! {
    /// The session of this thread; none while its probe is called.
    static mut SESSION: for<'a> Session<'a>
}

/// True while a probe observes this thread's passes.
pub(super) fn is_looking() -> bool {
    SESSION.is_set()
}

pub(super) fn forward(module: &dyn Module, input: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
    SESSION.set(Session { probe, running: &mut Vec::new() }, || module.forward(input))
}

/// The outputs of the layers with some names.
pub(super) fn intermediates(module: &dyn Module, input: &Tensor, names: &[&str]) -> Result<Vec<Tensor>> {
    let mut outputs = BTreeMap::new();
    let mut keep = |layer: &Layer<'_>, _: &Tensor, output: &Tensor| {
        outputs.insert(layer.name.to_string(), output.clone());
        Ok(None)
    };
    forward(module, input, &mut keep)?;
    let of = |name: &&str| {
        let ran = || outputs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let missing = || Error::invalid("intermediates", format!("no layer {name:?} runs; these do: {}", ran()));
        outputs.get(*name).cloned().ok_or_else(missing)
    };
    names.iter().map(of).collect()
}

/// Notifies the probe that a layer begins.
pub(super) fn enter(module: &dyn Module, input: &Tensor) -> Result<()> {
    SESSION.with(|mut session| {
        let name = session.name_of(module);
        session.running.push(Frame { name, within: within(module, "", 0) });
        session.look(module, |probe, layer| probe.enter(layer, input))
    })
}

/// Notifies the probe that a layer has ended; returns the output that replaces the layer's.
pub(super) fn leave(module: &dyn Module, input: &Tensor, output: Result<Tensor>) -> Result<Tensor> {
    let other = SESSION.with(|mut session| {
        let other = match &output {
            Ok(output) => session.look(module, |probe, layer| probe.leave(layer, input, output)),
            Err(_) => Ok(None),
        };
        session.running.pop();
        other
    });
    match other? {
        Some(other) => Ok(other),
        None => output,
    }
}

/// Runs a layer that has more results than its output.
pub(super) fn observed<T>(
    module: &dyn Module,
    input: &Tensor,
    run: impl FnOnce() -> Result<(Tensor, T)>,
) -> Result<(Tensor, T)> {
    if !is_looking() {
        return run();
    }
    enter(module, input)?;
    match run() {
        Ok((output, rest)) => Ok((leave(module, input, Ok(output))?, rest)),
        Err(error) => {
            leave(module, input, Err(error.clone()))?;
            Err(error)
        }
    }
}

impl Session<'_> {
    /// The name of a module that the innermost running one runs: that of a child, or else of a module further within. Two modules
    /// without fields may have the same address; they run in the order of their names.
    fn name_of(&mut self, module: &dyn Module) -> String {
        let Some(frame) = self.running.last_mut() else { return String::new() };
        let identity = module.identity();
        let same = |place: &&Place| place.identity == identity;
        let depth = frame.within.iter().filter(same).map(|place| place.depth).min();
        let mut fitting: Vec<&mut Place> =
            frame.within.iter_mut().filter(|place| place.identity == identity && Some(place.depth) == depth).collect();
        let at = fitting.iter().position(|place| !place.ran).unwrap_or(0);
        match fitting.get_mut(at) {
            Some(place) => {
                place.ran = true;
                joined(&frame.name, &place.name)
            }
            None => joined(&frame.name, &format!("({})", module.type_name())),
        }
    }

    fn look<T>(
        &mut self,
        module: &dyn Module,
        look: impl FnOnce(&mut dyn Probe, &Layer<'_>) -> Result<T>,
    ) -> Result<T> {
        let name = self.running.last().map_or("", |frame| &frame.name);
        look(self.probe, &Layer { name, module, depth: self.running.len() - 1 })
    }
}

/// The modules within one.
fn within(module: &dyn Module, place: &str, depth: usize) -> Vec<Place> {
    let mut all = Vec::new();
    for (name, child) in module.children() {
        let name = joined(place, &name);
        all.extend(within(child, &name, depth + 1));
        all.push(Place { identity: child.identity(), name, depth, ran: false });
    }
    all
}

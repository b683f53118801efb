//! What all optimizers share: groups, and steps over packs.

use super::algorithm::{Algorithm, Step};
use super::group::{IntoParameters, ParamGroup};
use super::guard::kept;
use super::numbers::numbers;
use super::slots::{Entering, Part, Slots};
use super::{Guard, Hyper, Optimizer};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};

/// An optimizer with the options and the formula of an algorithm, such as [`Sgd`](super::Sgd) or [`Adam`](super::Adam).
///
/// Parameters lie in packs, whatever groups they are in: a step takes as many launches with one group as with many.
pub struct Engine<A: Algorithm> {
    groups: Vec<Group<A>>,
    slots: Slots,
}

struct Group<A: Algorithm> {
    options: A,
    /// As it was when the group was made: its buffers are those of this form.
    form: A::Form,
    maximize: bool,
}

impl<A: Algorithm> Engine<A> {
    /// An optimizer for the trained ones of `parameters`, those of a module or a list, as one group.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there are none, two have one name, or an option is out of its range; [`Error::Unreached`] for a
    /// module that does not reach all parameters of its scope.
    #[track_caller]
    pub fn new(parameters: impl IntoParameters, options: A) -> Result<Engine<A>> {
        parameters.check()?;
        Engine::with_groups(vec![ParamGroup::new(parameters, options)])
    }

    /// An optimizer for groups, each with options of its own. What differs in numbers alone is still changed by one launch.
    ///
    /// # Errors
    /// As [`new`](Engine::new); [`Error::Invalid`] where there are no groups, one is empty, or two share a parameter.
    #[track_caller]
    pub fn with_groups(groups: Vec<ParamGroup<A>>) -> Result<Engine<A>> {
        if groups.is_empty() {
            return Err(Error::invalid(A::NAME, "there are no groups of parameters"));
        }
        let mut engine = Engine { groups: Vec::new(), slots: Slots::default() };
        engine.add(groups)?;
        Ok(engine)
    }

    /// Adds a group, also while training. Its parameters have taken no steps.
    ///
    /// # Errors
    /// As [`with_groups`](Engine::with_groups). Nothing is added then.
    #[track_caller]
    pub fn add_group(&mut self, group: ParamGroup<A>) -> Result<()> {
        self.add(vec![group])
    }

    #[track_caller]
    fn add(&mut self, groups: Vec<ParamGroup<A>>) -> Result<()> {
        let before = self.groups.len();
        let mut entering = Vec::new();
        for ParamGroup { parameters, options } in groups {
            options.check()?;
            let (group, form, maximize) = (self.groups.len(), options.form(), options.maximize());
            let buffers = options.buffers();
            self.groups.push(Group { options, form, maximize });
            let alike = |other: &Group<A>| (other.form, other.maximize) == (form, maximize);
            let form = self.groups.iter().position(alike).unwrap_or(group);
            entering.push(Entering { group, form, parameters, buffers });
        }
        let added = self.slots.add(A::NAME, entering);
        if added.is_err() {
            self.groups.truncate(before);
        }
        added
    }

    /// The options of a group.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such group.
    pub fn options(&self, group: usize) -> Result<&A> {
        let rule = || format!("group {group} of {}", self.groups.len());
        Ok(&self.groups.get(group).ok_or_else(|| Error::invalid(A::NAME, rule()))?.options)
    }

    /// Sets the options of a group. Numbers are data: others make no other plan.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such group, an option is out of its range, or another formula would be needed
    /// than the one the group began with. The old options stay then.
    pub fn set_options(&mut self, group: usize, options: A) -> Result<()> {
        options.check()?;
        let buffers = self.options(group)?.clone().buffers().len();
        let Group { form, maximize, .. } = self.groups[group];
        // A momentum of 0 leaves the buffer that one above it began with.
        let fits = options.form() == form || options.buffers().len() < buffers;
        if !fits || options.maximize() != maximize {
            let rule =
                format!("group {group} began with {:?}, which can't become {options:?}", self.groups[group].options);
            return Err(Error::invalid(A::NAME, rule));
        }
        self.groups[group].options = options;
        Ok(())
    }
}

/// New values and buffers of a part; the old ones where it has to stop.
#[track_caller]
fn update<A: Algorithm>(groups: &[Group<A>], part: Part) -> Result<(Tensor, Vec<Tensor>)> {
    let Part { bundle, form, gradient, steps, stop } = part;
    let Group { form, maximize, .. } = groups[form];
    let numbers = numbers(bundle, steps, |group| groups[group].options.numbers())?;
    let old = bundle.parameters.value();
    let gradient = if maximize { gradient.neg()? } else { gradient };
    let buffers: Vec<Tensor> = bundle.buffers.iter().map(|pack| pack.value()).collect();
    let step = Step { value: old.to_dtype(DType::F32)?, gradient, buffers: buffers.clone(), numbers };
    let (value, mut new) = A::update(form, step)?;
    let mut value = value.to_dtype(old.dtype())?;
    if let Some(stop) = stop {
        value = kept(&old, &value, &stop.to_dtype(old.dtype())?)?;
        for (new, old) in new.iter_mut().zip(&buffers) {
            *new = kept(old, new, stop)?;
        }
    }
    Ok((value, new))
}

impl<A: Algorithm> Optimizer for Engine<A> {
    fn name(&self) -> &'static str {
        A::NAME
    }
    #[track_caller]
    fn step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
        let Engine { groups, slots } = self;
        slots.step(guard, |part| update(groups, part))
    }
    fn parameters(&self) -> Vec<Parameter> {
        self.slots.parameters()
    }
    fn buffers(&self) -> Vec<Parameter> {
        self.slots.buffers()
    }
    fn steps(&self) -> Result<Vec<u64>> {
        self.slots.steps()
    }
    fn set_steps(&mut self, steps: &[u64]) -> Result<()> {
        self.slots.set_steps(A::NAME, steps)
    }
    fn groups(&self) -> usize {
        self.groups.len()
    }
    fn hyper(&self, hyper: Hyper, group: usize) -> Result<Option<f64>> {
        Ok(self.options(group)?.clone().hyper(hyper).copied())
    }
    fn set_hyper(&mut self, hyper: Hyper, group: usize, value: f64) -> Result<()> {
        let mut options = self.options(group)?.clone();
        match options.hyper(hyper) {
            Some(number) => *number = value,
            None => return Err(Error::invalid(A::NAME, format!("it has no {hyper}"))),
        }
        self.set_options(group, options)
    }
}

//! The engine of all optimizers: groups, and steps over packs.

use super::algorithm::{Algorithm, Number, Step};
use super::clip::{Clipping, Norm};
use super::group::{IntoParameters, ParamGroup};
use super::guard::kept;
use super::numbers::numbers;
use super::slots::{Entering, Part, Slots};
use super::{Guard, Hyper, Optimizer};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::ops::PACK_ALIGNMENT;

/// An optimizer with the options and the formula of an algorithm, such as [`Sgd`](super::Sgd) or [`Adam`](super::Adam).
///
/// Parameters lie in packs regardless of their groups: a step takes as many launches with one group as with many.
pub struct Engine<A: Algorithm> {
    groups: Vec<Group<A>>,
    slots: Slots,
    clipping: Clipping,
}

struct Group<A: Algorithm> {
    options: A,
    /// The form when the group was made; its buffers are those of this form.
    form: A::Form,
    maximize: bool,
}

impl<A: Algorithm> Engine<A> {
    /// An optimizer for the trained parameters in `parameters`, those of a module or a list, as one group.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none, two have one name, or an option is out of its range; [`Error::Unreached`] for a
    /// module that does not reach all parameters of its scope.
    #[track_caller]
    pub fn new(parameters: impl IntoParameters, options: A) -> Result<Engine<A>> {
        parameters.check()?;
        Engine::with_groups(vec![ParamGroup::new(parameters, options)])
    }

    /// An optimizer for groups, each with options of its own. Groups whose options differ only in numbers still take one launch.
    ///
    /// # Errors
    /// As [`new`](Engine::new); [`Error::Invalid`] if there are no groups, one is empty, or two share a parameter.
    #[track_caller]
    pub fn with_groups(groups: Vec<ParamGroup<A>>) -> Result<Engine<A>> {
        if groups.is_empty() {
            return Err(Error::invalid(A::NAME, "there are no groups of parameters"));
        }
        let mut engine = Engine { groups: Vec::new(), slots: Slots::new(), clipping: Clipping::default() };
        engine.add(groups)?;
        Ok(engine)
    }

    /// Adds a group, also while training. Its parameters start at step 0.
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
            for parameter in &parameters {
                A::check_parameter(parameter.name(), &parameter.holds().0)?;
            }
            self.groups.push(Group { options, form, maximize });
            let alike = |other: &Group<A>| (other.form, other.maximize) == (form, maximize);
            let form = self.groups.iter().position(alike).unwrap_or(group);
            entering.push(Entering { group, form, parameters, buffers, buffer_shape: A::buffer_shape });
        }
        let added = self.slots.add(A::NAME, entering);
        if added.is_err() {
            self.groups.truncate(before);
        }
        added
    }

    /// Limits each element of the gradients to `-clip_value ..= clip_value` before a step, as `clip_grad_value_` does.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the limit is not above 0.
    pub fn clip_grad_value(mut self, clip_value: f64) -> Result<Engine<A>> {
        self.clipping.value = Some(Clipping::value(clip_value)?);
        Ok(self)
    }

    /// Limits the norm of all gradients together before a step, as `clip_grad_norm_` does: they are multiplied by
    /// `min(1, max_norm / (norm + 1e-6))`. Nothing is read back; see [`grad_norm`](Engine::grad_norm).
    ///
    /// # Errors
    /// [`Error::Invalid`] if the limit is not above 0. The step fails with [`Error::DeviceMismatch`] if the parameters
    /// belong to several devices.
    ///
    /// ```
    /// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
    /// use wgrad::{Device, Parameter, Tensor};
    ///
    /// let device = Device::reference();
    /// let x = Parameter::new("x", &Tensor::from_slice(&device, &[3.0f32, 4.0], &[2])?);
    /// let mut sgd = Sgd::new(vec![x.clone()], SgdOptions::default().lr(1.0))?.clip_grad_norm(1.0)?;
    /// x.value().square()?.sum_all()?.backward()?; // 6 and 8
    /// sgd.step()?;
    /// assert_eq!(sgd.grad_norm().unwrap().item::<f32>()?, 10.0);
    /// assert!((x.value().to_vec::<f32>()?[0] - 2.4).abs() < 1e-5);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn clip_grad_norm(mut self, max_norm: f64) -> Result<Engine<A>> {
        self.clipping.norm = Some(Clipping::norm(max_norm, 1e-6)?);
        Ok(self)
    }

    /// Limits the gradient of each row of a weight, the weights of one output, by the row's norm (AGC, Brock et al., 2021): it is
    /// multiplied by `min(1, clip_factor max(|w|, eps) / |g|)`. Parameters of one dimension count as one row. timm's defaults are
    /// 0.01 and 1e-3.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a number is not above 0.
    pub fn adaptive_clip_grad(mut self, clip_factor: f64, eps: f64) -> Result<Engine<A>> {
        self.clipping.adaptive = Some(Clipping::adaptive(clip_factor, eps)?);
        Ok(self)
    }

    /// Adds normal noise to the clipped gradients (Neelakantan et al., 2015), of variance `eta / (1 + t)^gamma` at step `t`,
    /// counted from 0; the paper's `gamma` is 0.55. It comes from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a number is negative.
    pub fn grad_noise(mut self, eta: f64, gamma: f64) -> Result<Engine<A>> {
        self.clipping.noise = Some(Clipping::noise(eta, gamma)?);
        Ok(self)
    }

    /// The norm of all gradients of the last step before [`clip_grad_norm`](Engine::clip_grad_norm) limited it, a tensor without
    /// dimensions; `None` if it is not limited.
    pub fn grad_norm(&self) -> Option<&Tensor> {
        self.slots.norm()
    }

    /// The options of a group.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such group.
    pub fn options(&self, group: usize) -> Result<&A> {
        let rule = || format!("group {group} of {}", self.groups.len());
        Ok(&self.groups.get(group).ok_or_else(|| Error::invalid(A::NAME, rule()))?.options)
    }

    /// Sets the options of a group. Numbers are data: new ones need no new plan.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such group, an option is out of its range, or the options need another formula than the
    /// group began with. The old options stay then.
    pub fn set_options(&mut self, group: usize, options: A) -> Result<()> {
        options.check()?;
        let buffers = self.options(group)?.clone().buffers().len();
        let Group { form, maximize, .. } = self.groups[group];
        // A momentum that becomes 0 keeps its buffer.
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

/// New values and buffers of a part; the old ones if it has to stop.
#[track_caller]
fn update<A: Algorithm>(groups: &[Group<A>], part: Part) -> Result<(Tensor, Vec<Tensor>)> {
    let Part { bundle, form, gradient, steps, stop } = part;
    let Group { form, maximize, .. } = groups[form];
    let of_groups: Vec<Vec<Number>> = bundle.groups.iter().map(|&group| groups[group].options.numbers()).collect();
    let numbers = numbers(bundle, steps, &of_groups, PACK_ALIGNMENT)?;
    let old = bundle.parameters.value();
    let gradient = if maximize { gradient.neg()? } else { gradient };
    let buffers: Vec<Tensor> = bundle.buffers.iter().map(|pack| pack.value()).collect();
    let step = Step {
        value: old.to_dtype(DType::F32)?,
        gradient,
        buffers: buffers.clone(),
        numbers,
        steps,
        of_groups,
        bundle,
    };
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
        let Engine { groups, slots, clipping } = self;
        let of_options = || groups[0].options.max_grad_norm().map(|most| Norm { most, eps: 0.0 });
        let clipping = Clipping { norm: clipping.norm.or_else(of_options), ..*clipping };
        slots.step(guard, &clipping, |part| update(groups, part))
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

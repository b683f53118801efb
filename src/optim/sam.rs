//! Sharpness-aware minimization.

use super::guard::{kept, not_finite};
use super::options::options;
use super::runs::Runs;
use super::wrapper::left_to;
use super::{Guard, Hyper, Lent, Optimizer};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Pack, Parameter, Tensor, ascribe_to_caller, no_grad};
use crate::number::nearest;
use crate::ops::pack;
use std::sync::{Arc, Weak};

const OP: &str = "sam";
/// Added to the norm, as in the authors' code.
const EPS: f64 = 1e-12;

options! {
    /// Options of [`Sam`]; the defaults are the paper's.
    SamOptions {
        /// Length of the ascent.
        rho: f64 = 0.05,
        /// Scales the ascent by the size of the weights (ASAM).
        adaptive: bool = false,
    }
}

/// Sharpness-aware minimization (Foret et al., 2021) around any optimizer: a step by the gradient at the worst point nearby.
///
/// With the gradient `g` of all parameters together, [`first_step`](Optimizer::first_step) climbs to `p + rho g / |g|`; with `adaptive`
/// (Kwon et al., 2021) to `p + rho p^2 g / |p g|`. There the gradient is computed anew, and [`step`](Optimizer::step) takes the
/// inner optimizer's step by it, from the parameters before the climb. Nothing is read back, and both take a few launches a pack.
/// The inner optimizer clips the second gradient; running statistics of norms count both passes.
///
/// Wrappers may stand on either side of it. A [`Trainer`](crate::train::Trainer) computes both gradients, of all batches that a
/// step adds up; a loop with a loss scaler calls [`GradScaler::first_step`](crate::amp::GradScaler::first_step).
///
/// ```
/// use wgrad::optim::{Optimizer, Sam, SamOptions, Sgd, SgdOptions};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let sgd = Sgd::new(vec![x.clone()], SgdOptions::default().lr(0.25))?;
/// let mut optimizer = Sam::new(sgd, SamOptions::default().rho(1.0))?;
/// x.value().square()?.backward()?;
/// optimizer.first_step()?; // up to 5
/// x.value().square()?.backward()?;
/// optimizer.step()?;
/// optimizer.zero_grad();
/// assert_eq!(x.value().item::<f32>()?, 1.5); // 4 - 0.25 * 10
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Sam<O> {
    inner: O,
    options: SamOptions,
    state: Place,
    runs: Vec<(Weak<Pack>, Runs)>,
}

/// The position of the parameters.
enum Place {
    /// At the result of the last step.
    Down,
    /// Climbed from there.
    Up(End),
    /// Back at the result of the last step, with the gradient from the climbed position.
    Back { stop: Option<Tensor> },
}

/// One end of a climb.
struct End {
    values: Vec<(Values, Tensor)>,
    /// The guard's flag, `[1, 1]`: not 0 if nothing has moved, and the step must change nothing.
    stop: Option<Tensor>,
}

/// Parameters that change together.
enum Values {
    Pack(Arc<Pack>, Vec<Parameter>),
    Alone(Parameter),
}

impl Values {
    /// Groups all parameters: those of a whole pack together.
    fn of(parameters: Vec<Parameter>) -> Vec<Values> {
        let mut packs: Vec<(Arc<Pack>, Vec<Parameter>)> = Vec::new();
        let mut values = Vec::new();
        for parameter in parameters {
            match parameter.pack() {
                Some(of) => match packs.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &of)) {
                    Some((_, members)) => members.push(parameter),
                    None => packs.push((of, vec![parameter])),
                },
                None => values.push(Values::Alone(parameter)),
            }
        }
        for (of, members) in packs {
            let at = |segment| members.iter().find(|member| member.is_part_of(&of, segment)).cloned();
            match (0..of.segments().len()).map(at).collect::<Option<Vec<_>>>() {
                Some(in_order) => values.push(Values::Pack(of, in_order)),
                None => values.extend(members.into_iter().map(Values::Alone)),
            }
        }
        values
    }

    fn value(&self) -> Tensor {
        match self {
            Values::Pack(pack, _) => pack.value(),
            Values::Alone(parameter) => parameter.value(),
        }
    }

    fn assign(&self, value: &Tensor) -> Result<()> {
        match self {
            Values::Pack(pack, _) => pack.assign(value),
            Values::Alone(parameter) => parameter.assign(value),
        }
    }

    /// The gradients, in f32, 0 for parameters without one and for pruned elements; `None` if there are none at all.
    fn gradient(&self) -> Result<Option<Tensor>> {
        let (of, members) = match self {
            Values::Alone(parameter) => {
                let masked = |gradient: Tensor| parameter.masked(&gradient)?.to_dtype(DType::F32);
                return parameter.grad().map(masked).transpose();
            }
            Values::Pack(of, members) => (of, members),
        };
        if members.iter().all(|member| member.grad().is_none()) {
            return Ok(None);
        }
        let given = |member: &Parameter| member.grad().map_or_else(|| member.value().zeros_like(), Ok);
        let gradients = members.iter().map(given).collect::<Result<Vec<Tensor>>>()?;
        let whole = of.value();
        let sizes: Vec<isize> = whole.shape().iter().map(|&size| nearest(size)).collect();
        let gradient = pack(&gradients, of.segments(), whole.numel())?.reshape(&sizes)?;
        of.masked(&gradient)?.to_dtype(DType::F32).map(Some)
    }
}

impl<O: Optimizer> Sam<O> {
    /// Wraps an optimizer.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `rho` is negative or not finite, or if the optimizer takes two gradients a step already.
    pub fn new(inner: O, options: SamOptions) -> Result<Sam<O>> {
        super::options::at_least_zero(OP, "rho", options.rho)?;
        if inner.has_first_step() {
            return Err(Error::invalid(OP, "the optimizer within is or holds a Sam: a step climbs once"));
        }
        Ok(Sam { inner, options, state: Place::Down, runs: Vec::new() })
    }

    /// The wrapped optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The wrapped optimizer, to add a group.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The upper end.
    #[track_caller]
    fn up(&mut self, guard: Option<&mut Guard>) -> Result<End> {
        self.runs.retain(|(pack, _)| pack.strong_count() > 0);
        let mut parts = Vec::new();
        let (mut squares, mut infinite): (Option<Tensor>, Option<Tensor>) = (None, None);
        for values in Values::of(self.inner.parameters()) {
            let Some(gradient) = values.gradient()? else { continue };
            let gradient = match &guard {
                Some(guard) => guard.unscaled(&gradient)?,
                None => gradient,
            };
            let value = values.value().to_dtype(DType::F32)?;
            let measured = if self.options.adaptive { gradient.mul(&value)? } else { gradient.clone() };
            squares = Some(plus(squares, self.total(&values, &measured.square()?)?)?);
            if guard.is_some() {
                infinite = Some(plus(infinite, self.total(&values, &not_finite(&gradient)?)?)?);
            }
            let way = if self.options.adaptive { measured.mul(&value)? } else { gradient };
            parts.push((values, value, way));
        }
        let squares = squares.ok_or_else(|| Error::invalid(OP, "no parameter has a gradient to go up by"))?;
        let stop = match (guard, infinite) {
            (Some(guard), Some(infinite)) => Some(guard.stop(&infinite)?),
            _ => None,
        };
        let factor = squares.sqrt()?.add_scalar(EPS)?.reciprocal()?.mul_scalar(self.options.rho)?;
        let up = |(values, value, way): (Values, Tensor, Tensor)| {
            let old = values.value();
            let one = vec![1; value.rank()];
            let up = value.add(&way.mul(&factor.reshape(&one)?)?)?.to_dtype(old.dtype())?;
            match &stop {
                Some(stop) => Ok((values, kept(&old, &up, &stop.to_dtype(old.dtype())?.reshape(&one)?)?)),
                None => Ok((values, up)),
            }
        };
        Ok(End { values: parts.into_iter().map(up).collect::<Result<_>>()?, stop })
    }

    /// The sum of all elements that belong to parameters, `[1, 1]`.
    fn total(&mut self, values: &Values, elements: &Tensor) -> Result<Tensor> {
        let Values::Pack(pack, _) = values else { return elements.sum_all()?.reshape(&[1, 1]) };
        let known = self.runs.iter().position(|(of, _)| of.upgrade().is_some_and(|of| Arc::ptr_eq(&of, pack)));
        let at = match known {
            Some(at) => at,
            None => {
                self.runs.push((Arc::downgrade(pack), Runs::new(pack)?));
                self.runs.len() - 1
            }
        };
        self.runs[at].1.total(elements)
    }
}

/// A sum that may have no terms yet.
fn plus(sum: Option<Tensor>, term: Tensor) -> Result<Tensor> {
    sum.map_or(Ok(term.clone()), |sum| sum.add(&term))
}

impl<O: Optimizer> Optimizer for Sam<O> {
    left_to!((this) this.inner);
    fn has_first_step(&self) -> bool {
        true
    }
    #[track_caller]
    fn first_step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
        let _line = ascribe_to_caller();
        if let Place::Up(_) = self.state {
            return Err(Error::invalid(OP, "a first_step() follows another: compute the gradients and call step()"));
        }
        let mut end = no_grad(|| self.up(guard))?;
        for (values, value) in &mut end.values {
            let old = values.value();
            values.assign(value)?;
            *value = old;
        }
        self.state = Place::Up(end);
        self.inner.zero_grad();
        Ok(())
    }
    /// Goes back and takes the inner optimizer's step by the gradients that were computed after the climb.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no [`first_step`](Optimizer::first_step) came before; those of the inner optimizer, after which the
    /// call can be repeated.
    #[track_caller]
    fn step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
        let stop = match &self.state {
            Place::Down => {
                return Err(Error::invalid(OP, "call first_step(), compute the gradients again, and then step()"));
            }
            Place::Up(End { values, stop }) => {
                values.iter().try_for_each(|(values, old)| values.assign(old))?;
                stop.clone()
            }
            Place::Back { stop } => stop.clone(),
        };
        self.state = Place::Back { stop: stop.clone() };
        match guard {
            Some(guard) => guard.after(stop, |guard| self.inner.step_with(Some(guard)))?,
            None => self.inner.step_with(None)?,
        }
        self.state = Place::Down;
        Ok(())
    }
    fn buffers(&self) -> Vec<Parameter> {
        self.inner.buffers()
    }
    #[track_caller]
    fn lend_average(&self) -> Result<Option<Lent>> {
        self.inner.lend_average()
    }
    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.inner.counts()
    }
    /// Restored parameters are those after a step.
    fn set_counts(&mut self, counts: &[u64]) {
        self.state = Place::Down;
        self.inner.set_counts(counts);
    }
}

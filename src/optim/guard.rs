//! Steps that change nothing if gradients are not finite, decided on the device.

use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;
use crate::ops::or_bad_index;

/// A switch for steps: if a gradient holds an infinity or NaN, a guarded step changes neither parameters nor buffers nor step
/// counts. The device decides, and nothing is read back.
///
/// One guard may serve several optimizers, each of which is stopped by its own gradients; [`found`](Guard::found) tells if any
/// was.
///
/// ```
/// use wgrad::optim::{Guard, Optimizer, Sgd, SgdOptions};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let mut sgd = Sgd::new(vec![x.clone()], SgdOptions::default().lr(0.25))?;
/// let scale = Tensor::full(&device, &[], 1024.0f32)?;
/// x.value().square()?.mul(&scale)?.backward()?;
/// let mut guard = Guard::new().inverse_scale(&scale.reciprocal()?);
/// sgd.step_guarded(&mut guard)?;
/// assert_eq!(x.value().item::<f32>()?, 2.0);
///
/// x.set_grad(Some(Tensor::full(&device, &[1], f32::INFINITY)?))?;
/// sgd.step_guarded(&mut guard)?;
/// assert_eq!(x.value().item::<f32>()?, 2.0);
/// assert_eq!(sgd.steps()?, [1]);
/// assert_eq!(guard.found().unwrap().item::<f32>()?, 1.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Guard {
    inverse_scale: Option<Tensor>,
    bad_indices: bool,
    found: Option<Tensor>,
    /// Not 0 if the first of two steps was stopped, and so the second has to be.
    earlier: Option<Tensor>,
}

static NOT_FINITE: Rule =
    Rule::new("not_finite", "select(F(0.0), F(1.0), (bitcast<U>({0}) & U(0x7f800000u)) == U(0x7f800000u))", |x, _| {
        f64::from(u8::from(!x[0].is_finite()))
    });

static ABOVE_ZERO: Rule =
    Rule::new("above_zero", "select(F(0.0), F(1.0), {0} > F(0.0))", |x, _| f64::from(u8::from(x[0] > 0.0)));

/// The old element if a gradient was not finite, and the new one otherwise.
static KEPT: Rule = Rule::new("kept", "select({1}, {0}, {2} > F(0.0))", |x, _| if x[2] > 0.0 { x[0] } else { x[1] });

impl Guard {
    /// A guard against gradients that are not finite.
    pub fn new() -> Guard {
        Guard::default()
    }

    /// Multiplies gradients by a number on the device, a tensor of one element, before the step looks at them.
    #[must_use = "it returns the guard with the scale set"]
    pub fn inverse_scale(self, inverse_scale: &Tensor) -> Guard {
        Guard { inverse_scale: Some(inverse_scale.detach()), ..self }
    }

    /// Stops steps too while a bad index that a kernel has met (a label past the classes, say) waits to be reported.
    #[must_use = "it returns the guard with the watch set"]
    pub fn bad_indices(self, bad_indices: bool) -> Guard {
        Guard { bad_indices, ..self }
    }

    /// The flag of a step stopped since the guard was made: one number on the device, 1 if so and 0 if not; `None` before
    /// the first step.
    pub fn found(&self) -> Option<&Tensor> {
        self.found.as_ref()
    }

    /// A gradient without its scale.
    pub(super) fn unscaled(&self, gradient: &Tensor) -> Result<Tensor> {
        match &self.inverse_scale {
            Some(inverse) => gradient.mul(&inverse.to_dtype(gradient.dtype())?.reshape(&vec![1; gradient.rank()])?),
            None => Ok(gradient.clone()),
        }
    }

    /// Runs the second of two steps, which stops too if the first did.
    pub(super) fn after<R>(&mut self, earlier: Option<Tensor>, step: impl FnOnce(&mut Guard) -> R) -> R {
        self.earlier = earlier;
        let result = step(self);
        self.earlier = None;
        result
    }

    /// 1 if a step with this number of elements that are not finite has to stop, otherwise 0. Remembers it too.
    pub(super) fn stop(&mut self, not_finite: &Tensor) -> Result<Tensor> {
        let mut stop = ABOVE_ZERO.of(&[not_finite], [])?;
        if let Some(earlier) = &self.earlier {
            stop = stop.maximum(earlier)?;
        }
        if self.bad_indices {
            stop = or_bad_index(&stop)?;
        }
        self.found = Some(match &self.found {
            Some(found) => found.maximum(&stop.reshape_to(*found.shape())?)?,
            None => stop.reshape(&[])?,
        });
        Ok(stop)
    }
}

/// 1 for each element that is infinite or NaN, and 0 for others.
pub(super) fn not_finite(elements: &Tensor) -> Result<Tensor> {
    NOT_FINITE.of(&[elements], [])
}

/// The old elements if `stop` is not 0, and the new ones otherwise.
pub(super) fn kept(old: &Tensor, new: &Tensor, stop: &Tensor) -> Result<Tensor> {
    KEPT.of(&[old, new, &stop.expand_to(*old.shape(), "step")?], [])
}

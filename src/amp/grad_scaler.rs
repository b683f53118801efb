//! Losses scaled such that gradients stay within the range of f16.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor, ascribe_to_caller, no_grad};
use crate::number::nearest;
use crate::ops::Rule;
use crate::ops::autocast::settings_made;
use crate::optim::{Guard, Optimizer};
use crate::options::options;
use crate::state::State;
use std::collections::HashSet;

const OP: &str = "grad_scaler";

/// Counts in f32 are exact up to here.
const MOST_STEPS: u32 = 1 << 24;

options! {
    /// Options of a [`GradScaler`]; the defaults are PyTorch's: 65,536, doubled after 2,000 steps and halved after an infinity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    GradScalerOptions {
        /// The first scale.
        init_scale: f64 = 65536.0,
        /// Factor of the scale after `growth_interval` steps in a row without an infinity.
        growth_factor: f64 = 2.0,
        /// Factor of the scale after a step with one.
        backoff_factor: f64 = 0.5,
        /// Steps after which the scale grows.
        growth_interval: u32 = 2000,
        /// Scales losses. Without it, steps are plain ones.
        enabled: bool = true,
    }
}

impl GradScalerOptions {
    fn check(&self) -> Result<()> {
        let is_positive = |value: f64| value > 0.0 && nearest::<f32>(value).is_finite();
        let rules = [
            (is_positive(self.init_scale), "init_scale must be above 0 and finite"),
            (self.growth_factor > 1.0 && is_positive(self.growth_factor), "growth_factor must be above 1 and finite"),
            (0.0 < self.backoff_factor && self.backoff_factor < 1.0, "backoff_factor must be between 0 and 1"),
            ((1..=MOST_STEPS).contains(&self.growth_interval), "growth_interval must be from 1 to 16,777,216"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(Error::invalid(OP, format!("{rule}; options are {self:?}"))),
            None => Ok(()),
        }
    }
}

/// The next scale, from the scale, the steps in a row without an infinity before this one, and 1 if this step had one. It grows
/// up to `s3`, since it must stay finite.
static SCALE: Rule = Rule::new(
    "next_scale",
    "select(select({0}, {0} * bitcast<f32>({s0}), \
     ({1} + F(1.0) >= F(bitcast<f32>({s2}))) & ({0} <= F(bitcast<f32>({s3})))), \
     {0} * bitcast<f32>({s1}), {2} > F(0.0))",
    |x, n| match x {
        [scale, _, found] if *found > 0.0 => scale * n[1],
        [scale, streak, _] if streak + 1.0 >= n[2] && *scale <= n[3] => scale * n[0],
        _ => x[0],
    },
);

/// The steps in a row without an infinity, from those before and this step's infinities; 0 again once the scale grows.
static STREAK: Rule = Rule::new(
    "next_streak",
    "select({0} + F(1.0), F(0.0), ({1} > F(0.0)) | ({0} + F(1.0) >= F(bitcast<f32>({s0}))))",
    |x, n| if x[1] > 0.0 || x[0] + 1.0 >= n[0] { 0.0 } else { x[0] + 1.0 },
);

/// Scales losses such that gradients stay within the range of f16, and undoes the scale in steps (PyTorch's
/// `torch.amp.GradScaler`; Micikevicius et al. 2018).
///
/// A step whose gradients hold an infinity or NaN, or that met a bad index, changes nothing: no parameter, no buffer, no count of
/// steps. [`update`](GradScaler::update) multiplies the scale by `backoff_factor` after such a step, and by `growth_factor` after
/// `growth_interval` other steps in a row. All of that is decided on the device, and nothing is read back. The optimizer divides
/// by the scale before it looks at gradients, so clipping sees unscaled ones.
///
/// ```
/// use wgrad::amp::{self, GradScaler, GradScalerOptions};
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// use wgrad::{DType, Device, Reduction, Tensor};
///
/// let device = Device::reference();
/// let model = Linear::new(&Scope::new(&device), 4, 1)?;
/// let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// let mut scaler = GradScaler::new(&device, GradScalerOptions::default().init_scale(1024.0))?;
/// let x = Tensor::randn(&device, &[8, 4])?;
/// let y = Tensor::zeros(&device, &[8, 1])?;
/// for _ in 0..3 {
///     let loss = amp::autocast(DType::F16, || model.forward(&x)?.mse_loss(&y, Reduction::Mean))?;
///     scaler.scale(&loss)?.backward()?;
///     scaler.step(&mut sgd)?;
///     scaler.update()?;
///     sgd.zero_grad();
/// }
/// assert_eq!(scaler.scale_value()?, 1024.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct GradScaler {
    options: GradScalerOptions,
    scale: Parameter,
    streak: Parameter,
    /// The guard of the steps since the last update.
    guard: Option<Guard>,
    /// The number of autocast settings that this thread had made before; `None` once a loss is known to depend on f16.
    settings: Option<u64>,
}

impl GradScaler {
    /// A scaler for losses on a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option is out of its range.
    #[track_caller]
    pub fn new(device: &Device, options: GradScalerOptions) -> Result<GradScaler> {
        let _line = ascribe_to_caller();
        options.check()?;
        let number = |name: &str, value: f64| {
            Ok::<_, Error>(Parameter::buffer(name, &Tensor::full(device, &[], nearest::<f32>(value))?))
        };
        let (scale, streak) = (number("scale", options.init_scale)?, number("growth_tracker", 0.0)?);
        // Initial values get a plan of their own, so that the first step is planned as all others are.
        for number in [&scale, &streak] {
            number.assign(&number.value().copy()?)?;
        }
        device.flush()?;
        Ok(GradScaler { options, scale, streak, guard: None, settings: Some(settings_made()) })
    }

    /// A loss times the scale, in f32; call `backward` on it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the loss does not depend on f16: none of its inputs is f16, and this thread has not used
    /// [`autocast`](crate::amp::autocast) since the scaler was made. [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn scale(&mut self, loss: &Tensor) -> Result<Tensor> {
        if !self.options.enabled {
            return Ok(loss.clone());
        }
        if !loss.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "a loss of floats", got: loss.dtype() });
        }
        if self.settings.is_some_and(|settings| settings == settings_made()) && !is_of_halves(loss) {
            let rule = "nothing that the loss is computed from is f16, so there is nothing to scale for; compute it in \
                        amp::autocast, or go without a scaler (GradScalerOptions::enabled)";
            return Err(Error::invalid(OP, rule));
        }
        self.settings = None;
        loss.to_dtype(DType::F32)?.mul(&self.scale.value())
    }

    /// The first step of an optimizer that [has one](Optimizer::has_first_step), by the gradients of a scaled loss. If these hold
    /// an infinity, the parameters stay, and the [`step`](GradScaler::step) that follows changes nothing. Call
    /// [`update`](GradScaler::update) after that, once for both.
    ///
    /// # Errors
    /// As [`Optimizer::first_step`].
    #[track_caller]
    pub fn first_step(&mut self, optimizer: &mut dyn Optimizer) -> Result<()> {
        if !self.options.enabled {
            return optimizer.first_step();
        }
        optimizer.first_step_with(Some(self.guard()?))
    }

    /// The guard of all steps until the next update.
    #[track_caller]
    fn guard(&mut self) -> Result<&mut Guard> {
        let inverse = || no_grad(|| self.scale.value().reciprocal());
        let guard = match self.guard.take() {
            Some(guard) => guard,
            None => Guard::new().bad_indices(true).inverse_scale(&inverse()?),
        };
        Ok(self.guard.insert(guard))
    }

    /// A step of an optimizer by the gradients of a scaled loss. If there are several optimizers, each is stopped by its own
    /// gradients.
    ///
    /// # Errors
    /// As [`Optimizer::step`]; the step can be made again then.
    #[track_caller]
    pub fn step(&mut self, optimizer: &mut dyn Optimizer) -> Result<()> {
        if !self.options.enabled {
            return optimizer.step();
        }
        optimizer.step_guarded(self.guard()?)
    }

    /// Updates the scale by the outcome of the steps since the last update. Call it once an iteration, after all steps.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there was no step.
    #[track_caller]
    pub fn update(&mut self) -> Result<()> {
        let _line = ascribe_to_caller();
        let GradScalerOptions { growth_factor, backoff_factor, growth_interval, enabled, .. } = self.options;
        if !enabled {
            return Ok(());
        }
        let Some(found) = self.guard.as_ref().and_then(Guard::found) else {
            return Err(Error::invalid(OP, "update() belongs behind step(), and there was none since the last one"));
        };
        let interval = f64::from(growth_interval);
        let (scale, streak) = (self.scale.value(), self.streak.value());
        let largest = f64::from(f32::MAX) / growth_factor;
        let next = SCALE.of(&[&scale, &streak, found], [growth_factor, backoff_factor, interval, largest])?;
        let streak = STREAK.of(&[&streak, found], [interval])?;
        self.scale.assign(&next)?;
        self.streak.assign(&streak)?;
        self.guard = None;
        Ok(())
    }

    /// The scale on the device, if losses are scaled.
    pub(crate) fn factor(&self) -> Option<Tensor> {
        self.options.enabled.then(|| self.scale.value())
    }

    /// The scale. Reads it from the device.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn scale_value(&self) -> Result<f64> {
        if self.options.enabled { Ok(f64::from(self.scale.value().item::<f32>()?)) } else { Ok(1.0) }
    }
}

/// The scale, and the steps in a row without an infinity: all of it is on the device.
impl State for GradScaler {
    fn kind(&self) -> &'static str {
        OP
    }
    fn tensors(&self) -> Vec<Parameter> {
        vec![self.scale.clone(), self.streak.clone()]
    }
}

/// True if any value that a gradient of `loss` would pass through is f16.
fn is_of_halves(loss: &Tensor) -> bool {
    let mut met = HashSet::new();
    let mut open = vec![loss.edge()];
    while let Some(tensor) = open.pop() {
        if tensor.dtype() == DType::F16 {
            return true;
        }
        if met.insert(tensor.node.id) {
            open.extend(tensor.node.state.lock().inputs.iter().cloned());
        }
    }
    false
}

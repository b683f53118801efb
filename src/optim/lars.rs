//! LARS.

use super::algorithm::{Algorithm, Number, Step};
use super::options::{hyper, options, ranges};
use super::sgd;
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Lars`]; the defaults are timm's.
    LarsOptions {
        /// Learning rate.
        lr: f64 = 1.0,
        /// The share of the last direction that is kept.
        momentum: f64 = 0.0,
        /// The share of a new gradient that is left out of the direction.
        dampening: f64 = 0.0,
        /// Pulls the parameters to 0; groups without it are not adapted.
        weight_decay: f64 = 0.0,
        /// Looks one step ahead (Nesterov); needs a momentum and no dampening.
        nesterov: bool = false,
        /// Distance that a parameter moves, as a fraction of its norm.
        trust_coeff: f64 = 1e-3,
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Limits the ratio to the rate (LARC).
        trust_clip: bool = false,
        /// Adapts groups without a weight decay too.
        always_adapt: bool = false,
    }
}

/// Layer-wise adaptive rate scaling (You et al., 2017), as timm has it: SGD with each parameter's gradient scaled by norms.
///
/// `g' = r (g + weight_decay p)` with `r = trust_coeff |p| / (|g| + weight_decay |p| + eps)`, or 1 where a norm is 0; with
/// `trust_clip`, `r = min(r / lr, 1)`. Then a step of [`Sgd`](super::Sgd) by `g'` without a decay. All norms of a pack take
/// four launches.
pub type Lars = Engine<LarsOptions>;

/// The formula of a LARS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    sgd: sgd::Form,
    trust_clip: bool,
}

/// The ratio, from the norms of the parameter and of the gradient: coefficient, decay, eps, and 0 if nothing is adapted.
static RATIO: Rule = Rule::new(
    "lars_ratio",
    "select(F(1.0), {2} * {0} / ({1} + {0} * {3} + {4}), ({0} > F(0.0)) & ({1} > F(0.0)) & ({5} > F(0.0)))",
    |x, _| if x[0] > 0.0 && x[1] > 0.0 && x[5] > 0.0 { x[2] * x[0] / (x[1] + x[0] * x[3] + x[4]) } else { 1.0 },
);

static LIMITED: Rule = Rule::new("lars_limited", "select({0}, min({0} / {1}, F(1.0)), {2} > F(0.0))", |x, _| {
    if x[2] > 0.0 { (x[0] / x[1]).min(1.0) } else { x[0] }
});

impl Algorithm for LarsOptions {
    const NAME: &'static str = "lars";
    type Form = Form;

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, weight_decay, trust_coeff, eps)?;
        sgd::check_direction(Self::NAME, self.momentum, self.dampening, self.nesterov)
    }

    fn form(&self) -> Form {
        let LarsOptions { momentum, nesterov, trust_clip, .. } = *self;
        Form { sgd: sgd::Form { has_momentum: momentum != 0.0, nesterov }, trust_clip }
    }

    hyper!(Lr => lr, Momentum => momentum, WeightDecay => weight_decay);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        if self.form().sgd.has_momentum { vec![("momentum_buffer", 0.0)] } else { Vec::new() }
    }

    fn numbers(&self) -> Vec<Number> {
        let LarsOptions { lr, momentum, dampening, weight_decay, trust_coeff, eps, always_adapt, .. } = *self;
        let adapts = f64::from(u8::from(weight_decay != 0.0 || always_adapt));
        let mut numbers = [lr, weight_decay, trust_coeff, eps, adapts, momentum].map(Number::from).to_vec();
        numbers.push(sgd::share(dampening));
        numbers
    }

    fn update(form: Form, mut step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let (value, gradient) = (step.value.clone(), step.gradient.clone());
        let (of_value, of_gradient) = (step.norms(&value)?, step.norms(&gradient)?);
        let [lr, weight_decay, coefficient, eps, adapts, momentum, share] = step.numbers()?;
        let mut ratio = RATIO.of(&[&of_value, &of_gradient, coefficient, weight_decay, eps, adapts], [])?;
        if form.trust_clip {
            ratio = LIMITED.of(&[&ratio, lr, adapts], [])?;
        }
        let gradient = step.decayed(weight_decay)?.mul(&ratio)?;
        sgd::moved(form.sgd, &step, &gradient, [lr, momentum, share])
    }
}

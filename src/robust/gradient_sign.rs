//! Attacks by the sign of the gradient.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::robust::{Attack, Classifier, Goal};

/// Checks that a bound is between 0 and 1, and steps within it.
pub(super) fn check(op: &'static str, eps: f64, step: f64) -> Result<()> {
    if eps > 0.0 && eps.is_finite() && step > 0.0 && step.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(op, format!("eps {eps} by steps of {step}; expected positive numbers")))
}

/// Images within `eps` of the given ones, and between 0 and 1.
pub(super) fn clipped(images: &Tensor, near: &Tensor, eps: f64) -> Result<Tensor> {
    let change = (near - images)?.clamp(Some(-eps), Some(eps))?;
    (images + change)?.clamp(Some(0.0), Some(1.0))
}

/// `x + eps sign(gradient)`, the fast gradient sign method (Goodfellow et al., "Explaining and Harnessing Adversarial Examples",
/// 2014).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fgsm {
    /// The largest change of an element.
    pub eps: f64,
}

impl Attack for Fgsm {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        check("Fgsm", self.eps, self.eps)?;
        goal.check(images)?;
        let gradient = net.gradient(images, |logits| goal.objective(logits))?;
        (images.detach() + (gradient.sign()? * self.eps)?)?.clamp(Some(0.0), Some(1.0))
    }
}

/// [`Fgsm`] with a step of `eps - alpha` after a random one: `x' = x + alpha sign(normal)` (Tramèr et al., "Ensemble Adversarial
/// Training", 2017).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RFgsm {
    /// The largest change of an element.
    pub eps: f64,
    /// The size of the random step, below `eps`.
    pub alpha: f64,
}

impl Attack for RFgsm {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        let RFgsm { eps, alpha } = *self;
        check("RFgsm", alpha, eps - alpha)?;
        goal.check(images)?;
        let random = Tensor::normal(images.device(), images.shape(), 0.0, 1.0)?.sign()?;
        let start = clipped(&images.detach(), &(images.detach() + (random * alpha)?)?, alpha)?;
        let gradient = net.gradient(&start, |logits| goal.objective(logits))?;
        clipped(&images.detach(), &(start + (gradient.sign()? * (eps - alpha))?)?, eps)
    }
}

/// Steps by the sign of `m`, the sum of gradients of mean size 1: `m = decay m + g / mean|g|` (Dong et al., "Boosting Adversarial
/// Attacks with Momentum", 2017).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MiFgsm {
    /// The largest change of an element.
    pub eps: f64,
    /// The change of an element in a step.
    pub step: f64,
    /// Steps.
    pub steps: usize,
    /// The weight of the old `m`.
    pub decay: f64,
}

impl Default for MiFgsm {
    /// The paper's numbers, for bytes: 16 / 255 in ten steps.
    fn default() -> MiFgsm {
        MiFgsm { eps: 16.0 / 255.0, step: 1.6 / 255.0, steps: 10, decay: 1.0 }
    }
}

impl Attack for MiFgsm {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        check("MiFgsm", self.eps, self.step)?;
        goal.check(images)?;
        let images = images.detach();
        let dims: Vec<isize> = (1..images.rank() as isize).collect();
        let (mut near, mut momentum) = (images.clone(), images.zeros_like()?);
        for _ in 0..self.steps {
            let gradient = net.gradient(&near, |logits| goal.objective(logits))?;
            let size = gradient.abs()?.mean_keepdim(&dims[..])?;
            // An image without a gradient keeps its momentum.
            let unit = (gradient / size.eq_scalar(0.0)?.where_(&size.ones_like()?, &size)?)?;
            momentum = ((momentum * self.decay)? + unit)?;
            near = clipped(&images, &(&near + (momentum.sign()? * self.step)?)?, self.eps)?;
        }
        Ok(near)
    }
}

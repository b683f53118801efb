//! Projected gradient descent.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::options::options;
use crate::robust::gradient_sign::check;
use crate::robust::{Attack, Classifier, Goal, lengths, of_each};

/// The measure of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// The largest change of an element.
    #[default]
    Linf,
    /// The Euclidean length of an image's change.
    L2,
}

impl Norm {
    /// The nearest changes of at most `eps`.
    pub(super) fn projected(self, changes: &Tensor, eps: f64) -> Result<Tensor> {
        match self {
            Norm::Linf => changes.clamp(Some(-eps), Some(eps)),
            Norm::L2 => {
                let factor = (eps / lengths(changes)?.maximum_scalar(1e-10)?)?.minimum_scalar(1.0)?;
                changes * of_each(&factor, changes)?
            }
        }
    }

    /// The direction of a step that raises a number of this gradient, of size 1 in this measure.
    pub(super) fn direction(self, gradient: &Tensor) -> Result<Tensor> {
        match self {
            Norm::Linf => gradient.sign(),
            Norm::L2 => gradient / of_each(&(lengths(gradient)? + 1e-10)?, gradient)?,
        }
    }
}

options! {
    /// Options of [`Pgd`]. The defaults are those of Madry et al. for MNIST.
    #[derive(Clone, Copy, Debug)]
    PgdOptions {
        /// The measure of changes.
        norm: Norm = Norm::Linf,
        /// The largest change.
        eps: f64 = 0.3,
        /// The size of a step.
        step: f64 = 0.01,
        /// Steps.
        steps: usize = 40,
        /// Begins at a random change: uniform for `Linf`; of random direction, and of uniform length, for `L2`.
        random_start: bool = true,
        /// Attempts, of which each image keeps the one with the largest loss. More than one need a random start.
        restarts: usize = 1,
    }
}

/// Steps along the gradient, each projected to changes within the bound (Madry et al., "Towards Deep Learning Models Resistant to
/// Adversarial Attacks", 2017): `x += step sign(g)` for `Linf`, `x += step g / |g|` for `L2`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pgd {
    options: PgdOptions,
}

impl Pgd {
    /// An attack with these options.
    pub fn new(options: &PgdOptions) -> Pgd {
        Pgd { options: *options }
    }

    /// The basic iterative method: without a random start (Kurakin et al., "Adversarial Examples in the Physical World", 2016).
    pub fn bim(eps: f64, step: f64, steps: usize) -> Pgd {
        Pgd::new(&PgdOptions::default().eps(eps).step(step).steps(steps).random_start(false))
    }

    /// A change within the bound.
    fn random(&self, images: &Tensor) -> Result<Tensor> {
        let PgdOptions { norm, eps, .. } = self.options;
        let device = images.device();
        let change = match norm {
            Norm::Linf => Tensor::uniform(device, images.shape(), -eps, eps)?,
            Norm::L2 => {
                let direction = Tensor::normal(device, images.shape(), 0.0, 1.0)?;
                let size = Tensor::uniform(device, &[images.shape()[0]], 0.0, eps)?;
                let factor = (size / lengths(&direction)?)?;
                direction * of_each(&factor, images)?
            }?,
        };
        (images + change)?.clamp(Some(0.0), Some(1.0))
    }

    /// Steps from `near` along the gradient of the sum of `objective` over the logits.
    pub(super) fn ascend(
        &self,
        net: &Classifier<'_>,
        images: &Tensor,
        mut near: Tensor,
        objective: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        for _ in 0..self.options.steps {
            let gradient = net.gradient(&near, &objective)?;
            near = self.step(images, &near, &gradient)?;
        }
        Ok(near)
    }

    fn step(&self, images: &Tensor, near: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let PgdOptions { norm, eps, step, .. } = self.options;
        let change = ((near + (norm.direction(gradient)? * step)?)? - images)?;
        (images + norm.projected(&change, eps)?)?.clamp(Some(0.0), Some(1.0))
    }
}

impl Attack for Pgd {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        const OP: &str = "Pgd";
        let PgdOptions { eps, step, random_start, restarts, .. } = self.options;
        check(OP, eps, step)?;
        goal.check(images)?;
        if restarts == 0 || (restarts > 1 && !random_start) {
            let rule = format!("{restarts} restarts; expected at least one, and a random start for more");
            return Err(Error::invalid(OP, rule));
        }
        let images = images.detach();
        let mut best: Option<(Tensor, Tensor)> = None;
        for _ in 0..restarts {
            let start = if random_start { self.random(&images)? } else { images.clone() };
            let near = self.ascend(net, &images, start, |logits| goal.objective(logits))?;
            if restarts == 1 {
                return Ok(near);
            }
            let loss = goal.objective(&net.logits(&near)?)?.detach();
            best = Some(match best {
                None => (near, loss),
                Some((other, other_loss)) => {
                    let is_better = loss.gt(&other_loss)?;
                    (of_each(&is_better, &images)?.where_(&near, &other)?, loss.maximum(&other_loss)?)
                }
            });
        }
        best.map_or_else(|| Ok(images.clone()), |(near, _)| Ok(near))
    }
}

//! Universal perturbations: one change that fools on many images.

use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::options::options;
use crate::robust::gradient_sign::check;
use crate::robust::{Attack, Classifier, DeepFool, DeepFoolOptions, Goal, Norm};

options! {
    /// Options of [`Universal`], with the paper's defaults.
    #[derive(Clone, Copy, Debug)]
    UniversalOptions {
        /// The measure of the change.
        norm: Norm = Norm::Linf,
        /// The largest change; the paper takes 10 / 255.
        eps: f64 = 10.0 / 255.0,
        /// The fraction of images on which the change should fool, `1 - delta`.
        rate: f64 = 0.8,
        /// The most passes over the images.
        passes: usize = 10,
        /// The search on one image.
        deep_fool: DeepFoolOptions = DeepFoolOptions::default().steps(10),
        /// The most images of a pass of the network that counts those fooled.
        batch: usize = 100,
    }
}

/// The change `v`, within a bound, that alters the answers to most images: for each image whose answer `v` does not change, the
/// result of [`DeepFool`] from there is added, and the sum projected to the bound (Moosavi-Dezfooli et al., "Universal
/// adversarial perturbations", 2016). Images with the change are clipped to 0 to 1.
///
/// ```
/// use wgrad::robust::{Classifier, Norm, Universal, UniversalOptions};
/// # use wgrad::{Device, Tensor, models::LeNet5, nn::{Module, Scope}};
/// # let device = Device::reference();
/// # let net = LeNet5::new(&Scope::new(&device))?;
/// # let images = Tensor::uniform(&device, &[2, 1, 28, 28], 0.0, 1.0)?;
/// let universal = Universal::new(&UniversalOptions::default().norm(Norm::L2).eps(2.0).passes(1));
/// let change = universal.fit(&Classifier::new(&net), &images)?;
/// assert_eq!(change.shape()[..], [1, 1, 28, 28]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Universal {
    options: UniversalOptions,
}

impl Universal {
    /// An attack with these options.
    pub fn new(options: &UniversalOptions) -> Universal {
        Universal { options: *options }
    }

    /// The change for images `[N, C, H, W]` between 0 and 1, `[1, C, H, W]`. It goes through the images in their order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bound or a rate out of range; those of the network and of [`DeepFool`].
    pub fn fit(&self, net: &Classifier<'_>, images: &Tensor) -> Result<Tensor> {
        let UniversalOptions { norm, eps, rate, passes, deep_fool, batch } = self.options;
        check("Universal", eps, eps)?;
        if !(rate > 0.0 && rate <= 1.0) || batch == 0 {
            return Err(Error::invalid("Universal", format!("a rate of {rate}, {batch} images at once")));
        }
        let (images, search) = (images.detach(), DeepFool::new(&deep_fool));
        let count = images.shape()[0];
        let answers = answers(net, &images, batch)?;
        let mut change = images.narrow(0, 0, count.min(1))?.zeros_like()?;
        for _ in 0..passes {
            for at in 0..count {
                let near = changed(&images.narrow(0, at, 1)?, &change)?;
                let goal = Goal::untargeted(&answers.narrow(0, at, 1)?);
                if net.reaches(&near, &goal)?.to_f64()? != [0.0] {
                    continue;
                }
                let further = (search.perturb(net, &near, &goal)? - near)?;
                change = norm.projected(&(&change + further)?, eps)?;
                change.device().flush()?;
            }
            let mut fooled = 0.0;
            for first in (0..count).step_by(batch) {
                let some = batch.min(count - first);
                let goal = Goal::untargeted(&answers.narrow(0, first, some)?);
                let near = changed(&images.narrow(0, first, some)?, &change)?;
                fooled += net.reaches(&near, &goal)?.to_f64()?.iter().sum::<f64>();
            }
            if fooled >= rate * count as f64 {
                break;
            }
        }
        Ok(change)
    }
}

/// Images with a change, between 0 and 1.
fn changed(images: &Tensor, change: &Tensor) -> Result<Tensor> {
    (images + change)?.clamp(Some(0.0), Some(1.0))
}

/// The classes that the network answers with, i32 `[N]`.
fn answers(net: &Classifier<'_>, images: &Tensor, batch: usize) -> Result<Tensor> {
    let parts: Vec<Tensor> =
        no_grad(|| images.split(batch, 0)?.iter().map(|part| net.logits(part)?.argmax(1)).collect::<Result<_>>())?;
    Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0)
}

options! {
    /// Options of [`UniversalSgd`].
    #[derive(Clone, Copy, Debug)]
    UniversalSgdOptions {
        /// The measure of the change.
        norm: Norm = Norm::Linf,
        /// The largest change.
        eps: f64 = 10.0 / 255.0,
        /// The size of a step.
        step: f64 = 1.0 / 255.0,
        /// Passes over the images.
        passes: usize = 10,
        /// Images of a step.
        batch: usize = 100,
        /// The largest loss of an image that counts, so that none of them draws the change to itself; without a
        /// meaning for a wanted class.
        clip: f64 = 9.0,
    }
}

/// A universal change by stochastic gradient steps: `v += step sign(g)` for `Linf`, `v += step g / |g|` for `L2`, with the
/// gradient of the mean of `min(loss, clip)` over a batch, projected to the bound (Shafahi et al., "Universal Adversarial
/// Training", 2018). It knows the true classes, or the wanted ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct UniversalSgd {
    options: UniversalSgdOptions,
}

impl UniversalSgd {
    /// An attack with these options.
    pub fn new(options: &UniversalSgdOptions) -> UniversalSgd {
        UniversalSgd { options: *options }
    }

    /// The change for images `[N, C, H, W]` between 0 and 1, `[1, C, H, W]`. Batches are in the images' order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bound, a step or a number out of range, and for labels that are not i32 `[N]`; those of the
    /// network.
    pub fn fit(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        let UniversalSgdOptions { norm, eps, step, passes, batch, clip } = self.options;
        check("UniversalSgd", eps, step)?;
        let count = goal.check(images)?;
        if batch == 0 || clip.is_nan() || clip <= 0.0 {
            return Err(Error::invalid("UniversalSgd", format!("{batch} images of a step, losses up to {clip}")));
        }
        let images = images.detach();
        let mut change = images.narrow(0, 0, count.min(1))?.zeros_like()?;
        for _ in 0..passes {
            for first in (0..count).step_by(batch) {
                let some = batch.min(count - first);
                let goal = goal.with_labels(goal.labels().narrow(0, first, some)?);
                let near = changed(&images.narrow(0, first, some)?, &change)?;
                let clipped = |logits: &Tensor| goal.objective(logits)?.clamp(None, Some(clip));
                let gradient = net.gradient(&near, clipped)?.mean_keepdim(0)?;
                change = norm.projected(&(&change + (norm.direction(&gradient)? * step)?)?, eps)?;
                change.device().flush()?;
            }
        }
        Ok(change)
    }
}

impl Attack for Universal {
    /// Images with the change that is fitted to them.
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        goal.check(images)?;
        if goal.is_targeted() {
            return Err(Error::invalid("Universal", "expected a goal without a target"));
        }
        changed(&images.detach(), &self.fit(net, images)?)
    }
}

impl Attack for UniversalSgd {
    /// Images with the change that is fitted to them.
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        changed(&images.detach(), &self.fit(net, images, goal)?)
    }
}

//! TRADES: the loss of plain images, and the distance between the answers to these and to changed ones.

use super::{Defence, Pass};
use crate::error::Result;
use crate::graph::{Tensor, no_grad};
use crate::ops::{KlDivOptions, KlDivReduction};
use crate::options::options;
use crate::robust::gradient_sign::check;
use crate::robust::{Classifier, Pgd, PgdOptions};
use crate::train::Outcome;

options! {
    /// Options of [`Trades`]. The defaults are the paper's for MNIST.
    #[derive(Clone, Copy, Debug, PartialEq)]
    TradesOptions {
        /// The weight of the distance; the paper takes 6 for CIFAR-10.
        beta: f64 = 1.0,
        /// The largest change of an element.
        eps: f64 = 0.3,
        /// The change of an element in a step.
        step: f64 = 0.01,
        /// Steps.
        steps: usize = 40,
        /// The deviation of the normal numbers that the steps start at.
        start: f64 = 0.001,
    }
}

/// `loss(f(x), y) + beta KL(f(x) || f(x'))`, with `x'` within `eps` of `x` by steps that raise the divergence (Zhang et al.,
/// "Theoretically Principled Trade-off between Robustness and Accuracy", 2019): `beta` buys robustness with accuracy. The
/// gradient flows through both answers. Metrics of training see the answers to plain images.
///
/// ```
/// use wgrad::robust::{RobustTraining, Trades, TradesOptions};
/// use wgrad::train::Supervised;
/// let trades = Trades::new(&TradesOptions::default().beta(6.0).eps(8.0 / 255.0).step(2.0 / 255.0).steps(10));
/// let task = RobustTraining::new(Supervised::classification(), trades);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Trades {
    options: TradesOptions,
}

impl Trades {
    /// A defence with these options.
    pub fn new(options: &TradesOptions) -> Trades {
        Trades { options: *options }
    }

    /// `KL(f(x) || f(x'))` of logits `f(x)`, `plain`, and `f(x')`, `changed`, both `[N, classes]`: a sum over classes for each
    /// image, `[N]`.
    ///
    /// # Errors
    /// [`Error::Broadcast`](crate::Error::Broadcast), [`Error::WrongDType`](crate::Error::WrongDType).
    pub fn divergence(plain: &Tensor, changed: &Tensor) -> Result<Tensor> {
        let options = KlDivOptions::default().reduction(KlDivReduction::None).log_target(true);
        changed.log_softmax(1)?.kl_div(&plain.log_softmax(1)?, &options)?.sum(1)
    }

    /// Images within the bound, by steps from `start` that raise the divergence.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `eps` or `step` is not positive; those of the network.
    pub fn perturb_from(&self, net: &Classifier<'_>, images: &Tensor, start: &Tensor) -> Result<Tensor> {
        let TradesOptions { eps, step, steps, .. } = self.options;
        check("Trades", eps, step)?;
        let plain = no_grad(|| net.logits(images))?.detach();
        let pgd = Pgd::new(&PgdOptions::default().eps(eps).step(step).steps(steps));
        pgd.ascend(net, &images.detach(), start.detach(), |logits| Trades::divergence(&plain, logits))
    }

    /// [`perturb_from`](Trades::perturb_from) a normal change.
    ///
    /// # Errors
    /// As `perturb_from`.
    pub fn perturb(&self, net: &Classifier<'_>, images: &Tensor) -> Result<Tensor> {
        let noise = Tensor::normal(images.device(), images.shape(), 0.0, self.options.start)?;
        self.perturb_from(net, images, &(images + noise)?)
    }
}

impl Defence for Trades {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        let changed = pass.attacked(|net| self.perturb(net, &pass.images))?;
        let Outcome { loss, outputs, items } = pass.outcome(&pass.images)?;
        let apart = Trades::divergence(&outputs, &pass.net.logits(&changed)?)?.mean_all()?;
        Ok(Outcome { loss: (loss + (apart * self.options.beta)?)?, outputs, items })
    }
}

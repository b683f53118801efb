//! Training on the images of an attack.

use super::{Defence, Pass};
use crate::error::Result;
use crate::robust::Attack;
use crate::train::Outcome;

type OfStep = Box<dyn Fn(u64) -> Box<dyn Attack>>;

/// Trains on images that an attack has changed, `min over weights of max over changes of the loss` (Madry et al., "Towards Deep
/// Learning Models Resistant to Adversarial Attacks", 2017). The attack knows the true classes, and sees the network in
/// evaluation mode.
///
/// Under a large bound some networks do not leave the answer that is the same for all images; a bound that grows helps:
///
/// ```
/// use wgrad::robust::{Adversarial, Pgd, PgdOptions};
/// let growing = Adversarial::scheduled(|step| {
///     let eps = 0.3 * (step as f64 / 1000.0).clamp(0.01, 1.0);
///     Pgd::new(&PgdOptions::default().eps(eps).step(eps / 4.0).steps(7))
/// });
/// ```
pub struct Adversarial {
    attack: OfStep,
}

impl Adversarial {
    /// With the same attack all the time.
    pub fn new(attack: impl Attack + Clone + 'static) -> Adversarial {
        Adversarial::scheduled(move |_| attack.clone())
    }

    /// With an attack that depends on the number of batches before.
    pub fn scheduled<A: Attack + 'static>(attack: impl Fn(u64) -> A + 'static) -> Adversarial {
        Adversarial { attack: Box::new(move |step| Box::new(attack(step))) }
    }
}

impl Defence for Adversarial {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        pass.under(&*(self.attack)(pass.step))
    }
}

//! Defensive distillation.

use super::{Defence, Pass};
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::ops::CrossEntropyOptions;
use crate::robust::Classifier;
use crate::train::{Modes, Outcome};

/// Training at a temperature: the cross entropy of `logits / T`. The first half of [`DefensiveDistillation`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tempered {
    /// `T`.
    pub temperature: f64,
}

/// Trains a student on the answers of a teacher of the same architecture, both at a temperature: the cross entropy of `z / T`
/// with `softmax(teacher / T)` (Papernot et al., "Distillation as a Defense to Adversarial Perturbations against Deep Neural
/// Networks", 2015). Used at temperature 1, the student's logits are `T` times larger than necessary, so that the gradients of
/// its loss vanish. This stops attacks by these, such as [`Fgsm`](crate::robust::Fgsm), but not
/// [`CarliniWagner`](crate::robust::CarliniWagner), which differentiates the logits.
///
/// ```
/// use wgrad::robust::{Classifier, DefensiveDistillation, RobustTraining, Tempered};
/// use wgrad::{Device, models::LeNet5, nn::Scope, train::Supervised};
/// let teacher = LeNet5::new(&Scope::new(&Device::reference()))?;
/// let first = RobustTraining::new(Supervised::classification(), Tempered { temperature: 20.0 });
/// // The teacher is trained by `first`, and then the student:
/// let distillation = DefensiveDistillation::new(Classifier::new(&teacher), 20.0);
/// let second = RobustTraining::new(Supervised::classification(), distillation);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct DefensiveDistillation<'a> {
    teacher: Classifier<'a>,
    temperature: f64,
}

impl<'a> DefensiveDistillation<'a> {
    /// Distillation of a teacher, which answers in evaluation mode.
    pub fn new(teacher: Classifier<'a>, temperature: f64) -> DefensiveDistillation<'a> {
        DefensiveDistillation { teacher, temperature }
    }
}

fn check(temperature: f64) -> Result<()> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(());
    }
    Err(Error::invalid("defensive distillation", format!("a temperature of {temperature}; expected a positive number")))
}

/// The outcome at a temperature, by classes or by their probabilities.
fn outcome(pass: &Pass<'_>, temperature: f64, labels: &Tensor) -> Result<Outcome> {
    let outputs = pass.net.logits(&pass.images)?;
    let loss = (&outputs / temperature)?.cross_entropy(labels, &CrossEntropyOptions::default())?;
    Ok(Outcome { loss, outputs, items: pass.images.shape()[0] })
}

impl Defence for Tempered {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        check(self.temperature)?;
        outcome(pass, self.temperature, pass.labels)
    }
}

impl Defence for DefensiveDistillation<'_> {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        check(self.temperature)?;
        let soft = no_grad(|| {
            let modes = Modes::of(self.teacher.model());
            modes.set(false);
            (self.teacher.logits(&pass.images)? / self.temperature)?.softmax(1)
        })?;
        outcome(pass, self.temperature, &soft)
    }
}

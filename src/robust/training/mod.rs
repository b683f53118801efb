//! Training that makes a network robust: one task for [`Trainer`](crate::train::Trainer), and a [`Defence`] that defines the loss
//! of a step.

mod adversarial;
mod distillation;
mod free;
mod trades;

pub use adversarial::Adversarial;
pub use distillation::{DefensiveDistillation, Tempered};
pub use free::{Free, FreeOptions};
pub use trades::{Trades, TradesOptions};

use crate::data::{Batch, Normalization};
use crate::error::Result;
use crate::graph::{Parameter, Tensor, grad_enabled};
use crate::nn::Module;
use crate::robust::{Attack, Classifier, Goal};
use crate::state::{Numbers, State, is_count, number};
use crate::train::{Modes, Outcome, Phase, Scalars, Supervised, Task, answered_by};
use std::cell::Cell;

/// A batch of training, as a [`Defence`] sees it.
pub struct Pass<'a> {
    /// The task without the defence.
    pub task: &'a Supervised,
    /// The network, which takes images between 0 and 1.
    pub net: Classifier<'a>,
    /// Images between 0 and 1, `[N, C, H, W]`.
    pub images: Tensor,
    /// True classes, i32 `[N]`.
    pub classes: Tensor,
    /// Labels as the task takes them.
    pub labels: &'a Tensor,
    /// Batches before this one.
    pub step: u64,
}

impl Pass<'_> {
    /// The outcome of the task for other images between 0 and 1, of the same labels.
    ///
    /// # Errors
    /// Those of the network and of the loss.
    pub fn outcome(&self, images: &Tensor) -> Result<Outcome> {
        let batch = Batch { images: self.net.normalized(images)?, labels: self.labels.clone() };
        self.task.forward(self.net.model(), &batch)
    }

    /// The outcome for images that an attack makes from these; it knows the true classes.
    fn under(&self, attack: &dyn Attack) -> Result<Outcome> {
        let goal = Goal::untargeted(&self.classes);
        self.outcome(&self.attacked(|net| attack.perturb(net, &self.images, &goal))?)
    }

    /// Images that an attack makes while the network is in evaluation mode, so that running statistics are those of training.
    ///
    /// # Errors
    /// Those of the attack.
    pub fn attacked(&self, attack: impl FnOnce(&Classifier<'_>) -> Result<Tensor>) -> Result<Tensor> {
        let modes = Modes::of(self.net.model());
        modes.set(false);
        Ok(attack(&self.net)?.detach())
    }
}

/// A way to train robust networks: the loss of a batch.
pub trait Defence {
    /// The outcome of a batch of training, recorded with its history. It may run the network several times.
    ///
    /// # Errors
    /// Those of the network and of the loss.
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome>;

    /// State on the device that a resumed run must restore.
    fn tensors(&self) -> Vec<Parameter> {
        Vec::new()
    }
}

/// A [`Task`] of classification that trains by a [`Defence`]. It evaluates the images as they are, or those of an
/// [attack](RobustTraining::evaluated_under).
///
/// ```
/// use wgrad::optim::{Adam, AdamOptions};
/// use wgrad::robust::{Adversarial, Pgd, PgdOptions, RobustTraining};
/// use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}};
/// # let device = Device::reference();
/// # let pixels = (0..40).map(|at| if at % 4 < 2 { 20 } else { 200 }).collect();
/// # let images = Images::new(Array::new(vec![20, 1, 2], pixels)?, [0, 1].repeat(10), vec!["dark".into(), "light".into()])?;
/// let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// let pgd = Pgd::new(&PgdOptions::default().eps(0.1).step(0.03).steps(5));
/// let mut task = RobustTraining::new(Supervised::classification(), Adversarial::new(pgd))
///     .normalization(images.normalization())
///     .evaluated_under(pgd);
/// let mut adam = Adam::new(&model, AdamOptions::default().lr(0.1))?;
/// let train = ImageLoader::shuffled(&images, &device, 10, 0)?;
/// let fit = Trainer::new(&device, TrainerOptions::default().epochs(5))?
///     .fit(&model, &mut adam, &mut task, &train, Some(&train))?;
/// assert!(fit.scalar("val/loss").is_some_and(f64::is_finite));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct RobustTraining<D> {
    task: Supervised,
    defence: D,
    normalization: Option<Normalization>,
    evaluated_under: Option<Box<dyn Attack>>,
    steps: Cell<u64>,
}

impl<D: Defence> RobustTraining<D> {
    /// A task of classification, trained by a defence, on images between 0 and 1.
    pub fn new(task: Supervised, defence: D) -> RobustTraining<D> {
        RobustTraining { task, defence, normalization: None, evaluated_under: None, steps: Cell::new(0) }
    }

    /// Sets the normalization of batches: that of their set.
    #[must_use = "it returns the task with the normalization"]
    pub fn normalization(self, normalization: &Normalization) -> RobustTraining<D> {
        RobustTraining { normalization: Some(normalization.clone()), ..self }
    }

    /// Evaluates images that an attack has changed.
    #[must_use = "it returns the task with the attack"]
    pub fn evaluated_under(self, attack: impl Attack + 'static) -> RobustTraining<D> {
        RobustTraining { evaluated_under: Some(Box::new(attack)), ..self }
    }
}

impl<D: Defence> Task for RobustTraining<D> {
    type Batch = Batch;

    fn forward(&self, model: &dyn Module, batch: &Batch) -> Result<Outcome> {
        let mut net = Classifier::new(model);
        if let Some(normalization) = &self.normalization {
            net = net.normalization(normalization);
        }
        let is_training = grad_enabled();
        if !is_training && self.evaluated_under.is_none() {
            return self.task.forward(model, batch);
        }
        let labels = &batch.labels;
        let classes = if labels.dtype().is_float() { labels.argmax(1)? } else { labels.clone() };
        let step = self.steps.get();
        let pass = Pass { task: &self.task, net, images: net.unnormalized(&batch.images)?, classes, labels, step };
        if let (false, Some(attack)) = (is_training, &self.evaluated_under) {
            return pass.under(&**attack);
        }
        self.steps.set(step + 1);
        self.defence.forward(&pass)
    }

    answered_by!(this => this.task);

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

const STATE: &str = "robust_training";

impl<D: Defence> State for RobustTraining<D> {
    fn kind(&self) -> &'static str {
        STATE
    }

    fn tensors(&self) -> Vec<Parameter> {
        self.defence.tensors()
    }

    fn numbers(&self) -> Result<Numbers> {
        Ok(Numbers::from([("step".to_string(), vec![self.steps.get() as f64])]))
    }

    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        number(STATE, numbers, "step", is_count).map(|_| ())
    }

    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.steps.set(crate::number::nearest(number(STATE, numbers, "step", is_count)?));
        Ok(())
    }
}

//! Tasks of training: from a batch to a loss, and to the outputs that metrics compare.

use super::State;
use super::run::{Phase, Scalars};
use crate::amp::{AutocastOptions, autocast_with};
use crate::error::Result;
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;
use std::marker::PhantomData;

/// The outcome of a batch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The mean loss of the items, a scalar.
    pub loss: Tensor,
    /// The model's outputs, for metrics.
    pub outputs: Tensor,
    /// The number of items, by which means over batches are weighted.
    pub items: usize,
}

/// The task that a model is trained for: a loss, and metrics of the model's quality.
///
/// [`Supervised`](super::Supervised) holds ready-made ones, and [`task`] makes one of a closure.
pub trait Task {
    /// A batch, as the loader gives it.
    type Batch;

    /// The loss of a batch. In training it is recorded with its history, and under autocast where the run is.
    ///
    /// # Errors
    /// Those of the model and of the loss.
    fn forward(&self, model: &dyn Module, batch: &Self::Batch) -> Result<Outcome>;

    /// Counts a batch for the metrics of a phase. It launches work and reads nothing.
    ///
    /// # Errors
    /// Those of the metrics.
    fn update(&mut self, outcome: &Outcome, batch: &Self::Batch, phase: Phase) -> Result<()> {
        let _ = (outcome, batch, phase);
        Ok(())
    }

    /// Reads the metrics of a phase, under names without a prefix, such as `accuracy`.
    ///
    /// # Errors
    /// Those of the metrics.
    fn compute(&self, phase: Phase) -> Result<Scalars> {
        let _ = phase;
        Ok(Scalars::new())
    }

    /// Forgets the batches of a phase.
    ///
    /// # Errors
    /// Those of the metrics.
    fn reset(&mut self, phase: Phase) -> Result<()> {
        let _ = phase;
        Ok(())
    }

    /// The answer for a batch, such as probabilities of classes; by default the model's outputs.
    ///
    /// # Errors
    /// Those of the model.
    fn predict(&self, model: &dyn Module, batch: &Self::Batch) -> Result<Tensor> {
        Ok(self.forward(model, batch)?.outputs)
    }

    /// The state that a resumed run must restore.
    fn state(&mut self) -> Option<&mut dyn State> {
        None
    }
}

/// The metrics and predictions of a task that another one answers for it.
macro_rules! answered_by {
    ($this:ident => $task:expr) => {
        fn update(&mut self, outcome: &Outcome, batch: &Self::Batch, phase: Phase) -> Result<()> {
            let $this = self;
            $task.update(outcome, batch, phase)
        }
        fn compute(&self, phase: Phase) -> Result<Scalars> {
            let $this = self;
            $task.compute(phase)
        }
        fn reset(&mut self, phase: Phase) -> Result<()> {
            let $this = self;
            $task.reset(phase)
        }
        fn predict(&self, model: &dyn Module, batch: &Self::Batch) -> Result<Tensor> {
            let $this = self;
            $task.predict(model, batch)
        }
    };
}
pub(crate) use answered_by;

impl<T: Task + ?Sized> Task for Box<T> {
    type Batch = T::Batch;

    fn forward(&self, model: &dyn Module, batch: &T::Batch) -> Result<Outcome> {
        (**self).forward(model, batch)
    }
    answered_by!(this => (**this));
    fn state(&mut self) -> Option<&mut dyn State> {
        (**self).state()
    }
}

/// Counts a batch without a history, in the types that it has.
pub(super) fn update<T: Task + ?Sized>(task: &mut T, outcome: &Outcome, batch: &T::Batch, phase: Phase) -> Result<()> {
    let as_they_are = AutocastOptions::default().enabled(false);
    no_grad(|| autocast_with(&as_they_are, || task.update(outcome, batch, phase)))
}

/// A task of a closure, without metrics.
///
/// ```
/// use wgrad::train::{Outcome, Trainer, TrainerOptions, ImageLoader, task};
/// use wgrad::{data::{Array, Batch, Images}, nn::{Flatten, Linear, Module, Scope, Sequential}, optim::{Sgd, SgdOptions}, Reduction};
/// # use wgrad::Device;
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// let model = Sequential::new(&Scope::new(&device)).push(Flatten::default()).make(|s| Linear::new(s, 2, 2))?;
/// let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// // An autoencoder: the image is its own target.
/// let mut autoencode = task(|model, batch: &Batch| {
///     let outputs = model.forward(&batch.images)?;
///     let loss = outputs.mse_loss(&batch.images.flatten(1, -1)?, Reduction::Mean)?;
///     Ok(Outcome { loss, outputs, items: batch.labels.numel() })
/// });
/// let train = ImageLoader::shuffled(&images, &device, 1, 0)?;
/// Trainer::new(&device, TrainerOptions::default())?.fit(&model, &mut sgd, &mut autoencode, &train, None)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn task<B, F: Fn(&dyn Module, &B) -> Result<Outcome>>(forward: F) -> FnTask<B, F> {
    FnTask { forward, batch: PhantomData }
}

/// A task of a closure: see [`task`].
pub struct FnTask<B, F> {
    forward: F,
    batch: PhantomData<fn(&B)>,
}

impl<B, F: Fn(&dyn Module, &B) -> Result<Outcome>> Task for FnTask<B, F> {
    type Batch = B;

    fn forward(&self, model: &dyn Module, batch: &B) -> Result<Outcome> {
        (self.forward)(model, batch)
    }
}

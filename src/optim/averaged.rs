//! Averages of weights.

use super::mirror::{Lent, Mirror, Moved};
use super::wrapper::{first_step_left_to, left_to};
use super::{Guard, Hyper, Optimizer};
use crate::error::{Error, Result};
use crate::graph::Parameter;

/// The kind of an average of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Averaging {
    /// `a = decay a + (1 - decay) p` after every step, from the first step's weights on.
    Ema {
        /// The weight of the old average.
        decay: f64,
    },
    /// The mean of the weights after each step that follows the first `start` ones (Izmailov et al., 2018).
    Swa {
        /// Steps that are not averaged.
        start: u64,
    },
}

/// Averages the weights over the steps of any optimizer, as PyTorch's `AveragedModel` does (by `get_ema_multi_avg_fn`, or for
/// SWA). It does not change the training: the average serves for [evaluation](Averaged::with_average), and may be
/// [kept](Averaged::apply) in the end.
///
/// Buffers, such as running statistics, are the model's own. Those of SWA don't fit its weights: see
/// [`update_batch_norm`](crate::train::update_batch_norm). A step takes no launch of its own, but a formula in the kernels
/// of the next flush.
///
/// ```
/// use wgrad::optim::{Averaged, Averaging, Optimizer, Sgd, SgdOptions};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let sgd = Sgd::new(vec![x.clone()], SgdOptions::default().lr(0.25))?;
/// let mut optimizer = Averaged::new(sgd, Averaging::Ema { decay: 0.5 })?;
/// for _ in 0..2 {
///     x.value().square()?.backward()?;
///     optimizer.step()?;
///     optimizer.zero_grad();
/// }
/// assert_eq!(x.value().item::<f32>()?, 1.0);
/// assert_eq!(optimizer.with_average(|| x.value().item::<f32>())?, 1.5); // of 2 and 1
/// assert_eq!(x.value().item::<f32>()?, 1.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Averaged<O> {
    inner: O,
    averaging: Averaging,
    average: Mirror,
    taken: u64,
}

impl<O: Optimizer> Averaged<O> {
    /// Starts with the parameters as the average.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a decay is not from 0 to 1.
    #[track_caller]
    pub fn new(inner: O, averaging: Averaging) -> Result<Averaged<O>> {
        if let Averaging::Ema { decay } = averaging
            && !(0.0..=1.0).contains(&decay)
        {
            return Err(Error::invalid("averaged", format!("decay is {decay}; it must be from 0 to 1")));
        }
        let average = Mirror::new("average", inner.parameters())?;
        Ok(Averaged { inner, averaging, average, taken: 0 })
    }

    /// The wrapped optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The wrapped optimizer, to add a group. Parameters that are added later are not averaged.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The averages, in the order of the parameters, under the names `average.NAME`.
    pub fn averages(&self) -> Vec<Parameter> {
        self.average.values()
    }

    /// Runs a function, such as an evaluation, while the parameters have their averages' values, and then restores their own.
    ///
    /// # Errors
    /// Those of `run`.
    #[track_caller]
    pub fn with_average<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let _lent = self.average.lend()?;
        run()
    }

    /// Gives the parameters their averages' values for good.
    ///
    /// # Errors
    /// Errors of the device.
    #[track_caller]
    pub fn apply(&self) -> Result<()> {
        self.average.update(|_, average| Ok(Moved { parameter: Some(average.clone()), value: None }))
    }

    /// Fraction of the way that the average moves towards the weights of the last step.
    fn share(&self) -> Option<f64> {
        match self.averaging {
            Averaging::Ema { decay } => Some(if self.taken == 1 { 1.0 } else { 1.0 - decay }),
            Averaging::Swa { start } => self.taken.checked_sub(start).filter(|&n| n > 0).map(|n| 1.0 / n as f64),
        }
    }
}

impl<O: Optimizer> Optimizer for Averaged<O> {
    left_to!((this) this.inner);
    first_step_left_to!((this) this.inner);
    /// Takes a step of the inner optimizer, whose errors these are; after an error the average has not moved. The average's own
    /// step is carried out by the next flush.
    #[track_caller]
    fn step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
        self.inner.step_with(guard)?;
        self.taken += 1;
        let Some(share) = self.share() else { return Ok(()) };
        self.average
            .update(|weights, average| Ok(Moved { parameter: None, value: Some(average.lerp(weights, share)?) }))
    }
    fn buffers(&self) -> Vec<Parameter> {
        [self.inner.buffers(), self.average.values()].concat()
    }
    #[track_caller]
    fn lend_average(&self) -> Result<Option<Lent>> {
        self.average.lend().map(Some)
    }
    fn counts(&self) -> Vec<(&'static str, u64)> {
        [self.inner.counts(), vec![("averaged", self.taken)]].concat()
    }
    fn set_counts(&mut self, counts: &[u64]) {
        if let Some((&taken, inner)) = counts.split_last() {
            self.taken = taken;
            self.inner.set_counts(inner);
        }
    }
}

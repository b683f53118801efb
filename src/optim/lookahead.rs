//! Lookahead.

use super::mirror::{Mirror, Moved};
use super::options::options;
use super::wrapper::{first_step_left_to, left_to};
use super::{Guard, Hyper, Lent, Optimizer};
use crate::error::{Error, Result};
use crate::graph::Parameter;
use crate::number::nearest;

options! {
    /// Options of [`Lookahead`]; the defaults are the paper's.
    LookaheadOptions {
        /// Steps of the optimizer for one step of the slow weights.
        k: u64 = 5,
        /// Fraction of the way that the slow weights move to the fast ones.
        alpha: f64 = 0.5,
    }
}

/// Lookahead (Zhang et al., 2019) around any optimizer: `k` steps forward, one step back.
///
/// The optimizer changes the parameters, the fast weights `p`. After every `k` steps the slow weights `s` go towards them,
/// `s = s + alpha (p - s)`, and the parameters go on from there: `p = s`. The optimizer's own state stays as it is. A
/// parameter of a group that is added later has no slow weight.
///
/// ```
/// use wgrad::optim::{Lookahead, LookaheadOptions, Optimizer, Sgd, SgdOptions};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let sgd = Sgd::new(vec![x.clone()], SgdOptions::default().lr(0.25))?;
/// let mut optimizer = Lookahead::new(sgd, LookaheadOptions::default().k(2))?;
/// for _ in 0..2 {
///     x.value().square()?.backward()?;
///     optimizer.step()?;
///     optimizer.zero_grad();
/// }
/// assert_eq!(x.value().item::<f32>()?, 2.5); // half the way from 4 to 1
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Lookahead<O> {
    inner: O,
    options: LookaheadOptions,
    slow: Mirror,
    taken: u64,
}

impl<O: Optimizer> Lookahead<O> {
    /// Starts with the parameters as the slow weights.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `k` is 0 or `alpha` is not from 0 to 1.
    #[track_caller]
    pub fn new(inner: O, options: LookaheadOptions) -> Result<Lookahead<O>> {
        const OP: &str = "lookahead";
        if options.k == 0 {
            return Err(Error::invalid(OP, "k is 0; it must be at least 1"));
        }
        if !(0.0..=1.0).contains(&options.alpha) {
            return Err(Error::invalid(OP, format!("alpha is {}; it must be from 0 to 1", options.alpha)));
        }
        let slow = Mirror::new("slow", inner.parameters())?;
        Ok(Lookahead { inner, options, slow, taken: 0 })
    }

    /// The wrapped optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The wrapped optimizer, to add a group.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }
}

impl<O: Optimizer> Optimizer for Lookahead<O> {
    left_to!((this) this.inner);
    first_step_left_to!((this) this.inner);
    /// Takes a step of the inner optimizer, whose errors these are; after an error the slow weights have not moved. The slow
    /// weights' own step is carried out by the next flush.
    #[track_caller]
    fn step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
        self.inner.step_with(guard)?;
        self.taken += 1;
        if !self.taken.is_multiple_of(self.options.k) {
            return Ok(());
        }
        let alpha = nearest(self.options.alpha);
        self.slow.update(|fast, slow| {
            let slow = slow.lerp(fast, alpha)?;
            Ok(Moved { parameter: Some(slow.clone()), value: Some(slow) })
        })
    }
    fn buffers(&self) -> Vec<Parameter> {
        [self.inner.buffers(), self.slow.values()].concat()
    }
    #[track_caller]
    fn lend_average(&self) -> Result<Option<Lent>> {
        self.inner.lend_average()
    }
    fn counts(&self) -> Vec<(&'static str, u64)> {
        [self.inner.counts(), vec![("lookahead", self.taken)]].concat()
    }
    fn set_counts(&mut self, counts: &[u64]) {
        if let Some((&taken, inner)) = counts.split_last() {
            self.taken = taken;
            self.inner.set_counts(inner);
        }
    }
}

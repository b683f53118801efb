//! The fraction of random actions.

use crate::data::random::Words;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;

/// A number that goes from one value to another along a line, and stays there.
///
/// ```
/// use wgrad::train::reinforcement::LinearSchedule;
/// let epsilon = LinearSchedule { start: 1.0, end: 0.1, steps: 100 };
/// assert_eq!([0, 50, 100, 1000].map(|step| epsilon.at(step)), [1.0, 0.55, 0.1, 0.1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSchedule {
    /// The value at first.
    pub start: f64,
    /// The value after `steps`.
    pub end: f64,
    /// The length of the way.
    pub steps: u64,
}

impl LinearSchedule {
    /// The value after `step` steps.
    pub fn at(&self, step: u64) -> f64 {
        if step >= self.steps {
            return self.end;
        }
        self.start + (self.end - self.start) * step as f64 / self.steps as f64
    }
}

/// Takes the best action, or with a probability any of them, each alike.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::train::reinforcement::EpsilonGreedy;
/// # let device = Device::reference();
/// let values = Tensor::from_slice(&device, &[1.0f32, 3.0, 2.0, 0.0], &[2, 2])?;
/// let mut explorer = EpsilonGreedy::new(0);
/// assert_eq!(explorer.choose(&values, 0.0)?, [1, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EpsilonGreedy {
    words: Words,
    choices: u64,
}

impl EpsilonGreedy {
    /// Its random numbers follow from a seed.
    pub fn new(seed: u64) -> EpsilonGreedy {
        EpsilonGreedy { words: Words::new(seed, 0), choices: 0 }
    }

    /// An action for each row of values `[N, actions]`: with probability `epsilon` a random one, else that of the highest value.
    /// The device is read, unless all are random.
    ///
    /// # Errors
    /// Those of [`Tensor::argmax`], and errors of the device.
    pub fn choose(&mut self, values: &Tensor, epsilon: f64) -> Result<Vec<usize>> {
        let (count, actions) = (values.shape()[0], values.shape().get(1).copied().unwrap_or(0));
        let words = self.words.under(self.choices);
        self.choices += 1;
        let is_random = |at: usize| words.unit(2 * at) < epsilon;
        let best = match (0..count).all(is_random) {
            true => vec![0; count],
            false => values.detach().argmax(1)?.to_vec::<i32>()?,
        };
        let each = best.into_iter().enumerate();
        Ok(each
            .map(|(at, best)| if is_random(at) { words.below(2 * at + 1, actions) } else { nearest(best) })
            .collect())
    }
}

//! A pole on a cart (Barto, Sutton and Anderson, "Neuronlike Adaptive Elements That Can Solve Difficult Learning Control
//! Problems", 1983), with the equations and numbers of Gym's `CartPole-v1`.

use super::{Environment, Step};
use crate::data::random::Words;
use crate::error::{Error, Result};
use crate::number::nearest;

const GRAVITY: f64 = 9.8;
const CART: f64 = 1.0;
const POLE: f64 = 0.1;
/// Half of the pole's length.
const LENGTH: f64 = 0.5;
const FORCE: f64 = 10.0;
/// Seconds of a step.
const TAU: f64 = 0.02;
/// The bounds of an episode: metres from the middle, and 12 degrees from upright.
const FARTHEST: f64 = 2.4;
const STEEPEST: f64 = 12.0 * std::f64::consts::PI / 180.0;
/// The largest number that a state begins with.
const START: f64 = 0.05;

/// A cart that is pushed to the left (action 0) or to the right (1), so that the pole on it stays upright: Gym's `CartPole-v1`.
///
/// An observation is the cart's place and velocity, and the pole's angle and angular velocity. Each step is worth 1. An episode
/// ends where the cart is 2.4 m away or the pole leans by 12 degrees, and is broken off after 500 steps. Gym counts it as solved
/// where the mean return of 100 episodes is 475.
///
/// ```text
/// f   = (F + m l w^2 sin a) / (M + m)
/// a'' = (g sin a - f cos a) / (l (4/3 - m cos^2 a / (M + m)))
/// x'' = f - m l a'' cos a / (M + m)
/// ```
///
/// with the force `F` of 10 N, the masses `M` = 1 kg and `m` = 0.1 kg, `l` = 0.5 m and 0.02 s a step of Euler's method.
///
/// ```
/// use wgrad::train::reinforcement::{CartPole, Environment};
/// let mut pole = CartPole::new(0);
/// let state = pole.reset();
/// assert!(state.iter().all(|number| number.abs() <= 0.05));
/// assert!(pole.step(1)?.observation[1] > state[1]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CartPole {
    /// The state of the episode under way.
    state: Option<[f64; 4]>,
    steps: u64,
    most_steps: u64,
    words: Words,
    episodes: u64,
}

impl CartPole {
    /// Its episodes follow from the seed.
    pub fn new(seed: u64) -> CartPole {
        CartPole { state: None, steps: 0, most_steps: 500, words: Words::new(seed, 0), episodes: 0 }
    }

    /// Breaks episodes off after another number of steps: 200 for Gym's `CartPole-v0`.
    #[must_use = "it returns the environment with another limit"]
    pub fn most_steps(self, most_steps: u64) -> CartPole {
        CartPole { most_steps, ..self }
    }

    /// Begins an episode in a state: the cart's place and velocity, and the pole's angle and angular velocity.
    pub fn reset_to(&mut self, state: [f64; 4]) -> Vec<f32> {
        self.state = Some(state);
        self.steps = 0;
        state.map(nearest).to_vec()
    }
}

impl Environment for CartPole {
    fn observation_shape(&self) -> Vec<usize> {
        vec![4]
    }

    fn actions(&self) -> usize {
        2
    }

    fn reset(&mut self) -> Vec<f32> {
        let words = self.words.under(self.episodes);
        self.episodes += 1;
        self.reset_to([0, 1, 2, 3].map(|at| START * (2.0 * words.unit(at) - 1.0)))
    }

    fn step(&mut self, action: usize) -> Result<Step> {
        let Some([x, velocity, angle, spin]) = self.state.filter(|_| action < 2) else {
            let rule = format!("action {action} of 2, in an episode that must have been begun and not ended");
            return Err(Error::invalid("CartPole", rule));
        };
        let force = if action == 1 { FORCE } else { -FORCE };
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        let mass = CART + POLE;
        let pushed = (force + POLE * LENGTH * spin * spin * sin) / mass;
        let turned = (GRAVITY * sin - cos * pushed) / (LENGTH * (4.0 / 3.0 - POLE * cos * cos / mass));
        let moved = pushed - POLE * LENGTH * turned * cos / mass;
        let state = [x + TAU * velocity, velocity + TAU * moved, angle + TAU * spin, spin + TAU * turned];
        self.steps += 1;
        let terminated = state[0].abs() > FARTHEST || state[2].abs() > STEEPEST;
        let truncated = !terminated && self.steps >= self.most_steps;
        self.state = Some(state).filter(|_| !terminated && !truncated);
        Ok(Step { observation: state.map(nearest).to_vec(), reward: 1.0, terminated, truncated })
    }
}

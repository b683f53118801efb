//! Environments, and several of them side by side.

use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, no_grad};
use crate::nn::Module;
use crate::number::nearest;

/// The outcome of an action, with Gymnasium's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The state after the action.
    pub observation: Vec<f32>,
    /// The reward of the action.
    pub reward: f32,
    /// True if the episode has ended by itself; there is no value beyond that.
    pub terminated: bool,
    /// True if the episode was broken off, such as by a limit of steps; the state still has its value.
    pub truncated: bool,
}

/// A world in which an agent acts, step by step and episode by episode.
///
/// An environment draws its random numbers itself, from a seed that its constructor takes.
///
/// ```
/// use wgrad::{Error, Result, train::reinforcement::{Environment, Step}};
///
/// /// A walk of five steps, each worth its direction.
/// struct Walk { left: usize }
///
/// impl Environment for Walk {
///     fn observation_shape(&self) -> Vec<usize> {
///         vec![1]
///     }
///     fn actions(&self) -> usize {
///         2
///     }
///     fn reset(&mut self) -> Vec<f32> {
///         self.left = 5;
///         vec![5.0]
///     }
///     fn step(&mut self, action: usize) -> Result<Step> {
///         self.left = self.left.checked_sub(1).ok_or_else(|| Error::invalid("Walk", "it has ended; reset it"))?;
///         let (observation, reward) = (vec![self.left as f32], action as f32);
///         Ok(Step { observation, reward, terminated: self.left == 0, truncated: false })
///     }
/// }
/// # let mut walk = Walk { left: 0 };
/// # walk.reset();
/// # assert_eq!(walk.step(1)?.reward, 1.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Environment {
    /// The sizes of an observation.
    fn observation_shape(&self) -> Vec<usize>;

    /// The number of actions, which are numbered from 0.
    fn actions(&self) -> usize;

    /// Begins an episode, and returns its first observation.
    fn reset(&mut self) -> Vec<f32>;

    /// Takes an action.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an action that there is not, and if the episode has ended or none was begun.
    fn step(&mut self, action: usize) -> Result<Step>;
}

/// One step of each of some environments, on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Experience {
    /// The states before the actions, one behind the other.
    pub observations: Vec<f32>,
    /// The actions.
    pub actions: Vec<i32>,
    /// Their rewards.
    pub rewards: Vec<f32>,
    /// The states after the actions: the last of an episode, where it has ended.
    pub next_observations: Vec<f32>,
    /// True for each episode that has ended by itself.
    pub terminated: Vec<bool>,
}

/// Environments of one kind side by side: a network is asked for all of them at once. An episode that ends is followed by the
/// next.
///
/// ```
/// # use wgrad::Device;
/// use wgrad::train::reinforcement::{CartPole, VectorEnvironment};
/// # let device = Device::reference();
/// let mut poles = VectorEnvironment::new((0..8).map(CartPole::new).collect())?;
/// assert_eq!(poles.observations(&device)?.shape()[..], [8, 4]);
/// let experience = poles.step(&[0, 1, 0, 1, 0, 1, 0, 1])?;
/// assert_eq!(experience.rewards, [1.0; 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct VectorEnvironment<E> {
    environments: Vec<E>,
    shape: Vec<usize>,
    observations: Vec<f32>,
    /// The sums of the rewards of the episodes under way.
    returns: Vec<f64>,
    finished: Vec<f64>,
}

impl<E: Environment> VectorEnvironment<E> {
    /// Begins an episode in each.
    ///
    /// # Errors
    /// [`Error::Invalid`] without environments.
    pub fn new(mut environments: Vec<E>) -> Result<VectorEnvironment<E>> {
        let Some(first) = environments.first() else {
            return Err(Error::invalid("VectorEnvironment", "there is no environment"));
        };
        let shape = [&[environments.len()], &first.observation_shape()[..]].concat();
        let observations = environments.iter_mut().flat_map(E::reset).collect();
        let returns = vec![0.0; environments.len()];
        Ok(VectorEnvironment { environments, shape, observations, returns, finished: Vec::new() })
    }

    /// The states of all, `[N, ..]` on a device.
    ///
    /// # Errors
    /// As [`Tensor::from_slice`].
    pub fn observations(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(device, &self.observations, &self.shape)
    }

    /// Takes an action in each.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one action for each; those of the environments.
    pub fn step(&mut self, actions: &[usize]) -> Result<Experience> {
        if actions.len() != self.environments.len() {
            let rule = format!("{} actions for {} environments", actions.len(), self.environments.len());
            return Err(Error::invalid("VectorEnvironment", rule));
        }
        let mut experience =
            Experience { observations: std::mem::take(&mut self.observations), ..Experience::default() };
        for ((environment, &action), sum) in self.environments.iter_mut().zip(actions).zip(&mut self.returns) {
            let Step { observation, reward, terminated, truncated } = environment.step(action)?;
            experience.actions.push(nearest(action));
            experience.rewards.push(reward);
            experience.next_observations.extend(&observation);
            experience.terminated.push(terminated);
            *sum += f64::from(reward);
            if terminated || truncated {
                self.finished.push(std::mem::take(sum));
                self.observations.extend(environment.reset());
            } else {
                self.observations.extend(observation);
            }
        }
        Ok(experience)
    }

    /// The returns of the episodes that have ended since this was last asked, in their order: the sums of their rewards.
    pub fn finished(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.finished)
    }
}

/// The returns of one episode in each environment, in which the network's best action is taken.
///
/// # Errors
/// Those of the network and of the environments, [`Error::Invalid`] without environments, and everything that went wrong on the
/// device.
pub fn play<E: Environment>(net: &dyn Module, device: &Device, environments: &mut [E]) -> Result<Vec<f64>> {
    let mut observations: Vec<Vec<f32>> = environments.iter_mut().map(E::reset).collect();
    let Some(first) = environments.first() else { return Err(Error::invalid("play", "there is no environment")) };
    let shape = [&[environments.len()], &first.observation_shape()[..]].concat();
    let mut returns = vec![0.0; environments.len()];
    let mut has_ended = vec![false; environments.len()];
    while has_ended.contains(&false) {
        // Episodes that have ended stay in the batch, so that its shape remains.
        let states = Tensor::from_slice(device, &observations.concat(), &shape)?;
        let actions = no_grad(|| net.forward(&states)?.argmax(1))?.to_vec::<i32>()?;
        for (at, environment) in
            environments.iter_mut().enumerate().filter(|&(at, _)| !has_ended[at]).collect::<Vec<_>>()
        {
            let step = environment.step(nearest(actions[at]))?;
            returns[at] += f64::from(step.reward);
            has_ended[at] = step.terminated || step.truncated;
            observations[at] = step.observation;
        }
    }
    Ok(returns)
}

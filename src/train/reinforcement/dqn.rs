//! Q-learning with networks (Mnih et al., "Human-level control through deep reinforcement learning", 2015).

use super::Transitions;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad};
use crate::nn::Module;
use crate::ops::Reduction;
use crate::options::options;

options! {
    /// The loss of a network of action values, against a slower copy's values of the next states.
    ///
    /// ```text
    /// y    = r + gamma (1 - terminated) max over a of T(s', a)
    /// y    = r + gamma (1 - terminated) T(s', argmax over a of Q(s', a))         double
    /// loss = mean of huber(Q(s, a) - y, delta)
    /// ```
    ///
    /// with the network `Q` and its target network `T`. No gradient flows through `y`.
    ///
    /// ```
    /// # use wgrad::{Device, nn::{Module, Scope}, optim::{Adam, AdamOptions, Optimizer}};
    /// use wgrad::models::reinforcement::{QNetwork, QNetworkOptions};
    /// use wgrad::train::reinforcement::{
    ///     CartPole, DqnLoss, EpsilonGreedy, ReplayMemory, TargetNetwork, TargetUpdate, VectorEnvironment,
    /// };
    /// # let device = Device::reference();
    /// let build = || QNetwork::new(&Scope::new(&device), &[4], 2, &QNetworkOptions::dense(&[32]));
    /// let net = build()?;
    /// let mut target = TargetNetwork::new(build()?, &net, TargetUpdate::Soft { tau: 0.01 })?;
    /// let mut adam = Adam::new(&net, AdamOptions::default())?;
    /// let mut poles = VectorEnvironment::new((0..8).map(CartPole::new).collect())?;
    /// let (mut memory, mut explorer) = (ReplayMemory::new(&device, 1000, &[4])?, EpsilonGreedy::new(0));
    /// for _ in 0..3 {
    ///     let values = net.forward(&poles.observations(&device)?)?;
    ///     memory.push(&poles.step(&explorer.choose(&values, 0.1)?)?)?;
    ///     DqnLoss::default().double(true).of(&net, target.net(), &memory.sample(16)?)?.backward()?;
    ///     adam.step()?;
    ///     adam.zero_grad();
    ///     target.follow(&net)?;
    /// }
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq)]
    DqnLoss {
        /// The share by which a reward is worth less for each step that it is away.
        gamma: f64 = 0.99,
        /// Lets the network choose the next action whose value the target network tells (van Hasselt, Guez and Silver, "Deep
        /// Reinforcement Learning with Double Q-learning", 2016), which keeps values from growing too high.
        double: bool = false,
        /// The error from which on the loss grows along a line.
        delta: f64 = 1.0,
    }
}

impl DqnLoss {
    /// The values `[N]` that the network should have for the actions taken, without a history.
    ///
    /// # Errors
    /// Those of the networks.
    pub fn targets(&self, net: &dyn Module, target: &dyn Module, batch: &Transitions) -> Result<Tensor> {
        no_grad(|| {
            let values = target.forward(&batch.next_observations)?;
            let best = match self.double {
                true => of_actions(&values, &net.forward(&batch.next_observations)?.argmax(1)?)?,
                false => values.amax(1)?,
            };
            let is_worth = batch.terminated.neg()?.add_scalar(1.0)?.mul_scalar(self.gamma)?;
            batch.rewards.add(&best.mul(&is_worth)?)
        })
    }

    /// The loss of a batch.
    ///
    /// # Errors
    /// Those of the networks.
    pub fn of(&self, net: &dyn Module, target: &dyn Module, batch: &Transitions) -> Result<Tensor> {
        let targets = self.targets(net, target, batch)?;
        let values = of_actions(&net.forward(&batch.observations)?, &batch.actions)?;
        values.huber_loss(&targets, self.delta, Reduction::Mean)
    }
}

/// The value of an action in each row: `[N, actions]` and `[N]` to `[N]`.
fn of_actions(values: &Tensor, actions: &Tensor) -> Result<Tensor> {
    values.gather(1, &actions.unsqueeze(1)?)?.squeeze(1)
}

/// The way in which a target network follows the one that is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TargetUpdate {
    /// Takes its weights every few steps (Mnih et al. 2015).
    Hard {
        /// Steps between two copies.
        every: u64,
    },
    /// Moves towards its weights by a fraction after each step: `t <- t + tau (p - t)` (Lillicrap et al. 2016).
    Soft {
        /// The share.
        tau: f64,
    },
}

/// A network that follows another one: see [`DqnLoss`].
pub struct TargetNetwork<M> {
    net: M,
    update: TargetUpdate,
    steps: u64,
}

impl<M: Module> TargetNetwork<M> {
    /// Gives `net` the weights of the network that is trained.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a share that is not from 0 to 1, and for copies after every 0 steps; [`Error::IncompatibleKeys`]
    /// where the networks are not of one kind.
    pub fn new(net: M, trained: &dyn Module, update: TargetUpdate) -> Result<TargetNetwork<M>> {
        let rule = match update {
            TargetUpdate::Hard { every: 0 } => Some("copies after every 0 steps; it must be at least 1".to_string()),
            TargetUpdate::Soft { tau } if !(0.0..=1.0).contains(&tau) => {
                Some(format!("tau is {tau}; it must be from 0 to 1"))
            }
            _ => None,
        };
        if let Some(rule) = rule {
            return Err(Error::invalid("TargetNetwork", rule));
        }
        net.load_state_dict(&trained.state_dict()?, true)?;
        net.set_requires_grad(false);
        Ok(TargetNetwork { net, update, steps: 0 })
    }

    /// The network that follows.
    pub fn net(&self) -> &M {
        &self.net
    }

    /// Follows the trained network after a step of its optimizer.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn follow(&mut self, trained: &dyn Module) -> Result<()> {
        self.steps += 1;
        match self.update {
            TargetUpdate::Hard { every } if !self.steps.is_multiple_of(every) => Ok(()),
            TargetUpdate::Hard { .. } => self.move_to(trained, 1.0),
            TargetUpdate::Soft { tau } => self.move_to(trained, tau),
        }
    }

    /// Moves parameters by a fraction of the way; buffers, such as running statistics, are copied.
    fn move_to(&self, trained: &dyn Module, share: f64) -> Result<()> {
        let pairs = self.net.parameters().into_iter().zip(trained.parameters());
        no_grad(|| {
            for (own, other) in pairs {
                own.assign(&moved(&own, &other, share)?)?;
            }
            Ok(())
        })
    }
}

fn moved(own: &Parameter, other: &Parameter, share: f64) -> Result<Tensor> {
    match own.is_buffer() || share == 1.0 {
        true => Ok(other.value().detach()),
        false => own.value().detach().lerp(&other.value().detach(), share),
    }
}

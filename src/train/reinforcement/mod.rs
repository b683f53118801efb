//! Learning from rewards: environments, the replay memory, and Q-learning.

mod cart_pole;
mod dqn;
mod environment;
mod exploration;
mod grid_world;
mod replay;

pub use cart_pole::CartPole;
pub use dqn::{DqnLoss, TargetNetwork, TargetUpdate};
pub use environment::{Environment, Experience, Step, VectorEnvironment, play};
pub use exploration::{EpsilonGreedy, LinearSchedule};
pub use grid_world::GridWorld;
pub use replay::{ReplayMemory, Transitions};

//! Learns to act by Q-learning with a network: `cargo run --release --example dqn -- --environment grid-world`.
//!
//! `cart-pole` is Gym's `CartPole-v1`, which counts as solved if the mean return of 100 episodes is at least 475. The network
//! learns from the end of episodes alone, which is worth -1: with rewards of 1 for each step it would first learn that all states
//! are worth about 100. `grid-world` is a maze seen as a picture, solved if that mean is at least 0.93; the best paths from all
//! starts are worth 0.945 on average. Both are learned by double Q-learning in 16 environments in parallel; the replay memory is
//! on the device.
//!
//! With seed 0 the pole is solved, with a mean return of 500.0, after 300 steps and 26 s on llvmpipe and two busy cores.

mod common;

use clap::{Parser, ValueEnum};
pub use common::Flags;
use common::Result;
use std::process::ExitCode;
use std::time::Instant;
use wgrad::models::reinforcement::{QNetwork, QNetworkOptions};
use wgrad::nn::{Module, Scope};
use wgrad::no_grad;
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::train::reinforcement::{
    CartPole, DqnLoss, Environment, EpsilonGreedy, GridWorld, LinearSchedule, ReplayMemory, TargetNetwork,
    TargetUpdate, VectorEnvironment, play,
};

const SIDE_BY_SIDE: u64 = 16;
const MEMORY: usize = 20_000;
const BATCH: usize = 128;
const STEPS: usize = 3000;
/// Steps before the first one of the optimizer.
const UNTRAINED: usize = 50;
/// Steps between two trials.
const TRIAL: usize = 50;
const EPISODES: u64 = 100;

const MAZE: [&str; 6] = ["......", ".##.P.", ".#..#.", ".P.##.", "......", "#.#P.G"];

/// Learns to act by Q-learning.
#[derive(Parser)]
struct Arguments {
    /// The environment
    #[arg(long, value_enum, default_value_t = World::CartPole)]
    environment: World,
    #[command(flatten)]
    flags: Flags,
}

/// The environments.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum World {
    /// A pole to balance on a cart.
    CartPole,
    /// A maze with pits.
    GridWorld,
}

fn main() -> ExitCode {
    common::main(|Arguments { environment, flags }: &Arguments| {
        let [mean, solved] = run(*environment, flags)?;
        flags.expect("the mean return", mean, solved)
    })
}

/// The mean return of 100 episodes, and the return that counts as solved.
pub fn run(world: World, flags: &Flags) -> Result<[f64; 2]> {
    match world {
        World::CartPole => {
            let options = QNetworkOptions::dense(&[128, 128]);
            learn(475.0, &options, |seed| Ok(CartPole::new(seed)), |_, end| if end { -1.0 } else { 0.0 }, flags)
        }
        World::GridWorld => {
            let options = QNetworkOptions::default().convolutions([[16, 3, 1], [32, 3, 1]]).hidden([64]);
            learn(0.93, &options.dueling(true), |seed| GridWorld::new(&MAZE, seed), |reward, _| reward, flags)
        }
    }
}

/// Learns until an environment is solved, from the rewards that `learned` makes of a step's reward and its end of an episode.
fn learn<E: Environment>(
    solved: f64,
    options: &QNetworkOptions,
    make: impl Fn(u64) -> wgrad::Result<E>,
    learned: impl Fn(f32, bool) -> f32,
    flags: &Flags,
) -> Result<[f64; 2]> {
    let start = Instant::now();
    let device = flags.device()?;
    let worlds = |count: u64, first: u64| (first..first + count).map(&make).collect::<wgrad::Result<Vec<E>>>();
    let first_seed = 1000 * flags.seed;
    let mut tried = worlds(EPISODES, first_seed + SIDE_BY_SIDE)?;
    let (shape, actions) = (tried[0].observation_shape(), tried[0].actions());
    let mut lived = VectorEnvironment::new(worlds(SIDE_BY_SIDE, first_seed)?)?;

    let build = || QNetwork::new(&Scope::new(&device), &shape, actions, options);
    let net = build()?;
    let mut target = TargetNetwork::new(build()?, &net, TargetUpdate::Soft { tau: 0.02 })?;
    let mut adam = Adam::new(&net, AdamOptions::default().lr(5e-4))?;
    let mut memory = ReplayMemory::new(&device, MEMORY, &shape)?;
    let mut explorer = EpsilonGreedy::new(flags.seed);
    let epsilon = LinearSchedule { start: 1.0, end: 0.05, steps: 1000 };
    let loss = DqnLoss::default().double(true);

    let mut mean = f64::NEG_INFINITY;
    let (steps, mut taken) = (flags.steps.map_or(STEPS, |steps| steps + UNTRAINED), 0);
    while taken < steps && mean < solved {
        let values = no_grad(|| net.forward(&lived.observations(&device)?))?;
        let mut experience = lived.step(&explorer.choose(&values, epsilon.at(taken as u64))?)?;
        for (reward, &end) in experience.rewards.iter_mut().zip(&experience.terminated) {
            *reward = learned(*reward, end);
        }
        memory.push(&experience)?;
        taken += 1;
        if taken > UNTRAINED {
            loss.of(&net, target.net(), &memory.sample(BATCH)?)?.backward()?;
            adam.step()?;
            adam.zero_grad();
            target.follow(&net)?;
        }
        if taken % TRIAL == 0 || taken == steps {
            let returns = play(&net, &device, &mut tried)?;
            mean = returns.iter().sum::<f64>() / returns.len() as f64;
            eprintln!("step {taken}: mean return {mean:.3}");
        }
    }
    let (verdict, seconds) = (if mean >= solved { "solved" } else { "not solved" }, start.elapsed().as_secs_f64());
    println!(
        "{verdict}: mean return {mean:.3} of {EPISODES} episodes, after {taken} steps and {seconds:.0} s on {}",
        device.name()
    );
    Ok([mean, solved])
}

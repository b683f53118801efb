//! `wgrad prune`: a network with fewer weights, or with fewer channels.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::network::Network;
use crate::stages::Target;
use clap::{Args, ValueEnum};
use wgrad::compress::channels::{ChannelOptions, Channels, Importance};
use wgrad::compress::pruning::{Criterion, Pruner, PrunerOptions, Pruning, Reach, Schedule, prunable};
use wgrad::train::Callback;

/// Times at which a gradual schedule prunes.
const TIMES: u64 = 20;

/// Make a network smaller: weights that are 0, or fewer channels; and train it further
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad prune runs/1 flowers --amount 0.9
  wgrad prune runs/1 flowers --amount 0.9 --gradual --epochs 10
  wgrad prune runs/1 flowers --amount 0.5 --structured --out small.safetensors")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Share of the weights, or with --structured of the channels, to prune
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    amount: f64,
    /// Weights or channels to prune first [default: magnitude]
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// Take whole channels out, so that the network takes less memory and time
    #[arg(long)]
    structured: bool,
    /// Prune bit by bit in the first two thirds of the training instead of before it
    #[arg(long, conflicts_with = "structured")]
    gradual: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The smallest of the network; of its channels, those with the smallest weights of each layer
    Magnitude,
    /// The smallest of each layer, the same share everywhere
    Uniform,
    /// By chance
    Random,
    /// Those that training moves towards 0; pruned bit by bit
    Movement,
    /// Channels by the scale of their batch norms
    Scale,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    if !(0.0..1.0).contains(&arguments.amount) {
        return Err(Failure::usage("--amount must be at least 0 and below 1"));
    }
    let method = arguments.method.unwrap_or(Method::Magnitude);
    let refused = match (arguments.structured, method) {
        (true, Method::Random | Method::Movement) => Some("--structured takes --method magnitude, uniform or scale"),
        (false, Method::Scale) => Some("--method scale needs --structured"),
        _ => None,
    };
    if let Some(rule) = refused {
        return Err(Failure::usage(rule));
    }
    let network = arguments.target.open(context)?;
    let mut stages = arguments.target.before(&network, context)?;
    let mut gradual = match arguments.structured {
        true => {
            cut(&network, method, arguments.amount)?;
            None
        }
        false => prune(&network, method, arguments, stages.steps()?)?,
    };
    if gradual.is_none() {
        stages.measure("pruned", None)?;
    }
    stages.train(gradual.as_mut().map(|pruning| pruning as &mut dyn Callback), None)?;
    stages.finish("pruned.safetensors")
}

/// Prunes weights, or returns the callback that will do so during training.
fn prune(network: &Network, method: Method, arguments: &Arguments, steps: u64) -> Outcome<Option<Pruning>> {
    let criterion = match method {
        Method::Random => Criterion::Random,
        Method::Movement => Criterion::Movement,
        Method::Magnitude | Method::Uniform | Method::Scale => Criterion::Magnitude,
    };
    let reach = if method == Method::Uniform { Reach::Layer } else { Reach::Global };
    let options = PrunerOptions::default().criterion(criterion).reach(reach);
    let mut pruner = Pruner::new(prunable(&network.model), options)?;
    if !arguments.gradual && criterion != Criterion::Movement {
        pruner.prune_to(arguments.amount)?;
        return Ok(None);
    }
    if steps == 0 {
        return Err(Failure::usage("pruning bit by bit needs --epochs of training"));
    }
    let every = (2 * steps / 3 / TIMES).max(1);
    let times = (2 * steps / 3 / every).max(1);
    let schedule = Schedule::Cubic { begin: every, every, times: times - 1, initial: 0.0, sparsity: arguments.amount };
    Ok(Some(Pruning::new(pruner, schedule)?))
}

/// Takes channels out.
fn cut(network: &Network, method: Method, amount: f64) -> Outcome {
    let channels = Channels::of(&network.model, &network.about.options.images(1))?;
    let (importance, global) = match method {
        Method::Scale => (Importance::BatchNormScale, true),
        _ => (Importance::Norm(1.0), false),
    };
    let options = ChannelOptions::default().amount(amount).importance(importance).global(global);
    let chosen = channels.choose(&options)?;
    if chosen.is_empty() && amount > 0.0 {
        let message = format!("{} has no channels to take out by this method", network.about.architecture);
        return Err(Failure::new(message));
    }
    Ok(channels.cut(&chosen)?)
}

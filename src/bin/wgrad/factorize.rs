//! `wgrad factorize`: a network whose layers are products of two smaller ones.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::stages::Target;
use clap::{Args, ValueEnum};
use wgrad::compress::low_rank::{self, LowRankOptions, Rank, factorize};

/// Replace layers by two smaller ones of a low rank, and train the network further
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad factorize runs/1 flowers
  wgrad factorize runs/1 flowers --energy 0.8 --scheme channel --epochs 5
  wgrad factorize runs/1 flowers --rank 8 --only 'fc*' --out small.safetensors

A layer stays as it is where two would have as many weights.")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Share of a weight's squared norm to keep [default: 0.9]
    #[arg(long, value_name = "X")]
    energy: Option<f64>,
    /// The rank of each layer instead
    #[arg(long, value_name = "N", conflicts_with = "energy")]
    rank: Option<usize>,
    /// The rank of each layer as a share of its largest instead
    #[arg(long, value_name = "X", conflicts_with_all = ["energy", "rank"])]
    share: Option<f64>,
    /// The two convolutions in place of one
    #[arg(long, value_enum, default_value = "spatial")]
    scheme: Scheme,
    /// Factorize the weights whose names match alone, such as 'fc*'
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scheme {
    /// k x 1, then 1 x k
    Spatial,
    /// k x k to few channels, then 1 x 1
    Channel,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let is_share = |share: Option<f64>| share.is_none_or(|share| share > 0.0 && share <= 1.0);
    let rules = [
        (is_share(arguments.energy), "--energy must be above 0 and at most 1"),
        (is_share(arguments.share), "--share must be above 0 and at most 1"),
        (arguments.rank != Some(0), "--rank must be at least 1"),
    ];
    if let Some((_, rule)) = rules.into_iter().find(|(holds, _)| !holds) {
        return Err(Failure::usage(rule));
    }
    let rank = match (arguments.rank, arguments.share) {
        (Some(rank), _) => Rank::Fixed(rank),
        (_, Some(share)) => Rank::Share(share),
        _ => Rank::Energy(arguments.energy.unwrap_or(0.9)),
    };
    let scheme = match arguments.scheme {
        Scheme::Spatial => low_rank::Scheme::Spatial,
        Scheme::Channel => low_rank::Scheme::Channel,
    };
    let network = arguments.target.open(context)?;
    let mut stages = arguments.target.before(&network, context)?;
    let options = LowRankOptions::default().rank(rank).scheme(scheme).only(arguments.only.clone());
    let done = factorize(&*network.model, &options)?;
    if done.is_empty() {
        let message = format!("two layers in place of one would save nothing in {}", network.about.architecture);
        return Err(Failure::new(message).hint("a smaller --energy, --rank or --share saves more"));
    }
    for layer in &done {
        let (rank, full, percent) = (layer.rank, layer.full_rank, 100.0 * layer.energy);
        context.note(format!("{}: rank {rank} of {full}, {percent:.1} % of the energy", layer.layer));
    }
    stages.measure("factorized", None)?;
    stages.train(None, None)?;
    stages.finish("factorized.safetensors")
}

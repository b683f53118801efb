//! `wgrad cluster`: a network whose weights share few values.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::stages::Target;
use clap::Args;
use wgrad::compress::clustering::{ClusterOptions, Clusters};
use wgrad::compress::pruning::{mask_zeros, prunable};

/// Let the weights of each layer share a few values, and train those further
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad cluster runs/1 flowers
  wgrad cluster runs/1 flowers --values 4 --epochs 5
  wgrad cluster runs/1/pruned.safetensors flowers    (deep compression)

Bytes are those of a Huffman code of each layer with its values, and of all other parameters as they are. The file holds
plain numbers, which any program reads. Weights that are 0 stay 0.")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Values of each layer, besides the 0 of pruned weights
    #[arg(long, value_name = "N", default_value_t = 16)]
    values: usize,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    if arguments.values == 0 {
        return Err(Failure::usage("--values must be at least 1"));
    }
    let network = arguments.target.open(context)?;
    let weights = prunable(&*network.model);
    mask_zeros(&weights)?;
    let mut stages = arguments.target.before(&network, context)?;
    let mut clusters = Clusters::new(weights, &ClusterOptions::default().values(arguments.values))?;
    let size = clusters.size()?;
    let all = network.model.summary(&network.about.options.images(1))?.parameter_bytes as u64;
    let bytes = usize::try_from(all - size.plain_bits / 8 + (size.huffman_bits + size.table_bits).div_ceil(8)).ok();
    stages.measure("clustered", bytes)?;
    stages.train(Some(&mut clusters), bytes)?;
    stages.finish("clustered.safetensors")
}

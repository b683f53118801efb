//! The pace of networks.

use crate::failure::Outcome;
use crate::network::Network;
use std::time::Instant;
use wgrad::{Tensor, no_grad};

/// Seconds of measuring, and the fewest turns.
const SECONDS: f64 = 0.5;
const LEAST_TURNS: usize = 5;

/// The images a second of networks for the same pictures, which take turns with a batch of random ones: medians. Leaves them in
/// evaluation mode.
pub fn images_per_second<const N: usize>(networks: [&Network; N], batch_size: usize) -> Outcome<[f64; N]> {
    let images = Tensor::rand(networks[0].device(), &networks[0].about.options.images(batch_size))?;
    let pass = |network: &Network| -> Outcome<f64> {
        let start = Instant::now();
        no_grad(|| network.model.forward(&images)?.amax_all()?.item::<f32>())?;
        Ok(start.elapsed().as_secs_f64())
    };
    for network in networks {
        network.model.eval();
        // Plans and compiles.
        pass(network)?;
    }
    let mut turns: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    let start = Instant::now();
    while turns[0].len() < LEAST_TURNS || start.elapsed().as_secs_f64() < SECONDS {
        for (network, turns) in networks.into_iter().zip(&mut turns) {
            turns.push(pass(network)?);
        }
    }
    Ok(turns.map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        batch_size as f64 / turns[turns.len() / 2]
    }))
}

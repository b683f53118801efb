//! The costs of a network besides its accuracy, in tables of several networks.

use crate::failure::Outcome;
use crate::network::Network;
use crate::pace::images_per_second;
use serde::Serialize;

/// The titles of [`Costs::cells`].
pub const TITLES: [&str; 5] = ["parameters", "kB", "multiply-adds", "accuracy", "images/s"];

#[derive(Serialize)]
pub struct Costs {
    pub parameters: usize,
    /// Those of them that masks have pruned.
    #[serde(skip)]
    pub pruned: usize,
    /// Bytes of the parameters.
    pub bytes: usize,
    multiply_adds: u64,
    accuracy: f64,
    images_per_second: f64,
}

impl Costs {
    /// Measures a network whose accuracy is known, in batches of a size.
    pub fn of(network: &Network, accuracy: f64, batch_size: usize) -> Outcome<Costs> {
        let summary = network.model.summary(&network.about.options.images(1))?;
        let [images_per_second] = images_per_second([network], batch_size)?;
        Ok(Costs {
            parameters: summary.trained_parameters + summary.frozen_parameters,
            pruned: summary.pruned_parameters,
            bytes: summary.parameter_bytes,
            multiply_adds: summary.multiply_adds,
            accuracy,
            images_per_second,
        })
    }

    /// The cells of a row.
    pub fn cells(&self) -> [String; 5] {
        [
            self.parameters.to_string(),
            format!("{:.1}", self.bytes as f64 / 1e3),
            self.multiply_adds.to_string(),
            format!("{:.4}", self.accuracy),
            format!("{:.0}", self.images_per_second),
        ]
    }
}

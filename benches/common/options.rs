//! Command-line arguments of all suites.

use super::Outcome;
use super::timing::Effort;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use wgrad::{Device, DeviceOptions};

/// Arguments of every suite.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Only what has this in its name
    #[arg(long, value_name = "SUBSTRING")]
    pub filter: Option<String>,
    /// A part of the adapter's name; by default the best adapter
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Appends the results to a file of JSON lines
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draws the results into a folder, as SVG
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// Timings of each kind of work, taken in turns with the others; the median counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: usize,
    /// Tiny sizes, each run once: shows that it works, not how fast. Implied outside `cargo bench`
    #[arg(long)]
    pub quick: bool,
    /// Passed by `cargo bench` only
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Options {
    /// True if sizes are tiny. `cargo test --benches` runs the suites too, and must not take long.
    pub fn is_quick(&self) -> bool {
        self.quick || !self.bench
    }

    /// True if a row of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }

    /// Opens the requested device.
    pub fn device(&self) -> Outcome<Device> {
        Ok(Device::with_options(&DeviceOptions::default().adapter_name(self.adapter.clone()))?)
    }

    /// The effort of timing.
    pub fn effort(&self) -> Effort {
        if self.is_quick() {
            return Effort { rounds: 1, sample: Duration::ZERO };
        }
        Effort { rounds: self.rounds.max(1), sample: Duration::from_millis(100) }
    }
}

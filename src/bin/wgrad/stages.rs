//! Commands that make a network smaller: they measure it before, after, and trained further.

use crate::collection::Source;
use crate::context::Context;
use crate::costs::{self, Costs};
use crate::failure::Outcome;
use crate::network::Network;
use crate::run_folder;
use crate::table::Table;
use crate::train::{Finetune, Further};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use wgrad::train::Callback;
use wgrad::weights::{self, SaveOptions};

#[derive(Args)]
pub struct Target {
    /// A run's folder or a file of weights
    network: PathBuf,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    further: Further,
    /// The file of weights to write [default: beside the network's, named after what was done]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A network on its way, and the rows of its table.
pub struct Stages<'a> {
    target: &'a Target,
    network: &'a Network,
    context: &'a Context,
    tuning: Finetune<'a>,
    rows: Vec<Row>,
}

/// A network at a stage.
#[derive(Serialize)]
struct Row {
    network: &'static str,
    sparsity: f64,
    /// Pruned parameters count in their bytes alone.
    #[serde(flatten)]
    costs: Costs,
}

impl Target {
    /// The network as it is.
    pub fn open(&self, context: &Context) -> Outcome<Network> {
        Network::open(&self.network, &context.device()?)
    }

    /// Measures the network as it is.
    pub fn before<'a>(&'a self, network: &'a Network, context: &'a Context) -> Outcome<Stages<'a>> {
        let tuning = Finetune::new(network, &self.network, &self.source, &self.further, context)?;
        let mut stages = Stages { target: self, network, context, tuning, rows: Vec::new() };
        stages.measure("before", None)?;
        Ok(stages)
    }
}

impl Stages<'_> {
    /// The steps of the further training.
    pub fn steps(&self) -> Outcome<u64> {
        self.tuning.steps()
    }

    /// Measures the network at a stage. `bytes` are those of its parameters where a code makes them fewer.
    pub fn measure(&mut self, stage: &'static str, bytes: Option<usize>) -> Outcome {
        let mut costs = Costs::of(self.network, self.tuning.accuracy()?, self.tuning.batch_size)?;
        let sparsity = costs.pruned as f64 / costs.parameters.max(1) as f64;
        costs.parameters -= costs.pruned;
        costs.bytes = bytes.unwrap_or(costs.bytes);
        self.rows.push(Row { network: stage, sparsity, costs });
        Ok(())
    }

    /// Trains the network further, if epochs were asked for, and measures it.
    pub fn train(&mut self, callback: Option<&mut dyn Callback>, bytes: Option<usize>) -> Outcome {
        if self.target.further.epochs == 0 {
            return Ok(());
        }
        self.tuning.fit(callback)?;
        self.measure("trained further", bytes)
    }

    /// Writes the network, to a file of this name unless --out says otherwise, and answers with the table.
    pub fn finish(self, name: &str) -> Outcome {
        let Target { network, source, out, .. } = self.target;
        let beside = || run_folder::weights_of(network).unwrap_or_else(|| network.clone()).with_file_name(name);
        let out = out.clone().unwrap_or_else(beside);
        let options = SaveOptions::default().metadata(self.network.about.clone());
        weights::save(&out, &self.network.model, &options)?;
        if self.context.json() {
            return self.context.answer_json(&self.rows);
        }
        self.context.answer(table(&self.rows))?;
        self.context.note(format!("\nwrote {}\nnext:\n  wgrad evaluate {0} {}", out.display(), source.data));
        Ok(())
    }
}

fn table(rows: &[Row]) -> Table {
    let [parameters, others @ ..] = costs::TITLES;
    let mut table = Table::new(&[&["network", parameters, "pruned"][..], &others].concat());
    for Row { network, sparsity, costs } in rows {
        let [parameters, others @ ..] = costs.cells();
        let first = [network.to_string(), parameters, format!("{:.1} %", 100.0 * sparsity)];
        table.row(first.into_iter().chain(others));
    }
    table
}

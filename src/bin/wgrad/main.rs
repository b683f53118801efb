//! The command `wgrad`: trains a classifier on a folder of pictures, and inspects data sets and trained networks.
//!
//! Each subcommand has a file, which puts parts of the library together. Standard output holds the answer, standard
//! error everything else. The exit code is 0, 1 after a failure, 2 after a wrong call, and 130 after Ctrl-C.

mod adapters;
mod cluster;
mod collection;
mod completions;
mod context;
mod costs;
mod data;
mod distill;
mod evaluate;
mod explain;
mod factorize;
mod failure;
mod fit;
mod image_files;
mod interrupt;
mod models;
mod network;
mod pace;
mod predict;
mod prune;
mod quantize;
mod run_folder;
mod stages;
mod summary;
mod table;
mod train;

use clap::{Parser, Subcommand};
use context::{Context, Globals};
use std::process::ExitCode;

/// Trains convolutional networks on any GPU, from a folder of pictures.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wgrad data flowers                 look at a folder of class folders
  wgrad train flowers --out runs/1   train on it
  wgrad predict runs/1 new/*.jpg     name the classes of other pictures";

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Arguments>),
    Distill(Box<distill::Arguments>),
    Predict(predict::Arguments),
    Prune(prune::Arguments),
    Factorize(factorize::Arguments),
    Cluster(cluster::Arguments),
    Evaluate(evaluate::Arguments),
    Explain(explain::Arguments),
    Quantize(quantize::Arguments),
    Data(data::Arguments),
    Models(models::Arguments),
    Summary(summary::Arguments),
    Adapters(adapters::Arguments),
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If even this can't be written, there is no way to report it.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let context = Context::new(cli.globals);
    let outcome = match cli.command {
        Command::Train(arguments) => train::run(&arguments, None, &context),
        Command::Distill(arguments) => distill::run(&arguments, &context),
        Command::Predict(arguments) => predict::run(&arguments, &context),
        Command::Prune(arguments) => prune::run(&arguments, &context),
        Command::Factorize(arguments) => factorize::run(&arguments, &context),
        Command::Cluster(arguments) => cluster::run(&arguments, &context),
        Command::Evaluate(arguments) => evaluate::run(&arguments, &context),
        Command::Explain(arguments) => explain::run(&arguments, &context),
        Command::Quantize(arguments) => quantize::run(&arguments, &context),
        Command::Data(arguments) => data::run(&arguments, &context),
        Command::Models(arguments) => models::run(&arguments, &context),
        Command::Summary(arguments) => summary::run(&arguments, &context),
        Command::Adapters(_) => adapters::run(&context),
        Command::Completions(arguments) => completions::run(&arguments, &context),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

//! `wgrad quantize`: a network whose weights are bytes, and its loss of accuracy.

use crate::collection::{Channels, Collection};
use crate::context::Context;
use crate::evaluate::{self, Scored, each_batch, numbers, reports};
use crate::failure::{Failure, Outcome};
use crate::network::Network;
use crate::pace::images_per_second;
use crate::run_folder;
use crate::table::Table;
use crate::train;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use wgrad::CrossEntropyOptions;
use wgrad::compress::quantization::{self, Observer, QuantizationAware, QuantizationOptions, Quantized, is_quantized};
use wgrad::data::{RandomSampler, Sampler};
use wgrad::nn::Module;
use wgrad::optim::{Adam, AdamOptions, Optimizer};

/// Quantize a network to int8, and compare both
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad quantize runs/1 flowers
  wgrad quantize runs/1 flowers --observer entropy --calibrate 1000 --out small.safetensors
  wgrad quantize runs/1 flowers --qat 2
  wgrad evaluate runs/1/best.int8.safetensors flowers")]
pub struct Arguments {
    #[command(flatten)]
    scored: Scored,
    /// Training pictures by which the ranges of activations are measured
    #[arg(long, value_name = "N", default_value_t = 256, conflicts_with_all = ["dynamic", "qat"])]
    calibrate: usize,
    /// The rule by which ranges follow from them [default: min-max, with --qat moving-average]
    #[arg(long, value_enum, conflicts_with = "dynamic")]
    observer: Option<ObserverName>,
    /// Quantize linear layers alone, with the range of each batch
    #[arg(long, conflicts_with = "qat")]
    dynamic: bool,
    /// Train for this many epochs with weights and activations rounded, first
    #[arg(long, value_name = "EPOCHS")]
    qat: Option<u64>,
    /// Learning rate of --qat
    #[arg(long, value_name = "LR", default_value_t = 1e-4, requires = "qat")]
    lr: f64,
    /// File for the network [default: beside its weights, as NAME.int8.safetensors]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ObserverName {
    MinMax,
    MovingAverage,
    /// All but a ten-thousandth of the values at either end
    Percentile,
    /// Least divergence, as TensorRT's
    Entropy,
}

impl ObserverName {
    fn observer(self) -> Observer {
        match self {
            ObserverName::MinMax => Observer::MinMax,
            ObserverName::MovingAverage => Observer::MovingAverage { share: 0.01 },
            ObserverName::Percentile => Observer::Percentile { percent: 99.99 },
            ObserverName::Entropy => Observer::Entropy,
        }
    }
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    /// Layers that multiply bytes.
    layers: usize,
    pictures: usize,
    f32: Costs,
    int8: Costs,
}

#[derive(Serialize)]
struct Costs {
    bytes: u64,
    multiply_adds: u64,
    accuracy: f64,
    images_per_second: f64,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let scored = &arguments.scored;
    let device = context.device()?;
    let Some(weights) = run_folder::weights_of(&scored.network) else {
        return Network::open(&scored.network, &device).map(|_| ());
    };
    if is_quantized(&weights)? {
        return Err(Failure::new(format!("{} is quantized already", weights.display())));
    }
    let exact = Network::open(&scored.network, &device)?;
    let collection = Collection::open(&scored.source, Channels::of(exact.about.options.channels))?;
    let before = reports(&exact, &collection, scored)?;
    // The one that is quantized may be trained further.
    let other = Network::open(&scored.network, &device)?;
    let small = quantized(other, &collection, arguments, context)?;
    let out = arguments.out.clone().unwrap_or_else(|| weights.with_extension("int8.safetensors"));
    quantization::save(&out, &small, &exact.about)?;
    let layers = small.weights().count();
    let small = exact.with_model(Box::new(small));
    let after = reports(&small, &collection, scored)?;
    let [f32_speed, int8_speed] = images_per_second([&exact, &small], scored.batch_size)?;
    let costs = |network: &Network, file: &Path, reports: &[evaluate::Report], images_per_second| {
        Ok::<Costs, Failure>(Costs {
            bytes: file.metadata().map(|file| file.len()).unwrap_or_default(),
            multiply_adds: network.model.summary(&network.about.options.images(1))?.multiply_adds,
            accuracy: accuracy(reports),
            images_per_second,
        })
    };
    let report = Report {
        layers,
        pictures: before.iter().map(|report| report.pictures).sum(),
        f32: costs(&exact, &weights, &before, f32_speed)?,
        int8: costs(&small, &out, &after, int8_speed)?,
        file: out,
    };
    if context.json() { context.answer_json(&report) } else { context.answer(&report) }
}

/// Right answers among all pictures.
fn accuracy(reports: &[evaluate::Report]) -> f64 {
    let pictures: usize = reports.iter().map(|report| report.pictures).sum();
    let right: f64 = reports.iter().map(|report| report.accuracy * report.pictures as f64).sum();
    right / pictures.max(1) as f64
}

fn quantized(
    network: Network,
    collection: &Collection,
    arguments: &Arguments,
    context: &Context,
) -> Outcome<Quantized<Box<dyn Module>>> {
    let fallback = if arguments.qat.is_some() { ObserverName::MovingAverage } else { ObserverName::MinMax };
    let options = QuantizationOptions::default().observer(arguments.observer.unwrap_or(fallback).observer());
    if arguments.dynamic {
        return Ok(Quantized::dynamic(network.model, &options)?);
    }
    let numbers = numbers(collection, &network)?;
    // Pictures that the run validated on no longer tell how good the network is once it has seen them.
    let validated = train::validated(&arguments.scored.network, collection)?.unwrap_or_default();
    let validated: HashSet<usize> = validated.into_iter().collect();
    let pictures: Vec<usize> =
        (0..collection.train.labels().len()).filter(|picture| !validated.contains(picture)).collect();
    let batch_size = arguments.scored.batch_size;
    if let Some(epochs) = arguments.qat {
        return trained(network, epochs, &options, arguments.lr, |network, epoch, each| {
            context.note(format!("epoch {} of {epochs}, with rounding", epoch + 1));
            let order = RandomSampler::new(pictures.len(), 0).order(epoch);
            let order = order.into_iter().map(|at| pictures[at]).collect();
            each_batch(network, &collection.train, order, &numbers, batch_size, each)
        });
    }
    // From all over the set, which may be sorted by class.
    let step = (pictures.len() / arguments.calibrate.max(1)).max(1);
    let chosen: Vec<usize> = pictures.into_iter().step_by(step).take(arguments.calibrate).collect();
    let mut batches = Vec::new();
    each_batch(&network, &collection.train, chosen, &numbers, batch_size, |batch| {
        batches.push(Ok(batch.images));
        Ok(())
    })?;
    Ok(Quantized::calibrated(network.model, batches, &options)?)
}

/// The function that takes each batch.
type Each<'a> = &'a mut dyn FnMut(wgrad::data::Batch) -> Outcome;

/// The network, trained for some epochs of the batches of `epoch`.
fn trained(
    network: Network,
    epochs: u64,
    options: &QuantizationOptions,
    lr: f64,
    mut epoch: impl FnMut(&Network, u64, Each<'_>) -> Outcome<Vec<usize>>,
) -> Outcome<Quantized<Box<dyn Module>>> {
    // Only the description of the pictures is taken from the trained network.
    let pictures = network.with_model(Box::new(wgrad::nn::Identity));
    let device = network.device().clone();
    let aware = QuantizationAware::new(network.model, options)?;
    aware.train(true);
    let mut adam = Adam::new(&aware, AdamOptions::default().lr(lr))?;
    for at in 0..epochs {
        epoch(&pictures, at, &mut |batch| {
            let logits = aware.forward(&batch.images)?;
            logits.cross_entropy(&batch.labels, &CrossEntropyOptions::default())?.backward()?;
            adam.step()?;
            adam.zero_grad();
            Ok(device.flush()?)
        })?;
    }
    Ok(aware.convert()?)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { file, layers, pictures, f32, int8 } = self;
        let mut table = Table::new(&["", "f32", "int8"]);
        let mut row = |name: &str, of: &dyn Fn(&Costs) -> String| table.row([name.to_string(), of(f32), of(int8)]);
        row("size in KB", &|costs| format!("{:.1}", costs.bytes as f64 / 1e3));
        row("multiply-adds in millions", &|costs| format!("{:.2}", costs.multiply_adds as f64 / 1e6));
        row("accuracy", &|costs| format!("{:.4}", costs.accuracy));
        row("images a second", &|costs| format!("{:.0}", costs.images_per_second));
        writeln!(f, "{table}")?;
        write!(f, "{layers} layers multiply int8, scored on {pictures} pictures: {}", file.display())
    }
}

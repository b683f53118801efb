//! Trains LeNet-5 once with every optimizer: `cargo run --release --example optimizers -- --only Lion`.
//!
//! Each starts from the same weights, sees the first 10,000 training images of MNIST once and in the same order, at a constant
//! rate, and is tested on the 10,000 test images. Each has its own rate and batch size: `RUNS`. If one gets fewer than 0.93
//! right, the program fails. The accuracies measured are in `benches/LOG.md`.

mod common;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wgrad::CrossEntropyOptions;
use wgrad::data::{Batch, Images, Mnist};
use wgrad::metrics::{Average, Score, StatScores, Task};
use wgrad::models::LeNet5;
use wgrad::optim::{
    Adadelta, AdadeltaOptions, Adafactor, AdafactorOptions, Adagrad, AdagradOptions, Adam, AdamOptions, AdamW,
    AdamWOptions, Adamax, AdamaxOptions, Averaged, Averaging, Lamb, LambOptions, Lars, LarsOptions, Lion, LionOptions,
    Lookahead, LookaheadOptions, Muon, MuonOptions, NAdam, NAdamOptions, RAdam, RAdamOptions, RmsProp, RmsPropOptions,
    Rprop, RpropOptions, Sam, SamOptions, Sgd, SgdOptions,
};
use wgrad::prelude::*;
use wgrad::train::{self, ImageLoader, Supervised};

const TRAINING_IMAGES: usize = 10_000;
const EVALUATION_BATCH: usize = 500;
const LEAST_ACCURACY: f64 = 0.93;
const SEED: u64 = 0;
const MOMENTUM: f64 = 0.9;

/// Trains LeNet-5 on a part of MNIST with every optimizer.
#[derive(Parser)]
struct Arguments {
    /// Train with this optimizer only
    #[arg(long, value_name = "NAME", ignore_case = true, hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(RUNS.iter().map(|run| run.0)))]
    only: Option<String>,
    /// Part of the name of the adapter to use
    #[arg(long, value_name = "NAME", conflicts_with = "reference")]
    adapter: Option<String>,
    /// Run on the CPU reference in double precision: slow
    #[arg(long)]
    reference: bool,
    /// Folder of the four MNIST files, gzipped or not
    #[arg(long, value_name = "DIR", default_value = "data/mnist")]
    data: PathBuf,
}

/// An optimizer's name, its learning rate, the images of a step, and the function that makes the optimizer from the rate.
type Run = (&'static str, f64, usize, fn(&LeNet5, f64) -> Result<Trainer>);

const RUNS: &[Run] = &[
    ("Sgd", 0.02, 32, |model, lr| of(sgd(model, lr))),
    ("Adagrad", 0.01, 32, |model, lr| of(Adagrad::new(model, AdagradOptions::default().lr(lr)))),
    ("Adadelta", 1.0, 32, |model, lr| of(Adadelta::new(model, AdadeltaOptions::default().lr(lr)))),
    ("RmsProp", 1e-3, 32, |model, lr| of(RmsProp::new(model, RmsPropOptions::default().lr(lr)))),
    // Meant for gradients of all images. Those of large batches change their signs too, so lengths shrink slowly, and not to 0.
    ("Rprop", 3e-3, 125, |model, lr| {
        let options = RpropOptions::default().lr(lr).etas((0.85, 1.15)).step_sizes((1e-4, 5e-3));
        of(Rprop::new(model, options))
    }),
    ("Adam", 2e-3, 32, |model, lr| of(Adam::new(model, AdamOptions::default().lr(lr)))),
    ("AdamW", 2e-3, 32, |model, lr| of(AdamW::new(model, AdamWOptions::default().lr(lr)))),
    ("AMSGrad", 2e-3, 32, |model, lr| of(Adam::new(model, AdamOptions::default().lr(lr).amsgrad(true)))),
    ("NAdam", 2e-3, 32, |model, lr| of(NAdam::new(model, NAdamOptions::default().lr(lr)))),
    ("RAdam", 5e-3, 32, |model, lr| of(RAdam::new(model, RAdamOptions::default().lr(lr)))),
    ("Adamax", 5e-3, 32, |model, lr| of(Adamax::new(model, AdamaxOptions::default().lr(lr)))),
    ("Adafactor", 0.05, 32, |model, lr| of(Adafactor::new(model, AdafactorOptions::default().lr(lr)))),
    ("Lion", 6e-4, 32, |model, lr| of(Lion::new(model, LionOptions::default().lr(lr)))),
    ("Lars", 2.0, 32, |model, lr| {
        of(Lars::new(model, LarsOptions::default().lr(lr).momentum(MOMENTUM).weight_decay(1e-4)))
    }),
    ("Lamb", 0.01, 32, |model, lr| of(Lamb::new(model, LambOptions::default().lr(lr)))),
    ("Muon", 0.01, 32, muon),
    ("Lookahead", 0.05, 32, |model, lr| of(Lookahead::new(sgd(model, lr)?, LookaheadOptions::default()))),
    ("Sam", 0.02, 32, |model, lr| of(Sam::new(sgd(model, lr)?, SamOptions::default()))),
    ("EMA", 0.02, 32, |model, lr| Averaged::new(sgd(model, lr)?, Averaging::Ema { decay: 0.95 }).map(averaged)),
    ("SWA", 0.02, 32, |model, lr| Averaged::new(sgd(model, lr)?, Averaging::Swa { start: 200 }).map(averaged)),
];

fn of<O: Optimizer + 'static>(optimizer: Result<O>) -> Result<Trainer> {
    Ok(Trainer::Each(vec![Box::new(optimizer?)]))
}

fn averaged(sgd: Averaged<Sgd>) -> Trainer {
    Trainer::Averaged(Box::new(sgd))
}

fn sgd(model: &LeNet5, lr: f64) -> Result<Sgd> {
    Sgd::new(model, SgdOptions::default().lr(lr).momentum(MOMENTUM))
}

/// Muon for the matrices, and AdamW at a different rate for the biases.
fn muon(model: &LeNet5, lr: f64) -> Result<Trainer> {
    let (matrices, others): (Vec<_>, Vec<_>) =
        model.parameters().into_iter().partition(|parameter| parameter.value().rank() > 1);
    let muon = Muon::new(matrices, MuonOptions::default().lr(lr))?;
    let adamw = AdamW::new(others, AdamWOptions::default().lr(2e-3))?;
    Ok(Trainer::Each(vec![Box::new(muon), Box::new(adamw)]))
}

/// An optimizer, or two that share the weights.
enum Trainer {
    /// Optimizers of separate parameters.
    Each(Vec<Box<dyn Optimizer>>),
    /// Leaves the network with the average of its weights.
    Averaged(Box<Averaged<Sgd>>),
}

impl Trainer {
    fn step(&mut self, compute_gradients: impl Fn() -> Result<()>) -> Result<()> {
        compute_gradients()?;
        match self {
            Trainer::Each(optimizers) => optimizers.iter_mut().try_for_each(|optimizer| {
                if optimizer.has_first_step() {
                    optimizer.first_step()?;
                    compute_gradients()?;
                }
                step(optimizer)
            }),
            Trainer::Averaged(averaged) => step(&mut **averaged),
        }
    }

    fn finish(&self) -> Result<()> {
        match self {
            Trainer::Averaged(averaged) => averaged.apply(),
            Trainer::Each(_) => Ok(()),
        }
    }
}

fn step(optimizer: &mut dyn Optimizer) -> Result<()> {
    optimizer.step()?;
    optimizer.zero_grad();
    Ok(())
}

fn main() -> ExitCode {
    common::main(run_all)
}

/// Fails if some have not learned enough.
fn run_all(arguments: &Arguments) -> common::Result<()> {
    let mnist = Mnist::open(&arguments.data)?;
    let images = mnist.train.limit(TRAINING_IMAGES)?;
    let device = common::open(arguments.adapter.as_deref(), arguments.reference)?;
    let is_asked = |run: &&Run| arguments.only.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(run.0));
    let accuracy = StatScores::new(&device, Task::Multiclass(10), &Default::default())?;
    let mut classify = Supervised::classification().metric(accuracy.report(Score::Accuracy, Average::Micro));
    let test = ImageLoader::in_order(&mnist.test, &device, EVALUATION_BATCH)?;
    println!("{:<10} {:>7} {:>6} {:>9} {:>8}", "optimizer", "rate", "batch", "accuracy", "seconds");
    let mut below = Vec::new();
    for run in RUNS.iter().filter(is_asked) {
        let start = Instant::now();
        let model = trained(run, &device, &images)?;
        let seconds = start.elapsed().as_secs_f64();
        let accuracy = train::evaluate(&model, &mut classify, &test)?.scalar("accuracy").unwrap_or_default();
        let (name, lr, batch_size, _) = run;
        println!("{name:<10} {lr:>7} {batch_size:>6} {accuracy:>9.4} {seconds:>8.1}");
        if accuracy < LEAST_ACCURACY {
            below.push(*name);
        }
    }
    match below[..] {
        [] => Ok(()),
        _ => Err(format!("below {LEAST_ACCURACY}: {}", below.join(", ")).into()),
    }
}

/// A network that has seen the images once.
fn trained(&(_, lr, batch_size, trainer): &Run, device: &Device, images: &Images) -> Result<LeNet5> {
    device.manual_seed(SEED);
    let model = LeNet5::new(&Scope::new(device))?;
    let mut trainer = trainer(&model, lr)?;
    for batch in images.shuffled(device, batch_size, SEED, 0)? {
        let Batch { images, labels } = batch?;
        let loss = || model.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default());
        trainer.step(|| loss()?.backward())?;
    }
    trainer.finish()?;
    device.sync()?;
    Ok(model)
}

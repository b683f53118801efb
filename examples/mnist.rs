//! Trains LeNet-5 on MNIST: `cargo run --release --example mnist -- --epochs 3`.
//!
//! The last line of standard output is the result; everything else goes to standard error.

mod common;

use clap::{Parser, ValueEnum};
use common::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::data::Mnist;
use wgrad::metrics::{Average, Score, StatScores, Task};
use wgrad::models::LeNet5;
use wgrad::nn::Scope;
use wgrad::optim::lr_scheduler::{ExponentialLr, LrScheduler};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::train::{
    self, Callback, Checkpoints, ImageLoader, Position, Run, Scheduled, Supervised, Trainer, TrainerOptions,
};
use wgrad::weights::{self, LoadOptions};
use wgrad::{Device, Error};

const EVALUATION_BATCH: usize = 500;
/// The factor of the learning rate after each epoch: at a constant rate the accuracy wavers around 0.987.
const DECAY: f64 = 0.7;

/// Trains LeNet-5 on MNIST.
#[derive(Parser)]
struct Arguments {
    /// Passes over the training images, including those before a resumed checkpoint
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Learning rate of the first epoch, multiplied by 0.7 after each [default: 0.002, for SGD 0.01; the checkpoint's
    /// when resuming]
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Optimizer of the weights
    #[arg(long, value_enum, default_value_t = Kind::Adam)]
    optimizer: Kind,
    /// Seed of the initial weights and of the order of the images [default: 0; the checkpoint's when resuming]
    #[arg(long)]
    seed: Option<u64>,
    /// Train on the first N images only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Part of the name of the adapter to use
    #[arg(long, value_name = "NAME", conflicts_with = "reference")]
    adapter: Option<String>,
    /// Run on the CPU reference in double precision: slow
    #[arg(long)]
    reference: bool,
    /// Folder of the four MNIST files, gzipped or not
    #[arg(long, value_name = "DIR", default_value = "data/mnist")]
    data: PathBuf,
    /// Write a checkpoint here after every epoch
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Continue from this checkpoint
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Only test this checkpoint
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "checkpoint"])]
    eval: Option<PathBuf>,
    /// Append a JSON object per epoch to this file
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Adam,
    /// With momentum 0.9
    Sgd,
}

fn main() -> ExitCode {
    common::main(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.epochs == 0 && arguments.eval.is_none() {
        return Err("--epochs is 0; it must be at least 1".into());
    }
    let metrics = arguments.metrics.as_deref().map(append_to).transpose()?;
    let mnist = Mnist::open(&arguments.data)?;
    let device = common::open(arguments.adapter.as_deref(), arguments.reference)?;
    let resumed = arguments.resume.as_deref().map(Position::read).transpose()?.flatten();
    let seed = arguments.seed.or(resumed.map(|at| at.seed)).unwrap_or(0);
    device.manual_seed(seed);
    let model = LeNet5::new(&Scope::new(&device))?;
    let accuracy = StatScores::new(&device, Task::Multiclass(10), &Default::default())?;
    let mut classify = Supervised::classification().metric(accuracy.report(Score::Accuracy, Average::Micro));
    let test = ImageLoader::in_order(&mnist.test, &device, EVALUATION_BATCH)?;

    if let Some(path) = &arguments.eval {
        weights::load(path, &model, &LoadOptions::default())?;
        let at = Position::read(path)?.unwrap_or_default();
        let tested = train::evaluate(&model, &mut classify, &test)?;
        report(tested.scalar("accuracy"), at.epoch, tested.items_per_second(), &device);
        return Ok(());
    }

    let images = match arguments.limit {
        Some(limit) => mnist.train.limit(limit)?,
        None => mnist.train.clone(),
    };
    let mut optimizer: Box<dyn Optimizer> = match arguments.optimizer {
        Kind::Adam => Box::new(Adam::new(&model, AdamOptions::default().lr(arguments.lr.unwrap_or(2e-3)))?),
        Kind::Sgd => Box::new(Sgd::new(&model, SgdOptions::default().lr(arguments.lr.unwrap_or(1e-2)).momentum(0.9))?),
    };
    let decay = LrScheduler::new(&mut optimizer, ExponentialLr::new(DECAY))?;
    let train = ImageLoader::shuffled(&images, &device, arguments.batch_size, seed)?;
    let options = TrainerOptions::default().epochs(arguments.epochs).seed(seed);
    let watch = Watch { images: images.len() as u64, bar: ProgressBar::hidden(), metrics };
    let mut trainer = Trainer::new(&device, options)?.callback(watch).callback(Scheduled::by_epoch(decay));
    if let Some(path) = &arguments.checkpoint {
        trainer = trainer.callback(Checkpoints::at(path));
    }
    if let Some(path) = &arguments.resume {
        trainer.resume(path, &model, &mut optimizer, &mut classify)?;
        arguments.lr.map_or(Ok(()), |lr| optimizer.set_lr(0, lr))?;
    }
    let fit = trainer.fit(&model, &mut optimizer, &mut classify, &train, Some(&test))?;
    let mut accuracy = fit.scalar("val/accuracy");
    if accuracy.is_none() {
        eprintln!("nothing to train: the checkpoint is at epoch {} of {}", fit.epochs, arguments.epochs);
        accuracy = train::evaluate(&model, &mut classify, &test)?.scalar("accuracy");
    }
    report(accuracy, fit.epochs, fit.items_per_second(), &device);
    Ok(())
}

fn report(accuracy: Option<f64>, epochs: u64, images_per_second: f64, device: &Device) {
    let accuracy = accuracy.unwrap_or_default();
    println!("test accuracy {accuracy:.4} after {epochs} epochs, {images_per_second:.0} images/s on {}", device.name());
}

/// Shows a run's progress: a bar, a line per epoch, and a JSON object per epoch if a file is given.
struct Watch {
    /// Images per epoch.
    images: u64,
    bar: ProgressBar,
    metrics: Option<File>,
}

impl Callback for Watch {
    fn on_epoch_start(&mut self, run: &mut Run) -> wgrad::Result<()> {
        let template = "{prefix} {wide_bar} {pos}/{len} loss {msg} {per_sec} {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let prefix = format!("epoch {}/{}", run.epoch + 1, run.epochs);
        self.bar = ProgressBar::new(self.images).with_prefix(prefix).with_style(style);
        Ok(())
    }

    fn on_step_end(&mut self, run: &mut Run) -> wgrad::Result<()> {
        if let Some(loss) = run.scalar("train/loss") {
            self.bar.set_message(format!("{loss:.4}"));
        }
        self.bar.inc(run.items as u64);
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> wgrad::Result<()> {
        self.bar.finish();
        let (epoch, number) = (run.epoch + 1, |name| run.scalar(name).unwrap_or(f64::NAN));
        eprintln!("epoch {epoch}: loss {:.4}, test accuracy {:.4}", number("train/loss"), number("val/accuracy"));
        let Some(file) = &mut self.metrics else { return Ok(()) };
        let line = serde_json::json!({
            "epoch": epoch,
            "train_loss": number("train/loss"),
            "test_accuracy": number("val/accuracy"),
            "images_per_second": number("items/s"),
            "first_step_ms": number("first_step_ms"),
            "step_ms_median": number("step_ms"),
            "peak_device_bytes": run.device.stats().bytes_peak,
        });
        writeln!(file, "{line}").map_err(|error| Error::invalid("--metrics", error.to_string()))
    }
}

fn append_to(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    Ok(file.map_err(|error| format!("{}: {error}", path.display()))?)
}

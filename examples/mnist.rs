//! Trains LeNet-5 on MNIST: `cargo run --release --example mnist -- --epochs 3`.
//!
//! The last line of standard output is the result; everything else goes to standard error.

use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use wgrad::data::Mnist;
use wgrad::models::LeNet5;
use wgrad::nn::Scope;
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::train::{self, Epoch, Position};
use wgrad::weights::{self, LoadOptions};
use wgrad::{Device, DeviceOptions, Error};

/// Steps between two readings of the loss: reading waits for the device.
const STEPS_PER_READING: usize = 50;
const EVALUATION_BATCH: usize = 500;
/// What the learning rate is multiplied by after an epoch: at a constant rate the accuracy wavers round 0.987.
const DECAY: f64 = 0.7;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Trains LeNet-5 on MNIST.
#[derive(Parser)]
struct Arguments {
    /// Passes over the training images, those before a resumed checkpoint included
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Images of a training step
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Learning rate of the first epoch, multiplied by 0.7 after each [default: 0.002, for SGD 0.01; the checkpoint's
    /// when resuming]
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// What changes the weights
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
    /// Go on from this checkpoint
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Only test this checkpoint
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "checkpoint"])]
    eval: Option<PathBuf>,
    /// Append a JSON object an epoch to this file
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
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{} (--help lists the options)", error.to_string().lines().next().unwrap_or_default());
            return ExitCode::FAILURE;
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.epochs == 0 && arguments.eval.is_none() {
        return Err("--epochs is 0; it must be at least 1".into());
    }
    // Found out now, and not after an epoch.
    let folder = arguments.checkpoint.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(format!("--checkpoint: there is no folder {}", folder.display()).into());
    }
    let mut metrics_file = arguments.metrics.as_deref().map(append_to).transpose()?;
    let mnist = Mnist::open(&arguments.data)?;
    let device = open(arguments)?;
    let seed = arguments.seed.unwrap_or(0);
    device.manual_seed(seed);
    let model = LeNet5::new(&Scope::new(&device))?;

    if let Some(path) = &arguments.eval {
        weights::load(path, &model, &LoadOptions::default())?;
        let at = Position::read(path)?;
        let start = Instant::now();
        let accuracy = train::accuracy(&device, &model, &mnist.test, EVALUATION_BATCH)?;
        report(
            accuracy,
            at.unwrap_or_default().epoch,
            mnist.test.len() as f64 / start.elapsed().as_secs_f64(),
            &device,
        );
        return Ok(());
    }

    let images = match arguments.limit {
        Some(limit) => mnist.train.limit(limit)?,
        None => mnist.train.clone(),
    };
    let mut optimizer: Box<dyn Optimizer> = match arguments.optimizer {
        Kind::Adam => {
            let options = AdamOptions::default().lr(arguments.lr.unwrap_or(2e-3));
            Box::new(Adam::new(&model, options)?)
        }
        Kind::Sgd => {
            let options = SgdOptions::default().lr(arguments.lr.unwrap_or(1e-2)).momentum(0.9);
            Box::new(Sgd::new(&model, options)?)
        }
    };
    let mut at = Position { seed, ..Position::default() };
    if let Some(path) = &arguments.resume {
        at = train::load(path, &device, &model, &mut [("optimizer", &mut optimizer)])?;
        at.seed = arguments.seed.unwrap_or(at.seed);
        arguments.lr.map_or(Ok(()), |lr| optimizer.set_lr(0, lr))?;
    }

    let (mut trained, mut seconds, mut accuracy) = (0, 0.0, None);
    while at.epoch < arguments.epochs {
        let batches = images.shuffled(&device, arguments.batch_size, at.seed, at.epoch)?;
        let bar = progress(images.len() as u64, at.epoch + 1, arguments.epochs);
        let epoch = train::epoch(&device, &model, optimizer.as_mut(), batches, |step| {
            if step.index % STEPS_PER_READING == 0 || step.index + 1 == step.count {
                bar.set_message(format!("{:.4}", step.loss.item::<f32>()?));
            }
            bar.inc(step.images as u64);
            Ok(())
        })?;
        bar.finish();
        at.epoch += 1;
        optimizer.set_lr(0, optimizer.lr(0)? * DECAY)?;
        let share = train::accuracy(&device, &model, &mnist.test, EVALUATION_BATCH)?;
        eprintln!("epoch {}: loss {:.4}, test accuracy {share:.4}", at.epoch, epoch.loss);
        if let Some(path) = &arguments.checkpoint {
            train::save(path, &device, &model, &[("optimizer", &optimizer)], &at)?;
        }
        if let Some(file) = &mut metrics_file {
            writeln!(file, "{}", metrics(at.epoch, &epoch, share, &device))
                .map_err(|error| format!("--metrics: {error}"))?;
        }
        trained += epoch.images;
        seconds += epoch.elapsed.as_secs_f64();
        accuracy = Some(share);
    }
    let accuracy = match accuracy {
        Some(accuracy) => accuracy,
        None => {
            eprintln!("nothing to train: the checkpoint is at epoch {} of {}", at.epoch, arguments.epochs);
            train::accuracy(&device, &model, &mnist.test, EVALUATION_BATCH)?
        }
    };
    report(accuracy, at.epoch, if trained > 0 { trained as f64 / seconds } else { 0.0 }, &device);
    Ok(())
}

/// The adapter that was asked for, else the best, else the reference. Asking in the environment counts, too.
fn open(arguments: &Arguments) -> Result<Device> {
    if arguments.reference {
        return Ok(Device::reference());
    }
    let options = DeviceOptions::default().adapter_name(arguments.adapter.clone());
    let is_named = arguments.adapter.is_some() || std::env::var_os("WGPU_ADAPTER_NAME").is_some();
    match Device::with_options(&options) {
        Err(error @ Error::NoAdapter { .. }) if !is_named => {
            eprintln!("running on the CPU reference, which is slow: {error}");
            Ok(Device::reference())
        }
        device => Ok(device?),
    }
}

fn report(accuracy: f64, epochs: u64, images_per_second: f64, device: &Device) {
    println!("test accuracy {accuracy:.4} after {epochs} epochs, {images_per_second:.0} images/s on {}", device.name());
}

fn progress(images: u64, epoch: u64, epochs: u64) -> ProgressBar {
    let bar = ProgressBar::new(images).with_prefix(format!("epoch {epoch}/{epochs}"));
    let template = "{prefix} {wide_bar} {pos}/{len} loss {msg} {per_sec} {eta} left";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn metrics(number: u64, epoch: &Epoch, accuracy: f64, device: &Device) -> serde_json::Value {
    serde_json::json!({
        "epoch": number,
        "train_loss": epoch.loss,
        "test_accuracy": accuracy,
        "images_per_second": epoch.images_per_second(),
        "first_step_ms": epoch.first_step.as_secs_f64() * 1e3,
        "step_ms_median": epoch.median_step.as_secs_f64() * 1e3,
        "peak_device_bytes": device.stats().bytes_peak,
    })
}

fn append_to(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    Ok(file.map_err(|error| format!("{}: {error}", path.display()))?)
}

//! The first training step of every network: its memory in parts of PyTorch's, beside the floor that no plan can avoid, and the time
//! to plan it against its launches. On the noop adapter, which computes nothing.
//!
//! ```text
//! cargo bench --bench zoo -- [--filter TEXT] [--json FILE]
//! ```
#![allow(clippy::print_stdout)]

mod common;

use clap::Parser;
use common::{Outcome, finish, machine};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wgrad::models::detection::{DetectionTargets, Detector, ImageTransformOptions, Rcnn, RcnnOptions};
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Noop, Parameter, Tensor};

#[derive(Parser)]
#[command(about = "Measures the first training steps of networks")]
struct Arguments {
    /// Only networks whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Appends a JSON object a row to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo passes it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// PyTorch's bytes, of `benches/peers/pytorch/zoo.py`.
const PYTORCHS: &str = include_str!("peers/pytorch/zoo.json");

const BATCH: usize = 8;
const CLASSES: usize = 10;

struct Row {
    launches: u64,
    /// Milliseconds of the first step, whose kernels are new too.
    first_ms: f64,
    plan_ms: f64,
    bytes: u64,
    /// Bytes of the weights, their gradients and Adam's averages, and of the images: all at once at the end of a step.
    floor: usize,
}

/// The loss of images.
type Loss = Box<dyn Fn(&Tensor) -> wgrad::Result<Tensor>>;

/// A network in training.
struct Trained {
    parameters: Vec<Parameter>,
    loss: Loss,
}

impl Trained {
    fn new(name: &str, device: &Device, side: usize) -> wgrad::Result<Trained> {
        let scope = Scope::new(device);
        if name == "fasterrcnn_resnet50_fpn" {
            let as_they_are = ImageTransformOptions::default().min_size(side).max_size(side);
            let options = RcnnOptions::fasterrcnn_resnet50_fpn().classes(CLASSES).transform(as_they_are);
            let net = Rcnn::new(&scope, &options)?;
            let parameters = net.parameters();
            let loss = move |images: &Tensor| {
                let objects: &[_] = &[([8.0, 8.0, 120.0, 90.0], 1), ([40.0, 60.0, 200.0, 210.0], 2)];
                let targets = DetectionTargets::from_objects(images.device(), &vec![objects; images.shape()[0]])?;
                net.losses(images, &targets)?.total()
            };
            return Ok(Trained { parameters, loss: Box::new(loss) });
        }
        let options = ModelOptions::default().classes(CLASSES).size(side);
        let is_residual = name.starts_with("resne") || name.starts_with("wide_");
        let options = if is_residual { options.set("large_stem", 1.0) } else { options };
        let net = models::by_name(name, &scope, &options)?;
        let parameters = net.parameters();
        let loss = move |images: &Tensor| {
            let logits = net.forward(images)?;
            // A segmenter has a class for each pixel.
            let shape = [&logits.shape()[..1], &logits.shape()[2..]].concat();
            let labels = Tensor::from_slice(images.device(), &vec![1i32; shape.iter().product()], &shape)?;
            logits.cross_entropy(&labels, &CrossEntropyOptions::default())
        };
        Ok(Trained { parameters, loss: Box::new(loss) })
    }

    /// The milliseconds of a step.
    fn step(&self, adam: &mut Adam, batch: usize, side: usize) -> wgrad::Result<f64> {
        let device = self.parameters[0].value().device().clone();
        let images = Tensor::ones(&device, &[batch, 3, side, side])?;
        device.sync()?;
        let start = Instant::now();
        (self.loss)(&images)?.backward()?;
        adam.step()?;
        adam.zero_grad();
        device.sync()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

fn measure(name: &str, side: usize) -> wgrad::Result<Row> {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    let trained = Trained::new(name, &device, side)?;
    let mut adam = Adam::new(trained.parameters.clone(), AdamOptions::default())?;
    let first_ms = trained.step(&mut adam, BATCH, side)?;
    // A shorter batch is a new plan of the same kernels.
    let replanned = trained.step(&mut adam, BATCH - 1, side)?;
    trained.step(&mut adam, BATCH, side)?;
    device.reset_peak_stats();
    let before = device.stats();
    let again = trained.step(&mut adam, BATCH, side)?;
    let after = device.stats();
    Ok(Row {
        launches: after.dispatches - before.dispatches,
        first_ms,
        plan_ms: (replanned - again).max(0.0),
        bytes: after.bytes_live_peak,
        floor: 4
            * (4 * trained.parameters.iter().map(|parameter| parameter.value().numel()).sum::<usize>()
                + BATCH * 3 * side * side),
    })
}

fn run() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut json =
        arguments.json.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let pytorchs: Value = serde_json::from_str(PYTORCHS)?;
    println!(
        "{:<26}{:>9}{:>10}{:>10}{:>15}{:>8}{:>8}{:>8}",
        "network", "launches", "first, ms", "plan, ms", "us/(n log2 n)", "MB", "share", "floor"
    );
    for (name, pytorchs) in
        pytorchs.as_object().into_iter().flatten().filter(|(name, _)| name.contains(&arguments.filter))
    {
        let (Some(side), Some(theirs)) = (pytorchs["side"].as_u64(), pytorchs["bytes"].as_f64()) else {
            return Err(format!("{name}: no count of PyTorch's").into());
        };
        let row = measure(name, usize::try_from(side)?)?;
        let (n, share, floor) = (row.launches as f64, row.bytes as f64 / theirs, row.floor as f64 / theirs);
        println!(
            "{name:<26}{:>9}{:>10.0}{:>10.0}{:>15.1}{:>8.1}{share:>8.3}{floor:>8.3}",
            row.launches,
            row.first_ms,
            row.plan_ms,
            row.plan_ms * 1e3 / (n * n.log2()),
            row.bytes as f64 / 1e6
        );
        if let Some(file) = &mut json {
            let mut line = machine::facts(&Device::with_options(&DeviceOptions::default().noop(Noop::default()))?);
            let of_row = json!({
                "suite": "zoo", "name": name, "batch": BATCH, "side": side, "dispatches": row.launches,
                "first_ms": row.first_ms, "plan_ms": row.plan_ms, "peak_bytes": row.bytes, "floor_bytes": row.floor, "pytorchs_peak_bytes": theirs,
            });
            line.extend(of_row.as_object().cloned().unwrap_or_default());
            writeln!(file, "{}", Value::Object(line))?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    finish(run())
}

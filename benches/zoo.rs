//! The first training step of every network: its memory beside PyTorch's, and the time to plan it against its launches. On the noop
//! adapter, which computes nothing.
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
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Noop, Tensor};

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
    plan_ms: f64,
    bytes: u64,
}

fn step(net: &dyn Module, adam: &mut Adam, batch: usize, side: usize) -> wgrad::Result<f64> {
    let device = net.parameters()[0].value().device().clone();
    let images = Tensor::ones(&device, &[batch, 3, side, side])?;
    let labels = Tensor::from_slice(&device, &vec![1i32; batch], &[batch])?;
    device.sync()?;
    let start = Instant::now();
    net.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
    adam.step()?;
    adam.zero_grad();
    device.sync()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn measure(name: &str, side: usize) -> wgrad::Result<Row> {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    let options = ModelOptions::default().classes(CLASSES).size(side);
    let is_residual = name.starts_with("resne") || name.starts_with("wide_");
    let options = if is_residual { options.set("large_stem", 1.0) } else { options };
    let net = models::by_name(name, &Scope::new(&device), &options)?;
    let mut adam = Adam::new(net.parameters(), AdamOptions::default())?;
    step(&*net, &mut adam, BATCH, side)?;
    // A shorter batch is a new plan of the same kernels.
    let replanned = step(&*net, &mut adam, BATCH - 1, side)?;
    step(&*net, &mut adam, BATCH, side)?;
    device.reset_peak_stats();
    let before = device.stats();
    let again = step(&*net, &mut adam, BATCH, side)?;
    let after = device.stats();
    Ok(Row {
        launches: after.dispatches - before.dispatches,
        plan_ms: (replanned - again).max(0.0),
        bytes: after.bytes_live_peak,
    })
}

fn run() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut json =
        arguments.json.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let pytorchs: Value = serde_json::from_str(PYTORCHS)?;
    println!("{:<22}{:>10}{:>10}{:>18}{:>10}{:>8}", "network", "launches", "plan, ms", "us/(n log2 n)", "MB", "share");
    for (name, pytorchs) in
        pytorchs.as_object().into_iter().flatten().filter(|(name, _)| name.contains(&arguments.filter))
    {
        let (Some(side), Some(theirs)) = (pytorchs["side"].as_u64(), pytorchs["bytes"].as_f64()) else {
            return Err(format!("{name}: no count of PyTorch's").into());
        };
        let row = measure(name, usize::try_from(side)?)?;
        let (n, share) = (row.launches as f64, row.bytes as f64 / theirs);
        println!(
            "{name:<22}{:>10}{:>10.0}{:>18.1}{:>10.1}{share:>8.3}",
            row.launches,
            row.plan_ms,
            row.plan_ms * 1e3 / (n * n.log2()),
            row.bytes as f64 / 1e6
        );
        if let Some(file) = &mut json {
            let mut line = machine::facts(&Device::with_options(&DeviceOptions::default().noop(Noop::default()))?);
            let of_row = json!({
                "suite": "zoo", "name": name, "batch": BATCH, "side": side, "dispatches": row.launches,
                "plan_ms": row.plan_ms, "peak_bytes": row.bytes, "pytorchs_peak_bytes": theirs,
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

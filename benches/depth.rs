//! The cost of depth: launches, memory, planning and steps of chains of equal blocks, from 8 blocks to 512, on the noop
//! adapter, which computes nothing, and the shallow ones on an adapter.
//!
//! ```text
//! cargo bench --bench depth -- [--filter TEXT] [--most N] [--most-computed N] [--json FILE] [--plot FOLDER]
//! ```
#![allow(clippy::print_stdout)]

#[path = "../tests/common/chains.rs"]
mod chains;
mod common;

use chains::{Chain, SHAPES, Shape};
use clap::Parser;
use common::plot::{Panel, Series, panels};
use common::{Outcome, finish, machine};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Disable, Noop, Tensor};

#[derive(Parser)]
#[command(about = "Measures training steps against depth")]
struct Arguments {
    /// Only chains whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Most blocks.
    #[arg(long, default_value_t = 512)]
    most: usize,
    /// Most blocks of a chain that an adapter computes.
    #[arg(long, default_value_t = 32)]
    most_computed: usize,
    /// Appends a JSON object a row to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws `depth.svg` there.
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
    /// Cargo passes it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Images along a side, and of a batch.
const SIZE: usize = 16;
const BATCH: usize = 8;

/// Steps; the shortest counts.
const STEPS: usize = 5;

/// Steps with values computed again and without, in turns; the mean counts.
const COMPARED: usize = 10;

struct Row {
    shape: Shape,
    blocks: usize,
    is_computed: bool,
    launches: u64,
    megabytes: f64,
    plan_ms: f64,
    step_ms: f64,
    /// The processor time of all threads in a step, and in a step without recomputation, measured in turns.
    user_ms: Option<[f64; 2]>,
}

/// A chain in training.
struct Training {
    device: Device,
    chain: Chain,
    sgd: Sgd,
}

impl Training {
    fn new(options: &DeviceOptions, shape: Shape, blocks: usize) -> wgrad::Result<Training> {
        let device = Device::with_options(options)?;
        let chain = Chain::new(&Scope::new(&device), shape, blocks, SIZE)?;
        let sgd = Sgd::new(chain.parameters(), SgdOptions::default())?;
        Ok(Training { device, chain, sgd })
    }

    /// Milliseconds of a step.
    fn step(&mut self, batch: usize) -> wgrad::Result<f64> {
        let Training { device, chain, sgd } = self;
        let images = Tensor::ones(device, &[batch, 16, SIZE, SIZE])?;
        let labels = Tensor::from_slice(device, &vec![1i32; batch], &[batch])?;
        device.sync()?;
        let start = Instant::now();
        chain.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
        sgd.step()?;
        sgd.zero_grad();
        device.sync()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

fn measure(options: &DeviceOptions, shape: Shape, blocks: usize) -> wgrad::Result<Row> {
    let is_computed = options.noop.is_none();
    let mut training = Training::new(options, shape, blocks)?;
    training.step(BATCH)?;
    // A shorter batch is a new plan of the same kernels.
    let replanned = training.step(BATCH - 1)?;
    training.step(BATCH)?;
    training.device.reset_peak_stats();
    let before = training.device.stats().dispatches;
    let mut step_ms = training.step(BATCH)?;
    let stats = training.device.stats();
    for _ in 1..STEPS {
        step_ms = step_ms.min(training.step(BATCH)?);
    }
    Ok(Row {
        shape,
        blocks,
        is_computed,
        launches: stats.dispatches - before,
        megabytes: stats.bytes_live_peak as f64 / 1e6,
        plan_ms: (replanned - step_ms).max(0.0),
        step_ms,
        user_ms: if is_computed { compare(training, options, shape, blocks)? } else { None },
    })
}

/// Times steps with values computed again and without, in turns.
fn compare(
    training: Training,
    options: &DeviceOptions,
    shape: Shape,
    blocks: usize,
) -> wgrad::Result<Option<[f64; 2]>> {
    let disable = Disable { rematerialise: true, ..options.disable };
    let kept = Training::new(&DeviceOptions { disable, ..options.clone() }, shape, blocks)?;
    let mut both = [training, kept];
    both.iter_mut().try_for_each(|training| training.step(BATCH).map(drop))?;
    let mut user_ms = [0.0; 2];
    for _ in 0..COMPARED {
        for (training, sum) in both.iter_mut().zip(&mut user_ms) {
            let Some(start) = user_seconds() else { return Ok(None) };
            training.step(BATCH)?;
            *sum += user_seconds().map_or(f64::NAN, |end| (end - start) * 1e3 / COMPARED as f64);
        }
    }
    Ok(Some(user_ms))
}

/// Processor time of this process in seconds, if the system reveals it.
fn user_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Hundredths of seconds; the program's name, which may contain spaces, ends with a parenthesis.
    let ticks: f64 = stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok()?;
    Some(ticks / 100.0)
}

fn run() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut json =
        arguments.json.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let mut rows: Vec<Row> = Vec::new();
    println!(
        "{:<16}{:<8}{:>8}{:>10}{:>10}{:>12}{:>12}{:>12}{:>12}",
        "chain", "on", "blocks", "launches", "MB", "plan, ms", "step, ms", "user, ms", "kept, ms"
    );
    for (is_computed, most) in [(false, arguments.most), (true, arguments.most_computed)] {
        for shape in SHAPES.into_iter().filter(|shape| shape.name().contains(&arguments.filter)) {
            for blocks in (3..).map(|power| 1 << power).take_while(|&blocks| blocks <= most) {
                let noop = Some(Noop::default()).filter(|_| !is_computed);
                let options = DeviceOptions::default().noop(noop);
                let row = measure(&options, shape, blocks)?;
                let [user_ms, kept_ms] = row.user_ms.unwrap_or([f64::NAN; 2]);
                println!(
                    "{:<16}{:<8}{blocks:>8}{:>10}{:>10.1}{:>12.1}{:>12.1}{user_ms:>12.1}{kept_ms:>12.1}",
                    shape.name(),
                    if is_computed { "adapter" } else { "noop" },
                    row.launches,
                    row.megabytes,
                    row.plan_ms,
                    row.step_ms
                );
                if let Some(file) = &mut json {
                    let mut line = machine::facts(&Device::with_options(&options)?);
                    let of_row = json!({
                        "suite": "depth", "name": shape.name(), "noop": !is_computed, "blocks": blocks,
                        "dispatches": row.launches, "peak_megabytes": row.megabytes, "plan_ms": row.plan_ms,
                        "ms": row.step_ms, "user_ms": row.user_ms.map(|both| both[0]),
                        "user_ms_kept": row.user_ms.map(|both| both[1]),
                    });
                    line.extend(of_row.as_object().cloned().unwrap_or_default());
                    writeln!(file, "{}", Value::Object(line))?;
                }
                rows.push(row);
            }
        }
    }
    if let Some(folder) = arguments.plot {
        std::fs::write(folder.join("depth.svg"), drawing(&rows))?;
    }
    Ok(())
}

/// Each quantity over the number of blocks, a line a chain.
fn drawing(rows: &[Row]) -> String {
    let panel = |unit: &str, is_computed: bool, of: fn(&Row) -> f64| {
        let line = |shape: Shape| {
            let rows = rows.iter().filter(|row| row.shape == shape && row.is_computed == is_computed);
            Series { name: shape.name().to_string(), points: rows.map(|row| [row.blocks as f64, of(row)]).collect() }
        };
        Panel { unit: unit.to_string(), series: SHAPES.into_iter().map(line).collect() }
    };
    panels(
        "A training step against the number of blocks (8 images of 16 x 16, 16 channels)",
        &[
            panel("launches", false, |row| row.launches as f64),
            panel("MB at the peak", false, |row| row.megabytes),
            panel("ms to plan", false, |row| row.plan_ms),
            panel("ms of the host a step", false, |row| row.step_ms),
            panel("ms a step, computed", true, |row| row.step_ms),
        ],
    )
}

fn main() -> ExitCode {
    finish(run())
}

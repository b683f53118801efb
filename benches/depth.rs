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
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Noop, Tensor};

#[derive(Parser)]
#[command(about = "Measures training steps against depth")]
struct Arguments {
    /// Only chains whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Most blocks.
    #[arg(long, default_value_t = 512)]
    most: usize,
    /// Most blocks of what an adapter computes.
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

/// Steps of which the shortest counts.
const STEPS: usize = 5;

struct Row {
    shape: Shape,
    blocks: usize,
    is_computed: bool,
    launches: u64,
    megabytes: f64,
    plan_ms: f64,
    step_ms: f64,
}

fn measure(device: &Device, shape: Shape, blocks: usize, is_computed: bool) -> wgrad::Result<Row> {
    let chain = Chain::new(&Scope::new(device), shape, blocks, SIZE)?;
    let mut sgd = Sgd::new(chain.parameters(), SgdOptions::default())?;
    let mut step = |batch: usize| -> wgrad::Result<f64> {
        let images = Tensor::ones(device, &[batch, 16, SIZE, SIZE])?;
        let labels = Tensor::from_slice(device, &vec![1i32; batch], &[batch])?;
        device.sync()?;
        let start = Instant::now();
        chain.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
        sgd.step()?;
        sgd.zero_grad();
        device.sync()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    step(BATCH)?;
    // A shorter batch is a new plan of the same kernels.
    let replanned = step(BATCH - 1)?;
    step(BATCH)?;
    device.reset_peak_stats();
    let before = device.stats().dispatches;
    let mut step_ms = step(BATCH)?;
    let stats = device.stats();
    for _ in 1..STEPS {
        step_ms = step_ms.min(step(BATCH)?);
    }
    Ok(Row {
        shape,
        blocks,
        is_computed,
        launches: stats.dispatches - before,
        megabytes: stats.bytes_live_peak as f64 / 1e6,
        plan_ms: (replanned - step_ms).max(0.0),
        step_ms,
    })
}

fn run() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut json =
        arguments.json.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let mut rows: Vec<Row> = Vec::new();
    println!(
        "{:<16}{:<8}{:>8}{:>10}{:>10}{:>12}{:>12}",
        "chain", "on", "blocks", "launches", "MB", "plan, ms", "step, ms"
    );
    for (is_computed, most) in [(false, arguments.most), (true, arguments.most_computed)] {
        for shape in SHAPES.into_iter().filter(|shape| shape.name().contains(&arguments.filter)) {
            for blocks in (3..).map(|power| 1 << power).take_while(|&blocks| blocks <= most) {
                let noop = Some(Noop::default()).filter(|_| !is_computed);
                let device = Device::with_options(&DeviceOptions { noop, ..DeviceOptions::default() })?;
                let row = measure(&device, shape, blocks, is_computed)?;
                println!(
                    "{:<16}{:<8}{blocks:>8}{:>10}{:>10.1}{:>12.1}{:>12.1}",
                    shape.name(),
                    if is_computed { "adapter" } else { "noop" },
                    row.launches,
                    row.megabytes,
                    row.plan_ms,
                    row.step_ms
                );
                if let Some(file) = &mut json {
                    let mut line = machine::facts(&device);
                    let of_row = json!({
                        "suite": "depth", "name": shape.name(), "noop": !is_computed, "blocks": blocks,
                        "dispatches": row.launches, "peak_megabytes": row.megabytes, "plan_ms": row.plan_ms,
                        "ms": row.step_ms,
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

/// Each quantity against the number of blocks, a line a chain.
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

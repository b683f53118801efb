//! The time until a program's first training step: from the start of the process to the first loss.
//!
//! ```text
//! cargo bench --bench startup -- [--filter TEXT] [--rounds N] [--adapter NAME] [--json FILE]
//! ```
//!
//! Every measurement is a separate process, which this one starts: cold, with an empty folder for the driver's shader cache, and
//! then warm, with the cache that the cold one left. The lowest of the rounds counts.
#![allow(clippy::print_stdout)]

use clap::Parser;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wgrad::models::LeNet5;
use wgrad::nn::{Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, Tensor};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "Measures the time from the start of a process to the end of its first training step")]
struct Arguments {
    /// Only networks whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Processes of each kind.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A part of the adapter's name.
    #[arg(long)]
    adapter: Option<String>,
    /// Appends a JSON object a row to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The network that this process should train, and the time of its start (nanoseconds since 1970).
    #[arg(long, hide = true, num_args = 2)]
    child: Option<Vec<String>>,
    /// Cargo passes it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

struct Work {
    name: &'static str,
    build: fn(&Scope) -> wgrad::Result<Box<dyn Module>>,
    batch: [usize; 4],
}

const WORKS: [Work; 2] = [
    Work { name: "lenet5", build: |scope| Ok(Box::new(LeNet5::new(scope)?)), batch: [64, 1, 28, 28] },
    Work { name: "cifar_cnn", build: cifar_cnn, batch: [64, 3, 32, 32] },
];

/// Convolutions of 3 x 3 with 32, 32, 64 and 64 channels, pooled after every second, and two linear layers.
fn cifar_cnn(scope: &Scope) -> wgrad::Result<Box<dyn Module>> {
    let options = Conv2dOptions::default().padding(1);
    let mut net = Sequential::new(scope);
    for channels in [[3, 32, 32], [32, 64, 64]] {
        for pair in channels.windows(2) {
            net = net.make(|s| Conv2d::new(s, pair[0], pair[1], [3, 3], &options))?.push(Relu);
        }
        net = net.push(MaxPool2d::new([2, 2]));
    }
    net = net.push(Flatten).make(|s| Linear::new(s, 64 * 8 * 8, 512))?.push(Relu);
    Ok(Box::new(net.make(|s| Linear::new(s, 512, 10))?))
}

fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Trains two steps and prints the times of its phases, in milliseconds after the start of the process.
fn child(work: &Work, started: Duration, adapter: Option<String>) -> Result<()> {
    let elapsed = || -> Result<f64> { Ok((now()? - started).as_secs_f64() * 1e3) };
    let main = elapsed()?;
    let device = Device::with_options(&DeviceOptions::default().adapter_name(adapter))?;
    let opened = elapsed()?;
    let net = (work.build)(&Scope::new(&device))?;
    let mut optimizer = Adam::new(net.parameters(), AdamOptions::default())?;
    let [batch, ..] = work.batch;
    let pixels: Vec<f32> = (0..work.batch.iter().product()).map(|i: usize| (i % 251) as f32 / 251.0).collect();
    let labels: Vec<i32> = (0..batch as i32).map(|i| i % 10).collect();
    let mut step = || -> Result<(f64, f64)> {
        let images = Tensor::from_slice(&device, &pixels, &work.batch)?;
        let labels = Tensor::from_slice(&device, &labels, &[batch])?;
        let loss = net.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        optimizer.step()?;
        optimizer.zero_grad();
        let submitted = elapsed()?;
        loss.item::<f32>()?;
        device.sync()?;
        Ok((submitted, elapsed()?))
    };
    let (submitted, first) = step()?;
    let (_, second) = step()?;
    let pipelines = device.stats().pipelines;
    let row = json!({
        "main": main, "opened": opened, "submitted": submitted, "first": first, "second": second - first,
        "pipelines": pipelines,
    });
    println!("{row}");
    Ok(())
}

/// Runs one process with the driver's shader cache in `cache`.
fn spawn(work: &Work, arguments: &Arguments, cache: &Path) -> Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    // Mesa's variables and NVIDIA's, and the one from which others derive theirs.
    for variable in ["MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "XDG_CACHE_HOME"] {
        command.env(variable, cache);
    }
    if let Some(adapter) = &arguments.adapter {
        command.args(["--adapter", adapter]);
    }
    command.args(["--child", work.name, &now()?.as_nanos().to_string()]);
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(child_of) = &arguments.child {
        let work = WORKS.iter().find(|work| work.name == child_of[0]).ok_or("no such network")?;
        return child(work, Duration::from_nanos(child_of[1].parse()?), arguments.adapter);
    }
    let mut json =
        arguments.json.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    const COLUMNS: [&str; 6] = ["main", "opened", "submitted", "first", "second", "pipelines"];
    println!("milliseconds from the start of the process; the second step by itself");
    println!("{:<12}{:<7}{}", "network", "cache", COLUMNS.map(|column| format!("{column:>11}")).concat());
    for work in WORKS.iter().filter(|work| work.name.contains(&arguments.filter)) {
        let mut best: [Option<Value>; 2] = [None, None];
        for _ in 0..arguments.rounds {
            let cache = tempfile::tempdir()?;
            for best in &mut best {
                let row = spawn(work, &arguments, cache.path())?;
                if best.as_ref().is_none_or(|best| row["first"].as_f64() < best["first"].as_f64()) {
                    *best = Some(row);
                }
            }
        }
        for (cache, row) in ["cold", "warm"].into_iter().zip(best) {
            let mut row = row.ok_or("--rounds must be at least 1")?;
            let cells = COLUMNS.map(|column| format!("{:>11.0}", row[column].as_f64().unwrap_or(f64::NAN))).concat();
            println!("{:<12}{cache:<7}{cells}", work.name);
            if let Some(file) = &mut json {
                row["bench"] = json!("startup");
                row["network"] = json!(work.name);
                row["cache"] = json!(cache);
                writeln!(file, "{row}")?;
            }
        }
    }
    Ok(())
}

//! Whole training steps and inference of whole networks.

mod models;

use crate::common::options::Options;
use crate::common::plot::{Ratio, ratios};
use crate::common::report::{Column, Report, Row};
use crate::common::timing::{Effort, Work, time_of};
use crate::common::{Outcome, machine};
use clap::Parser;
use models::{NETWORKS, Network, Prepared};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{CrossEntropyOptions, Device, Result, no_grad};

/// Times training steps (forward, loss, backward, Adam) and inference of whole networks.
#[derive(Parser, Clone, Debug)]
#[command(name = "training")]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    /// Images in a batch, instead of each network's own number
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Other programs' times on this machine for the plot of ratios: JSON lines with `peer`, `name` and `median_ms`
    #[arg(long, value_name = "FILE")]
    pub peers: Option<PathBuf>,
}

const COLUMNS: &[Column] = &[
    ("network", "name"),
    ("batch", "batch"),
    ("ms", "ms"),
    ("images/s", "images_per_second"),
    ("first, ms", "first_ms"),
    ("dispatches", "dispatches"),
    ("submits", "submits"),
    ("peak MB", "peak_megabytes"),
    ("new plans", "plans_after_warm_up"),
];

/// Steps before the counters must stand still: the first compiles, the second has the optimizer's state for the first time.
const WARM_UP: usize = 3;

/// Images in a batch in quick mode.
const QUICK_BATCH: usize = 2;

/// Runs the suite; an error if a network failed or planned anew after its first steps, once all have run.
pub fn run(arguments: &Arguments) -> Outcome<Report> {
    let options = &arguments.options;
    let adapter = options.device()?;
    let mut report = Report::new("training", &machine::facts(&adapter), COLUMNS, options)?;
    let mut failures = Vec::new();
    // Networks other than LeNet-5 take long to compile, so quick runs include them only on request.
    let is_short = options.is_quick() && options.filter.is_none();
    for network in NETWORKS.iter().take(if is_short { 1 } else { NETWORKS.len() }) {
        for task in [Task::Step, Task::Inference] {
            let quick = options.is_quick().then_some(QUICK_BATCH);
            let batch = arguments.batch.or(quick).unwrap_or_else(|| network.batch(&adapter));
            let name = network.row(task.name(), batch);
            if !options.wants(&name) {
                continue;
            }
            // A new device, whose first step and whose peak of memory are the task's.
            let device = options.device()?;
            match measure(network, task, &device, batch, options.effort()) {
                Ok(mut row) => {
                    if row["plans_after_warm_up"] != 0 {
                        failures
                            .push(format!("{name} made {} plans after its first steps", row["plans_after_warm_up"]));
                    }
                    row.insert("name".to_string(), name.into());
                    report.add(row)?;
                }
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
    }
    if let (Some(folder), Some(peers)) = (&options.plot, &arguments.peers) {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("training.svg"), plot(&report, peers)?)?;
    }
    if failures.is_empty() { Ok(report) } else { Err(failures.join("\n").into()) }
}

#[derive(Clone, Copy, PartialEq)]
enum Task {
    Step,
    Inference,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Task::Step => "step",
            Task::Inference => "inference",
        }
    }
}

/// One row, without its name.
fn measure(network: &Network, task: Task, device: &Device, batch: usize, effort: Effort) -> Result<Row> {
    let start = Instant::now();
    let Prepared { model, images, labels } = network.prepare(device, batch)?;
    let mut adam = Adam::new(model.parameters(), AdamOptions::default())?;
    model.train(task == Task::Step);
    let step = || match task {
        Task::Step => {
            model.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
            adam.step()?;
            adam.zero_grad();
            Ok(())
        }
        Task::Inference => {
            // The result is held until it is submitted: a dropped value is not computed.
            let _logits = no_grad(|| model.forward(&images))?;
            device.flush()
        }
    };
    let mut work = [Work::on(device, step)];
    work[0].once()?;
    let first = start.elapsed();
    for _ in 1..WARM_UP {
        work[0].once()?;
    }
    device.reset_peak_stats();
    let warm = device.stats();
    work[0].once()?;
    let after = device.stats();
    let seconds = time_of(&mut work, effort)?[0];
    let row = json!({
        "batch": batch,
        "ms": seconds * 1e3,
        "images_per_second": batch as f64 / seconds,
        "first_ms": first.as_secs_f64() * 1e3,
        "dispatches": after.dispatches - warm.dispatches,
        "submits": after.submits - warm.submits,
        "peak_megabytes": device.stats().bytes_live_peak as f64 / 1e6,
        "reserved_megabytes": device.stats().bytes_peak as f64 / 1e6,
        "plans_after_warm_up": device.stats().plans - warm.plans,
    });
    Ok(row.as_object().cloned().unwrap_or_default())
}

/// Other programs' times as multiples of ours, by name: of our times that were taken in turns with theirs, if there are any.
fn plot(report: &Report, peers: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(peers).map_err(|error| format!("--peers {}: {error}", peers.display()))?;
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let mut found = Vec::new();
    for row in &report.rows {
        let in_turns = lines.iter().find(|line| line["name"] == row["name"] && line["peer"] == "wgrad");
        let ours = in_turns.map_or(&row["ms"], |line| &line["median_ms"]);
        for line in lines.iter().filter(|line| line["name"] == row["name"] && line["peer"] != "wgrad") {
            if let (Some(theirs), Some(ours)) = (line["median_ms"].as_f64(), ours.as_f64()) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
                found.push(Ratio { name: text(&row["name"]), peer: text(&line["peer"]), ratio: theirs / ours });
            }
        }
    }
    Ok(ratios("Training and inference", &found))
}

//! Every operation on an adapter: time, rates, and the fraction of the adapter's own limits.

mod enlarge;
mod measure;
mod named;
mod peaks;
mod workload;

use crate::common::options::Options;
use crate::common::plot::{Point, roofline};
use crate::common::report::{Column, Report, Row};
use crate::common::{Outcome, machine};
use clap::Parser;
use peaks::Peaks;
use serde_json::Value;
use std::collections::HashSet;
use wgrad::{DType, Device, ops};
pub use workload::Workload;

/// Times every operation, forward and backward, as fractions of the adapter's measured limits.
#[derive(Parser, Clone, Debug)]
#[command(name = "kernels")]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    /// Leaves out the CPU reference, which is slow
    #[arg(long)]
    pub skip_reference: bool,
}

const COLUMNS: &[Column] = &[
    ("kernel", "name"),
    ("pass", "pass"),
    ("ms", "ms"),
    ("GFLOP/s", "gflops"),
    ("GB/s", "gbps"),
    ("of peak", "share"),
    ("dispatches", "dispatches"),
    ("reference", "reference_ratio"),
    ("gemm", "gemm_ratio"),
];

/// All workloads for an adapter of a kind: the named ones, and one for each other operation.
pub fn workloads(is_quick: bool, is_gpu: bool) -> Vec<Workload> {
    let mut all = named::named(is_quick, is_gpu);
    let done: HashSet<&str> = all.iter().map(|workload| workload.op).collect();
    let others = enlarge::others(ops::cases(), &done, is_quick);
    all.extend(others);
    all
}

/// Runs the suite; an error if any workload failed, once all have run.
pub fn run(arguments: &Arguments) -> Outcome<Report> {
    let options = &arguments.options;
    let (is_quick, effort) = (options.is_quick(), options.effort());
    let device = options.device()?;
    let reference = (!arguments.skip_reference).then(Device::reference);
    let mut report = Report::new("kernels", &machine::facts(&device), COLUMNS, options)?;
    let peaks = Peaks::of(&device, effort, is_quick)?;
    for (name, key, value) in [("peak: multiply-add loop", "gflops", peaks.gflops), ("peak: copy", "gbps", peaks.gbps)]
    {
        report.add(Row::from_iter([("name".to_string(), name.into()), (key.to_string(), value.into())]))?;
    }
    let mut failures = Vec::new();
    let has_f16 = device.adapter().is_some_and(|adapter| adapter.has_f16);
    let runs = |workload: &Workload| {
        let needs_f16 = workload.inputs.iter().any(|input| input.dtype == DType::F16);
        options.wants(&workload.name) && (has_f16 || !needs_f16)
    };
    let is_gpu = device.adapter().is_some_and(|adapter| !adapter.is_cpu);
    for workload in workloads(is_quick, is_gpu).into_iter().filter(runs) {
        match measure::measure(&workload, &device, &peaks, effort, reference.as_ref()) {
            Ok(rows) => rows.into_iter().try_for_each(|row| report.add(row))?,
            Err(error) => failures.push(format!("{}: {error}", workload.name)),
        }
        device.empty_cache();
    }
    if let Some(folder) = &options.plot {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("roofline.svg"), plot(&report, &peaks, device.name()))?;
    }
    if failures.is_empty() { Ok(report) } else { Err(failures.join("\n").into()) }
}

/// The kernels whose operations are counted, under the roof.
fn plot(report: &Report, peaks: &Peaks, adapter: &str) -> String {
    let point = |row: &Row| {
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let number = |key: &str| row.get(key).and_then(Value::as_f64);
        let name = format!("{}, {}", text("name")?, text("pass")?);
        Some(Point { name, intensity: number("intensity")?, gflops: number("gflops")? })
    };
    let points: Vec<Point> = report.rows.iter().filter_map(point).collect();
    roofline(&format!("wgrad on {adapter}"), &points, peaks.gflops, peaks.gbps)
}

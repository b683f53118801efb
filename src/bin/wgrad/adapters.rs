//! `wgrad adapters`: the adapters of this machine.

use crate::context::Context;
use crate::failure::Outcome;
use crate::table::Table;
use clap::Args;
use serde_json::{Value, json};
use wgrad::{AdapterInfo, Device};

/// List the adapters of this machine, best first
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad adapters
  WGPU_BACKEND=vulkan wgrad adapters --json")]
pub struct Arguments {}

pub fn run(context: &Context) -> Outcome {
    let adapters = Device::adapters();
    if context.json() {
        return context.answer_json(&adapters.iter().map(as_json).collect::<Vec<_>>());
    }
    if adapters.is_empty() {
        context.answer("no adapter")?;
        context
            .note("  hint: install a Vulkan driver (Debian: mesa-vulkan-drivers), or run with --reference on the CPU");
        return Ok(());
    }
    let mut table = Table::new(&[
        "adapter",
        "kind",
        "backend",
        "driver",
        "buffer MiB",
        "binding MiB",
        "workgroup",
        "shared KiB",
        "subgroup",
        "f16",
        "timestamps",
        "cooperative matrices",
    ]);
    for a in &adapters {
        table.row([
            a.name.clone(),
            a.kind.to_string(),
            a.backend.to_string(),
            a.driver.clone(),
            (a.max_buffer_bytes >> 20).to_string(),
            (a.max_binding_bytes >> 20).to_string(),
            a.max_workgroup_invocations.to_string(),
            (a.max_workgroup_bytes >> 10).to_string(),
            subgroup(a),
            yes(a.f16),
            yes(a.timestamps),
            yes(a.cooperative_matrices),
        ]);
    }
    context.answer(table)
}

fn subgroup(adapter: &AdapterInfo) -> String {
    match adapter.subgroup_size {
        _ if !adapter.subgroups => "-".to_string(),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} to {most}"),
    }
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "-" }.to_string()
}

fn as_json(a: &AdapterInfo) -> Value {
    json!({
        "name": a.name,
        "kind": a.kind,
        "backend": a.backend,
        "driver": a.driver,
        "max_buffer_bytes": a.max_buffer_bytes,
        "max_binding_bytes": a.max_binding_bytes,
        "max_workgroup_invocations": a.max_workgroup_invocations,
        "max_workgroup_bytes": a.max_workgroup_bytes,
        "subgroup_size": [a.subgroup_size.0, a.subgroup_size.1],
        "subgroups": a.subgroups,
        "f16": a.f16,
        "timestamps": a.timestamps,
        "cooperative_matrices": a.cooperative_matrices,
    })
}

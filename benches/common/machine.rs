//! Identifies the machine of results.

use serde_json::{Map, Value, json};
use wgrad::Device;

/// Properties that identify a machine in results: the first fields of every JSON line.
pub fn facts(device: &Device) -> Map<String, Value> {
    let adapter = Device::adapters().into_iter().find(|adapter| adapter.name == device.name());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let facts = json!({
        "machine": format!("{}, {cores} cores, {}", processor(), std::env::consts::OS),
        "adapter": device.name(),
        "backend": adapter.as_ref().map(|adapter| adapter.backend),
        "driver": adapter.as_ref().map(|adapter| &adapter.driver),
        "wgrad": env!("CARGO_PKG_VERSION"),
    });
    facts.as_object().cloned().unwrap_or_default()
}

/// The processor's name if the system reveals it, otherwise its architecture.
fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH.to_string(), |(_, name)| name.trim().to_string())
}

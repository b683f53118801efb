//! A profile in Chrome's trace format.

use super::Profile;
use crate::error::{Error, Result};
use crate::file;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The format counts in microseconds.
fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(super) fn write(profile: &Profile, path: &Path) -> Result<()> {
    let mut events = vec![
        json!({"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "wgrad"}}),
        json!({"ph": "M", "name": "thread_name", "pid": 0, "tid": 0, "args": {"name": "device"}}),
    ];
    events.extend(profile.events.iter().map(|event| {
        let seconds = event.time.as_secs_f64();
        let flops = (event.work > 0 && seconds > 0.0).then(|| event.work as f64 / seconds / 1e9);
        json!({
            "ph": "X",
            "cat": "kernel",
            "name": event.op,
            "pid": 0,
            "tid": 0,
            "ts": microseconds(event.start),
            "dur": microseconds(event.time),
            "args": {
                "kernel": event.kernel,
                "line": event.source.to_string(),
                "work": event.work,
                "GFLOP/s": flops.map_or(Value::Null, Value::from),
            },
        })
    }));
    let trace = json!({"traceEvents": events, "displayTimeUnit": "ms"});
    let bytes = serde_json::to_vec(&trace).map_err(|error| Error::file(path, error))?;
    file::replace(path, &bytes)
}

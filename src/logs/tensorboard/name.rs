//! Names of event files.

use crate::error::{Error, Result};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const PREFIX: &str = "events.out.tfevents.";

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Creates a file with a new name, such as `events.out.tfevents.1764504000.host.1234.0`. TensorBoard reads files in the
/// order of their names, so this one's time is later than that of any other in the folder.
pub(super) fn create(folder: &Path) -> Result<(PathBuf, fs::File)> {
    let failed = |path: &Path, error| Error::file(path, error);
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let names = fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    let time_of = |name: &str| name.strip_prefix(PREFIX)?.split('.').next()?.parse::<u64>().ok();
    let latest = names.flatten().filter_map(|entry| time_of(&entry.file_name().to_string_lossy())).max();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = latest.map_or(now, |latest| now.max(latest.saturating_add(1)));
    let (host, process) = (host(), std::process::id());
    let mut number = 0u32;
    loop {
        let path = folder.join(format!("{PREFIX}{time:010}.{host}.{process}.{number}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(failed(&path, error)),
        }
    }
}

/// The name of this machine, as a part of a file's name.
fn host() -> String {
    let of_system = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let of_environment = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = of_system().or_else(of_environment).unwrap_or_default();
    let kept: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    if kept.is_empty() { "localhost".to_string() } else { kept }
}

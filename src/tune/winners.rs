//! Winners, and their file: one for each adapter, driver and version of wgrad.

use super::key::Key;
use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::file;
use crate::graph::Fingerprinter;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::env;
use std::hash::Hasher;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The names of the candidates that matter for a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Winner {
    pub op: String,
    /// The cost model's choice. If it has another name by now, the winner does not count.
    pub first: String,
    /// The fastest.
    pub best: String,
}

#[derive(Default)]
pub(super) struct Winners {
    by_family: HashMap<u64, Vec<(Key, Winner)>>,
    file: Option<WinnersFile>,
    is_new: bool,
}

struct WinnersFile {
    path: PathBuf,
    machine: Value,
}

/// Everything that times depend on, besides the call.
fn machine(gpu: &Gpu, version: &str) -> Value {
    let [adapter, backend, driver] = gpu.identity();
    json!({ "wgrad": version, "adapter": adapter, "backend": backend, "driver": driver })
}

impl Winners {
    /// The winners found earlier on this adapter, and the error of reading their file, if there is one.
    pub fn open(gpu: &Gpu, folder: Option<&Path>) -> (Winners, Option<String>) {
        let machine = machine(gpu, env!("CARGO_PKG_VERSION"));
        let Some(folder) = folder.map(Path::to_path_buf).or_else(cache_folder) else {
            let note = "no folder for caches is known, so winners are lost in the end; WGRAD_CACHE_DIR can name one";
            return (Winners::default(), Some(note.to_string()));
        };
        let mut hash = Fingerprinter::new();
        hash.write(machine.to_string().as_bytes());
        let path = folder.join(format!("tuned-{:016x}.json", hash.finish()));
        let mut winners = Winners { file: Some(WinnersFile { path, machine }), ..Winners::default() };
        let note = match winners.read() {
            Ok(()) => None,
            Err(error) => Some(format!("{error}; it is ignored, and written anew when something is tuned")),
        };
        (winners, note)
    }

    pub fn is_empty(&self) -> bool {
        self.by_family.is_empty()
    }

    /// The winner of this call, or of the nearest call that differs in one number alone, as calls with another batch do; in the
    /// latter case with that call's value of the number, and this call's.
    pub fn find(&self, key: &Key) -> Option<(&Winner, Option<(usize, usize)>)> {
        let family = self.by_family.get(&key.family)?;
        if let Some((_, winner)) = family.iter().find(|(known, _)| known == key) {
            return Some((winner, None));
        }
        let ratio = |(a, b): (usize, usize)| a.max(b) as f64 / a.min(b).max(1) as f64;
        let near = family.iter().filter_map(|(known, winner)| Some((winner, known.difference(key)?)));
        let (winner, pair) = near.min_by(|(_, a), (_, b)| ratio(*a).total_cmp(&ratio(*b)))?;
        Some((winner, Some(pair)))
    }

    pub fn insert(&mut self, key: Key, winner: Winner) {
        let family = self.by_family.entry(key.family).or_default();
        family.retain(|(known, _)| *known != key);
        family.push((key, winner));
        self.is_new = true;
    }

    /// Writes new winners to the disk, merged with those that other processes wrote there meanwhile.
    pub fn save(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_new) {
            return Ok(());
        }
        // An unreadable file is replaced.
        let _ = self.read();
        let Some(file) = &self.file else { return Ok(()) };
        let mut rows: Vec<Value> = Vec::new();
        for (key, winner) in self.by_family.values().flatten() {
            rows.push(json!({
                "family": format!("{:016x}", key.family), "sizes": key.sizes,
                "op": winner.op, "first": winner.first, "best": winner.best,
            }));
        }
        rows.sort_by_cached_key(Value::to_string);
        let mut bytes = serde_json::to_vec_pretty(&json!({ "machine": file.machine, "winners": rows }))
            .map_err(|error| Error::file(&file.path, error))?;
        bytes.push(b'\n');
        if let Some(folder) = file.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        }
        file::replace(&file.path, &bytes)
    }

    /// Adds the winners that the file has and this does not.
    fn read(&mut self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = match std::fs::read(&file.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            bytes => bytes.map_err(|error| Error::file(&file.path, error))?,
        };
        let found: Value = serde_json::from_slice(&bytes).map_err(|error| Error::file(&file.path, error))?;
        if found["machine"] != file.machine {
            return Err(Error::file(&file.path, "winners of another adapter, driver or version of wgrad"));
        }
        let rows = found["winners"].as_array().map_or(&[][..], |rows| &rows[..]);
        let rows: Option<Vec<(Key, Winner)>> = rows.iter().map(row).collect();
        let rows = rows.ok_or_else(|| Error::file(&file.path, "a winner lacks what it should have"))?;
        for (key, winner) in rows {
            let family = self.by_family.entry(key.family).or_default();
            if family.iter().all(|(known, _)| *known != key) {
                family.push((key, winner));
            }
        }
        Ok(())
    }
}

fn row(row: &Value) -> Option<(Key, Winner)> {
    let text = |name: &str| row[name].as_str().map(str::to_string);
    let sizes = row["sizes"].as_array()?.iter().map(|size| usize::try_from(size.as_u64()?).ok());
    let key =
        Key { family: u64::from_str_radix(row["family"].as_str()?, 16).ok()?, sizes: sizes.collect::<Option<_>>()? };
    Some((key, Winner { op: text("op")?, first: text("first")?, best: text("best")? }))
}

/// `WGRAD_CACHE_DIR`, or wgrad's folder in the user's cache directory, if the system has one.
fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    if let Some(named) = folder("WGRAD_CACHE_DIR") {
        return Some(named);
    }
    let caches = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_vendor = "apple") {
        folder("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // The specification of these variables says to ignore relative paths.
        let named = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        named.or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("wgrad"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_batch_is_found() {
        let key = |family, batch: usize| Key { family, sizes: vec![batch, 10, batch, 5] };
        let winner = |best: &str| Winner { op: "op".into(), first: "first".into(), best: best.into() };
        let mut winners = Winners::default();
        winners.insert(key(1, 64), winner("64"));
        winners.insert(key(1, 512), winner("512"));
        winners.insert(key(2, 200), winner("other"));
        let find = |batch| winners.find(&key(1, batch)).map(|(winner, pair)| (&*winner.best, pair));
        assert_eq!(find(64), Some(("64", None)));
        assert_eq!(find(100), Some(("64", Some((64, 100)))));
        assert_eq!(find(200), Some(("512", Some((512, 200)))));
        assert_eq!(winners.find(&key(3, 64)), None);
        assert_eq!(winners.find(&Key { family: 1, sizes: vec![32, 20, 32, 5] }), None);
        winners.insert(key(1, 64), winner("later"));
        assert_eq!(winners.find(&key(1, 64)).map(|(winner, _)| &*winner.best), Some("later"));
    }
}

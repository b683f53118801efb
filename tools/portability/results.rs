//! Files of results, to which every compiler's program appends: a line for each module of its stem, the seconds that compiling it
//! took, and `ok` with the codes of its warnings, or the error, with tabs between. The stem is written before the compiler is
//! called, so a module that ends the program leaves a line without an outcome, and a restarted program goes on after it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// A line of such a file.
pub struct Row {
    pub stem: String,
    pub seconds: f64,
    /// `ok` and the codes of warnings, or the error.
    pub outcome: String,
}

impl Row {
    /// The codes of a good module's warnings; `None` for a bad one.
    pub fn warnings(&self) -> Option<impl Iterator<Item = &str>> {
        let mut words = self.outcome.split(' ');
        (words.next() == Some("ok")).then_some(words)
    }
}

/// The lines of a file; none if there is no file.
pub fn read(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let row = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let stem = parts.next().filter(|stem| !stem.is_empty())?.to_string();
        let seconds = parts.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
        Some(Row { stem, seconds, outcome: parts.next().unwrap_or("the compiler ended or took too long").to_string() })
    };
    text.lines().filter_map(row).collect()
}

/// A file that is being written.
pub struct Writer {
    file: File,
    done: HashSet<String>,
}

impl Writer {
    pub fn open(path: &Path) -> std::io::Result<Writer> {
        let done = read(path).into_iter().map(|row| row.stem).collect();
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        // Ends the line at which the program stopped.
        if fs::read(path)?.last().is_some_and(|last| *last != b'\n') {
            writeln!(file)?;
        }
        Ok(Writer { file, done })
    }

    pub fn is_done(&self, stem: &str) -> bool {
        self.done.contains(stem)
    }

    pub fn begin(&mut self, stem: &str) -> std::io::Result<()> {
        write!(self.file, "{stem}")
    }

    pub fn end(&mut self, seconds: f64, outcome: &str) -> std::io::Result<()> {
        writeln!(self.file, "\t{seconds:.4}\t{}", outcome.trim().replace('\n', " / ").replace('\t', " "))
    }
}

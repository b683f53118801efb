//! A log as CSV: a column per name.

use super::lines::{self, Growing};
use super::record::{EPOCH, Record, STEP};
use crate::error::Result;
use std::path::Path;

/// A log as a table of comma-separated values (RFC 4180): `epoch`, `step`, and a column for each name.
///
/// A new name gets a column behind the others; the file is rewritten for that, completely or not at all. A cell without
/// a value is empty. NaN and infinities are `NaN`, `inf` and `-inf`, which pandas, polars and R read as numbers.
///
/// ```
/// use wgrad::logs::{CsvLog, Record};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("metrics.csv");
///
/// let mut log = CsvLog::create(&path)?;
/// log.write(&Record { epoch: 1, step: 938, scalars: vec![("train/loss".into(), 0.25)] })?;
/// log.write(&Record { epoch: 2, step: 1876, scalars: vec![("val/loss".into(), 0.5)] })?;
/// assert_eq!(
///     std::fs::read_to_string(&path).unwrap(),
///     "epoch,step,train/loss,val/loss\n1,938,0.25,\n2,1876,,0.5\n"
/// );
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct CsvLog {
    file: Growing,
    /// The names of the columns behind `epoch` and `step`.
    columns: Vec<String>,
}

impl CsvLog {
    /// Begins a log and replaces one that was there.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File).
    pub fn create(path: &Path) -> Result<CsvLog> {
        CsvLog::start(path, Vec::new(), &[])
    }

    /// Continues a log behind the rows up to this step. Later rows are dropped, since the run repeats them, and so is
    /// half a line, which an aborted run may leave. Without a file, this is [`create`](CsvLog::create).
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File), also if a line is not a row of such a log.
    pub fn resume(path: &Path, step: u64) -> Result<CsvLog> {
        let (columns, mut rows) = read(path)?;
        rows.retain(|row| row.step <= step);
        CsvLog::start(path, columns, &rows)
    }

    fn start(path: &Path, columns: Vec<String>, rows: &[Record]) -> Result<CsvLog> {
        let mut text = header(&columns) + "\n";
        for row in rows {
            text += &line(&columns, row);
            text += "\n";
        }
        Ok(CsvLog { file: Growing::start(path, &text)?, columns })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if a name appears twice, or is `epoch` or `step`;
    /// [`Error::File`](crate::Error::File).
    pub fn write(&mut self, row: &Record) -> Result<()> {
        row.check("CsvLog")?;
        let is_new = |name: &&String| !self.columns.contains(name);
        let new: Vec<String> = row.scalars.iter().map(|(name, _)| name).filter(is_new).cloned().collect();
        if !new.is_empty() {
            let path = self.file.path().to_path_buf();
            let (_, rows) = read(&path)?;
            *self = CsvLog::start(&path, [self.columns.as_slice(), &new].concat(), &rows)?;
        }
        self.file.append(format!("{}\n", line(&self.columns, row)).as_bytes())
    }

    /// The rows of a file; none where there is no file.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File), also if a line is not a row of such a log.
    pub fn read(path: &Path) -> Result<Vec<Record>> {
        Ok(read(path)?.1)
    }
}

fn header(columns: &[String]) -> String {
    let names = columns.iter().map(|name| match name.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.clone(),
    });
    [EPOCH.to_string(), STEP.to_string()].into_iter().chain(names).collect::<Vec<_>>().join(",")
}

fn line(columns: &[String], row: &Record) -> String {
    // The shortest digits that give the same number.
    let cells = columns.iter().map(|name| row.get(name).map_or_else(String::new, |value| format!("{value:?}")));
    [row.epoch.to_string(), row.step.to_string()].into_iter().chain(cells).collect::<Vec<_>>().join(",")
}

/// The names of the columns behind the first two, and the rows.
fn read(path: &Path) -> Result<(Vec<String>, Vec<Record>)> {
    let text = lines::read_whole(path)?;
    if text.is_empty() {
        return Ok(Default::default());
    }
    let foreign = |line, reason: &str| lines::foreign(path, line, reason);
    let (names, rest) = split_header(&text);
    let [EPOCH, STEP, ..] = names.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return Err(foreign(1, "its first columns are not epoch and step"));
    };
    let columns = names[2..].to_vec();
    let first = text.lines().count() - rest.lines().count();
    let rows = rest.lines().enumerate().map(|(index, line)| {
        let cells: Vec<&str> = line.split(',').collect();
        if cells.len() != names.len() {
            return Err(foreign(first + index + 1, &format!("{} cells for {} columns", cells.len(), names.len())));
        }
        to_row(&columns, &cells).ok_or_else(|| foreign(first + index + 1, "a cell is no number"))
    });
    let rows = rows.collect::<Result<_>>()?;
    Ok((columns, rows))
}

fn to_row(columns: &[String], cells: &[&str]) -> Option<Record> {
    let filled = columns.iter().zip(&cells[2..]).filter(|(_, cell)| !cell.is_empty());
    let scalars = filled.map(|(name, cell)| Some((name.clone(), cell.parse().ok()?)));
    Some(Record {
        epoch: cells[0].parse().ok()?,
        step: cells[1].parse().ok()?,
        scalars: scalars.collect::<Option<_>>()?,
    })
}

/// The cells of the first record, which may be quoted and then hold line breaks, and the text after it.
fn split_header(text: &str) -> (Vec<String>, &str) {
    let (mut cells, mut is_quoted) = (vec![String::new()], false);
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let end = cells.len() - 1;
        match character {
            '"' if is_quoted && characters.next_if(|&(_, next)| next == '"').is_some() => cells[end].push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            '\n' if !is_quoted => return (cells, &text[at + 1..]),
            _ => cells[end].push(character),
        }
    }
    (cells, "")
}

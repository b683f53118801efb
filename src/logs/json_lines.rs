//! A log as JSON lines: an object per row.

use super::lines::{self, Growing};
use super::record::{EPOCH, Record, STEP};
use crate::error::Result;
use serde_json::{Map, Value};
use std::path::Path;

/// A log with a JSON object per line: `{"epoch":1,"step":938,"train/loss":0.21}`.
///
/// JSON has no NaN and no infinities. They are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`, as in the JSON of
/// protocol buffers; pandas and `Number()` read them as numbers.
///
/// ```
/// use wgrad::logs::{JsonLinesLog, Record};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("metrics.jsonl");
///
/// let mut log = JsonLinesLog::create(&path)?;
/// log.write(&Record { epoch: 1, step: 938, scalars: vec![("train/loss".into(), 0.25)] })?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"epoch\":1,\"step\":938,\"train/loss\":0.25}\n");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonLinesLog {
    file: Growing,
}

impl JsonLinesLog {
    /// Begins a log and replaces one that was there.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File).
    pub fn create(path: &Path) -> Result<JsonLinesLog> {
        Ok(JsonLinesLog { file: Growing::start(path, "")? })
    }

    /// Continues a log behind the rows up to this step. Later rows are dropped, since the run repeats them, and so is
    /// half a line, which an aborted run may leave. Without a file, this is [`create`](JsonLinesLog::create).
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File), also if a line is not a row of such a log.
    pub fn resume(path: &Path, step: u64) -> Result<JsonLinesLog> {
        let text = lines::read_whole(path)?;
        let mut kept = String::new();
        for (line, row) in rows(path, &text) {
            if row?.step <= step {
                kept += line;
                kept += "\n";
            }
        }
        Ok(JsonLinesLog { file: Growing::start(path, &kept)? })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if a name appears twice, or is `epoch` or `step`;
    /// [`Error::File`](crate::Error::File).
    pub fn write(&mut self, row: &Record) -> Result<()> {
        row.check("JsonLinesLog")?;
        self.file.append(format!("{}\n", to_json(row)).as_bytes())
    }

    /// The rows of a file, the scalars of each in the order of their names; none where there is no file.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File), also if a line is not a row of such a log.
    pub fn read(path: &Path) -> Result<Vec<Record>> {
        rows(path, &lines::read_whole(path)?).map(|(_, row)| row).collect()
    }
}

/// Each line and its row.
fn rows<'a>(path: &'a Path, text: &'a str) -> impl Iterator<Item = (&'a str, Result<Record>)> {
    text.lines()
        .enumerate()
        .map(move |(index, line)| (line, from_json(line).map_err(|reason| lines::foreign(path, index + 1, &reason))))
}

fn to_json(row: &Record) -> String {
    // A serde_json map sorts its keys, unless another crate of the program changes that; so the text is put together
    // here.
    let texts = row.scalars.iter().map(|(name, value)| format!(",{}:{}", Value::from(name.as_str()), number(*value)));
    format!("{{\"{EPOCH}\":{},\"{STEP}\":{}{}}}", row.epoch, row.step, texts.collect::<String>())
}

fn number(value: f64) -> Value {
    match value {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        // Also the text of a NaN.
        _ => serde_json::Number::from_f64(value).map_or_else(|| "NaN".into(), Value::Number),
    }
}

fn from_json(line: &str) -> Result<Record, String> {
    let mut members: Map<String, Value> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut count =
        |key: &str| members.remove(key).and_then(|value| value.as_u64()).ok_or_else(|| format!("{key:?} is no count"));
    let (epoch, step) = (count(EPOCH)?, count(STEP)?);
    let scalar = |(name, value): (String, Value)| match to_number(&value) {
        Some(value) => Ok((name, value)),
        None => Err(format!("{name:?} is no number")),
    };
    Ok(Record { epoch, step, scalars: members.into_iter().map(scalar).collect::<Result<_, _>>()? })
}

fn to_number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

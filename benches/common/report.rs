//! Results as a table and as JSON lines.

use super::Outcome;
use super::options::Options;
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::Write;

/// One line of results by the names of its values.
pub type Row = Map<String, Value>;

/// A value's title in the table, and its name in JSON.
pub type Column = (&'static str, &'static str);

/// Characters of the first column, and of every other.
const NAME_WIDTH: usize = 40;
const WIDTH: usize = 10;

/// A table that is printed as it grows, and the same as JSON lines if they are asked for.
pub struct Report {
    columns: &'static [Column],
    facts: Row,
    json: Option<File>,
    /// The rows so far.
    pub rows: Vec<Row>,
}

impl Report {
    /// Prints the title and the columns' names.
    pub fn new(suite: &str, facts: &Row, columns: &'static [Column], options: &Options) -> Outcome<Report> {
        let json = match &options.json {
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Some(file.map_err(|error| format!("--json {}: {error}", path.display()))?)
            }
            None => None,
        };
        let mut known =
            Row::from_iter([("suite".to_string(), suite.into()), ("quick".into(), options.is_quick().into())]);
        known.extend(facts.clone());
        let text = |key: &str| cell(facts.get(key));
        println!("{suite} on {} ({}), {}", text("adapter"), text("driver"), text("machine"));
        if options.is_quick() {
            println!("quick: tiny sizes, each run once; the times mean nothing");
        }
        let report = Report { columns, facts: known, json, rows: Vec::new() };
        report.print(|(title, _)| title.to_string());
        Ok(report)
    }

    /// Prints one line, and writes it.
    pub fn add(&mut self, row: Row) -> Outcome<()> {
        self.print(|(_, key)| cell(row.get(*key)));
        if let Some(file) = &mut self.json {
            let mut line = self.facts.clone();
            line.extend(row.clone());
            writeln!(file, "{}", Value::Object(line))?;
        }
        self.rows.push(row);
        Ok(())
    }

    fn print(&self, text: impl Fn(&Column) -> String) {
        let mut line = String::new();
        for (i, column) in self.columns.iter().enumerate() {
            let text = text(column);
            line += &if i == 0 { format!("{text:NAME_WIDTH$}") } else { format!("  {text:>WIDTH$}") };
        }
        println!("{}", line.trim_end());
    }
}

/// A value in a table, with four significant digits.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => significant(number.as_f64().unwrap_or(f64::NAN)),
        Some(value) => value.to_string(),
    }
}

/// A number with four significant digits.
pub fn significant(value: f64) -> String {
    let before_point = if value.abs() < 1.0 { 1 } else { value.abs().log10() as usize + 1 };
    format!("{value:.*}", 4usize.saturating_sub(before_point))
}

//! Tables of images and their labels, as CSV.

use super::{ColorMode, ImageFiles};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The names of the columns that hold paths and labels, as the table's first line has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableColumns<'a> {
    /// Paths of images.
    pub path: &'a str,
    /// Names of classes.
    pub label: &'a str,
}

/// A CSV table whose rows name an image and its class. Paths are below `folder`; classes are numbered by name.
///
/// # Errors
/// [`Error::File`], with the line, if the table is missing or damaged, has no such column or no rows, or a field is empty.
///
/// ```no_run
/// use wgrad::data::{ColorMode, TableColumns, image_table};
/// // file,breed
/// // 0001.jpg,beagle
/// let columns = TableColumns { path: "file", label: "breed" };
/// let set = image_table("dogs.csv", "photographs", columns, ColorMode::Rgb)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn image_table(
    table: impl AsRef<Path>,
    folder: impl AsRef<Path>,
    columns: TableColumns<'_>,
    mode: ColorMode,
) -> Result<ImageFiles<i32>> {
    let table = table.as_ref();
    let rows = rows(table, columns)?;
    if let Some((line, _, _)) = rows.iter().find(|(_, _, label)| label.is_empty()) {
        return Err(Error::file(table, format!("line {line}: {:?} is empty", columns.label)));
    }
    let classes = classes(rows.iter().map(|(_, _, label)| label.as_str()));
    let file = |(_, path, label): (u64, String, String)| (folder.as_ref().join(path), number(&classes, &label));
    let files: Vec<(PathBuf, i32)> = rows.into_iter().map(file).collect();
    Ok(ImageFiles::new(files, classes, mode))
}

/// A CSV table whose rows name an image and its classes, any number of them, divided by `separator`. Paths are below `folder`;
/// classes are numbered by name, and each image's are in ascending order.
///
/// # Errors
/// As [`image_table`]; an image may have no class.
pub fn multi_label_image_table(
    table: impl AsRef<Path>,
    folder: impl AsRef<Path>,
    columns: TableColumns<'_>,
    separator: char,
    mode: ColorMode,
) -> Result<ImageFiles<Vec<i32>>> {
    let rows = rows(table.as_ref(), columns)?;
    let classes = classes(rows.iter().flat_map(|(_, _, labels)| names(labels, separator)));
    let file = |(_, path, labels): &(u64, String, String)| {
        let numbers: BTreeSet<i32> = names(labels, separator).map(|label| number(&classes, label)).collect();
        (folder.as_ref().join(path), numbers.into_iter().collect())
    };
    let files = rows.iter().map(file).collect();
    Ok(ImageFiles::new(files, classes, mode))
}

fn names(labels: &str, separator: char) -> impl Iterator<Item = &str> {
    labels.split(separator).map(str::trim).filter(|label| !label.is_empty())
}

/// Line, path and label of each row.
fn rows(table: &Path, columns: TableColumns<'_>) -> Result<Vec<(u64, String, String)>> {
    let fault = |error: csv::Error| Error::file(table, error);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(table).map_err(fault)?;
    let header = reader.headers().map_err(fault)?.clone();
    let column = |name: &str| {
        // Some programs begin files with a mark of the byte order.
        let found = header.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
        found.ok_or_else(|| {
            Error::file(table, format!("no column {name:?} among {:?}", header.iter().collect::<Vec<_>>()))
        })
    };
    let (path, label) = (column(columns.path)?, column(columns.label)?);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(fault)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column| record.get(column).unwrap_or_default().to_string();
        if field(path).is_empty() {
            return Err(Error::file(table, format!("line {line}: {:?} is empty", columns.path)));
        }
        rows.push((line, field(path), field(label)));
    }
    if rows.is_empty() {
        return Err(Error::file(table, "it has no rows"));
    }
    Ok(rows)
}

/// Each name once, in order.
pub(super) fn classes<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    labels.collect::<BTreeSet<_>>().into_iter().map(String::from).collect()
}

/// The number of a class among those in order; -1 where it is not there.
pub(super) fn number(classes: &[String], label: &str) -> i32 {
    let place = classes.binary_search_by(|class| class.as_str().cmp(label));
    place.map_or(-1, |place| i32::try_from(place).unwrap_or(i32::MAX))
}

//! Reading event files.

use super::proto::{Content, DT_DOUBLE, DT_FLOAT, Event, Summary, SummaryValue, Tensor, What};
use super::record::Records;
use crate::error::{Error, Result};
use prost::Message;
use std::fs;
use std::path::Path;

/// A value in an event file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// The step of the run.
    pub step: i64,
    /// The name.
    pub tag: String,
    /// The value.
    pub value: Value,
}

/// Kinds of values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number.
    Scalar(f32),
    /// Left edge, right edge and count of each bin.
    Histogram(Vec<[f64; 3]>),
    /// An image file.
    Image {
        /// Pixels in a row.
        width: i32,
        /// Rows.
        height: i32,
        /// The file, a PNG mostly.
        file: Vec<u8>,
    },
    /// Texts.
    Text(Vec<String>),
    /// A value for the plugin of this name.
    Other(String),
}

/// The values of an event file in order, whether this crate or another program wrote it. An incomplete event at the end, left by
/// a running or an aborted program, is ignored.
///
/// # Errors
/// [`Error::File`], also if a record is damaged.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let file = fs::read(path).map_err(|error| Error::file(path, error))?;
    let mut entries = Vec::new();
    for record in Records::new(&file) {
        let record = record.map_err(|damaged| {
            Error::file(
                path,
                format!("no event file, or a damaged one: the record at byte {} is not whole", damaged.at),
            )
        })?;
        let event = Event::decode(record).map_err(|error| Error::file(path, error))?;
        let Some(What::Summary(Summary { value })) = event.what else { continue };
        let entry = |value: SummaryValue| {
            let tag = value.tag.clone();
            Entry { wall_time: event.wall_time, step: event.step, tag, value: to_value(value) }
        };
        entries.extend(value.into_iter().map(entry));
    }
    Ok(entries)
}

fn to_value(value: SummaryValue) -> Value {
    let plugin = value.metadata.and_then(|metadata| metadata.plugin_data).unwrap_or_default().plugin_name;
    match (value.content, plugin.as_str()) {
        (Some(Content::SimpleValue(value)), _) => Value::Scalar(value),
        (Some(Content::Image(image)), _) => {
            Value::Image { width: image.width, height: image.height, file: image.encoded_image_string }
        }
        (Some(Content::Tensor(tensor)), "scalars") => match numbers(&tensor)[..] {
            [value] => Value::Scalar(crate::number::nearest(value)),
            _ => Value::Other(plugin),
        },
        (Some(Content::Tensor(tensor)), "histograms") => Value::Histogram(numbers(&tensor).as_chunks().0.to_vec()),
        (Some(Content::Tensor(tensor)), "text") => {
            Value::Text(tensor.string_val.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
        }
        _ => Value::Other(plugin),
    }
}

/// The numbers of a tensor, stored as bytes or one by one.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    let bytes = &tensor.tensor_content;
    match tensor.dtype {
        DT_DOUBLE if bytes.is_empty() => tensor.double_val.clone(),
        DT_DOUBLE => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        DT_FLOAT if bytes.is_empty() => tensor.float_val.iter().map(|&value| value.into()).collect(),
        DT_FLOAT => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect(),
        _ => Vec::new(),
    }
}

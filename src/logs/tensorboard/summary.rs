//! Values in the form that TensorBoard's plugins expect.

use super::proto::{
    self, Content, DT_DOUBLE, DT_STRING, Experiment, Hparam, HparamInfo, HparamKind, Hparams, HparamsData, Layout,
    Metadata, MetricInfo, MetricName, Multiline, PluginData, STATUS_SUCCESS, SessionEnd, SessionStart, Summary,
    SummaryValue, Tensor, TensorShape,
};
use crate::error::Result;
use crate::logs::Histogram;
use crate::number::nearest;
use crate::picture::Picture;
use prost::Message;

/// A hyperparameter of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum HyperParameter {
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
    /// Yes or no.
    Bool(bool),
}

/// A group of charts in TensorBoard's "Custom Scalars".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChartGroup {
    /// Its heading.
    pub title: String,
    /// The title of each chart, and regular expressions for the tags of its curves.
    pub charts: Vec<(String, Vec<String>)>,
}

fn summary(tag: &str, plugin: Option<(&str, Vec<u8>)>, content: Option<Content>) -> Summary {
    let data = |(name, content): (&str, _)| PluginData { plugin_name: name.to_string(), content };
    let metadata = plugin.map(|plugin| Metadata { plugin_data: Some(data(plugin)) });
    Summary { value: vec![SummaryValue { tag: tag.to_string(), metadata, content }] }
}

fn strings(strings: Vec<Vec<u8>>, sizes: &[i64]) -> Option<Content> {
    let tensor_shape = TensorShape::of(sizes);
    Some(Content::Tensor(Tensor { dtype: DT_STRING, tensor_shape, string_val: strings, ..Tensor::default() }))
}

/// A number in the form that all readers know, in TensorBoard's single precision.
pub(super) fn scalar(tag: &str, value: f64) -> Summary {
    summary(tag, None, Some(Content::SimpleValue(nearest(value))))
}

/// A tensor `[bins, 3]`: left edge, right edge and count of each bin.
pub(super) fn histogram(tag: &str, histogram: &Histogram) -> Summary {
    let bins = histogram.counts().len();
    let numbers = (0..bins).flat_map(|bin| {
        let (left, right) = histogram.edges(bin);
        [left, right, histogram.counts()[bin] as f64]
    });
    let tensor = Tensor {
        dtype: DT_DOUBLE,
        tensor_shape: TensorShape::of(&[nearest::<i64>(bins as f64), 3]),
        tensor_content: numbers.flat_map(f64::to_le_bytes).collect(),
        ..Tensor::default()
    };
    summary(tag, Some(("histograms", Vec::new())), Some(Content::Tensor(tensor)))
}

pub(super) fn image(tag: &str, picture: &Picture) -> Result<Summary> {
    let image = proto::Image {
        height: nearest(picture.height),
        width: nearest(picture.width),
        colorspace: nearest(picture.channels),
        encoded_image_string: picture.png()?,
    };
    Ok(summary(tag, None, Some(Content::Image(image))))
}

/// Markdown.
pub(super) fn text(tag: &str, text: &str) -> Summary {
    summary(&format!("{tag}/text_summary"), Some(("text", Vec::new())), strings(vec![text.into()], &[1]))
}

/// The metrics to compare, a run's hyperparameters, and its successful end.
pub(super) fn hparams(given: &[(&str, HyperParameter)], metrics: &[(&str, f64)]) -> [Summary; 3] {
    let kind = |value: &HyperParameter| match value {
        HyperParameter::Number(number) => HparamKind::Number(*number),
        HyperParameter::Text(text) => HparamKind::Text(text.clone()),
        HyperParameter::Bool(truth) => HparamKind::Bool(*truth),
    };
    let metric = |&(tag, _): &(&str, f64)| MetricInfo { name: Some(MetricName { tag: tag.to_string() }) };
    let infos = given.iter().map(|(name, value)| HparamInfo { name: name.to_string(), kind: kind(value).number() });
    let experiment = Experiment { hparam_infos: infos.collect(), metric_infos: metrics.iter().map(metric).collect() };
    let start = given.iter().map(|(name, value)| (name.to_string(), Hparam { kind: Some(kind(value)) })).collect();
    let data = |tag: &str, data| {
        let data = HparamsData { data: Some(data) };
        summary(&format!("_hparams_/{tag}"), Some(("hparams", data.encode_to_vec())), None)
    };
    [
        data("experiment", Hparams::Experiment(experiment)),
        data("session_start_info", Hparams::SessionStart(SessionStart { hparams: start })),
        data("session_end_info", Hparams::SessionEnd(SessionEnd { status: STATUS_SUCCESS })),
    ]
}

pub(super) fn layout(groups: &[ChartGroup]) -> Summary {
    let chart = |(title, tags): &(String, Vec<String>)| proto::Chart {
        title: title.clone(),
        multiline: Some(Multiline { tag: tags.clone() }),
    };
    let category = |group: &ChartGroup| proto::Category {
        title: group.title.clone(),
        chart: group.charts.iter().map(chart).collect(),
    };
    let layout = Layout { category: groups.iter().map(category).collect() };
    let content = strings(vec![layout.encode_to_vec()], &[]);
    summary("custom_scalars__config__", Some(("custom_scalars", Vec::new())), content)
}

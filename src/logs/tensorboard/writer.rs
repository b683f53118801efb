//! Writing event files.

use super::name;
use super::proto::{Event, START, SessionLog, SourceMetadata, Summary, What};
use super::record::frame;
use super::summary::{self, ChartGroup, HyperParameter};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::logs::Histogram;
use crate::logs::lines::Growing;
use crate::number::nearest;
use crate::options::options;
use crate::picture::Picture;
use prost::Message;
use std::path::Path;
use std::time::{Duration, Instant};

const OP: &str = "SummaryWriter";

options! {
    /// Options of a [`SummaryWriter`].
    #[derive(Clone, Debug, PartialEq)]
    SummaryWriterOptions {
        /// The step from which on this file replaces older ones in the folder; TensorBoard hides their values. A
        /// resumed run passes its first step.
        purge_step: Option<u64> = None,
        /// The number of events that may wait before they are written to the file.
        max_queue: usize = 10,
        /// The time after which the next event causes a write to the file.
        flush_every: Duration = Duration::from_secs(10),
    }
}

/// Writes an event file for TensorBoard, as PyTorch's `torch.utils.tensorboard.SummaryWriter`.
///
/// Events are written to the file when ten wait or when ten seconds have passed, by [`flush`](SummaryWriter::flush), and when the
/// writer is dropped. TensorBoard reads a file that grows, and leaves out half an event at its end.
///
/// ```
/// use wgrad::logs::tensorboard::{self, SummaryWriter, Value};
/// use wgrad::logs::Histogram;
/// use wgrad::{Device, Tensor};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
///
/// let mut writer = SummaryWriter::new(folder, Default::default())?;
/// for step in 1..=3 {
///     writer.add_scalar("train/loss", 1.0 / step as f64, step)?;
/// }
/// let weights = Tensor::randn(&Device::reference(), &[64, 32])?;
/// writer.add_histogram("fc.weight", &Histogram::of(&weights, 30)?, 3)?;
/// writer.add_text("notes", "a **short** run", 3)?;
/// writer.flush()?;
///
/// let entries = tensorboard::read(writer.path())?;
/// assert_eq!((entries[1].tag.as_str(), entries[1].step), ("train/loss", 2));
/// assert_eq!(entries[1].value, Value::Scalar(0.5));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct SummaryWriter {
    file: Growing,
    /// Waiting records, and their number.
    waiting: Vec<u8>,
    events: usize,
    flushed: Instant,
    options: SummaryWriterOptions,
}

impl SummaryWriter {
    /// Creates an event file in a folder, and the folder if there is none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn new(folder: &Path, options: SummaryWriterOptions) -> Result<SummaryWriter> {
        let (path, file) = name::create(folder)?;
        let purge_step = options.purge_step;
        let mut writer = SummaryWriter {
            file: Growing::empty(path, file),
            waiting: Vec::new(),
            events: 0,
            flushed: Instant::now(),
            options,
        };
        writer.push(0, Some(OP), What::FileVersion("brain.Event:2".to_string()))?;
        if let Some(step) = purge_step {
            writer.push(step, None, What::SessionLog(SessionLog { status: START }))?;
        }
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds a number at a step.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn add_scalar(&mut self, tag: &str, value: f64, step: u64) -> Result<()> {
        self.add(summary::scalar(tag, value), step)
    }

    /// Adds a histogram at a step. TensorBoard's own have 30 bins.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn add_histogram(&mut self, tag: &str, histogram: &Histogram, step: u64) -> Result<()> {
        self.add(summary::histogram(tag, histogram), step)
    }

    /// Adds an image `[C, H, W]` of 1 to 4 channels: floats of 0 to 1, or i32 that holds bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, [`Error::File`]; errors that the device met.
    pub fn add_image(&mut self, tag: &str, image: &Tensor, step: u64) -> Result<()> {
        self.add_images(tag, &image.unsqueeze(0)?, step)
    }

    /// Adds images `[N, C, H, W]` as one picture, in about as many rows as columns.
    ///
    /// # Errors
    /// As [`add_image`](SummaryWriter::add_image); [`Error::Invalid`] if there is none.
    pub fn add_images(&mut self, tag: &str, images: &Tensor, step: u64) -> Result<()> {
        let pictures = Picture::read("add_images", images)?;
        let columns = nearest::<usize>((pictures.len() as f64).sqrt().ceil());
        let grid =
            Picture::grid(&pictures, columns).ok_or_else(|| Error::invalid("add_images", "there is no image"))?;
        self.add(summary::image(tag, &grid)?, step)
    }

    /// Adds a text, in Markdown.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn add_text(&mut self, tag: &str, text: &str, step: u64) -> Result<()> {
        self.add(summary::text(tag, text), step)
    }

    /// Adds hyperparameters and final metrics, by which TensorBoard compares runs. The metrics are written as scalars,
    /// too.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn add_hparams(&mut self, given: &[(&str, HyperParameter)], metrics: &[(&str, f64)], step: u64) -> Result<()> {
        summary::hparams(given, metrics).into_iter().try_for_each(|summary| self.add(summary, step))?;
        metrics.iter().try_for_each(|&(tag, value)| self.add_scalar(tag, value, step))
    }

    /// Adds charts of several curves, for "Custom Scalars".
    ///
    /// # Errors
    /// [`Error::File`].
    ///
    /// ```
    /// # use wgrad::logs::tensorboard::{ChartGroup, SummaryWriter};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let mut writer = SummaryWriter::new(folder.path(), Default::default())?;
    /// writer.add_custom_scalars(&[ChartGroup {
    ///     title: "Loss".into(),
    ///     charts: vec![("training and validation".into(), vec!["train/loss".into(), "val/loss".into()])],
    /// }])?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn add_custom_scalars(&mut self, groups: &[ChartGroup]) -> Result<()> {
        self.add(summary::layout(groups), 0)
    }

    /// Writes all waiting events to the file.
    ///
    /// # Errors
    /// [`Error::File`]; events that can't be written are lost.
    pub fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        (self.events, self.flushed) = (0, Instant::now());
        self.file.append(&waiting)
    }

    fn add(&mut self, summary: Summary, step: u64) -> Result<()> {
        self.push(step, None, What::Summary(summary))?;
        if self.events >= self.options.max_queue || self.flushed.elapsed() >= self.options.flush_every {
            self.flush()?;
        }
        Ok(())
    }

    fn push(&mut self, step: u64, writer: Option<&str>, what: What) -> Result<()> {
        let step = i64::try_from(step).map_err(|_| Error::invalid(OP, format!("step {step} is past 2^63 - 1")))?;
        let source_metadata = writer.map(|writer| SourceMetadata { writer: format!("wgrad.{writer}") });
        let event = Event { wall_time: name::now(), step, source_metadata, what: Some(what) };
        self.waiting.extend(frame(&event.encode_to_vec()));
        self.events += 1;
        Ok(())
    }
}

/// Writes waiting events if possible; an error goes unreported, unlike that of [`flush`](SummaryWriter::flush).
impl Drop for SummaryWriter {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

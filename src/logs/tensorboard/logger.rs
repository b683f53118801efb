//! A run in an event file.

use super::{HyperParameter, SummaryWriter, SummaryWriterOptions};
use crate::error::{Error, Result};
use crate::logs::Histogram;
use crate::logs::logger::of_step;
use crate::train::{Callback, Run, Scalars};
use crate::{Parameter, Tensor};
use std::path::PathBuf;

/// The number of bins in TensorBoard's own histograms.
const BINS: usize = 30;

/// Writes a run for TensorBoard: numbers of steps (`step/loss`), of epochs and validations (`train/loss`,
/// `val/accuracy`), histograms of the parameters, and of the gradients of an epoch's first step, and the run's notes.
/// Gradients include the factor by which half precision scales the loss.
///
/// A resumed run writes another file, which replaces the repeated steps.
///
/// ```
/// use wgrad::logs::tensorboard::{self, TensorBoardLogger};
/// use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}, optim::{Sgd, SgdOptions}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// # let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let train = ImageLoader::shuffled(&images, &device, 1, 0)?;
/// Trainer::new(&device, TrainerOptions::default().folder(folder))?
///     .callback(TensorBoardLogger::new())
///     .fit(&model, &mut sgd, &mut Supervised::classification(), &train, None)?;
///
/// let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
/// let tags: Vec<String> = tensorboard::read(&file)?.into_iter().map(|entry| entry.tag).collect();
/// assert!(tags.contains(&"train/loss".to_string()) && tags.contains(&"parameters/1.weight".to_string()));
/// assert!(tags.contains(&"gradients/1.weight".to_string()));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorBoardLogger {
    folder: Option<PathBuf>,
    histogram_epochs: u64,
    hparams: Vec<(String, HyperParameter)>,
    writer: Option<SummaryWriter>,
    last: Scalars,
}

impl TensorBoardLogger {
    /// Into the run's folder, with histograms of each epoch.
    pub fn new() -> TensorBoardLogger {
        TensorBoardLogger { folder: None, histogram_epochs: 1, hparams: Vec::new(), writer: None, last: Scalars::new() }
    }

    /// Into another folder.
    #[must_use = "it returns the logger with the folder"]
    pub fn folder(self, folder: impl Into<PathBuf>) -> TensorBoardLogger {
        TensorBoardLogger { folder: Some(folder.into()), ..self }
    }

    /// Writes histograms every this many epochs; 0 writes none.
    #[must_use = "it returns the logger with the choice"]
    pub fn histogram_epochs(self, histogram_epochs: u64) -> TensorBoardLogger {
        TensorBoardLogger { histogram_epochs, ..self }
    }

    /// Hyperparameters, by which TensorBoard compares runs; they are written at the end of the run, with the last epoch's
    /// numbers.
    #[must_use = "it returns the logger with the hyperparameters"]
    pub fn hparams(self, hparams: Vec<(String, HyperParameter)>) -> TensorBoardLogger {
        TensorBoardLogger { hparams, ..self }
    }

    /// Calls `write` with the file, which exists from the start of the run on.
    fn write(&mut self, write: impl FnOnce(&mut SummaryWriter) -> Result<()>) -> Result<()> {
        self.writer.as_mut().map_or(Ok(()), write)
    }

    fn is_due(&self, run: &Run) -> bool {
        self.histogram_epochs > 0 && (run.epoch + 1).is_multiple_of(self.histogram_epochs)
    }

    fn histograms(&mut self, group: &str, tensors: &[(String, Tensor)], step: u64) -> Result<()> {
        let values: Vec<&Tensor> = tensors.iter().map(|(_, tensor)| tensor).collect();
        let histograms = Histogram::of_each(&values, BINS)?;
        self.write(|writer| {
            tensors.iter().zip(&histograms).try_for_each(|((name, _), histogram)| {
                writer.add_histogram(&format!("{group}/{name}"), histogram, step)
            })
        })
    }
}

impl Default for TensorBoardLogger {
    fn default() -> Self {
        Self::new()
    }
}

fn add_scalars(writer: &mut SummaryWriter, scalars: &[(String, f64)], step: u64) -> Result<()> {
    scalars.iter().try_for_each(|(name, value)| writer.add_scalar(name, *value, step))
}

/// Parameters, without buffers.
fn trained(run: &Run) -> impl Iterator<Item = Parameter> + use<> {
    Parameter::each_once(run.model.parameters()).into_iter().filter(|parameter| !parameter.is_buffer())
}

impl Callback for TensorBoardLogger {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        let no_folder =
            || Error::invalid("TensorBoardLogger", "the run has no folder; give it one, or give this callback one");
        let folder = self.folder.as_deref().or(run.folder).ok_or_else(no_folder)?;
        let purge_step = (run.step > 0).then_some(run.step + 1);
        let options = SummaryWriterOptions { purge_step, ..SummaryWriterOptions::default() };
        self.writer = Some(SummaryWriter::new(folder, options)?);
        Ok(())
    }

    fn on_gradients(&mut self, run: &mut Run) -> Result<()> {
        if run.batch > 0 || !self.is_due(run) {
            return Ok(());
        }
        let gradient = |parameter: Parameter| Some((parameter.name().to_string(), parameter.grad()?));
        let gradients: Vec<_> = trained(run).filter_map(gradient).collect();
        self.histograms("gradients", &gradients, run.step + 1)
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        self.write(|writer| add_scalars(writer, &of_step(run), run.step))
    }

    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        // The entry of the epoch has these numbers, too.
        let scalars = if run.batch == run.batches { &[] } else { run.scalars };
        self.write(|writer| add_scalars(writer, scalars, run.step))
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        self.last = run.scalars.to_vec();
        self.write(|writer| add_scalars(writer, run.scalars, run.step))?;
        if self.is_due(run) {
            let values: Vec<_> =
                trained(run).map(|parameter| (parameter.name().to_string(), parameter.value())).collect();
            self.histograms("parameters", &values, run.step)?;
        }
        self.write(SummaryWriter::flush)
    }

    fn on_note(&mut self, run: &mut Run, note: &str) -> Result<()> {
        self.write(|writer| writer.add_text("notes", note, run.step))
    }

    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        if !self.hparams.is_empty() {
            let given: Vec<_> = self.hparams.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let last: Vec<_> = self.last.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            self.writer.as_mut().map_or(Ok(()), |writer| writer.add_hparams(&given, &last, run.step))?;
        }
        self.write(SummaryWriter::flush)
    }

    fn on_error(&mut self, run: &mut Run, error: &Error) -> Result<()> {
        let text = error.to_string();
        self.write(|writer| writer.add_text("error", &text, run.step).and_then(|()| writer.flush()))
    }
}

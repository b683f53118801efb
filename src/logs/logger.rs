//! Logs of a run's numbers.

use super::{CsvLog, JsonLinesLog, Record};
use crate::error::{Error, Result};
use crate::train::{Callback, Run, Scalars};
use std::path::{Path, PathBuf};

/// A log that takes rows.
pub trait RowLog: Sized {
    /// The file's name in a run's folder.
    const FILE: &'static str;

    /// Begins a log and replaces one that was there.
    ///
    /// # Errors
    /// [`Error::File`].
    fn create(path: &Path) -> Result<Self>;

    /// Continues a log behind the rows up to a step.
    ///
    /// # Errors
    /// [`Error::File`].
    fn resume(path: &Path, step: u64) -> Result<Self>;

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::File`].
    fn write(&mut self, row: &Record) -> Result<()>;
}

macro_rules! row_logs {
    ($($log:ty, $file:literal;)*) => {$(
        impl RowLog for $log {
            const FILE: &'static str = $file;
            fn create(path: &Path) -> Result<Self> {
                <$log>::create(path)
            }
            fn resume(path: &Path, step: u64) -> Result<Self> {
                <$log>::resume(path, step)
            }
            fn write(&mut self, row: &Record) -> Result<()> {
                <$log>::write(self, row)
            }
        }
    )*};
}

row_logs! {
    CsvLog, "metrics.csv";
    JsonLinesLog, "metrics.jsonl";
}

/// Writes the numbers of a run into `metrics.csv`: a row per epoch, and one for each validation within an epoch.
pub type CsvLogger = RowLogger<CsvLog>;

/// Writes the numbers of a run into `metrics.jsonl`: those of [`CsvLogger`], and for each step with a loss reading a
/// row with `step/loss`, `step/lr` and the others.
pub type JsonLinesLogger = RowLogger<JsonLinesLog>;

/// Writes the numbers of a run into a log: [`CsvLogger`], [`JsonLinesLogger`].
///
/// A resumed run continues the existing log, without the rows of repeated steps.
///
/// ```
/// use wgrad::logs::{CsvLog, CsvLogger, JsonLinesLogger};
/// use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}, optim::{Sgd, SgdOptions}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// # let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
///
/// let train = ImageLoader::shuffled(&images, &device, 1, 0)?;
/// Trainer::new(&device, TrainerOptions::default().epochs(2).folder(folder))?
///     .callback(CsvLogger::new())
///     .callback(JsonLinesLogger::new())
///     .fit(&model, &mut sgd, &mut Supervised::classification(), &train, None)?;
/// let rows = CsvLog::read(&folder.join("metrics.csv"))?;
/// assert_eq!((rows.len(), rows[1].epoch, rows[1].step), (2, 2, 4));
/// assert!(rows[1].get("train/loss") < rows[0].get("train/loss"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct RowLogger<L> {
    path: Option<PathBuf>,
    steps: bool,
    log: Option<L>,
}

impl CsvLogger {
    /// Into `metrics.csv` of the run's folder.
    pub fn new() -> CsvLogger {
        RowLogger { path: None, steps: false, log: None }
    }
}

impl JsonLinesLogger {
    /// Into `metrics.jsonl` of the run's folder.
    pub fn new() -> JsonLinesLogger {
        RowLogger { path: None, steps: true, log: None }
    }
}

impl Default for CsvLogger {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for JsonLinesLogger {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: RowLog> RowLogger<L> {
    /// Into another file.
    #[must_use = "it returns the logger with the path"]
    pub fn path(self, path: impl Into<PathBuf>) -> RowLogger<L> {
        RowLogger { path: Some(path.into()), ..self }
    }

    /// Writes rows for single steps, or leaves them out.
    #[must_use = "it returns the logger with the choice"]
    pub fn steps(self, steps: bool) -> RowLogger<L> {
        RowLogger { steps, ..self }
    }

    fn write(&mut self, run: &Run, epoch: u64, scalars: Scalars) -> Result<()> {
        match &mut self.log {
            Some(log) if !scalars.is_empty() => log.write(&Record { epoch, step: run.step, scalars }),
            _ => Ok(()),
        }
    }
}

impl<L: RowLog> Callback for RowLogger<L> {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        let path = match &self.path {
            Some(path) => path.clone(),
            None => in_folder(run, L::FILE)?,
        };
        self.log = Some(if run.step == 0 { L::create(&path)? } else { L::resume(&path, run.step)? });
        Ok(())
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if self.steps { self.write(run, run.epoch, of_step(run)) } else { Ok(()) }
    }

    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        // The row of the epoch has these numbers, too.
        if run.batch == run.batches { Ok(()) } else { self.write(run, run.epoch, run.scalars.to_vec()) }
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        self.write(run, run.epoch + 1, run.scalars.to_vec())
    }
}

/// A file of the run's folder.
pub(crate) fn in_folder(run: &Run, file: &'static str) -> Result<PathBuf> {
    let no_folder = || Error::invalid(file, "the run has no folder; give it one, or give this callback a path");
    Ok(run.folder.ok_or_else(no_folder)?.join(file))
}

/// The numbers of a step under `step/`: those of an epoch are also called `train/loss`, but are means.
pub(super) fn of_step(run: &Run) -> Scalars {
    let name = |name: &str| format!("step/{}", name.strip_prefix("train/").unwrap_or(name));
    run.scalars.iter().map(|(known, value)| (name(known), *value)).collect()
}

//! A run's report as a callback.

use super::answers::{Answer, Answers};
use super::drawing::Drawing;
use super::page::{Answered, History, Images, Page};
use crate::data::Image;
use crate::error::{Error, Result};
use crate::file;
use crate::graph::Parameter;
use crate::logs::text::duration;
use crate::logs::{CsvLog, Record, in_folder};
use crate::nn::Module;
use crate::train::{Callback, Modes, Run};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Draws a trained model.
type Figure<'a> = Box<dyn Fn(&dyn Module) -> Result<Drawing> + 'a>;

/// Writes `report.html` into the run's folder after each epoch and at the end: one self-contained file, readable
/// offline, with curves, confusion matrix, calibration, ROC and precision-recall curves, metrics by class, the worst
/// mistakes as pictures, throughput, configuration, adapter, versions and the command line. A resumed run shows the
/// earlier curves from `metrics.csv`, if there is a [`CsvLogger`](crate::logs::CsvLogger) among the callbacks.
///
/// Its parts about single answers come from [`Answers`], which is one of the task's metrics.
///
/// ```
/// use wgrad::report::{Answers, ReportWriter};
/// use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Image, Images}, nn::{Flatten, Linear, Scope, Sequential}, optim::{Sgd, SgdOptions}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// # let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let train = ImageLoader::shuffled(&images, &device, 1, 0)?;
/// let test = ImageLoader::in_order(&images, &device, 2)?;
///
/// let answers = Answers::new(vec!["cat".to_string(), "dog".to_string()]);
/// let report = ReportWriter::new("Cats and dogs")
///     .answers(&answers)
///     .images(|item| Image::new([1, 1, 2], vec![item as u8 * 20, 10]))
///     .configuration(vec![("learning rate".to_string(), "0.1".to_string())]);
/// Trainer::new(&device, TrainerOptions::default().folder(folder))?
///     .callback(report)
///     .fit(&model, &mut sgd, &mut Supervised::classification().metric(answers), &train, Some(&test))?;
/// let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
/// assert!(page.contains("Cats and dogs") && page.contains("Confusion matrix"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct ReportWriter<'a> {
    title: String,
    path: Option<PathBuf>,
    answers: Option<Answers>,
    images: Option<Images<'a>>,
    figures: Vec<(String, Figure<'a>)>,
    drawn: Vec<(String, Drawing)>,
    configuration: Vec<(String, String)>,
    history: History,
    start: Instant,
    notes: Vec<String>,
}

impl<'a> ReportWriter<'a> {
    /// A report with this title.
    pub fn new(title: impl Into<String>) -> ReportWriter<'a> {
        ReportWriter {
            title: title.into(),
            path: None,
            answers: None,
            images: None,
            figures: Vec::new(),
            drawn: Vec::new(),
            configuration: Vec::new(),
            history: History::default(),
            start: Instant::now(),
            notes: Vec::new(),
        }
    }

    /// Writes to another file than `report.html` of the run's folder.
    #[must_use = "it returns the report with the path"]
    pub fn path(self, path: impl Into<PathBuf>) -> ReportWriter<'a> {
        ReportWriter { path: Some(path.into()), ..self }
    }

    /// Shows the answers of each evaluation; a clone is a metric of the task.
    #[must_use = "it returns the report with the answers"]
    pub fn answers(self, answers: &Answers) -> ReportWriter<'a> {
        ReportWriter { answers: Some(answers.clone()), ..self }
    }

    /// Shows wrong answers with the images of their items, by position in the validation set.
    #[must_use = "it returns the report with the images"]
    pub fn images(self, images: impl Fn(usize) -> Result<Image> + 'a) -> ReportWriter<'a> {
        ReportWriter { images: Some(Box::new(images)), ..self }
    }

    /// Shows a drawing of the trained model, which is made when the run has ended, with the model in evaluation.
    ///
    /// ```
    /// use wgrad::report::{ReportWriter, corruption_table};
    /// use wgrad::robust::{Classifier, Severity, corruption_errors};
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// # let (images, labels) = (Tensor::zeros(&device, &[4, 1, 8, 8])?, Tensor::zeros(&device, &[4])?);
    /// let report = ReportWriter::new("Digits").figure("Corruptions", |model| {
    ///     let batches = [Ok((images.clone(), labels.clone()))];
    ///     let errors = corruption_errors(&Classifier::new(model), batches, Severity::cifar)?;
    ///     Ok(corruption_table("Error under corruptions", &errors))
    /// });
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use = "it returns the report with the drawing"]
    pub fn figure(
        mut self,
        title: impl Into<String>,
        draw: impl Fn(&dyn Module) -> Result<Drawing> + 'a,
    ) -> ReportWriter<'a> {
        self.figures.push((title.into(), Box::new(draw)));
        self
    }

    /// Names and values of the run's settings.
    #[must_use = "it returns the report with the configuration"]
    pub fn configuration(self, configuration: Vec<(String, String)>) -> ReportWriter<'a> {
        ReportWriter { configuration, ..self }
    }

    fn row(&mut self, run: &Run, epoch: u64) {
        self.history.epochs.push(Record { epoch, step: run.step, scalars: run.scalars.to_vec() });
    }

    fn read(&self) -> Result<Vec<Answer>> {
        self.answers.as_ref().map_or(Ok(Vec::new()), Answers::read)
    }

    fn write(&self, run: &Run, status: String, answers: &[Answer]) -> Result<()> {
        let path = match &self.path {
            Some(path) => path.clone(),
            None => in_folder(run, "report.html")?,
        };
        let answered = match &self.answers {
            Some(all) => Answered::new(all, answers, self.images.as_ref())?,
            None => Answered::default(),
        };
        let page = Page {
            title: &self.title,
            status,
            history: &self.history,
            answered,
            figures: &self.drawn,
            facts: vec![
                ("Configuration", self.configuration.clone()),
                ("Machine and program", self.machine(run)),
                ("Notes", self.notes.iter().map(|note| (String::new(), note.clone())).collect()),
            ],
        };
        file::replace(&path, page.html()?.as_bytes())
    }

    fn machine(&self, run: &Run) -> Vec<(String, String)> {
        let parameters = Parameter::each_once(run.model.parameters());
        let count: usize = parameters.iter().filter(|p| !p.is_buffer()).map(|p| p.value().numel()).sum();
        let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let adapter = run.device.adapter().map_or("the CPU reference, in double precision".to_string(), |adapter| {
            let software = if adapter.is_cpu { ", a software adapter" } else { "" };
            format!("{}{software}, subgroups of {}", adapter.name, adapter.subgroup_size)
        });
        [
            ("adapter", adapter),
            ("system", format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH)),
            ("wgrad", env!("CARGO_PKG_VERSION").to_string()),
            ("parameters", count.to_string()),
            ("command line", arguments.join(" ")),
            ("time of this call", duration(self.start.elapsed())),
            ("written", utc(SystemTime::now())),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into()
    }
}

/// `2026-11-30 14:05 UTC`.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02} UTC", days + 1, minutes / 60, minutes % 60)
}

impl Callback for ReportWriter<'_> {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        self.start = Instant::now();
        if let (true, Some(folder)) = (run.step > 0 && self.history.epochs.is_empty(), run.folder) {
            self.history.epochs = CsvLog::read(&folder.join("metrics.csv"))?;
        }
        self.history.epochs.retain(|row| row.step <= run.step);
        self.history.steps.retain(|&(step, _)| step <= run.step as f64);
        Ok(())
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        self.history.steps.extend(run.scalar("train/loss").map(|loss| (run.step as f64, loss)));
        Ok(())
    }

    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        // The row of the epoch has these numbers, too.
        if run.batch < run.batches {
            self.row(run, run.epoch);
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        self.row(run, run.epoch + 1);
        self.write(run, format!("running: {} of {} epochs are done", run.epoch + 1, run.epochs), &self.read()?)
    }

    fn on_note(&mut self, _: &mut Run, note: &str) -> Result<()> {
        self.notes.push(note.to_string());
        Ok(())
    }

    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        let status = match run.requests.stopped() {
            Some(reason) => format!("stopped: {reason}"),
            None => "finished".to_string(),
        };
        let modes = Modes::of(run.model);
        modes.set(false);
        for (title, draw) in &self.figures {
            self.drawn.push((title.clone(), draw(run.model)?));
        }
        drop(modes);
        self.write(run, status, &self.read()?)
    }

    fn on_error(&mut self, run: &mut Run, error: &Error) -> Result<()> {
        // The device itself may have failed.
        self.write(run, format!("failed: {error}"), &self.read().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (94_607_999, "1972-12-30 23:59 UTC"),
            (94_694_399, "1972-12-31 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_796_047_500, "2026-11-30 14:05 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}

//! Progress of a run, for the user.

use super::text::{duration, short};
use crate::error::{Error, Result};
use crate::train::{Callback, Run, Scalars};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const OP: &str = "Progress";

/// Shows the progress of a run: a bar on a terminal, and elsewhere, as in a file, a line every few seconds. Both add a
/// line per epoch with its numbers. All output goes to standard error, or to a writer of the program's choice.
///
/// ```
/// use wgrad::logs::Progress;
/// use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}, optim::{Sgd, SgdOptions}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// # let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// let train = ImageLoader::shuffled(&images, &device, 1, 0)?;
/// let mut text = Vec::new();
/// Trainer::new(&device, TrainerOptions::default().epochs(2))?
///     .callback(Progress::lines(&mut text))
///     .fit(&model, &mut sgd, &mut Supervised::classification(), &train, None)?;
/// let text = String::from_utf8(text).unwrap();
/// assert!(text.lines().last().unwrap().starts_with("epoch 2/2: train/loss "));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Progress<'a> {
    out: Out<'a>,
    /// Numbers of the last reading.
    last: Scalars,
    /// The start of this call of the run, and the batches done by then.
    start: Option<(Instant, u64)>,
    epoch: Instant,
}

enum Out<'a> {
    Nothing,
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + 'a>, every: Duration, told: Instant },
}

impl<'a> Progress<'a> {
    fn to(out: Out<'a>) -> Progress<'a> {
        Progress { out, last: Scalars::new(), start: None, epoch: Instant::now() }
    }

    /// A bar where standard error is a terminal, else lines to it.
    pub fn new() -> Progress<'a> {
        if stderr().is_terminal() { Progress::to(Out::Bar(ProgressBar::new(0))) } else { Progress::lines(stderr()) }
    }

    /// No output.
    pub fn quiet() -> Progress<'a> {
        Progress::to(Out::Nothing)
    }

    /// Lines, one every five seconds.
    pub fn lines(out: impl Write + 'a) -> Progress<'a> {
        Progress::to(Out::Lines { out: Box::new(out), every: Duration::from_secs(5), told: Instant::now() })
    }

    /// Sets the time between two lines within an epoch. A bar redraws itself as often as terminals show it.
    #[must_use = "it returns the progress with the time"]
    pub fn every(mut self, time: Duration) -> Progress<'a> {
        if let Out::Lines { every, .. } = &mut self.out {
            *every = time;
        }
        self
    }

    /// A line that stays.
    fn line(&mut self, line: &str) -> Result<()> {
        match &mut self.out {
            Out::Nothing => Ok(()),
            Out::Bar(bar) => {
                bar.suspend(|| writeln!(stderr(), "{line}")).map_err(|error| Error::file("standard error", error))
            }
            Out::Lines { out, .. } => {
                writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Error::file("progress", error))
            }
        }
    }

    /// The remaining time of the run, by the pace of this call, evaluations included.
    fn left(&self, run: &Run) -> Option<Duration> {
        let (start, before) = self.start?;
        let done = batches_done(run).checked_sub(before).filter(|&done| done > 0)?;
        let left = (run.epochs * run.batches as u64).saturating_sub(batches_done(run));
        Some(start.elapsed().mul_f64(left as f64 / done as f64))
    }

    /// `loss 0.2134, 5120 items/s, 12 min 5 s left`.
    fn message(&self, run: &Run) -> String {
        let number = |name: &str| self.last.iter().find(|(known, _)| known == name).map(|&(_, value)| value);
        let loss = number("train/loss").map(|loss| format!("loss {}", short(loss)));
        let rate = number("items/s").map(|rate| format!("{rate:.0} items/s"));
        let left = self.left(run).map(|left| format!("{} left", duration(left)));
        [loss, rate, left].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Default for Progress<'_> {
    fn default() -> Self {
        Self::new()
    }
}

fn batches_done(run: &Run) -> u64 {
    run.epoch * run.batches as u64 + run.batch as u64
}

impl Callback for Progress<'_> {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        (self.start, self.epoch) = (Some((Instant::now(), batches_done(run))), Instant::now());
        if let Out::Bar(bar) = &self.out {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
            bar.set_style(style.map_err(|error| Error::invalid(OP, error.to_string()))?);
        }
        Ok(())
    }

    fn on_epoch_start(&mut self, _: &mut Run) -> Result<()> {
        self.epoch = Instant::now();
        Ok(())
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if !run.scalars.is_empty() {
            self.last = run.scalars.to_vec();
        }
        let message = self.message(run);
        match &mut self.out {
            Out::Bar(bar) => {
                bar.set_prefix(format!("epoch {}/{}", run.epoch + 1, run.epochs));
                bar.set_length(run.batches as u64);
                bar.set_position(run.batch as u64);
                bar.set_message(message);
            }
            Out::Lines { every, told, .. } if told.elapsed() >= *every => {
                *told = Instant::now();
                let line =
                    format!("epoch {}/{}, batch {}/{}: {message}", run.epoch + 1, run.epochs, run.batch, run.batches);
                self.line(&line)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_validation_start(&mut self, _: &mut Run) -> Result<()> {
        if let Out::Bar(bar) = &self.out {
            bar.set_message("validating");
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        let of_learning = |(name, _): &&(String, f64)| name.starts_with("train/") || name.starts_with("val/");
        let numbers: Vec<String> =
            run.scalars.iter().filter(of_learning).map(|(name, value)| format!("{name} {}", short(*value))).collect();
        let line = format!(
            "epoch {}/{}: {}, {}",
            run.epoch + 1,
            run.epochs,
            numbers.join(", "),
            duration(self.epoch.elapsed())
        );
        self.line(&line)
    }

    fn on_note(&mut self, _: &mut Run, note: &str) -> Result<()> {
        self.line(note)
    }

    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        if let Out::Bar(bar) = &self.out {
            bar.finish_and_clear();
        }
        match run.requests.stopped().map(str::to_string) {
            Some(reason) => self.line(&format!("stopped: {reason}")),
            None => Ok(()),
        }
    }

    fn on_error(&mut self, _: &mut Run, _: &Error) -> Result<()> {
        if let Out::Bar(bar) = &self.out {
            bar.abandon();
        }
        Ok(())
    }
}

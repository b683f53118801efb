//! A view of a training run.

use crate::graph::{Device, Tensor};
use crate::nn::Module;
use crate::optim::Optimizer;
use std::path::{Path, PathBuf};

/// Named numbers, such as `("val/accuracy", 0.99)`.
pub type Scalars = Vec<(String, f64)>;

/// The number with this name.
pub(super) fn scalar(scalars: &[(String, f64)], name: &str) -> Option<f64> {
    scalars.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
}

/// Part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Steps on the training set.
    Train,
    /// A pass over the validation set.
    Validation,
}

/// Requests of callbacks to a run. The loop carries them out between two steps.
///
/// ```
/// use wgrad::train::Requests;
/// let mut requests = Requests::default();
/// requests.stop("the first reason");
/// requests.stop("another");
/// assert_eq!(requests.stopped(), Some("the first reason"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    stop: Option<String>,
    checkpoints: Vec<PathBuf>,
    notes: Vec<String>,
}

impl Requests {
    /// Requests the end of the run, after the step that is under way. The first reason stays.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.stop.get_or_insert_with(|| reason.into());
    }

    /// The reason to end the run, where there is one.
    pub fn stopped(&self) -> Option<&str> {
        self.stop.as_deref()
    }

    /// Requests a checkpoint at this path, of the state after the step that is under way.
    pub fn checkpoint(&mut self, path: impl Into<PathBuf>) {
        let path = path.into();
        if !self.checkpoints.contains(&path) {
            self.checkpoints.push(path);
        }
    }

    /// The paths of the checkpoints that were asked for since the last call.
    pub fn take_checkpoints(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.checkpoints)
    }

    /// Passes a line to the user: see [`Callback::on_note`](super::Callback::on_note).
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The lines since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

/// A run, as a [`Callback`](super::Callback) sees it. A loop written by hand makes one with [`new`](Run::new) and sets the
/// fields it knows.
///
/// ```
/// use wgrad::nn::{Linear, Scope};
/// use wgrad::optim::{Sgd, SgdOptions};
/// use wgrad::train::{Phase, Requests, Run};
/// use wgrad::Device;
///
/// let device = Device::reference();
/// let model = Linear::new(&Scope::new(&device), 4, 2)?;
/// let mut sgd = Sgd::new(&model, SgdOptions::default())?;
/// let mut requests = Requests::default();
/// let scalars = [("val/loss".to_string(), 0.5)];
/// let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
/// (run.epoch, run.phase, run.scalars) = (3, Phase::Validation, &scalars);
/// assert_eq!(run.scalar("val/loss"), Some(0.5));
/// run.requests.stop("the loss is low enough");
/// assert!(requests.stopped().is_some());
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Run<'a> {
    /// The device that the model is on.
    pub device: &'a Device,
    /// The model. During validation its parameters are the averages, where those are evaluated.
    pub model: &'a dyn Module,
    /// The optimizer.
    pub optimizer: &'a mut dyn Optimizer,
    /// The folder of the run's files, where it has one.
    pub folder: Option<&'a Path>,
    /// The number of the epoch, which counts from 0.
    pub epoch: u64,
    /// Epochs of the run.
    pub epochs: u64,
    /// Batches of the epoch that steps have been taken on.
    pub batch: usize,
    /// Batches of an epoch.
    pub batches: usize,
    /// Steps of the optimizer since the beginning of the run, those before it was resumed included.
    pub step: u64,
    /// Items (images, say) of the last step or pass.
    pub items: usize,
    /// The part of the run under way.
    pub phase: Phase,
    /// The number on the device that gradients are scaled by, where half precision scales the loss.
    pub loss_scale: Option<Tensor>,
    /// The numbers of the moment. After a step there are some only if the loss was read: reading waits for the device.
    pub scalars: &'a [(String, f64)],
    /// The callback's requests.
    pub requests: &'a mut Requests,
}

impl<'a> Run<'a> {
    /// A run at its beginning, of one epoch, without a folder.
    pub fn new(
        device: &'a Device,
        model: &'a dyn Module,
        optimizer: &'a mut dyn Optimizer,
        requests: &'a mut Requests,
    ) -> Run<'a> {
        Run {
            device,
            model,
            optimizer,
            folder: None,
            epoch: 0,
            epochs: 1,
            batch: 0,
            batches: 0,
            step: 0,
            items: 0,
            phase: Phase::Train,
            loss_scale: None,
            scalars: &[],
            requests,
        }
    }

    /// The number with this name, where the moment has one.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        scalar(self.scalars, name)
    }
}

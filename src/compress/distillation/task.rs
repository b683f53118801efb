//! Distillation as a task of training.

use super::losses::{attention_loss, soft_target_loss};
use super::regressor::hint_loss;
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, grad_enabled, no_grad};
use crate::nn::Module;
use crate::options::options;
use crate::state::State;
use crate::train::{Outcome, Phase, Scalars, Supervised, Task, answered_by};

const OP: &str = "Distillation";

options! {
    /// Options of [`Distillation`]: `loss = hard * loss of the labels + soft * soft_target_loss`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    DistillationOptions {
        /// The temperature of both networks' logits.
        temperature: f64 = 4.0,
        /// The weight of the teacher's answers.
        soft: f64 = 0.9,
        /// The weight of the labels.
        hard: f64 = 0.1,
    }
}

/// A pair of layers whose outputs should be alike.
struct Pair {
    student: String,
    teacher: String,
    weight: f64,
    /// The regressor of a hint, or else maps of attention.
    regressor: Option<Box<dyn Module>>,
}

/// A [`Task`] of classification in which a student learns from a teacher: its answers at a temperature, maps of attention, and
/// hints. Layers are named as in the networks' [`summary`](Module::summary), and observed by a probe of the forward pass, so that
/// any two networks will do. The teacher is in evaluation, sees each batch as the student does, and gets no gradient. Evaluations
/// are those of the task without a teacher.
///
/// A teacher of the student's own architecture makes a born-again network (Furlanello et al., "Born Again Neural Networks",
/// 2018): that is self-distillation by generations, each the teacher of the next.
///
/// ```
/// use std::sync::Arc;
/// use wgrad::compress::distillation::{Distillation, DistillationOptions};
/// use wgrad::optim::{Adam, AdamOptions};
/// use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Module, Relu, Scope, Sequential}};
/// # let device = Device::reference();
/// # let pixels = (0..40).map(|at| if at % 4 < 2 { 20 } else { 200 }).collect();
/// # let images = Images::new(Array::new(vec![20, 1, 2], pixels)?, [0, 1].repeat(10), vec!["dark".into(), "light".into()])?;
/// let layers = |width| Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, width))?.push(Relu)
///     .make(|s| Linear::new(s, width, 2));
/// let (teacher, student) = (layers(64)?, layers(2)?);
/// let mut task = Distillation::new(Supervised::classification(), teacher, &DistillationOptions::default())?;
/// let mut adam = Adam::new(&student, AdamOptions::default().lr(0.1))?;
/// let train = ImageLoader::shuffled(&images, &device, 10, 0)?;
/// let fit = Trainer::new(&device, TrainerOptions::default().epochs(5))?
///     .fit(&student, &mut adam, &mut task, &train, Some(&train))?;
/// assert!(fit.scalar("val/loss").is_some_and(f64::is_finite));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Distillation {
    task: Supervised,
    teacher: Box<dyn Module>,
    options: DistillationOptions,
    pairs: Vec<Pair>,
}

impl Distillation {
    /// A task with a teacher, which is put into evaluation.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a temperature that is not positive, and negative weights.
    pub fn new(
        task: Supervised,
        teacher: impl Module + 'static,
        options: &DistillationOptions,
    ) -> Result<Distillation> {
        let DistillationOptions { temperature, soft, hard } = *options;
        let is_weight = |weight: f64| weight >= 0.0 && weight.is_finite();
        if !(temperature > 0.0 && temperature.is_finite() && is_weight(soft) && is_weight(hard)) {
            let rule = format!(
                "a temperature of {temperature}, weights {soft} and {hard}; expected one above 0, and none below"
            );
            return Err(Error::invalid(OP, rule));
        }
        teacher.eval();
        Ok(Distillation { task, teacher: Box::new(teacher), options: *options, pairs: Vec::new() })
    }

    /// Adds [`attention_loss`] between two layers, times `weight`: 1000 in the paper.
    #[must_use = "it returns the task with the loss"]
    pub fn attention(mut self, student: impl Into<String>, teacher: impl Into<String>, weight: f64) -> Distillation {
        let (student, teacher) = (student.into(), teacher.into());
        self.pairs.push(Pair { student, teacher, weight, regressor: None });
        self
    }

    /// Adds [`hint_loss`] between two layers, times `weight`, with a [`regressor`](super::regressor) that is trained too: give
    /// its [`parameters`](Distillation::parameters) to the optimizer. FitNets train by hints alone first (weights of 0 for
    /// answers and labels), and then without them.
    ///
    /// ```
    /// use wgrad::compress::distillation::{Distillation, DistillationOptions, regressor};
    /// use wgrad::optim::{Sgd, SgdOptions};
    /// use wgrad::train::Supervised;
    /// # use wgrad::{Device, models::{LeNet5, CifarResNet, CifarResNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let teacher = CifarResNet::new(&Scope::new(&device), &CifarResNetOptions::resnet20().classes(10).channels(1))?;
    /// let student = LeNet5::new(&Scope::new(&device))?;
    /// let map = |net: &dyn Module, layer: &str| -> wgrad::Result<Vec<usize>> {
    ///     let rows = net.summary(&[1, 1, 28, 28])?.rows;
    ///     Ok(rows.iter().find(|row| row.name == layer).unwrap().output.to_vec())
    /// };
    /// let guided = map(&student, "conv2")?;
    /// let regressor = regressor(&Scope::new(&device).at("regressor"), &guided, &map(&teacher, "layer3")?)?;
    /// let stage = DistillationOptions::default().soft(0.0).hard(0.0);
    /// let task = Distillation::new(Supervised::classification(), teacher, &stage)?
    ///     .hint(regressor, "conv2", "layer3", 1.0);
    /// let trained: Vec<_> = student.parameters().into_iter().chain(task.parameters()).collect();
    /// let sgd = Sgd::new(trained, SgdOptions::default().lr(0.01))?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use = "it returns the task with the loss"]
    pub fn hint(
        mut self,
        regressor: impl Module + 'static,
        student: impl Into<String>,
        teacher: impl Into<String>,
        weight: f64,
    ) -> Distillation {
        let (student, teacher) = (student.into(), teacher.into());
        self.pairs.push(Pair { student, teacher, weight, regressor: Some(Box::new(regressor)) });
        self
    }

    /// The parameters of the regressors.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.pairs
            .iter()
            .filter_map(|pair| pair.regressor.as_ref())
            .flat_map(|regressor| regressor.parameters())
            .collect()
    }
}

impl Task for Distillation {
    type Batch = Batch;

    fn forward(&self, model: &dyn Module, batch: &Batch) -> Result<Outcome> {
        if !grad_enabled() {
            return self.task.forward(model, batch);
        }
        let guided: Vec<&str> = self.pairs.iter().map(|pair| &*pair.student).collect();
        let (outcome, maps) = self.task.observed(model, batch, &guided)?;
        // The teacher's own output is the last.
        let layers: Vec<&str> = self.pairs.iter().map(|pair| &*pair.teacher).chain([""]).collect();
        let taught = no_grad(|| self.teacher.intermediates(&batch.images, &layers))?;
        let DistillationOptions { temperature, soft, hard } = self.options;
        let mut losses = Vec::new();
        if hard > 0.0 {
            losses.push(outcome.loss.mul_scalar(hard)?);
        }
        if let (true, Some(answers)) = (soft > 0.0, taught.last()) {
            losses.push(soft_target_loss(&outcome.outputs, answers, temperature)?.mul_scalar(soft)?);
        }
        for ((pair, student), teacher) in self.pairs.iter().zip(&maps).zip(&taught) {
            let loss = match &pair.regressor {
                Some(regressor) => hint_loss(&**regressor, student, teacher)?,
                None => attention_loss(student, teacher)?,
            };
            losses.push(loss.mul_scalar(pair.weight)?);
        }
        let mut losses = losses.into_iter();
        let nothing = || Error::invalid(OP, "answers and labels have weights of 0, and no layers are compared");
        let first = losses.next().ok_or_else(nothing)?;
        let loss = losses.try_fold(first, |sum, loss| sum.add(&loss))?;
        Ok(Outcome { loss, ..outcome })
    }

    answered_by!(this => this.task);

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

/// The regressors, which no file of the student's weights holds.
impl State for Distillation {
    fn kind(&self) -> &'static str {
        "distillation"
    }

    fn tensors(&self) -> Vec<Parameter> {
        self.parameters()
    }
}

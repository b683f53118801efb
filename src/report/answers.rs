//! The answers of a classifier, one by one.

use super::matrix::MatrixChart;
use super::{Drawing, ranking, reliability};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::{Curves, Metric, Task};
use crate::number::nearest;
use parking_lot::Mutex;
use std::sync::Arc;

/// Bins of a reliability diagram.
const BINS: usize = 15;

/// An answer of a classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The position of the item in the set.
    pub item: usize,
    /// The true class.
    pub truth: usize,
    /// The class with the largest probability.
    pub prediction: usize,
    /// That probability.
    pub confidence: f64,
}

/// The accuracy of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClassScore {
    /// Items of the class.
    pub support: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Keeps the answers of a classifier over a validation set on the device, and counts its probabilities by class for curves: a
/// metric without numbers, which a [`ReportWriter`](super::ReportWriter) reads once an epoch. Clones share the answers, so one
/// goes to the task and one to the report.
///
/// ```
/// use wgrad::metrics::Metric;
/// use wgrad::report::Answers;
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut answers = Answers::new(vec!["cat".to_string(), "dog".to_string()]);
/// let logits = Tensor::from_slice(&device, &[2.0f32, 0.0, 0.0, 1.0], &[2, 2])?;
/// answers.update(&logits, &Tensor::from_slice(&device, &[0, 0], &[2])?)?;
/// let mistakes = answers.mistakes(10)?;
/// assert_eq!((mistakes.len(), mistakes[0].item, mistakes[0].prediction), (1, 1, 1));
/// assert!((mistakes[0].confidence - 0.731).abs() < 1e-3);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Answers {
    classes: Vec<String>,
    /// `[N, 3]` per batch: truth, prediction, confidence.
    batches: Arc<Mutex<Vec<Tensor>>>,
    /// None before the first batch, which names the device.
    curves: Arc<Mutex<Option<Curves>>>,
}

impl Answers {
    /// No answers yet, about these classes.
    pub fn new(classes: Vec<String>) -> Answers {
        Answers { classes, batches: Arc::default(), curves: Arc::default() }
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Waits for all answers, and returns them in the order of their items.
    ///
    /// # Errors
    /// Errors that the device met.
    pub fn read(&self) -> Result<Vec<Answer>> {
        let batches = self.batches.lock().clone();
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let numbers = no_grad(|| Tensor::cat(&batches.iter().collect::<Vec<_>>(), 0))?.to_f64()?;
        let answer = |(item, &[truth, prediction, confidence]): (usize, &[f64; 3])| Answer {
            item,
            truth: nearest(truth),
            prediction: nearest(prediction),
            confidence,
        };
        Ok(numbers.as_chunks().0.iter().enumerate().map(answer).collect())
    }

    /// Wrong answers, the most confident first, at most `most`.
    ///
    /// # Errors
    /// As [`read`](Answers::read).
    pub fn mistakes(&self, most: usize) -> Result<Vec<Answer>> {
        Ok(mistakes(&self.read()?, most))
    }

    /// ROC and precision-recall curves by class. None without answers, and for a single class.
    pub(super) fn curves(&self) -> Result<Vec<Drawing>> {
        match &*self.curves.lock() {
            Some(curves) => ranking::by_class(curves, &self.classes),
            None => Ok(Vec::new()),
        }
    }

    /// Counts by class, for pictures of `answers`.
    pub(super) fn tally(&self, answers: &[Answer]) -> Tally {
        let count = self.classes.len();
        let mut tally = Tally { count, matrix: vec![0.0; count * count], bins: [(0.0, 0.0, 0.0); BINS] };
        for answer in answers {
            if let Some(cell) = tally.matrix.get_mut(answer.truth * count + answer.prediction) {
                *cell += 1.0;
            }
            let bin = nearest::<usize>(answer.confidence * BINS as f64).min(BINS - 1);
            let (number, confidence, right) = &mut tally.bins[bin];
            *number += 1.0;
            *confidence += answer.confidence;
            *right += if answer.truth == answer.prediction { 1.0 } else { 0.0 };
        }
        tally
    }
}

pub(super) fn mistakes(answers: &[Answer], most: usize) -> Vec<Answer> {
    let mut wrong: Vec<Answer> = answers.iter().filter(|answer| answer.truth != answer.prediction).copied().collect();
    wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    wrong.truncate(most);
    wrong
}

/// Counts of answers.
pub(super) struct Tally {
    count: usize,
    /// `[classes, classes]`, the true class by the predicted one.
    matrix: Vec<f64>,
    /// Answers by confidence: their number, the sum of their confidences, the number of right ones.
    bins: [(f64, f64, f64); BINS],
}

impl Tally {
    pub fn matrix(&self, classes: &[String]) -> Result<Drawing> {
        Ok(MatrixChart::new("Confusion matrix", classes, &self.matrix)?.draw())
    }

    pub fn reliability(&self) -> Drawing {
        let filled = self.bins.iter().filter(|(number, _, _)| *number > 0.0);
        let points: Vec<(f64, f64)> =
            filled.map(|(number, confidence, right)| (confidence / number, right / number)).collect();
        reliability("Calibration", &points)
    }

    /// Scores of each class; a score of nothing is 0.
    pub fn scores(&self) -> Vec<ClassScore> {
        let score = |class: usize| {
            let right = self.matrix[class * (self.count + 1)];
            let support: f64 = self.matrix[class * self.count..][..self.count].iter().sum();
            let predicted: f64 = self.matrix[class..].iter().step_by(self.count).sum();
            let share = |of: f64| if of > 0.0 { right / of } else { 0.0 };
            let f1 = if support + predicted > 0.0 { 2.0 * right / (support + predicted) } else { 0.0 };
            ClassScore { support, precision: share(predicted), recall: share(support), f1 }
        };
        (0..self.count).map(score).collect()
    }

    /// Pairs of classes mistaken for each other, the most frequent first: true class, predicted one, count.
    pub fn confusions(&self, most: usize) -> Vec<(usize, usize, f64)> {
        let pair = |(at, &number): (usize, &f64)| (at / self.count, at % self.count, number);
        let mut pairs: Vec<_> = self.matrix.iter().enumerate().map(pair).collect();
        pairs.retain(|&(truth, prediction, number)| truth != prediction && number > 0.0);
        pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
        pairs.truncate(most);
        pairs
    }
}

impl Metric for Answers {
    /// Takes logits `[N, C]` and class numbers `[N]`.
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        let (shape, classes) = (preds.shape(), self.classes.len());
        if shape.len() != 2 || shape[1] != classes || target.shape()[..] != shape[..1] {
            let rule = format!(
                "logits are [N, {classes}] for {classes} classes and labels [N], not {shape} and {}",
                target.shape()
            );
            return Err(Error::invalid("Answers", rule));
        }
        let probabilities = preds.detach().to_dtype(DType::F32)?.softmax(1)?;
        if classes > 1 {
            let mut curves = self.curves.lock();
            let mut counted = match curves.take() {
                Some(counted) => counted,
                None => Curves::new(preds.device(), Task::Multiclass(classes), &ranking::thresholds())?,
            };
            counted.update(&probabilities, target)?;
            *curves = Some(counted);
        }
        let (confidence, prediction) = probabilities.max(1)?;
        let columns = [&target.to_dtype(DType::F32)?, &prediction.to_dtype(DType::F32)?, &confidence];
        let columns = columns.map(|column| column.detach().unsqueeze(1));
        let [truth, prediction, confidence] = columns;
        self.batches.lock().push(Tensor::cat(&[&truth?, &prediction?, &confidence?], 1)?);
        Ok(())
    }

    /// No numbers: the answers stay on the device until a report asks for them.
    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }

    fn reset(&mut self) -> Result<()> {
        self.batches.lock().clear();
        *self.curves.lock() = None;
        Ok(())
    }
}

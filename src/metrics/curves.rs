//! Rankings: ROC and precision-recall curves, the area below them, and average precision.

use super::curve::{PrecisionRecallCurve, RocCurve};
use super::metric::Metric;
use super::naming::Naming;
use super::ranking::Ranking;
use super::steps::{Steps, mean_curve, mean_of_numbers};
use super::task::{Average, Task};
use super::thresholds::Thresholds;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::options::options;

options! {
    /// Thresholds of a ranking, and the elements that count.
    #[derive(Clone, Debug, PartialEq)]
    CurveOptions {
        /// Every score, or given thresholds.
        thresholds: Thresholds = Thresholds::Exact,
        /// Elements with this target count nowhere.
        ignore_index: Option<i32> = None,
    }
}

/// The quality of a ranking by scores: ROC and precision-recall curves, the area below the ROC curve (AUROC, the chance
/// that a positive one ranks before a negative one) and average precision. One state serves all of them.
///
/// Scores of a batch are probabilities if all are in 0..1 and logits otherwise. With [`Thresholds::Exact`] they stay on the
/// device, one number a class and element, until they are sorted there; with given thresholds, only counts by bin are kept. Equal
/// scores are one step of a curve.
///
/// ```
/// use wgrad::metrics::{Average, Curves, Metric, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut curves = Curves::new(&device, Task::Binary, &Default::default())?;
/// let scores = Tensor::from_slice(&device, &[0.1f32, 0.4, 0.35, 0.8], &[4])?;
/// curves.update(&scores, &Tensor::from_slice(&device, &[0, 0, 1, 1], &[4])?)?;
/// assert_eq!(curves.auroc(Average::Micro, None)?, [0.75]);
/// let roc = &curves.roc(Average::None)?[0];
/// assert_eq!(roc.true_positive_rate, [0.0, 0.5, 0.5, 1.0, 1.0]);
/// assert_eq!(roc.false_positive_rate, [0.0, 0.0, 0.5, 0.5, 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Curves {
    task: Task,
    ranking: Ranking,
    report: Vec<(RankingScore, Average)>,
    naming: Naming,
}

/// A number computed from a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankingScore {
    /// [`Curves::auroc`].
    Auroc,
    /// [`Curves::average_precision`].
    AveragePrecision,
}

impl Curves {
    /// An empty ranking.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two classes, labels or thresholds, and for thresholds outside 0..1; errors of the
    /// device.
    pub fn new(device: &Device, task: Task, options: &CurveOptions) -> Result<Curves> {
        let ranking = Ranking::new(device, task, options)?;
        Ok(Curves { task, ranking, report: Vec::new(), naming: Naming::new(task) })
    }

    /// Makes [`compute`](Metric::compute) report a number too, as `"auroc"` (of a binary task, and micro),
    /// `"auroc/macro"`, `"average_precision/weighted"` or `"auroc/CLASS"` for each class.
    #[must_use = "it returns the metric with the number"]
    pub fn report(mut self, score: RankingScore, average: Average) -> Curves {
        self.report.push((score, average));
        self
    }

    /// Names the classes or labels in the values reported for each; without names they are numbered.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are more or fewer classes.
    pub fn class_names(mut self, names: &[String]) -> Result<Curves> {
        self.naming.set_classes("Curves", names)?;
        Ok(self)
    }

    /// Waits for the ROC curve of each class or label ([`Average::None`]; one of a binary task), of all their scores together
    /// (micro), or the mean of the classes' curves over all their false positive rates (macro).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a weighted curve; any error of the device since the last synchronisation.
    pub fn roc(&self, average: Average) -> Result<Vec<RocCurve>> {
        let curves: Vec<RocCurve> = self.steps(average)?.iter().map(RocCurve::new).collect();
        if average != Average::Macro || self.task == Task::Binary {
            return Ok(curves);
        }
        let rates: Vec<(&[f64], &[f64])> =
            curves.iter().map(|c| (&c.false_positive_rate[..], &c.true_positive_rate[..])).collect();
        let (false_positive_rate, true_positive_rate) = mean_curve(&rates);
        let mut thresholds: Vec<f64> = curves.iter().flat_map(|curve| curve.thresholds.clone()).collect();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        Ok(vec![RocCurve { false_positive_rate, true_positive_rate, thresholds }])
    }

    /// Waits for the precision-recall curve of each class or label, of all their scores together, or the mean of the classes'
    /// curves over all their precisions, as [`roc`](Curves::roc) does.
    ///
    /// # Errors
    /// As `roc`.
    pub fn precision_recall(&self, average: Average) -> Result<Vec<PrecisionRecallCurve>> {
        let curves = self.precision_recall_of(&self.steps(average)?, average);
        if average != Average::Macro || self.task == Task::Binary {
            return Ok(curves);
        }
        let parts: Vec<(&[f64], &[f64])> = curves.iter().map(|c| (&c.precision[..], &c.recall[..])).collect();
        let (precision, recall) = mean_curve(&parts);
        let mut thresholds: Vec<f64> = curves.iter().flat_map(|curve| curve.thresholds.clone()).collect();
        thresholds.sort_by(f64::total_cmp);
        Ok(vec![PrecisionRecallCurve { precision, recall, thresholds }])
    }

    /// Waits for the area below the ROC curve: a number in a binary task, with `max_fpr` its
    /// [`partial_area`](RocCurve::partial_area); of all scores together (micro), the mean of classes or labels (macro),
    /// weighted by the number of elements of each, or one for each. 0 where nothing was positive, or nothing negative.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `max_fpr` outside 0..1 or in a task that is not binary; everything that went wrong on
    /// the device since the last synchronisation.
    pub fn auroc(&self, average: Average, max_fpr: Option<f64>) -> Result<Vec<f64>> {
        let fault = |rule: String| Err(Error::invalid("auroc", rule));
        match max_fpr {
            Some(max_fpr) if self.task != Task::Binary => {
                fault(format!("max_fpr is {max_fpr} in a task {:?}", self.task))
            }
            Some(max_fpr) if !(max_fpr > 0.0 && max_fpr <= 1.0) => {
                fault(format!("max_fpr is {max_fpr}, and must be above 0 and at most 1"))
            }
            _ => {
                let area = |roc: RocCurve| max_fpr.map_or_else(|| roc.area(), |max_fpr| roc.partial_area(max_fpr));
                self.averaged(average, |steps| steps.iter().map(|steps| area(RocCurve::new(steps))).collect())
            }
        }
    }

    /// Waits for the [`average precision`](PrecisionRecallCurve::average_precision), averaged as
    /// [`auroc`](Curves::auroc) is. A class without elements has NaN in a multiclass task, and the macro and weighted
    /// averages leave it out; with given thresholds it has 0.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn average_precision(&self, average: Average) -> Result<Vec<f64>> {
        self.averaged(average, |steps| {
            let curves = self.precision_recall_of(steps, average);
            let is_defined = self.task == Task::Binary || average == Average::Micro;
            let defined = |(curve, steps): (PrecisionRecallCurve, &Steps)| {
                if is_defined || steps.is_binned { curve.defined() } else { curve }
            };
            curves.into_iter().zip(steps).map(|pair| defined(pair).average_precision()).collect()
        })
    }

    /// The steps of each class or label, or of all together.
    fn steps(&self, average: Average) -> Result<Vec<Steps>> {
        if average == Average::Weighted && self.task != Task::Binary {
            return Err(Error::invalid("Curves", "curves have no weighted average"));
        }
        self.ranking.steps(average == Average::Micro)
    }

    fn precision_recall_of(&self, steps: &[Steps], average: Average) -> Vec<PrecisionRecallCurve> {
        let by_class = matches!(self.task, Task::Multiclass(_)) && average != Average::Micro;
        let all_of_first = steps.first().is_some_and(|first| first.negatives == 0.0);
        let always = |steps: &Steps| !steps.is_binned && if by_class { all_of_first } else { steps.positives == 0.0 };
        steps.iter().map(|steps| PrecisionRecallCurve::new(steps, always(steps))).collect()
    }

    fn averaged(&self, average: Average, values: impl Fn(&[Steps]) -> Vec<f64>) -> Result<Vec<f64>> {
        let steps = self.ranking.steps(average == Average::Micro)?;
        let values = values(&steps);
        if self.task == Task::Binary {
            return Ok(values);
        }
        let support: Vec<f64> = steps.iter().map(|steps| steps.positives).collect();
        Ok(match average {
            Average::Micro | Average::None => values,
            Average::Macro => vec![mean_of_numbers(&values, None)],
            Average::Weighted => vec![mean_of_numbers(&values, Some(&support))],
        })
    }
}

impl Metric for Curves {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        self.ranking.update(preds, target)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let mut named = Vec::new();
        for &(score, average) in &self.report {
            let (name, values) = match score {
                RankingScore::Auroc => ("auroc", self.auroc(average, None)?),
                RankingScore::AveragePrecision => ("average_precision", self.average_precision(average)?),
            };
            named.extend(self.naming.tell(name, average, &values));
        }
        Ok(named)
    }

    fn reset(&mut self) -> Result<()> {
        self.ranking.reset()
    }
}

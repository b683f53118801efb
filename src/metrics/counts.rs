//! Counts of right and wrong answers on the host, and scores of them.

use super::score::{Cell, KappaWeights, Score, matthews_of_two};
use super::task::{Average, ClassificationOptions, Task};
use crate::error::{Error, Result};

/// Counts of right and wrong answers by class: the numbers that [`StatScores`](super::StatScores) and
/// [`ConfusionMatrix`](super::ConfusionMatrix) add up. Each group has one number a class or label (a single one in a
/// binary task); there is one group, or one for each item with [`Samplewise`](super::MultidimAverage::Samplewise).
#[derive(Clone, Debug)]
pub struct Counts {
    /// Elements of the class that were predicted as such.
    pub true_positives: Vec<u64>,
    /// Elements of other classes that were predicted as this one.
    pub false_positives: Vec<u64>,
    /// Elements of other classes that were not predicted as this one.
    pub true_negatives: Vec<u64>,
    /// Elements of the class that were not predicted as such.
    pub false_negatives: Vec<u64>,
    task: Task,
    options: ClassificationOptions,
    /// `[C, C]`, true by predicted ones, or `[L, 2, 2]`, of each group.
    matrix: Option<Vec<u64>>,
}

impl Counts {
    /// Counts from confusion matrices, concatenated: `[2, 2]` a label, or `[C, C]`; or from numbers of correct, predicted and
    /// true elements, `[3, C]`.
    pub(super) fn new(task: Task, options: &ClassificationOptions, counted: Vec<u64>, is_matrix: bool) -> Counts {
        let mut counts = Counts {
            true_positives: Vec::new(),
            false_positives: Vec::new(),
            true_negatives: Vec::new(),
            false_negatives: Vec::new(),
            task,
            options: options.clone(),
            matrix: None,
        };
        match task {
            Task::Binary | Task::Multilabel(_) => {
                for &[tn, fp, fn_, tp] in counted.as_chunks().0 {
                    counts.push([tp, fp, tn, fn_]);
                }
            }
            Task::Multiclass(classes) if is_matrix => {
                for matrix in counted.chunks(classes * classes) {
                    let row = |class: usize| matrix[class * classes..][..classes].iter().sum();
                    let column = |class: usize| matrix[class..].iter().step_by(classes).sum();
                    counts.push_classes(classes, |class| matrix[class * (classes + 1)], column, row);
                }
            }
            Task::Multiclass(classes) => {
                for sums in counted.chunks(3 * classes) {
                    let part = |part: usize| move |class: usize| sums[part * classes + class];
                    counts.push_classes(classes, part(0), part(1), part(2));
                }
            }
        }
        counts.matrix = is_matrix.then_some(counted);
        counts
    }

    fn push(&mut self, [tp, fp, tn, fn_]: [u64; 4]) {
        self.true_positives.push(tp);
        self.false_positives.push(fp);
        self.true_negatives.push(tn);
        self.false_negatives.push(fn_);
    }

    fn push_classes(
        &mut self,
        classes: usize,
        right: impl Fn(usize) -> u64,
        predicted: impl Fn(usize) -> u64,
        actual: impl Fn(usize) -> u64,
    ) {
        let total: u64 = (0..classes).map(&actual).sum();
        for class in 0..classes {
            let (tp, fp, fn_) = (right(class), predicted(class) - right(class), actual(class) - right(class));
            self.push([tp, fp, total - tp - fp - fn_, fn_]);
        }
    }

    /// Classes or labels of a group.
    fn columns(&self) -> usize {
        self.task.columns()
    }

    /// The counts of each class, group by group.
    fn cells(&self) -> Vec<Vec<Cell>> {
        let cell = |at: usize| Cell {
            tp: self.true_positives[at] as f64,
            fp: self.false_positives[at] as f64,
            tn: self.true_negatives[at] as f64,
            fn_: self.false_negatives[at] as f64,
        };
        let all: Vec<Cell> = (0..self.true_positives.len()).map(cell).collect();
        all.chunks(self.columns()).map(<[Cell]>::to_vec).collect()
    }

    /// Groups counted apart: 1, or the number of items.
    pub(super) fn groups(&self) -> usize {
        self.true_positives.len() / self.columns()
    }

    /// Elements of each class: `tp + fn`.
    pub fn support(&self) -> Vec<u64> {
        self.true_positives.iter().zip(&self.false_negatives).map(|(tp, fn_)| tp + fn_).collect()
    }

    /// A score of each group: one number, or with [`Average::None`] one for each class or label. A binary task and a score
    /// without an average give one number, regardless of `average`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for Cohen's kappa of a multilabel task, or with weights and without the matrix; and for an F-beta score
    /// whose beta is not above 0.
    pub fn score(&self, score: Score, average: Average) -> Result<Vec<f64>> {
        match score {
            Score::CohenKappa(weights) => self.cohen_kappa(weights),
            Score::FBeta(beta) if beta.is_nan() || beta <= 0.0 => {
                Err(Error::invalid("FBeta", format!("beta is {beta}, and must be above 0")))
            }
            Score::MatthewsCorrCoef => Ok(self.cells().iter().map(|group| self.matthews(group)).collect()),
            Score::BalancedAccuracy => Ok(self.cells().iter().map(|group| self.balanced_accuracy(group)).collect()),
            _ => Ok(self.cells().iter().flat_map(|group| self.averaged(score, average, group)).collect()),
        }
    }

    fn averaged(&self, score: Score, average: Average, group: &[Cell]) -> Vec<f64> {
        let multiclass = matches!(self.task, Task::Multiclass(_));
        let zero = if score.has_zero_division() { self.options.zero_division } else { 0.0 };
        let value = |(part, whole): (f64, f64)| {
            let share = if whole == 0.0 { zero } else { part / whole };
            if score == Score::HammingDistance { 1.0 - share } else { share }
        };
        let ignored = self.options.ignore_index.and_then(|class| usize::try_from(class).ok());
        let takes_no_part = |class: usize| score == Score::JaccardIndex && Some(class) == ignored;
        if self.task == Task::Binary {
            return vec![value(score.ratio(group[0], false))];
        }
        if average == Average::Micro {
            let ratios = group.iter().enumerate().map(|(class, &cell)| {
                let (part, whole) = score.ratio(cell, multiclass);
                (part, if takes_no_part(class) { 0.0 } else { whole })
            });
            return vec![value(ratios.fold((0.0, 0.0), |sum, ratio| (sum.0 + ratio.0, sum.1 + ratio.1)))];
        }
        let values: Vec<f64> = group.iter().map(|&cell| value(score.ratio(cell, multiclass))).collect();
        if average == Average::None {
            return values;
        }
        let was_there = |cell: &Cell| {
            let minds_top_k = self.options.top_k > 1 && score.minds_top_k();
            cell.tp + cell.fn_ + if minds_top_k { 0.0 } else { cell.fp } > 0.0
        };
        let weight = |(class, cell): (usize, &Cell)| match average {
            Average::Weighted => cell.tp + cell.fn_,
            _ => f64::from(!takes_no_part(class) && (!multiclass || was_there(cell))),
        };
        let weights: Vec<f64> = group.iter().enumerate().map(weight).collect();
        let (sum, total) = (values.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>(), weights.iter().sum::<f64>());
        vec![if total == 0.0 && score != Score::JaccardIndex { 0.0 } else { sum / total }]
    }

    fn balanced_accuracy(&self, group: &[Cell]) -> f64 {
        let classes = match self.task {
            Task::Binary => vec![group[0], opposite(group[0])],
            _ => group.to_vec(),
        };
        let recalls: Vec<f64> =
            classes.iter().filter(|cell| cell.tp + cell.fn_ > 0.0).map(|cell| cell.tp / (cell.tp + cell.fn_)).collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    fn matthews(&self, group: &[Cell]) -> f64 {
        let sum = |of: fn(&Cell) -> f64| group.iter().map(of).sum::<f64>();
        let classes = match self.task {
            Task::Binary => return matthews_of_two(group[0]),
            Task::Multilabel(_) => {
                let (tp, fp, tn, fn_) = (sum(|c| c.tp), sum(|c| c.fp), sum(|c| c.tn), sum(|c| c.fn_));
                return matthews_of_two(Cell { tp, fp, tn, fn_ });
            }
            Task::Multiclass(classes) => classes,
        };
        if classes == 2 {
            return matthews_of_two(group[1]);
        }
        let (right, total) = (sum(|c| c.tp), sum(|c| c.tp + c.fn_));
        let covariance = right * total - sum(|c| (c.tp + c.fp) * (c.tp + c.fn_));
        let predicted = total * total - sum(|c| (c.tp + c.fp) * (c.tp + c.fp));
        let actual = total * total - sum(|c| (c.tp + c.fn_) * (c.tp + c.fn_));
        if predicted * actual == 0.0 { 0.0 } else { covariance / (predicted * actual).sqrt() }
    }

    fn cohen_kappa(&self, weights: KappaWeights) -> Result<Vec<f64>> {
        let fault = |rule: &str| Err(Error::invalid("CohenKappa", rule));
        let classes = match self.task {
            Task::Multilabel(_) => return fault("labels of a multilabel task have no common matrix; use a task each"),
            Task::Binary => 2,
            Task::Multiclass(classes) => classes,
        };
        let groups = self.cells();
        let Some(counted) = &self.matrix else {
            return match weights {
                KappaWeights::None => Ok(groups.iter().map(|group| plain_kappa(group)).collect()),
                _ => fault("weights need the whole matrix: take a ConfusionMatrix, or no weights"),
            };
        };
        Ok(counted.chunks(classes * classes).map(|matrix| weighted_kappa(matrix, classes, weights)).collect())
    }

    /// The confusion matrix, where it was counted.
    pub(super) fn matrix(&self) -> &[u64] {
        self.matrix.as_deref().unwrap_or_default()
    }
}

/// The counts of the answer no, from those of yes.
fn opposite(yes: Cell) -> Cell {
    Cell { tp: yes.tn, fp: yes.fn_, tn: yes.tp, fn_: yes.fp }
}

/// Cohen's kappa without weights, which follows from the sums of rows and columns.
fn plain_kappa(group: &[Cell]) -> f64 {
    let total: f64 = group.iter().map(|cell| cell.tp + cell.fn_).sum();
    let right: f64 = group.iter().map(|cell| cell.tp).sum();
    let expected = group.iter().map(|cell| (cell.tp + cell.fn_) * (cell.tp + cell.fp) / total).sum::<f64>();
    1.0 - (total - right) / (total - expected)
}

/// Cohen's kappa of a confusion matrix.
fn weighted_kappa(matrix: &[u64], classes: usize, weights: KappaWeights) -> f64 {
    let sum = |counts: &mut dyn Iterator<Item = &u64>| counts.sum::<u64>() as f64;
    let rows: Vec<f64> = matrix.chunks(classes).map(|row| sum(&mut row.iter())).collect();
    let columns: Vec<f64> = (0..classes).map(|said| sum(&mut matrix[said..].iter().step_by(classes))).collect();
    let total: f64 = rows.iter().sum();
    let (mut seen, mut expected) = (0.0, 0.0);
    for (at, &count) in matrix.iter().enumerate() {
        let (is, said) = (at / classes, at % classes);
        let distance = is.abs_diff(said) as f64;
        let weight = match weights {
            KappaWeights::None => distance.min(1.0),
            KappaWeights::Linear => distance,
            KappaWeights::Quadratic => distance * distance,
        };
        seen += weight * count as f64;
        expected += weight * rows[is] * columns[said] / total;
    }
    1.0 - seen / expected
}

/// The mean of a score over groups, by class.
pub(super) fn mean_over_groups(values: &[f64], groups: usize) -> Vec<f64> {
    let columns = values.len() / groups.max(1);
    let mean = |column: usize| values.iter().skip(column).step_by(columns.max(1)).sum::<f64>() / groups as f64;
    (0..columns).map(mean).collect()
}

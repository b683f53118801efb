//! The scores that follow from counts of right and wrong answers.

/// A score of a classification. With `tp`, `fp`, `tn` and `fn` for the true and false positives and the true and false
/// negatives of a class:
///
/// ```
/// use wgrad::metrics::{Average, Score, StatScores, Task};
/// # use wgrad::{Device, Tensor, metrics::Metric};
/// # let device = Device::reference();
/// let mut scores = StatScores::new(&device, Task::Multiclass(3), &Default::default())?;
/// let preds = Tensor::from_slice(&device, &[0, 1, 1, 0], &[4])?;
/// let target = Tensor::from_slice(&device, &[0, 1, 0, 0], &[4])?;
/// scores.update(&preds, &target)?;
/// let counts = scores.counts()?;
/// assert_eq!(counts.score(Score::Accuracy, Average::Micro)?, [0.75]);
/// // Nothing was of class 2 and nothing was called so: 0 / 0 is zero_division.
/// assert_eq!(counts.score(Score::Precision, Average::None)?, [1.0, 0.5, 0.0]);
/// // The mean of 2/3 and 1: class 2 is left out.
/// assert!((counts.score(Score::Recall, Average::Macro)?[0] - 5.0 / 6.0).abs() < 1e-12);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// `tp / (tp + fn)` of a class in a multiclass task, so that micro is the fraction of right answers, and macro the mean
    /// recall; otherwise `(tp + tn) / (tp + fp + tn + fn)`. 0 without elements.
    Accuracy,
    /// `tp / (tp + fp)`; 0 / 0 is `zero_division`.
    Precision,
    /// `tp / (tp + fn)`, also called sensitivity; 0 / 0 is `zero_division`.
    Recall,
    /// `(1 + b^2) tp / ((1 + b^2) tp + b^2 fn + fp)`, the harmonic mean of precision and recall in which recall weighs `b` times
    /// as much; 0 / 0 is `zero_division`. [`Score::F1`] weighs both alike.
    FBeta(f64),
    /// `tn / (tn + fp)`; 0 where nothing was negative.
    Specificity,
    /// `tn / (tn + fn)`; 0 / 0 is `zero_division`.
    NegativePredictiveValue,
    /// 1 - accuracy by class or label: the fraction of wrong answers. 1 without elements.
    HammingDistance,
    /// `tp / (tp + fp + fn)`, the intersection over the union; 0 / 0 is `zero_division`. Macro and weighted are NaN of nothing.
    /// The class that is ignored takes no part in micro and macro; nor does, as in torchmetrics, the label of that number in a
    /// multilabel task, where -1 is the target to ignore.
    JaccardIndex,
    /// The mean recall of the classes that were there, as scikit-learn has it; in a binary task that of no and of yes. NaN of
    /// nothing. It has no average.
    BalancedAccuracy,
    /// Matthews' correlation of predicted and true classes, from -1 to 1:
    /// `(c s - sum p_k t_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2))` of `c` right answers out of `s`, `p_k` predictions of a
    /// class and `t_k` elements of it. 0 where the root is 0; of two classes, 1 where all is right, -1 where all is wrong, and
    /// else the limit that torchmetrics takes. It has no average; the labels of a multilabel task are added up.
    MatthewsCorrCoef,
    /// Cohen's agreement beyond chance, from -1 to 1: `1 - sum w_ij m_ij / sum w_ij e_ij` of the confusion matrix `m`, where
    /// `e_ij` is the expectation from the sums of its row and its column, and `w` are weights of disagreement. NaN if all
    /// elements are of one class and predicted so. It has no average, and is not for multilabel tasks.
    CohenKappa(KappaWeights),
}

/// The weight of a disagreement in [`Score::CohenKappa`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KappaWeights {
    /// 1 for any.
    None,
    /// The distance of the classes' numbers. It needs the counts of a [`ConfusionMatrix`](super::ConfusionMatrix).
    Linear,
    /// The distance squared. It needs the counts of a [`ConfusionMatrix`](super::ConfusionMatrix).
    Quadratic,
}

/// Counts of one class, or of several added up.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    pub tp: f64,
    pub fp: f64,
    pub tn: f64,
    pub fn_: f64,
}

impl Score {
    /// The harmonic mean of precision and recall.
    pub const F1: Score = Score::FBeta(1.0);

    /// The name in a run's logs.
    pub(super) fn name(self) -> String {
        match self {
            Score::Accuracy => "accuracy".into(),
            Score::Precision => "precision".into(),
            Score::Recall => "recall".into(),
            Score::FBeta(beta) => format!("f{beta}"),
            Score::Specificity => "specificity".into(),
            Score::NegativePredictiveValue => "negative_predictive_value".into(),
            Score::HammingDistance => "hamming_distance".into(),
            Score::JaccardIndex => "jaccard_index".into(),
            Score::BalancedAccuracy => "balanced_accuracy".into(),
            Score::MatthewsCorrCoef => "matthews_corrcoef".into(),
            Score::CohenKappa(KappaWeights::None) => "cohen_kappa".into(),
            Score::CohenKappa(KappaWeights::Linear) => "cohen_kappa/linear".into(),
            Score::CohenKappa(KappaWeights::Quadratic) => "cohen_kappa/quadratic".into(),
        }
    }

    /// True for a number of all classes together.
    pub(super) fn is_of_all(self) -> bool {
        matches!(self, Score::BalancedAccuracy | Score::MatthewsCorrCoef | Score::CohenKappa(_))
    }

    /// Numerator and denominator of a score by class.
    pub(super) fn ratio(self, of: Cell, multiclass: bool) -> (f64, f64) {
        let Cell { tp, fp, tn, fn_ } = of;
        match self {
            Score::Accuracy | Score::HammingDistance if multiclass => (tp, tp + fn_),
            Score::Accuracy | Score::HammingDistance => (tp + tn, tp + fp + tn + fn_),
            Score::Precision => (tp, tp + fp),
            Score::FBeta(beta) => {
                let right = (1.0 + beta * beta) * tp;
                (right, right + beta * beta * fn_ + fp)
            }
            Score::Specificity => (tn, tn + fp),
            Score::NegativePredictiveValue => (tn, tn + fn_),
            Score::JaccardIndex => (tp, tp + fp + fn_),
            Score::Recall | Score::BalancedAccuracy | Score::MatthewsCorrCoef | Score::CohenKappa(_) => (tp, tp + fn_),
        }
    }

    /// True if `zero_division` applies.
    pub(super) fn has_zero_division(self) -> bool {
        !matches!(self, Score::Accuracy | Score::Specificity | Score::HammingDistance)
    }

    /// True if a macro average over top-k answers leaves out classes that were not there, predicted or not.
    pub(super) fn minds_top_k(self) -> bool {
        matches!(self, Score::Accuracy | Score::Precision | Score::Recall | Score::NegativePredictiveValue)
    }
}

/// Matthews' correlation of two classes.
pub(super) fn matthews_of_two(Cell { tp, fp, tn, fn_ }: Cell) -> f64 {
    if tp + tn != 0.0 && fp + fn_ == 0.0 {
        return 1.0;
    }
    if tp + tn == 0.0 && fp + fn_ != 0.0 {
        return -1.0;
    }
    let product = (tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_);
    if product != 0.0 {
        return (tp * tn - fp * fn_) / product.sqrt();
    }
    // One row or column is empty: the limits are torchmetrics', with the epsilon that it adds to each sum.
    let epsilon = f64::from(f32::EPSILON);
    let root = epsilon.sqrt();
    let numerator = match () {
        () if fn_ == 0.0 && tn == 0.0 => root * (tp - fp),
        () if fp == 0.0 && tn == 0.0 => root * (tp - fn_),
        () if tp == 0.0 && fn_ == 0.0 => root * (tn - fp),
        () => root * (tn - fn_),
    };
    let sums = [tp + fp, tp + fn_, tn + fp, tn + fn_].map(|sum| sum + epsilon);
    numerator / sums.iter().product::<f64>().sqrt()
}

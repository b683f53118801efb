//! Metrics of labels.

use super::{Answer, Answers, Call, Refusal};
use serde_json::Value;
use wgrad::metrics::{
    Average, ClassificationOptions, ConfusionMatrix, Counts, ExactMatch, KappaWeights, Metric, MultidimAverage,
    Normalize, Score, StatScores, Task,
};

/// The answers of a metric of labels, where it is one.
pub(super) fn run(call: &Call) -> Option<Answers> {
    let (name, _) = named(call.name);
    Some(match name {
        "accuracy" => scored(call, Score::Accuracy, "micro"),
        "precision" => scored(call, Score::Precision, "micro"),
        "recall" => scored(call, Score::Recall, "micro"),
        "f1_score" => scored(call, Score::F1, "micro"),
        "fbeta_score" => call.attributes.number("beta", 1.0).and_then(|beta| scored(call, Score::FBeta(beta), "micro")),
        "specificity" => scored(call, Score::Specificity, "micro"),
        "negative_predictive_value" => scored(call, Score::NegativePredictiveValue, "micro"),
        "hamming_distance" => scored(call, Score::HammingDistance, "micro"),
        "jaccard_index" => scored(call, Score::JaccardIndex, "macro"),
        "matthews_corrcoef" => scored(call, Score::MatthewsCorrCoef, "micro"),
        "balanced_accuracy_score" => scored(call, Score::BalancedAccuracy, "micro"),
        "stat_scores" => stat_scores(call),
        "confusion_matrix" => confusion_matrix(call),
        "cohen_kappa" => cohen_kappa(call),
        "exact_match" => exact_match(call),
        _ => return None,
    })
}

/// A function's name without the task that it may begin with, and that task.
pub(super) fn named(name: &str) -> (&str, Option<&str>) {
    let tasks = ["binary", "multiclass", "multilabel"];
    let split = tasks.iter().find_map(|task| Some((name.strip_prefix(task)?.strip_prefix('_')?, Some(*task))));
    split.unwrap_or((name, None))
}

pub(super) fn task(call: &Call) -> Result<Task, Refusal> {
    let given = call.attributes.text("task", "binary")?;
    let classes = call.attributes.count("num_classes", 0)? as usize;
    let labels = call.attributes.count("num_labels", 0)? as usize;
    call.attributes.flag("validate_args", true)?;
    match named(call.name).1.unwrap_or(given) {
        "binary" => Ok(Task::Binary),
        "multiclass" => Ok(Task::Multiclass(classes)),
        "multilabel" => Ok(Task::Multilabel(labels)),
        _ => Err(call.attributes.wrong("task")),
    }
}

/// The default average of a function with a `task`; those with the task in their name average by class.
fn own_default<'a>(call: &Call, default: &'a str) -> &'a str {
    if named(call.name).1.is_some() { "macro" } else { default }
}

pub(super) fn average(call: &Call, default: &str) -> Result<Average, Refusal> {
    let text = match call.case.attrs.get("average") {
        Some(Value::Null) => "none",
        _ => call.attributes.text("average", default)?,
    };
    call.attributes.get("average");
    match text {
        "micro" => Ok(Average::Micro),
        "macro" => Ok(Average::Macro),
        "weighted" => Ok(Average::Weighted),
        "none" => Ok(Average::None),
        _ => Err(call.attributes.wrong("average")),
    }
}

pub(super) fn ignore_index(call: &Call) -> Result<Option<i32>, Refusal> {
    Ok(call.attributes.map("ignore_index", Value::as_i64)?.map(|class| class as i32))
}

pub(super) fn options(call: &Call, task: Task) -> Result<ClassificationOptions, Refusal> {
    let top_k = call.attributes.count("top_k", 1)? as usize;
    let samplewise = match call.attributes.text("multidim_average", "global")? {
        "global" => MultidimAverage::Global,
        "samplewise" => MultidimAverage::Samplewise,
        _ => return Err(call.attributes.wrong("multidim_average")),
    };
    Ok(ClassificationOptions::default()
        .threshold(call.attributes.number("threshold", 0.5)? as f32)
        .top_k(if matches!(task, Task::Multiclass(_)) { top_k } else { 1 })
        .ignore_index(ignore_index(call)?)
        .multidim_average(samplewise)
        .zero_division(call.attributes.number("zero_division", 0.0)?))
}

/// The counts of the call's one batch, and the count of numbers for each item.
fn counts(call: &Call, task: Task, options: &ClassificationOptions) -> Result<Counts, Refusal> {
    let (preds, target) = (call.tensor("preds")?, call.tensor("target")?);
    // The scores that torchmetrics computes from a confusion matrix.
    if matches!(named(call.name).0, "jaccard_index" | "matthews_corrcoef") {
        let mut matrix = ConfusionMatrix::new(call.device, task, options)?;
        matrix.update(&preds, &target)?;
        return Ok(matrix.counts()?);
    }
    let mut scores = StatScores::new(call.device, task, options)?;
    scores.update(&preds, &target)?;
    Ok(scores.counts()?)
}

/// Numbers of all, or of each item, of which torchmetrics squeezes a single one in some tasks.
fn answer(task: Task, options: &ClassificationOptions, values: Vec<f64>, columns: &[usize]) -> Vec<Answer> {
    let items = values.len() / columns.iter().product::<usize>().max(1);
    let is_squeezed = items == 1 && !matches!(task, Task::Multiclass(_));
    let mut shape = columns.to_vec();
    if options.multidim_average == MultidimAverage::Samplewise && !is_squeezed {
        shape.insert(0, items);
    }
    vec![Answer { shape, values }]
}

fn columns(task: Task, average: Average) -> Vec<usize> {
    match task {
        Task::Multiclass(columns) | Task::Multilabel(columns) if average == Average::None => vec![columns],
        _ => Vec::new(),
    }
}

fn scored(call: &Call, score: Score, default: &str) -> Answers {
    let task = task(call)?;
    let options = options(call, task)?;
    let has_none = matches!(score, Score::MatthewsCorrCoef | Score::BalancedAccuracy);
    let average = if has_none { Average::Micro } else { average(call, own_default(call, default))? };
    let values = counts(call, task, &options)?.score(score, average)?;
    Ok(answer(task, &options, values, &columns(task, average)))
}

/// True and false positives, true and false negatives, and the support, by class or averaged.
fn stat_scores(call: &Call) -> Answers {
    let task = task(call)?;
    let options = options(call, task)?;
    let average = average(call, own_default(call, "micro"))?;
    let counts = counts(call, task, &options)?;
    let support = counts.support();
    let each =
        [&counts.true_positives, &counts.false_positives, &counts.true_negatives, &counts.false_negatives, &support];
    let count = match task {
        Task::Binary => 1,
        Task::Multiclass(count) | Task::Multilabel(count) => count,
    };
    let mut values = Vec::new();
    for first in (0..support.len()).step_by(count) {
        let rows: Vec<Vec<f64>> = (first..first + count).map(|at| each.map(|of| of[at] as f64).to_vec()).collect();
        let weighted = |weights: &[f64]| -> Vec<f64> {
            (0..5).map(|of| rows.iter().zip(weights).map(|(row, weight)| row[of] * weight).sum()).collect()
        };
        // For labels of items, torchmetrics divides by the sum of all.
        let of_all = matches!(task, Task::Multilabel(_));
        let total: u64 = if of_all { &support[..] } else { &support[first..first + count] }.iter().sum();
        let weights = match average {
            _ if count == 1 => vec![1.0],
            Average::Micro => vec![1.0; count],
            Average::Macro => vec![1.0 / count as f64; count],
            Average::Weighted => support[first..first + count].iter().map(|&s| s as f64 / total as f64).collect(),
            Average::None => {
                values.extend(rows.concat());
                continue;
            }
        };
        values.extend(weighted(&weights));
    }
    let mut shape = columns(task, average);
    shape.push(5);
    Ok(answer(task, &options, values, &shape))
}

fn confusion_matrix(call: &Call) -> Answers {
    let task = task(call)?;
    let options = options(call, task)?;
    let normalize = match call.attributes.text("normalize", "none")? {
        "none" => Normalize::None,
        "true" => Normalize::True,
        "pred" => Normalize::Pred,
        "all" => Normalize::All,
        _ => return Err(call.attributes.wrong("normalize")),
    };
    let mut matrix = ConfusionMatrix::new(call.device, task, &options)?;
    matrix.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    let shape = match task {
        Task::Binary => vec![2, 2],
        Task::Multiclass(classes) => vec![classes, classes],
        Task::Multilabel(labels) => vec![labels, 2, 2],
    };
    Ok(vec![Answer { shape, values: matrix.matrix(normalize)? }])
}

fn cohen_kappa(call: &Call) -> Answers {
    let task = task(call)?;
    let options = options(call, task)?;
    let weights = match call.attributes.text("weights", "none")? {
        "none" => KappaWeights::None,
        "linear" => KappaWeights::Linear,
        "quadratic" => KappaWeights::Quadratic,
        _ => return Err(call.attributes.wrong("weights")),
    };
    let mut matrix = ConfusionMatrix::new(call.device, task, &options)?;
    matrix.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    Ok(vec![Answer::number(matrix.counts()?.score(Score::CohenKappa(weights), Average::Micro)?[0])])
}

fn exact_match(call: &Call) -> Answers {
    let task = task(call)?;
    let options = options(call, task)?;
    let mut exact = ExactMatch::new(call.device, task, &options)?;
    exact.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    let shares = exact.shares()?;
    Ok(vec![if options.multidim_average == MultidimAverage::Global {
        Answer::number(shares[0])
    } else {
        Answer::list(shares)
    }])
}

//! Metrics over the batches of an epoch: the whole of their parts, without a readback.

use crate::common::Random;
use crate::common::launches::noop;
use crate::common::own_adapter;
use wgrad::metrics::{
    Average, CalibrationError, CalibrationOptions, ClassificationOptions, ConfusionMatrix, CurveOptions, Curves,
    ExactMatch, KappaWeights, LogLoss, Metric, MetricCollection, MultidimAverage, Normalize, RankingScore, Score,
    StatScores, Task, Thresholds,
};
use wgrad::{Device, Result, Tensor};

/// One of each kind of metric, in a collection.
fn all(device: &Device, task: Task) -> Result<MetricCollection> {
    let options = ClassificationOptions::default().ignore_index(-1);
    let samplewise = options.clone().multidim_average(MultidimAverage::Samplewise);
    let scores = StatScores::new(device, task, &options)?
        .report(Score::Accuracy, Average::Micro)
        .report(Score::F1, Average::None)
        .report(Score::BalancedAccuracy, Average::Micro);
    let items = StatScores::new(device, task, &samplewise)?.report(Score::Recall, Average::Macro);
    let mut matrix = ConfusionMatrix::new(device, task, &options)?.report(Score::MatthewsCorrCoef, Average::Micro);
    if !matches!(task, Task::Multilabel(_)) {
        matrix = matrix.report(Score::CohenKappa(KappaWeights::Linear), Average::Micro);
    }
    let curves = |thresholds: Thresholds| -> Result<Curves> {
        let options = CurveOptions::default().thresholds(thresholds).ignore_index(-1);
        Ok(Curves::new(device, task, &options)?
            .report(RankingScore::Auroc, Average::None)
            .report(RankingScore::AveragePrecision, Average::Macro))
    };
    let all = MetricCollection::new("")
        .with(LogLoss::new(device, task, Some(-1))?)
        .with(MetricCollection::new("exact/").with(curves(Thresholds::Exact)?))
        .with(MetricCollection::new("binned/").with(curves(Thresholds::Count(20))?))
        .with(MetricCollection::new("scores/").with(scores))
        .with(MetricCollection::new("items/").with(items))
        .with(MetricCollection::new("matrix/").with(matrix));
    let calibrated = CalibrationOptions::default().ignore_index(-1);
    Ok(match task {
        Task::Binary => all.with(CalibrationError::new(device, task, &calibrated)?),
        Task::Multiclass(_) => {
            let exact = ExactMatch::new(device, task, &options)?;
            all.with(exact).with(CalibrationError::new(device, task, &calibrated)?)
        }
        Task::Multilabel(_) => all.with(ExactMatch::new(device, task, &options)?),
    })
}

/// Scores and targets of `items` items, some of them ignored. Half the scores are 0 to 1 in every batch.
fn batch(device: &Device, task: Task, items: usize, random: &mut Random) -> Result<(Tensor, Tensor)> {
    const PLACES: usize = 3;
    let (preds, target, classes) = match task {
        Task::Binary => (vec![items, PLACES], vec![items, PLACES], 2),
        Task::Multiclass(classes) => (vec![items, classes, PLACES], vec![items, PLACES], classes),
        Task::Multilabel(labels) => (vec![items, labels, PLACES], vec![items, labels, PLACES], 2),
    };
    let scores: Vec<f32> = (0..preds.iter().product()).map(|_| random.unit() as f32).collect();
    let label = |random: &mut Random| if random.unit() < 0.2 { -1 } else { (random.unit() * classes as f64) as i32 };
    let labels: Vec<i32> = (0..target.iter().product()).map(|_| label(random)).collect();
    Ok((Tensor::from_slice(device, &scores, &preds)?, Tensor::from_slice(device, &labels, &target)?))
}

const TASKS: [Task; 3] = [Task::Binary, Task::Multiclass(5), Task::Multilabel(3)];

/// True if names and values agree: counts exactly, sums of f32 to a few of their roundings.
fn agree(got: &[(String, f64)], expected: &[(String, f64)]) -> bool {
    let equal = |((name, got), (other, expected)): (&(String, f64), &(String, f64))| {
        let is_sum = ["log_loss", "calibration_error"].contains(&name.as_str());
        let allowed = if is_sum { 8.0 * f64::from(f32::EPSILON) * expected.abs() } else { 0.0 };
        name == other && (got - expected).abs() <= allowed
    };
    got.len() == expected.len() && got.iter().zip(expected).all(equal)
}

#[test]
fn batches_add_up_to_the_whole_in_every_epoch() -> Result<()> {
    for device in own_adapter().into_iter().chain([Device::reference()]) {
        for task in TASKS {
            let mut random = Random(3);
            let parts: Vec<(Tensor, Tensor)> =
                [4, 1, 7, 0, 3].map(|items| batch(&device, task, items, &mut random).unwrap()).into();
            let (preds, targets): (Vec<&Tensor>, Vec<&Tensor>) = parts.iter().map(|(p, t)| (p, t)).unzip();
            let mut whole = all(&device, task)?;
            whole.update(&Tensor::cat(&preds, 0)?, &Tensor::cat(&targets, 0)?)?;
            let expected = whole.compute()?;
            let mut metrics = all(&device, task)?;
            for epoch in 0..2 {
                for (preds, target) in &parts {
                    metrics.update(preds, target)?;
                    device.flush()?;
                }
                let got = metrics.compute()?;
                assert!(
                    agree(&got, &expected),
                    "{task:?}, epoch {epoch} on {}: {got:?}, not {expected:?}",
                    device.name()
                );
                metrics.reset()?;
            }
            // Nothing of the epochs is left.
            let (preds, target) = &parts[0];
            metrics.update(preds, target)?;
            let mut first = all(&device, task)?;
            first.update(preds, target)?;
            assert_eq!(metrics.compute()?, first.compute()?);
            assert_ne!(first.compute()?, expected);
        }
    }
    Ok(())
}

/// Kernels that a batch takes, once the first has been planned; nothing may run before its flush.
fn launches(task: Task, make: impl Fn(&Device) -> Result<Box<dyn Metric>>) -> Result<u64> {
    let device = noop();
    let mut metric = make(&device)?;
    let mut dispatches = 0;
    for nth in 0..4 {
        let (preds, target) = batch(&device, task, 6, &mut Random(1))?;
        device.flush()?;
        let before = device.stats();
        metric.update(&preds, &target)?;
        let recorded = device.stats();
        assert_eq!((recorded.runs, recorded.submits), (before.runs, before.submits), "{task:?} waited");
        device.flush()?;
        let after = device.stats();
        if nth > 0 {
            assert_eq!((after.plans, after.runs), (before.plans, before.runs + 1), "{task:?} planned or ran again");
        }
        dispatches = after.dispatches - before.dispatches;
    }
    Ok(dispatches)
}

#[test]
fn updates_read_nothing_back_and_launch_little() -> Result<()> {
    let options = ClassificationOptions::default().ignore_index(-1);
    let exact = CurveOptions::default().ignore_index(-1);
    let binned = exact.clone().thresholds(Thresholds::Count(20));
    // Scores to labels, counts to zero, counting, adding to the totals; for curves also a count of labels.
    let mut counts = Vec::new();
    for task in TASKS {
        let scores = launches(task, |device| Ok(Box::new(StatScores::new(device, task, &options)?)))?;
        let matrix = launches(task, |device| Ok(Box::new(ConfusionMatrix::new(device, task, &options)?)))?;
        let exact = launches(task, |device| Ok(Box::new(Curves::new(device, task, &exact)?)))?;
        let binned = launches(task, |device| Ok(Box::new(Curves::new(device, task, &binned)?)))?;
        counts.push([scores, matrix, exact, binned]);
    }
    let most = [[4, 4, 7, 9], [4, 4, 11, 13], [4, 4, 9, 11]];
    assert!(
        counts.iter().zip(&most).all(|(counts, most)| counts.iter().zip(most).all(|(n, most)| n <= most)),
        "{counts:?}"
    );
    Ok(())
}

#[test]
fn nothing_has_the_scores_that_torchmetrics_gives_it() -> Result<()> {
    let device = Device::reference();
    let scores = StatScores::new(&device, Task::Multiclass(3), &ClassificationOptions::default())?.counts()?;
    assert_eq!(scores.score(Score::Accuracy, Average::Micro)?, [0.0]);
    assert_eq!(scores.score(Score::F1, Average::Macro)?, [0.0]);
    assert_eq!(scores.score(Score::HammingDistance, Average::None)?, [1.0; 3]);
    assert_eq!(scores.score(Score::MatthewsCorrCoef, Average::Micro)?, [0.0]);
    assert!(scores.score(Score::BalancedAccuracy, Average::Micro)?[0].is_nan());
    assert!(scores.score(Score::JaccardIndex, Average::Macro)?[0].is_nan());
    assert!(scores.score(Score::CohenKappa(KappaWeights::None), Average::Micro)?[0].is_nan());
    let matrix = ConfusionMatrix::new(&device, Task::Binary, &ClassificationOptions::default())?;
    assert_eq!(matrix.matrix(Normalize::True)?, [0.0; 4]);
    let curves = Curves::new(&device, Task::Multilabel(2), &CurveOptions::default())?;
    assert_eq!(curves.auroc(Average::None, None)?, [0.0; 2]);
    assert_eq!(curves.average_precision(Average::Macro)?, [0.0]);
    assert_eq!(curves.roc(Average::Micro)?[0].thresholds, [1.0]);
    Ok(())
}

#[test]
fn names_tell_average_class_and_prefix() -> Result<()> {
    let device = Device::reference();
    let options = ClassificationOptions::default().top_k(2);
    let classes = ["cat".to_string(), "dog".to_string(), "owl".to_string()];
    let scores = StatScores::new(&device, Task::Multiclass(3), &options)?
        .class_names(&classes)?
        .report(Score::Accuracy, Average::Micro)
        .report(Score::FBeta(0.5), Average::Weighted)
        .report(Score::Precision, Average::None);
    let metrics = MetricCollection::new("val/").with(scores);
    let names: Vec<String> = metrics.compute()?.into_iter().map(|(name, _)| name).collect();
    let expected = ["accuracy/top2", "f0.5/top2/weighted", "precision/top2/cat"];
    assert_eq!(names[..3], expected.map(|name| format!("val/{name}")));
    let twice =
        || StatScores::new(&device, Task::Binary, &Default::default()).unwrap().report(Score::F1, Average::Micro);
    let error = MetricCollection::new("").with(twice()).with(twice()).compute().unwrap_err();
    assert!(error.to_string().contains("f1"), "{error}");
    Ok(())
}

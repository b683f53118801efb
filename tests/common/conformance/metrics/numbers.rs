//! Metrics of numbers and images.

use super::{Answer, Answers, Call, Refusal};
use serde_json::Value;
use wgrad::metrics::{
    DataRange, ExplainedVariance, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
    MeanSquaredErrorOptions, MeanSquaredLogError, Metric, MultiOutput, MultiscaleNormalize,
    MultiscaleStructuralSimilarityOptions, PeakSignalNoiseRatio, PeakSignalNoiseRatioOptions, PearsonCorrCoef, R2Score,
    R2ScoreOptions, StructuralSimilarityOptions, SymmetricMeanAbsolutePercentageError,
    WeightedMeanAbsolutePercentageError, multiscale_structural_similarity, peak_signal_noise_ratio,
    structural_similarity, total_variation,
};
use wgrad::{Reduction, Tensor};

/// The answers, if it is a metric of numbers or images.
pub(super) fn run(call: &Call) -> Option<Answers> {
    Some(match call.name {
        "mean_squared_error" => mean_squared_error(call),
        "mean_absolute_error" => mean_absolute_error(call),
        "mean_absolute_percentage_error" => one(call, MeanAbsolutePercentageError::default()),
        "weighted_mean_absolute_percentage_error" => one(call, WeightedMeanAbsolutePercentageError::default()),
        "symmetric_mean_absolute_percentage_error" => one(call, SymmetricMeanAbsolutePercentageError::default()),
        "mean_squared_log_error" => one(call, MeanSquaredLogError::default()),
        "r2_score" => r2_score(call),
        "explained_variance" => explained_variance(call),
        "pearson_corrcoef" => pearson_corrcoef(call),
        "peak_signal_noise_ratio" => psnr(call),
        "structural_similarity_index_measure" => ssim(call),
        "multiscale_structural_similarity_index_measure" => ms_ssim(call),
        "total_variation" => variation(call),
        _ => return None,
    })
}

/// Counts the call's batch, in two parts if it has several items.
fn update(call: &Call, metric: &mut dyn Metric) -> Result<(), Refusal> {
    let (preds, target) = (call.tensor("preds")?, call.tensor("target")?);
    let first = preds.shape()[0].min(target.shape()[0]) / 2;
    if first == 0 || preds.shape() != target.shape() {
        return Ok(metric.update(&preds, &target)?);
    }
    let part = |of: &Tensor, from: usize, to: usize| of.narrow(0, from, to - from);
    metric.update(&part(&preds, 0, first)?, &part(&target, 0, first)?)?;
    let all = preds.shape()[0];
    Ok(metric.update(&part(&preds, first, all)?, &part(&target, first, all)?)?)
}

fn one(call: &Call, mut metric: impl Metric) -> Answers {
    update(call, &mut metric)?;
    Ok(vec![Answer::number(metric.compute()?[0].1)])
}

/// A number of one output, or a list of several.
fn by_output(values: Vec<f64>, outputs: usize) -> Answers {
    Ok(vec![if outputs == 1 { Answer::number(values[0]) } else { Answer::list(values) }])
}

fn mean_squared_error(call: &Call) -> Answers {
    let outputs = call.attributes.count("num_outputs", 1)? as usize;
    let squared = call.attributes.flag("squared", true)?;
    let mut metric = MeanSquaredError::new(MeanSquaredErrorOptions::default().squared(squared).num_outputs(outputs));
    update(call, &mut metric)?;
    by_output(metric.values()?, outputs)
}

fn mean_absolute_error(call: &Call) -> Answers {
    let outputs = call.attributes.count("num_outputs", 1)? as usize;
    let mut metric = MeanAbsoluteError::new(outputs);
    update(call, &mut metric)?;
    by_output(metric.values()?, outputs)
}

fn multi_output(call: &Call) -> Result<MultiOutput, Refusal> {
    match call.attributes.text("multioutput", "uniform_average")? {
        "raw_values" => Ok(MultiOutput::RawValues),
        "uniform_average" => Ok(MultiOutput::UniformAverage),
        "variance_weighted" => Ok(MultiOutput::VarianceWeighted),
        _ => Err(call.attributes.wrong("multioutput")),
    }
}

fn averaged(average: MultiOutput, values: Vec<f64>) -> Answers {
    Ok(vec![if average == MultiOutput::RawValues { Answer::list(values) } else { Answer::number(values[0]) }])
}

fn r2_score(call: &Call) -> Answers {
    let average = multi_output(call)?;
    let adjusted = call.attributes.count("adjusted", 0)? as usize;
    let mut metric = R2Score::new(R2ScoreOptions::default().adjusted(adjusted).multioutput(average));
    update(call, &mut metric)?;
    averaged(average, metric.values()?)
}

fn explained_variance(call: &Call) -> Answers {
    let average = multi_output(call)?;
    let mut metric = ExplainedVariance::new(average);
    update(call, &mut metric)?;
    averaged(average, metric.values()?)
}

fn pearson_corrcoef(call: &Call) -> Answers {
    let mut metric = PearsonCorrCoef::default();
    update(call, &mut metric)?;
    let values = metric.values()?;
    let outputs = values.len();
    by_output(values, outputs)
}

fn data_range(call: &Call) -> Result<DataRange, Refusal> {
    Ok(match call.attributes.numbers("data_range")?.as_deref() {
        None => DataRange::OfData,
        Some(&[width]) => DataRange::Width(width),
        Some(&[low, high]) => DataRange::Between(low, high),
        Some(_) => return Err(call.attributes.wrong("data_range")),
    })
}

/// The scores of images, or the reduction of them.
fn reduced(call: &Call, scores: &Tensor, default: &str) -> Answers {
    let none = call.case.attrs.get("reduction") == Some(&Value::Null);
    let reduction = match call.attributes.text("reduction", if none { "none" } else { default })? {
        "elementwise_mean" | "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "none" => Reduction::None,
        _ => return Err(call.attributes.wrong("reduction")),
    };
    let scores = match reduction {
        Reduction::Mean => scores.mean_all()?,
        Reduction::Sum => scores.sum_all()?,
        Reduction::None => scores.clone(),
    };
    Ok(vec![Answer { shape: scores.shape().to_vec(), values: scores.to_f64()? }])
}

fn psnr(call: &Call) -> Answers {
    let options = PeakSignalNoiseRatioOptions::default()
        .data_range(data_range(call)?)
        .base(call.attributes.number("base", 10.0)?);
    match call.attributes.numbers("dim")? {
        None => {
            call.attributes.get("reduction");
            one(call, PeakSignalNoiseRatio::new(options)?)
        }
        Some(dims) => {
            let dims: Vec<isize> = dims.into_iter().map(|dim| dim as isize).collect();
            let scores = peak_signal_noise_ratio(&call.tensor("preds")?, &call.tensor("target")?, &options, &dims[..])?;
            reduced(call, &scores, "elementwise_mean")
        }
    }
}

/// A number for both dimensions, or one for each.
fn both<T: Copy>(call: &Call, name: &'static str, default: T, convert: impl Fn(f64) -> T) -> Result<[T; 2], Refusal> {
    match call.attributes.numbers(name)?.as_deref() {
        None => Ok([default; 2]),
        Some(&[one]) => Ok([convert(one); 2]),
        Some(&[height, width]) => Ok([convert(height), convert(width)]),
        Some(_) => Err(call.attributes.wrong(name)),
    }
}

fn ssim_options(call: &Call) -> Result<StructuralSimilarityOptions, Refusal> {
    Ok(StructuralSimilarityOptions::default()
        .gaussian_kernel(call.attributes.flag("gaussian_kernel", true)?)
        .sigma(both(call, "sigma", 1.5, |sigma| sigma)?)
        .kernel_size(both(call, "kernel_size", 11, |size| size as usize)?)
        .data_range(data_range(call)?)
        .k1(call.attributes.number("k1", 0.01)?)
        .k2(call.attributes.number("k2", 0.03)?))
}

fn ssim(call: &Call) -> Answers {
    let scores = structural_similarity(&call.tensor("preds")?, &call.tensor("target")?, &ssim_options(call)?)?;
    reduced(call, &scores, "elementwise_mean")
}

fn ms_ssim(call: &Call) -> Answers {
    let mut options = MultiscaleStructuralSimilarityOptions::default().ssim(ssim_options(call)?);
    if let Some(betas) = call.attributes.numbers("betas")? {
        options.betas = betas;
    }
    let is_given = call.case.attrs.contains_key("normalize");
    let normalize = match call.attributes.map("normalize", Value::as_str)? {
        None if is_given => MultiscaleNormalize::None,
        None | Some("relu") => MultiscaleNormalize::Relu,
        Some("simple") => MultiscaleNormalize::Simple,
        Some(_) => return Err(call.attributes.wrong("normalize")),
    };
    let options = options.normalize(normalize);
    let scores = multiscale_structural_similarity(&call.tensor("preds")?, &call.tensor("target")?, &options)?;
    reduced(call, &scores, "elementwise_mean")
}

fn variation(call: &Call) -> Answers {
    reduced(call, &total_variation(&call.tensor("img")?)?, "sum")
}

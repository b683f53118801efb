//! LeNet-5 made smaller, in four ways and without further training; and a student of it.

use super::common::Result;
use super::context::{Context, accuracy};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::compress::channels::{ChannelOptions, Channels};
use wgrad::compress::clustering::{ClusterOptions, Clusters};
use wgrad::compress::distillation::{Distillation, DistillationOptions};
use wgrad::compress::low_rank::{LowRankOptions, Rank, factorize};
use wgrad::compress::pruning::{Criterion, Pruner, PrunerOptions, Reach, prunable};
use wgrad::compress::quantization::{QuantizationOptions, Quantized};
use wgrad::data::{Batch, Images};
use wgrad::logs::Histogram;
use wgrad::models::LeNet5;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions};
use wgrad::report::{LineChart, histogram};
use wgrad::train::{ImageLoader, Loader, Supervised, Task, Trainer, TrainerOptions};

/// The shape of an image.
const IMAGE: [usize; 4] = [1, 1, 28, 28];
/// Test digits of each accuracy.
const TESTED: usize = 2000;
/// Digits of which a student has the labels, and the passes over them.
const FEW: usize = 500;
const PASSES: u64 = 20;

/// LeNet-5 with the trained weights, to be changed.
fn copy(context: &Context) -> Result<LeNet5> {
    let net = LeNet5::new(&Scope::new(&context.device))?;
    net.load_state_dict(&context.lenet()?.state_dict()?, true)?;
    net.eval();
    Ok(net)
}

fn test(context: &Context) -> Result<(Tensor, Tensor)> {
    context.test(context.amount(TESTED, 16))
}

fn write(chart: LineChart, path: &Path) -> Result<()> {
    Ok(std::fs::write(path, chart.size(520.0, 320.0).draw().png(1.0)?)?)
}

/// The accuracy without a share of the weights, or of the channels.
pub fn pruning(context: &Context, path: &Path) -> Result<Numbers> {
    let (images, labels) = test(context)?;
    let shares: Vec<f64> = (0..20).map(|at| f64::from(at) / 20.0).step_by(context.amount(1, 10)).collect();
    let mut chart = LineChart::new("LeNet-5 without a share of its weights", "share", "accuracy");
    let ways = [
        ("all", "the smallest of all", Criterion::Magnitude, Reach::Global),
        ("layer", "the smallest of each layer", Criterion::Magnitude, Reach::Layer),
        ("random", "by chance", Criterion::Random, Reach::Layer),
    ];
    let mut numbers = Vec::new();
    for (name, title, criterion, reach) in ways {
        let net = copy(context)?;
        let mut pruner = Pruner::new(prunable(&net), PrunerOptions::default().criterion(criterion).reach(reach))?;
        let mut points = Vec::new();
        for &share in &shares {
            pruner.prune_to(share)?;
            points.push((share, accuracy(&net, &images, &labels)?));
        }
        let at_half = points.iter().find(|(share, _)| *share >= 0.5).map_or(0.0, |&(_, accuracy)| accuracy);
        numbers.push((name, format!("{at_half:.3}")));
        chart = chart.series(title, points);
    }
    let mut points = Vec::new();
    for &share in &shares {
        let net = copy(context)?;
        let channels = Channels::of(&net, &IMAGE)?;
        let chosen = channels.choose(&ChannelOptions::default().amount(share))?;
        channels.cut(&chosen)?;
        points.push((share, accuracy(&net, &images, &labels)?));
    }
    write(chart.series("channels", points), path)?;
    Ok(numbers)
}

/// The bytes of a layer's weights, and the accuracy with them.
pub fn quantization(context: &Context, path: &Path) -> Result<Numbers> {
    let (images, labels) = test(context)?;
    let net = copy(context)?;
    let before = accuracy(&net, &images, &labels)?;
    let some = images.narrow(0, 0, images.shape()[0].min(256))?;
    let small = Quantized::calibrated(net, [Ok(some)], &QuantizationOptions::default())?;
    let after = accuracy(&small, &images, &labels)?;
    let (_, weight) = small.weights().find(|(name, _)| *name == "conv2.weight").ok_or("LeNet-5 has a conv2")?;
    let levels: Vec<f32> = weight.to_bytes()?.into_iter().map(f32::from).collect();
    let counts = Histogram::of(&Tensor::from_slice(&context.device, &levels, &[levels.len()])?, 51)?;
    std::fs::write(path, histogram("Weights of conv2 as bytes", "byte", &counts).png(0.8)?)?;
    Ok(vec![("before", format!("{before:.4}")), ("after", format!("{after:.4}"))])
}

/// The accuracy by the number of values that a layer's weights share.
pub fn clustering(context: &Context, path: &Path) -> Result<Numbers> {
    let (images, labels) = test(context)?;
    let (mut points, mut numbers) = (Vec::new(), Vec::new());
    for (values, names) in
        [(2, None), (3, None), (4, Some(["four", "four_kb"])), (8, None), (16, Some(["sixteen", "sixteen_kb"]))]
    {
        let net = copy(context)?;
        let size = Clusters::new(prunable(&net), &ClusterOptions::default().values(values))?.size()?;
        let right = accuracy(&net, &images, &labels)?;
        points.push((values as f64, right));
        if let Some([of_accuracy, of_size]) = names {
            let bytes = (size.huffman_bits + size.table_bits).div_ceil(8);
            numbers.extend([(of_accuracy, format!("{right:.3}")), (of_size, format!("{:.1}", bytes as f64 / 1e3))]);
        }
    }
    let chart = LineChart::new("LeNet-5 with few values a layer", "values", "accuracy").series("accuracy", points);
    write(chart.log_x(), path)?;
    Ok(numbers)
}

/// The accuracy and the multiply-adds by the energy that is kept.
pub fn low_rank(context: &Context, path: &Path) -> Result<Numbers> {
    let (images, labels) = test(context)?;
    let plain = copy(context)?.summary(&IMAGE)?;
    let (mut right, mut parameters, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let energies: Vec<f64> = (0..10).map(|at| 0.5 + f64::from(at) / 20.0).step_by(context.amount(1, 8)).collect();
    for energy in energies {
        let net = copy(context)?;
        factorize(&net, &LowRankOptions::default().rank(Rank::Energy(energy)))?;
        let share = net.summary(&IMAGE)?.trained_parameters as f64 / plain.trained_parameters as f64;
        let accuracy = accuracy(&net, &images, &labels)?;
        right.push((energy, accuracy));
        parameters.push((energy, share));
        numbers = vec![
            ("energy", format!("{energy:.2}")),
            ("accuracy", format!("{accuracy:.3}")),
            ("share", format!("{share:.2}")),
        ];
    }
    let chart = LineChart::new("LeNet-5 of a lower rank", "energy that is kept", "share");
    write(chart.series("accuracy", right).series("parameters", parameters), path)?;
    Ok(numbers)
}

/// Two students of few digits: by their labels, and by a teacher's answers too.
pub fn distillation(context: &Context, path: &Path) -> Result<Numbers> {
    let few = context.digits.train.limit(context.amount(FEW, 64))?;
    let test = context.digits.test.limit(context.amount(TESTED, 16))?;
    let test = ImageLoader::in_order(&test, &context.device, 200)?;
    let options = DistillationOptions::default();
    let by_labels = Supervised::classification();
    let by_teacher = Distillation::new(Supervised::classification(), context.lenet()?.clone(), &options)?;
    let mut chart = LineChart::new("Students of few digits", "pass", "accuracy");
    let mut numbers = vec![("few", few.labels().len().to_string())];
    let learned = [
        ("labels", "labels", student(context, by_labels, &few, &test)?),
        ("teacher", "labels and a teacher's answers", student(context, by_teacher, &few, &test)?),
    ];
    for (name, title, points) in learned {
        numbers.push((name, format!("{:.3}", points.last().map_or(0.0, |&(_, right)| right))));
        chart = chart.series(title, points);
    }
    write(chart, path)?;
    Ok(numbers)
}

/// The accuracy of a new LeNet-5 after each pass over few digits.
fn student(
    context: &Context,
    mut task: impl Task<Batch = Batch>,
    few: &Images,
    test: &impl Loader<Batch = Batch>,
) -> Result<Vec<(f64, f64)>> {
    context.device.manual_seed(context.flags.seed + 1);
    let net = LeNet5::new(&Scope::new(&context.device))?;
    let mut adam = Adam::new(&net, AdamOptions::default().lr(1e-3))?;
    let batches = ImageLoader::shuffled(few, &context.device, 50, context.flags.seed)?;
    let mut points = Vec::new();
    for pass in 1..=context.amount(PASSES as usize, 1) {
        let options = TrainerOptions::default().epochs(1).seed(context.flags.seed + pass as u64);
        Trainer::new(&context.device, options)?.fit(&net, &mut adam, &mut task, &batches, None)?;
        net.eval();
        let mut right = (0.0, 0.0);
        for batch in test.resume(0, 0)? {
            let Batch { images, labels } = batch?;
            let count = labels.numel() as f64;
            right = (right.0 + count * accuracy(&net, &images, &labels)?, right.1 + count);
        }
        points.push((pass as f64, right.0 / right.1));
    }
    Ok(points)
}

//! Ready-made tasks: each learns from its labels, by its loss, its metrics and its answers.

use crate::setting::images;
use wgrad::data::Batch;
use wgrad::metrics::{Average, MeanAveragePrecision, MeanAveragePrecisionOptions, Score, StatScores, Task as Kind};
use wgrad::nn::{Children, Conv2d, Dropout, Linear, Mode, Module, Scope, Upsample};
use wgrad::optim::{Adam, AdamOptions};
use wgrad::train::{Evaluation, ImageLoader, Loader, Supervised, Task, Trainer, TrainerOptions};
use wgrad::{Conv2dOptions, DType, Device, InterpolateMode, InterpolateOptions, Reduction, Result, Tensor};

/// Numbers for each image, in a shape.
struct Net {
    fc: Linear,
    shape: &'static [isize],
}

impl Module for Net {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&input.flatten(1, -1)?)?.reshape(&[&[-1], self.shape].concat())
    }
    fn children(&self) -> Children<'_> {
        wgrad::nn::children![self; fc]
    }
}

/// Trains on images with labels that a function makes of their classes, `[N]`; then evaluates, and returns the answers for all 24
/// images.
fn trained(
    shape: &'static [isize],
    task: impl FnOnce(&Device) -> Supervised,
    labels: impl Fn(&Tensor) -> Result<Tensor>,
) -> (Evaluation, Vec<f32>) {
    let device = Device::reference();
    device.manual_seed(4);
    let outputs = shape.iter().product::<isize>() as usize;
    let net = Net { fc: Linear::new(&Scope::new(&device).at("fc"), 4, outputs).unwrap(), shape };
    let mut adam = Adam::new(&net, AdamOptions::default().lr(0.1)).unwrap();
    let set = images(24, 3);
    let loader = ImageLoader::in_order(&set, &device, 8).unwrap();
    let loader = loader.map(|batch, _| Ok(Batch { labels: labels(&batch.labels)?, ..batch }));
    let mut task = task(&device);
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(60)).unwrap();
    trainer.fit(&net, &mut adam, &mut task, &loader, None).unwrap();
    let evaluation = trainer.evaluate(&net, &mut task, &loader).unwrap();
    let answers = trainer.predict(&net, &task, &loader).unwrap();
    let values = |answer: Result<(Batch, Tensor)>| answer?.1.to_dtype(DType::F32)?.to_vec::<f32>();
    (evaluation, answers.flat_map(|answer| values(answer).unwrap()).collect())
}

fn accuracy(device: &Device, kind: Kind) -> StatScores {
    StatScores::new(device, kind, &Default::default()).unwrap().report(Score::Accuracy, Average::Micro)
}

fn classes() -> Vec<usize> {
    images(24, 3).labels().iter().map(|&label| label as usize).collect()
}

/// The fraction of images whose answers pass a test with their class.
fn share(answers: &[f32], right: impl Fn(&[f32], usize) -> bool) -> f64 {
    let each = answers.chunks(answers.len() / 24).zip(classes());
    each.filter(|(answers, class)| right(answers, *class)).count() as f64 / 24.0
}

fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{got} {expected}");
}

fn largest(answers: &[f32]) -> usize {
    (0..answers.len()).max_by(|&a, &b| answers[a].total_cmp(&answers[b])).unwrap()
}

#[test]
fn classes_are_learned_from_numbers_and_from_mixtures() {
    let task = |device: &Device| Supervised::classification().metric(accuracy(device, Kind::Multiclass(3)));
    let (by_number, answers) = trained(&[3], task, |labels| Ok(labels.clone()));
    let right = share(&answers, |answers, class| largest(answers) == class);
    close(by_number.scalar("accuracy").unwrap(), right);
    assert!(right > 0.7, "{right}");
    let nll =
        answers.chunks(3).zip(classes()).map(|(answers, class)| -f64::from(answers[class]).ln()).sum::<f64>() / 24.0;
    assert!((by_number.scalar("loss").unwrap() - nll).abs() < 1e-5 * nll);
    let (by_share, _) = trained(&[3], task, |labels| labels.one_hot(Some(3))?.to_dtype(DType::F32));
    for (name, value) in &by_share.scalars {
        close(by_number.scalar(name).unwrap(), *value);
    }
}

#[test]
fn several_labels_are_learned() {
    // Class 2 is of both labels.
    let labels = |labels: &Tensor| {
        let both = labels.eq_scalar(2.0)?;
        let each = [labels.eq_scalar(0.0)?, labels.eq_scalar(1.0)?].map(|label| label.logical_or(&both));
        let [first, second] = each;
        Tensor::stack(&[&first?, &second?], 1)?.to_dtype(DType::F32)
    };
    let task = |device: &Device| Supervised::multi_label().metric(accuracy(device, Kind::Multilabel(2)));
    let (evaluation, answers) = trained(&[2], task, labels);
    let hits = |answers: &[f32], class: usize| {
        let is = [class != 1, class != 0];
        is.iter().zip(answers).filter(|(is, answer)| **is == (**answer > 0.5)).count()
    };
    let right: usize = answers.chunks(2).zip(classes()).map(|(answers, class)| hits(answers, class)).sum();
    close(evaluation.scalar("accuracy").unwrap(), right as f64 / 48.0);
    assert!(right > 33, "{right}");
}

#[test]
fn numbers_are_learned() {
    let labels = |labels: &Tensor| labels.to_dtype(DType::F32)?.reshape(&[-1, 1]);
    let (evaluation, answers) = trained(&[1], |_| Supervised::regression(), labels);
    let error = |(answer, class): (&f32, usize)| (f64::from(*answer) - class as f64).powi(2);
    let mse = answers.iter().zip(classes()).map(error).sum::<f64>() / 24.0;
    assert!((evaluation.scalar("loss").unwrap() - mse).abs() < 1e-5 * mse && mse < 0.5, "{mse}");
}

#[test]
fn classes_of_pixels_are_learned() {
    // The left pixel is of the image's class, and the right one of class 3.
    let labels = |labels: &Tensor| {
        let left = labels.reshape(&[-1, 1, 1])?;
        Tensor::cat(&[&left, &left.full_like(3.0)?], 2)
    };
    let task = |device: &Device| Supervised::segmentation().metric(accuracy(device, Kind::Multiclass(4)));
    let (evaluation, answers) = trained(&[4, 1, 2], task, labels);
    let hits = |answers: &[f32], class: usize| usize::from(answers[0] == class as f32) + usize::from(answers[1] == 3.0);
    let right: usize = answers.chunks(2).zip(classes()).map(|(answers, class)| hits(answers, class)).sum();
    close(evaluation.scalar("accuracy").unwrap(), right as f64 / 48.0);
    assert!(right > 40, "{right}");
}

#[test]
fn boxes_are_learned() {
    // One object of class 0 in each image: a box of 8 by 8 pixels, the further to the right the larger the class.
    let labels = |labels: &Tensor| {
        let x = labels.to_dtype(DType::F32)?.reshape(&[-1, 1, 1])?;
        let zero = x.full_like(0.0)?;
        Tensor::cat(&[&x, &zero, &x.add_scalar(8.0)?, &zero.add_scalar(8.0)?, &zero], 2)
    };
    let loss = |outputs: &Tensor, labels: &Tensor| outputs.mse_loss(&labels.narrow(2, 0, 4)?, Reduction::Mean);
    let boxes = |outputs: &Tensor| {
        let zero = outputs.narrow(2, 0, 1)?.full_like(0.0)?;
        Tensor::cat(&[outputs, &zero.add_scalar(1.0)?, &zero], 2)
    };
    let task = |_: &Device| {
        let map = MeanAveragePrecision::new(MeanAveragePrecisionOptions::default()).unwrap();
        Supervised::detection(loss, boxes).metric(map)
    };
    let (evaluation, answers) = trained(&[1, 4], task, labels);
    let overlaps = share(&answers, |answers, class| (answers[0] - class as f32).abs() < 2.0);
    assert_eq!((answers.len(), overlaps), (24 * 6, 1.0));
    // Boxes that are off by a quarter of their width overlap in 6 columns of 10.
    assert_eq!(evaluation.scalar("map_50"), Some(1.0), "{:?}", evaluation.scalars);
}

/// A segmenter of two channels whose auxiliary classifier, at half the size, runs in training.
struct Segmenter {
    main: Conv2d,
    aux: Conv2d,
    dropout: Dropout,
}

impl Module for Segmenter {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        if self.dropout.mode().is_some_and(Mode::is_training) {
            self.aux.forward(&input.avg_pool2d(2, &Default::default())?)?;
        }
        self.dropout.forward(&self.main.forward(input)?)
    }
    fn children(&self) -> Children<'_> {
        wgrad::nn::children![self; main, aux, dropout]
    }
}

#[test]
fn auxiliary_classifiers_count_in_training() -> Result<()> {
    let device = Device::reference();
    let (scope, plain) = (Scope::new(&device), Conv2dOptions::default());
    let net = Segmenter {
        main: Conv2d::new(&scope.at("main"), 2, 3, 1, &plain)?,
        aux: Conv2d::new(&scope.at("aux"), 2, 3, 1, &plain)?,
        dropout: Dropout::new(0.0),
    };
    let images = Tensor::randn(&device, &[2, 2, 4, 6])?;
    let labels: Vec<i32> = (0..48).map(|at| at % 3).collect();
    let batch = Batch { images: images.clone(), labels: Tensor::from_slice(&device, &labels, &[2, 4, 6])? };
    // The cross entropy of logits [2, 3, 4, 6], from its definition.
    let loss = |logits: Vec<f64>| {
        let of = |n: usize, class: usize, place: usize| logits[(3 * n + class) * 24 + place];
        let each = (0..48).map(|at| {
            let (n, place) = (at / 24, at % 24);
            (0..3).map(|class| of(n, class, place).exp()).sum::<f64>().ln() - of(n, labels[at] as usize, place)
        });
        each.sum::<f64>() / 48.0
    };
    let small = net.aux.forward(&images.avg_pool2d(2, &Default::default())?)?;
    let main = loss(net.main.forward(&images)?.to_f64()?);
    let aux = loss(
        Upsample::new(InterpolateOptions::default().size([4, 6]).mode(InterpolateMode::Bilinear))
            .forward(&small)?
            .to_f64()?,
    );

    let task = Supervised::segmentation().auxiliary("aux", 0.4);
    let outcome = task.forward(&net, &batch)?;
    close(outcome.loss.to_f64()?[0], main + 0.4 * aux);
    assert_eq!(outcome.outputs.shape()[..], [2, 3, 4, 6]);
    outcome.loss.backward()?;
    assert!(net.aux.weight.grad().is_some());
    net.eval();
    close(task.forward(&net, &batch)?.loss.to_f64()?[0], main);
    net.train(true);
    let missing = Supervised::segmentation().auxiliary("head", 0.4).forward(&net, &batch).unwrap_err();
    assert!(missing.to_string().contains("no layer \"head\" in training"), "{missing}");
    Ok(())
}

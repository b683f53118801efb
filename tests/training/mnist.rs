//! A small training from end to end.

use crate::common::own_adapter;
use std::path::Path;
use wgrad::data::{Images, Mnist};
use wgrad::metrics::{self, Average, Score, StatScores};
use wgrad::models::LeNet5;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::train::{Callback, ImageLoader, Run, Supervised, Trainer, TrainerOptions};
use wgrad::{Device, Result};

fn mnist() -> Mnist {
    Mnist::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")).unwrap()
}

/// Observes each step and each epoch.
struct Watch<S, E>(S, E);

impl<S: FnMut(&mut Run) -> Result<()>, E: FnMut(&mut Run) -> Result<()>> Callback for Watch<S, E> {
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        (self.0)(run)
    }
    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        (self.1)(run)
    }
}

/// Losses, and the accuracy on `images`, of a training on them.
fn run(device: &Device, images: &Images, epochs: u64) -> (Vec<f64>, f64) {
    device.manual_seed(0);
    let model = LeNet5::new(&Scope::new(device)).unwrap();
    let options = AdamOptions::default().lr(2e-3);
    let mut adam = Adam::new(model.parameters(), options).unwrap();
    let (mut losses, mut steps) = (Vec::new(), 0);
    let of_step = |run: &mut Run| {
        steps += 1;
        assert_eq!((run.step, run.batch as u64), (steps, (steps - 1) % run.batches as u64 + 1));
        Ok(())
    };
    let of_epoch = |run: &mut Run| {
        assert_eq!((run.batch, run.items), (images.len().div_ceil(32), images.len()));
        assert!(run.scalar("first_step_ms").unwrap() > 0.0 && run.scalar("items/s").unwrap() > 0.0);
        losses.push(run.scalar("train/loss").unwrap());
        Ok(())
    };
    let accuracy = StatScores::new(device, metrics::Task::Multiclass(10), &Default::default()).unwrap();
    let mut task = Supervised::classification().metric(accuracy.report(Score::Accuracy, Average::Micro));
    let train = ImageLoader::shuffled(images, device, 32, 0).unwrap();
    let test = ImageLoader::in_order(images, device, 150).unwrap();
    let options = TrainerOptions::default().epochs(epochs);
    let mut trainer = Trainer::new(device, options).unwrap().callback(Watch(of_step, of_epoch));
    trainer.fit(&model, &mut adam, &mut task, &train, None).unwrap();
    let accuracy = trainer.evaluate(&model, &mut task, &test).unwrap().scalar("accuracy").unwrap();
    drop(trainer);
    assert_eq!(adam.steps().unwrap()[0], epochs * images.len().div_ceil(32) as u64);
    (losses, accuracy)
}

/// `make golden-swiftshader` runs this on a second driver.
#[test]
fn an_epoch_is_learned() {
    let Some(device) = own_adapter() else { return };
    // 2,000 images: the last batch has 16, and that of the evaluation 100.
    let images = mnist().train.limit(2000).unwrap();
    let (losses, accuracy) = run(&device, &images, 1);
    // llvmpipe reaches a loss of 1.026 and 0.864: a tenth more of loss and of errors.
    assert!(losses[0] < 1.13 && accuracy >= 0.85, "accuracy {accuracy}, losses {losses:?}");
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let Some(device) = own_adapter() else { return };
    let images = mnist().train.limit(100).unwrap();
    let (first, second) = (run(&device, &images, 2), run(&device, &images, 2));
    assert_eq!(first, second);
}

#[test]
fn the_adapter_trains_as_the_reference_does() {
    let Some(device) = own_adapter() else { return };
    let images = mnist().train.limit(64).unwrap();
    let (got, expected) = (run(&device, &images, 1).0[0], run(&Device::reference(), &images, 1).0[0]);
    assert!((got - expected).abs() < 1e-4 * expected, "{got} on the adapter, {expected} on the reference");
}

#[test]
fn nothing_is_created_after_the_second_step() {
    let Some(device) = own_adapter() else { return };
    let images = mnist().train.limit(40 * 16 + 8).unwrap();
    let model = LeNet5::new(&Scope::new(&device)).unwrap();
    let mut adam = Adam::new(model.parameters(), AdamOptions::default()).unwrap();
    let mut seen = Vec::new();
    let look = |run: &mut Run| {
        run.device.sync()?;
        let stats = run.device.stats();
        seen.push((run.batch, stats.pipelines, stats.plans, stats.buffers, stats.bind_groups));
        Ok(())
    };
    let train = ImageLoader::shuffled(&images, &device, 16, 0).unwrap();
    let options = TrainerOptions::default().epochs(2);
    let mut trainer = Trainer::new(&device, options).unwrap().callback(Watch(look, |_: &mut Run| Ok(())));
    trainer.fit(&model, &mut adam, &mut Supervised::classification(), &train, None).unwrap();
    drop(trainer);
    // The last, shorter batch plans once more and compiles nothing; the second epoch does neither.
    let pipelines = |at: usize| seen[at].1;
    assert_eq!(pipelines(2), pipelines(40), "{seen:?}");
    assert_eq!((seen[2].2, seen[2].3, seen[2].4), (seen[39].2, seen[39].3, seen[39].4), "{seen:?}");
    let last = seen.len() - 1;
    assert_eq!((seen[42].1, seen[42].2, seen[42].3), (seen[last].1, seen[last].2, seen[last].3), "{seen:?}");
}

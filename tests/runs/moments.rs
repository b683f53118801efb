//! The moments of runs: their order, ends of all kinds, and the callbacks' use of them.

use crate::setting::{AfterEpoch, AfterStep, Net, images};
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use wgrad::data::Images;
use wgrad::nn::Module;
use wgrad::optim::{Averaged, Averaging, Optimizer, Sgd, SgdOptions};
use wgrad::train::{
    Callback, Checkpoints, EarlyStopping, Estimate, Every, Fit, ImageLoader, Loader, Monitor, Requests, Run, StopFlag,
    Supervised, TimeLimit, Trainer, TrainerOptions, evaluate, predict,
};
use wgrad::{Device, Error, Result};

/// Writes down the moments.
struct Recorder<'a>(&'a RefCell<Vec<String>>);

impl Recorder<'_> {
    fn note(&self, moment: &str, run: &Run) -> Result<()> {
        let Run { epoch, batch, step, .. } = run;
        self.0.borrow_mut().push(format!("{moment} {epoch}.{batch} {step}"));
        Ok(())
    }
}

impl Callback for Recorder<'_> {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        self.note("fit", run)
    }
    fn on_epoch_start(&mut self, run: &mut Run) -> Result<()> {
        self.note("epoch", run)
    }
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        self.note("step", run)
    }
    fn on_validation_start(&mut self, run: &mut Run) -> Result<()> {
        self.note("validation", run)
    }
    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        self.note("validated", run)
    }
    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        self.note("epoch end", run)
    }
    fn on_checkpoint(&mut self, run: &mut Run, path: &Path) -> Result<()> {
        self.note(path.file_name().unwrap().to_str().unwrap(), run)
    }
    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        self.note("fit end", run)
    }
    fn on_error(&mut self, run: &mut Run, error: &Error) -> Result<()> {
        self.note(&format!("error {error}"), run)
    }
}

/// A run of four batches an epoch, with a validation set.
fn fit<'a>(options: TrainerOptions, add: impl FnOnce(Trainer<'a>) -> Trainer<'a>) -> Result<Fit> {
    let device = Device::reference();
    let model = Net::new(&device);
    let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
    let (train, validation) = (images(16, 1), images(6, 2));
    let train = ImageLoader::shuffled(&train, &device, 4, 0)?;
    let validation = ImageLoader::in_order(&validation, &device, 4)?;
    let mut trainer = add(Trainer::new(&device, options)?);
    trainer.fit(&model, &mut sgd, &mut Supervised::classification(), &train, Some(&validation))
}

fn in_folder(folder: &TempDir) -> TrainerOptions {
    TrainerOptions::default().folder(folder.path())
}

#[test]
fn moments_come_in_their_order() {
    let folder = TempDir::new().unwrap();
    let moments = RefCell::default();
    let options = in_folder(&folder).epochs(2).accumulate(2).validate(Every::Steps(3));
    fit(options, |trainer| trainer.callback(Checkpoints::default()).callback(Recorder(&moments))).unwrap();
    let expected = [
        "fit 0.0 0",
        "epoch 0.0 0",
        "step 0.2 1",
        "step 0.4 2",
        "epoch end 0.4 2",
        "last.safetensors 1.0 2",
        "epoch 1.0 2",
        "step 1.2 3",
        "validation 1.2 3",
        "validated 1.2 3",
        "step 1.4 4",
        "epoch end 1.4 4",
        "last.safetensors 2.0 4",
        "fit end 2.0 4",
    ];
    assert_eq!(*moments.borrow(), expected);
}

#[test]
fn an_error_of_a_callback_ends_the_run_after_its_moment() {
    let folder = TempDir::new().unwrap();
    let moments = RefCell::default();
    let fails = AfterStep(|run: &mut Run| if run.step == 2 { Err(Error::invalid("test", "no")) } else { Ok(()) });
    let error = fit(in_folder(&folder), |trainer| {
        trainer.callback(fails).callback(Recorder(&moments)).callback(Checkpoints::default())
    });
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "test: no");
    let expected =
        ["fit 0.0 0", "epoch 0.0 0", "step 0.1 1", "step 0.2 2", "error test: no 0.2 2", "last.safetensors 0.2 2"];
    assert_eq!(*moments.borrow(), expected);
}

/// The step damages nothing on the disk, since the checkpoint before it stays.
#[test]
fn an_error_of_a_step_writes_no_checkpoint() {
    let folder = TempDir::new().unwrap();
    let device = Device::reference();
    let model = Net::new(&device);
    let mut sgd = Sgd::new(&model, SgdOptions::default()).unwrap();
    let set = images(8, 1);
    let train = ImageLoader::in_order(&set, &device, 4).unwrap().map(|mut batch, place| {
        batch.labels = if place.batch == 1 { batch.labels.add_scalar(7.0)? } else { batch.labels };
        Ok(batch)
    });
    let moments = RefCell::default();
    let options = in_folder(&folder).log_every(1);
    let checkpoints = Checkpoints::default().every(Every::Steps(1));
    let mut trainer = Trainer::new(&device, options).unwrap().callback(Recorder(&moments)).callback(checkpoints);
    let error = trainer.fit(&model, &mut sgd, &mut Supervised::classification(), &train, None).unwrap_err();
    assert!(matches!(error, Error::IndexOutOfRange { .. }), "{error}");
    let moments = moments.borrow();
    let written: Vec<&String> = moments.iter().filter(|moment| moment.starts_with("last")).collect();
    assert_eq!(written, ["last.safetensors 0.1 1"], "{moments:?}");
}

#[test]
fn runs_stop_after_a_time_and_when_asked() {
    let stopped = |add: &dyn Fn(Trainer<'static>) -> Trainer<'static>| {
        let (folder, moments) = (TempDir::new().unwrap(), Box::leak(Box::default()));
        let options = in_folder(&folder).epochs(3);
        let callbacks = |trainer| add(trainer).callback(Checkpoints::default()).callback(Recorder(moments));
        let fit = fit(options, callbacks).unwrap();
        (fit.steps, fit.stopped.unwrap(), moments.borrow().last().unwrap().clone())
    };
    let (steps, reason, last) = stopped(&|trainer| trainer.callback(TimeLimit::new(Duration::ZERO)));
    assert_eq!((steps, &*reason, &*last), (1, "the time limit of 0ns is over", "last.safetensors 0.1 1"));

    let flag = StopFlag::default();
    let (steps, reason, last) = stopped(&|trainer| {
        let asking = flag.clone();
        let asks = move |run: &mut Run| {
            if run.step == 6 {
                assert_eq!((asking.request(), asking.request()), (1, 2));
            }
            Ok(())
        };
        trainer.callback(AfterStep(asks)).callback(flag.clone())
    });
    assert_eq!((steps, &*reason, &*last), (6, "it was asked to", "last.safetensors 1.2 6"));
    let (steps, ..) = stopped(&|trainer| trainer.callback(TimeLimit::new(Duration::from_secs(3600))).callback(Ask(3)));
    assert_eq!(steps, 12);
}

/// Asks to stop after an epoch.
struct Ask(u64);

impl Callback for Ask {
    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        if run.epoch + 1 == self.0 {
            run.requests.stop("enough");
        }
        Ok(())
    }
}

/// The numbers of a curve, one validation each, until a callback asks to stop.
fn follow(callback: &mut dyn Callback, name: &str, curve: &[f64]) -> Option<usize> {
    let device = Device::reference();
    let model = Net::new(&device);
    let mut sgd = Sgd::new(&model, SgdOptions::default()).unwrap();
    let mut requests = Requests::default();
    for (at, &value) in curve.iter().enumerate() {
        let scalars = [(name.to_string(), value)];
        let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
        run.scalars = &scalars;
        callback.on_validation_end(&mut run).unwrap();
        if requests.stopped().is_some() {
            return Some(at);
        }
    }
    None
}

#[test]
fn early_stopping_follows_a_curve() {
    let nan = f64::NAN;
    for (patience, min_delta, curve, expected) in [
        (2, 0.0, &[1.0, 0.8, 0.85, 0.79, 0.9, 0.8, 0.81, 0.1][..], Some(6)),
        (0, 0.0, &[1.0, 0.9, 0.9], Some(2)),
        // An improvement of less than 0.1 does not count, and the best stays 1.0.
        (1, 0.1, &[1.0, 0.95, 0.91, 0.5], Some(2)),
        (1, 0.1, &[1.0, 0.95, 0.89, 0.85, 0.75], None),
        (1, 0.0, &[nan, 0.5, nan, nan], Some(3)),
        (3, 0.0, &[4.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0], None),
    ] {
        let stopping = || EarlyStopping::new(Monitor::min("val/loss")).patience(patience).min_delta(min_delta);
        assert_eq!(follow(&mut stopping(), "val/loss", curve), expected, "{curve:?}");
        let mirrored: Vec<f64> = curve.iter().map(|value| -value).collect();
        let mut stopping = EarlyStopping::new(Monitor::max("val/accuracy")).patience(patience).min_delta(min_delta);
        assert_eq!(follow(&mut stopping, "val/accuracy", &mirrored), expected, "{mirrored:?}");
    }
    let error =
        fit(TrainerOptions::default(), |trainer| trainer.callback(EarlyStopping::new(Monitor::max("val/accuracy"))));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no \"val/accuracy\"") && error.contains("val/loss"), "{error}");
}

#[test]
fn the_last_few_checkpoints_stay() {
    let folder = TempDir::new().unwrap();
    let checkpoints = Checkpoints::default().every(Every::Steps(3)).keep(2);
    fit(in_folder(&folder).epochs(4), |trainer| trainer.callback(checkpoints)).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // After steps 3, 6, 9, 12, 15 and the end.
    assert_eq!(names, ["last.safetensors", "step-000015.safetensors", "step-000016.safetensors"]);
}

#[test]
fn the_first_batch_is_learned_by_heart() {
    let device = Device::reference();
    device.manual_seed(1);
    let model = Net::new(&device);
    let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.3).momentum(0.9)).unwrap();
    let set = images(64, 1);
    let train = ImageLoader::shuffled(&set, &device, 4, 0).unwrap();
    let first = train.clone().overfit(1);
    assert_eq!(first.batches(), 16);
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(6)).unwrap();
    trainer.fit(&model, &mut sgd, &mut Supervised::classification(), &first, None).unwrap();
    let loss = |loader: &dyn Loader<Batch = wgrad::data::Batch>| {
        evaluate(&model, &mut Supervised::classification(), loader).unwrap().scalar("loss").unwrap()
    };
    let (known, all) = (loss(&train.clone().first(1)), loss(&train));
    assert!(known < 0.05 && all > 0.3, "{known} {all}");
}

#[test]
fn averages_are_evaluated_and_the_training_goes_on_from_the_weights() {
    let device = Device::reference();
    let run = |average: bool| {
        device.manual_seed(2);
        let model = Net::new(&device);
        let sgd = Sgd::new(&model, SgdOptions::default().lr(0.5)).unwrap();
        let mut optimizer = Averaged::new(sgd, Averaging::Ema { decay: 0.9 }).unwrap();
        let (set, validation) = (images(16, 1), images(6, 2));
        let train = ImageLoader::in_order(&set, &device, 4).unwrap();
        let validation = ImageLoader::in_order(&validation, &device, 4).unwrap();
        let mut task = Supervised::classification();
        let options = TrainerOptions::default().epochs(2).evaluate_average(average);
        let mut trainer = Trainer::new(&device, options).unwrap();
        let fit = trainer.fit(&model, &mut optimizer, &mut task, &train, Some(&validation)).unwrap();
        let mut evaluate = || trainer.evaluate(&model, &mut task, &validation).unwrap().scalar("loss").unwrap();
        let own = evaluate();
        optimizer.apply().unwrap();
        (fit.scalar("val/loss").unwrap(), own, evaluate(), optimizer.steps().unwrap())
    };
    let (with, own, average, _) = run(true);
    assert_eq!(with, average);
    let (without, same_own, ..) = run(false);
    assert_eq!((without, same_own), (own, own));
    assert!(own != average);
}

#[test]
fn an_evaluation_changes_nothing() {
    let device = Device::reference();
    let model = Net::new(&device);
    let frozen = model.named_modules().into_iter().find(|(name, _)| name == "norm").unwrap().1.mode().unwrap();
    frozen.set(false);
    let set: Images = images(6, 2);
    let loader = ImageLoader::in_order(&set, &device, 4).unwrap();
    let mut task = Supervised::classification();
    let before = (device.random_state(), model.state_dict().unwrap());
    let first = evaluate(&model, &mut task, &loader).unwrap();
    assert_eq!((first.items, first.scalars.len()), (6, 1));
    let answers: Vec<Vec<usize>> =
        predict(&model, &task, &loader).unwrap().map(|answer| answer.unwrap().1.shape().to_vec()).collect();
    assert_eq!(answers, [[4, 3], [2, 3]]);
    assert_eq!(first.scalars, evaluate(&model, &mut task, &loader).unwrap().scalars);
    let modes: Vec<(String, bool)> = model
        .named_modules()
        .into_iter()
        .filter_map(|(name, module)| Some((name, module.mode()?.is_training())))
        .collect();
    assert_eq!(modes, [("norm".to_string(), false), ("dropout".to_string(), true)]);
    assert_eq!(device.random_state(), before.0);
    for (name, value) in &model.state_dict().unwrap() {
        assert_eq!(value.to_f64().unwrap(), before.1[name].to_f64().unwrap(), "{name}");
    }
}

#[test]
fn an_estimate_is_noted_once() {
    struct Notes<'a>(&'a RefCell<Vec<String>>);
    impl Callback for Notes<'_> {
        fn on_note(&mut self, _: &mut Run, note: &str) -> Result<()> {
            self.0.borrow_mut().push(note.to_string());
            Ok(())
        }
    }
    let notes = RefCell::default();
    let options = TrainerOptions::default().epochs(5);
    fit(options, |trainer| trainer.callback(Notes(&notes)).callback(Estimate::default())).unwrap();
    let notes = notes.borrow();
    assert!(notes.len() == 1 && notes[0].contains(" for the 7 batches left, "), "{notes:?}");
}

#[test]
fn an_epoch_has_its_numbers() {
    let rows = RefCell::new(Vec::new());
    let keep = |run: &mut Run| {
        rows.borrow_mut().push(run.scalars.to_vec());
        Ok(())
    };
    fit(TrainerOptions::default(), |trainer| trainer.callback(AfterEpoch(keep))).unwrap();
    let names: Vec<String> = rows.borrow()[0].iter().map(|(name, _)| name.clone()).collect();
    let timed = ["items/s", "wait", "first_step_ms", "step_ms", "peak_bytes"];
    assert_eq!(names, [&["train/loss", "val/loss", "lr"][..], &timed].concat());
    for (name, value) in &rows.borrow()[0] {
        assert!(value.is_finite() && *value >= 0.0, "{name} {value}");
    }
}

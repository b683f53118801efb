//! Interrupted runs end in the same bits as an uninterrupted one, with all the state that a run may have.

use crate::common::{Random, has_f16, own_adapter};
use crate::setting::{AfterEpoch, AfterStep, Net, bits, images};
use std::cell::RefCell;
use std::path::Path;
use tempfile::TempDir;
use wgrad::amp::{AutocastOptions, GradScalerOptions};
use wgrad::nn::Module;
use wgrad::optim::lr_scheduler::{LrScheduler, OneCycleLr, Plateau, ReduceLrOnPlateau};
use wgrad::optim::{AdamW, AdamWOptions, Averaged, Averaging};
use wgrad::train::{
    ByMetric, Checkpoints, EarlyStopping, Every, Fit, ImageLoader, Loader, Monitor, Scheduled, Supervised, Trainer,
    TrainerOptions,
};
use wgrad::{Device, Error};

const EPOCHS: u64 = 3;
const BATCHES: u64 = 7;
/// Three batches a step, so that the last step of an epoch has a single one.
const ACCUMULATE: u64 = 3;
const STEPS: u64 = EPOCHS * BATCHES.div_ceil(ACCUMULATE);

/// A way to end early.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Not,
    Stop(u64),
    Fail(u64),
}

/// All that a run leaves: bits, and the numbers of its epochs and validations that do not depend on the clock.
#[derive(Debug, PartialEq)]
struct Left {
    bits: Vec<u64>,
    rows: Vec<(u64, String, u64)>,
}

/// A run until its end, from a checkpoint if one is given.
fn run(
    device: &Device,
    path: &Path,
    from: Option<&Path>,
    end: End,
    rows: &RefCell<Vec<(u64, String, u64)>>,
) -> wgrad::Result<(Fit, Vec<u64>)> {
    device.manual_seed(if from.is_some() { 99 } else { 3 });
    let model = Net::new(device);
    let adamw = AdamW::new(&model, AdamWOptions::default().lr(0.02))?.clip_grad_norm(0.5)?;
    let mut optimizer = Averaged::new(adamw, Averaging::Ema { decay: 0.8 })?;
    let by_step = LrScheduler::new(&mut optimizer, OneCycleLr::new(0.05, STEPS + 1))?;
    let by_loss = ReduceLrOnPlateau::new(Plateau::Min).patience(0).factor(0.7);
    let (train, validation) = (images(BATCHES as usize * 4 - 1, 1), images(9, 2));
    let train = ImageLoader::shuffled(&train, device, 4, 5)?;
    let validation = ImageLoader::in_order(&validation, device, 4)?;
    let mut task = Supervised::classification();
    let options = TrainerOptions::default()
        .epochs(EPOCHS)
        .accumulate(ACCUMULATE as usize)
        .autocast(AutocastOptions::default())
        .scaler(GradScalerOptions::default().growth_interval(2).init_scale(64.0))
        .validate(Every::Steps(2))
        .log_every(1)
        .seed(5);
    let log = |run: &mut wgrad::train::Run| {
        let timed = ["items/s", "wait", "first_step_ms", "step_ms", "peak_bytes"];
        let numbers = run.scalars.iter().filter(|(name, _)| !timed.contains(&&**name));
        rows.borrow_mut().extend(numbers.map(|(name, value)| (run.step, name.clone(), value.to_bits())));
        Ok(())
    };
    let ends = move |run: &mut wgrad::train::Run| match end {
        End::Stop(step) if step == run.step => {
            run.requests.stop("enough");
            Ok(())
        }
        End::Fail(step) if step == run.step => Err(Error::invalid("test", "no more")),
        _ => Ok(()),
    };
    let mut trainer = Trainer::new(device, options)?
        .callback(AfterStep(ends))
        .callback(AfterStep(log))
        .callback(AfterEpoch(log))
        .callback(Scheduled::by_step(by_step))
        .callback(ByMetric::new(by_loss, "val/loss"))
        .callback(EarlyStopping::new(Monitor::min("val/loss")).patience(1000))
        .callback(Checkpoints::at(path));
    if let Some(from) = from {
        let at = trainer.resume(from, &model, &mut optimizer, &mut task)?;
        assert_eq!(at.seed, 5);
    }
    let fit = trainer.fit(&model, &mut optimizer, &mut task, &train, Some(&validation))?;
    Ok((fit, bits(device, &model, &optimizer)))
}

fn ends_alike(device: &Device, cuts: &[u64], end: fn(u64) -> End) {
    let folder = TempDir::new().unwrap();
    let [whole, half] = ["whole", "half"].map(|name| folder.path().join(name));
    let rows = RefCell::default();
    let (fit, bits) = run(device, &whole, None, End::Not, &rows).unwrap();
    assert_eq!((fit.epochs, fit.steps, fit.stopped), (EPOCHS, STEPS, None));
    let expected = Left { bits, rows: rows.into_inner() };
    for &cut in cuts {
        let rows = RefCell::default();
        let end = end(cut);
        let first = run(device, &half, None, end, &rows);
        match end {
            End::Fail(_) => assert!(first.unwrap_err().to_string().contains("no more")),
            _ => assert_eq!(first.unwrap().0.stopped.as_deref(), Some("enough")),
        }
        let (fit, bits) = run(device, &half, Some(&half), End::Not, &rows).unwrap();
        assert_eq!((fit.epochs, fit.steps), (EPOCHS, STEPS));
        let left = Left { bits, rows: rows.into_inner() };
        assert!(
            left.rows == expected.rows,
            "cut at step {cut} on {}: {:?}\n{:?}",
            device.name(),
            left.rows,
            expected.rows
        );
        assert!(left == expected, "cut at step {cut} on {}", device.name());
        assert!(std::fs::read(&half).unwrap() == std::fs::read(&whole).unwrap(), "checkpoints, cut at step {cut}");
    }
}

/// This many random steps.
fn cuts(count: usize) -> Vec<u64> {
    let mut random = Random(17);
    (0..count).map(|_| 1 + (random.unit() * (STEPS - 1) as f64) as u64).collect()
}

#[test]
fn runs_stopped_anywhere_end_in_the_same_bits() {
    ends_alike(&Device::reference(), &cuts(10), End::Stop);
}

#[test]
fn runs_stopped_on_the_adapter_end_in_the_same_bits() {
    if let Some(device) = own_adapter().filter(has_f16) {
        ends_alike(&device, &cuts(1), End::Stop);
    }
}

/// The checkpoint is of the step at whose end a callback fails.
#[test]
fn an_error_of_a_callback_leaves_a_checkpoint_to_go_on_from() {
    ends_alike(&Device::reference(), &[2, 3, 4], End::Fail);
}

#[test]
fn a_loader_goes_on_from_any_batch() {
    let device = Device::reference();
    let set = images(11, 1);
    let all = ImageLoader::shuffled(&set, &device, 4, 7).unwrap();
    let labels = |from: usize| -> Vec<Vec<i32>> {
        all.resume(2, from).unwrap().map(|batch| batch.unwrap().labels.to_vec::<i32>().unwrap()).collect()
    };
    for from in 0..=3 {
        assert_eq!(labels(from), labels(0)[from..]);
    }
    let message = all.resume(2, 4).err().unwrap().to_string();
    assert!(message.contains("batch 4 of an epoch that has 3"), "{message}");
}

#[test]
fn the_wrong_parts_are_refused() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    run(&device, &path, None, End::Stop(1), &RefCell::default()).unwrap();
    let model = Net::new(&device);
    let mut optimizer = AdamW::new(model.parameters(), AdamWOptions::default()).unwrap();
    let mut trainer = Trainer::new(&device, TrainerOptions::default()).unwrap();
    let error = trainer.resume(&path, &model, &mut optimizer, &mut Supervised::classification()).unwrap_err();
    assert!(error.to_string().contains("belongs to nothing here"), "{error}");
}

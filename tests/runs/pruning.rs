//! Pruning in the course of a run: by a schedule, and with the same bits after an interruption.

use crate::setting::{AfterStep, Net, bits, images};
use std::path::Path;
use tempfile::TempDir;
use wgrad::Device;
use wgrad::amp::{AutocastOptions, GradScalerOptions};
use wgrad::compress::pruning::{
    Criterion, Method, Pruner, PrunerOptions, Pruning, Rewind, Schedule, global_unstructured, prunable, sparsity,
};
use wgrad::nn::Module;
use wgrad::optim::{AdamW, AdamWOptions, Averaged, Averaging};
use wgrad::train::{Checkpoints, ImageLoader, Supervised, Trainer, TrainerOptions};

const CUBIC: Schedule = Schedule::Cubic { begin: 2, every: 3, times: 3, initial: 0.3, sparsity: 0.75 };

/// The final bits of a run of twelve steps, and its sparsity after each step. It ends after `stop` steps, or resumes from a
/// checkpoint.
fn run(criterion: Criterion, path: &Path, from: Option<&Path>, stop: u64) -> (Vec<u64>, Vec<f64>) {
    let device = &Device::reference();
    device.manual_seed(if from.is_some() { 99 } else { 3 });
    let model = Net::new(device);
    let adamw = AdamW::new(&model, AdamWOptions::default().lr(0.02)).unwrap().clip_grad_norm(0.5).unwrap();
    let mut optimizer = Averaged::new(adamw, Averaging::Ema { decay: 0.8 }).unwrap();
    let pruner = Pruner::new(prunable(&model), PrunerOptions::default().criterion(criterion)).unwrap();
    let images = images(12, 1);
    let train = ImageLoader::shuffled(&images, device, 4, 5).unwrap();
    let options = TrainerOptions::default()
        .epochs(4)
        .autocast(AutocastOptions::default())
        .scaler(GradScalerOptions::default().growth_interval(2).init_scale(64.0));
    let mut shares = Vec::new();
    let watch = |run: &mut wgrad::train::Run| {
        shares.push(sparsity(&prunable(run.model))?);
        if run.step == stop {
            run.requests.stop("enough");
        }
        Ok(())
    };
    let mut trainer = Trainer::new(device, options)
        .unwrap()
        .callback(Pruning::new(pruner, CUBIC).unwrap())
        .callback(Rewind::new(&model, 4).unwrap())
        .callback(AfterStep(watch))
        .callback(Checkpoints::at(path));
    let mut task = Supervised::classification();
    if let Some(from) = from {
        trainer.resume(from, &model, &mut optimizer, &mut task).unwrap();
    }
    trainer.fit(&model, &mut optimizer, &mut task, &train, None).unwrap();
    drop(trainer);
    let masks = prunable(&model).iter().flat_map(|p| p.mask().unwrap().value().to_f64().unwrap()).collect::<Vec<_>>();
    let bits = bits(device, &model, &optimizer).into_iter().chain(masks.iter().map(|kept| kept.to_bits())).collect();
    (bits, shares)
}

#[test]
fn runs_that_prune_go_on_with_the_same_bits() {
    let folder = TempDir::new().unwrap();
    let [whole, half] = ["whole", "half"].map(|name| folder.path().join(name));
    for criterion in [Criterion::Magnitude, Criterion::Random, Criterion::Movement] {
        let (expected, shares) = run(criterion, &whole, None, 100);
        let after = |step: u64| match step {
            0..2 => 0.0,
            2..5 => 0.3,
            5..8 => 0.75 - 0.45 * (8.0 / 27.0),
            8..11 => 0.75 - 0.45 / 27.0,
            _ => 0.75,
        };
        for (step, share) in (1..).zip(&shares) {
            // 56 weights.
            assert!((share - after(step)).abs() <= 0.5 / 56.0 + 1e-12, "{criterion:?}, step {step}: {share}");
        }
        for stop in [1, 3, 5, 9] {
            run(criterion, &half, None, stop);
            let (bits, rest) = run(criterion, &half, Some(&half), 100);
            assert_eq!(rest, shares[stop as usize..], "{criterion:?}, stopped after step {stop}");
            assert!(bits == expected, "{criterion:?}, stopped after step {stop}");
            assert!(
                std::fs::read(&half).unwrap() == std::fs::read(&whole).unwrap(),
                "{criterion:?}, after step {stop}"
            );
        }
    }
}

/// Rounds of training, pruning and going back, as in the search for lottery tickets.
#[test]
fn tickets_are_trained_from_their_early_weights() {
    let device = &Device::reference();
    device.manual_seed(3);
    let model = Net::new(device);
    let images = images(12, 1);
    let train = ImageLoader::shuffled(&images, device, 4, 5).unwrap();
    let mut early = Rewind::new(&model, 2).unwrap();
    let values =
        |model: &Net| model.parameters().iter().flat_map(|p| p.value().to_f64().unwrap()).collect::<Vec<f64>>();
    let mut after_two = Vec::new();
    for round in 0..3 {
        let mut optimizer = AdamW::new(&model, AdamWOptions::default().lr(0.02)).unwrap();
        let look = |run: &mut wgrad::train::Run| {
            if (round, run.step) == (0, 2) {
                after_two = values(&model);
            }
            Ok(())
        };
        let options = TrainerOptions::default().epochs(2);
        let mut trainer = Trainer::new(device, options).unwrap().callback(&mut early).callback(AfterStep(look));
        trainer.fit(&model, &mut optimizer, &mut Supervised::classification(), &train, None).unwrap();
        drop(trainer);
        global_unstructured(&prunable(&model), Method::L1, 0.25).unwrap();
        early.rewind().unwrap();
        let rewound = values(&model);
        let pruned =
            rewound.iter().zip(&after_two).filter(|(now, then)| now != then).inspect(|(now, _)| assert!(**now == 0.0));
        assert_eq!(pruned.count(), [14, 24, 32][round]); // a quarter of 56, of 42 and of 32
    }
}

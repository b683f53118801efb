//! Trains a DCGAN to draw digits, and a LeNet that counts how many are one:
//! `cargo run --release --example gan -- --out pictures`.
//!
//! The networks are those of the paper for images of 32 x 32, with 16 channels in the largest maps instead of 64. With seed 0,
//! 0.812 of the samples are one digit with confidence 0.8 after 3000 steps, in 206 s of processor time on a software adapter,
//! with the library built without optimisation.

mod common;

use clap::Parser;
pub use common::Flags;
use common::Result;
use std::process::ExitCode;
use std::time::Instant;
use wgrad::data::{Images, Mnist, save_images};
use wgrad::models::LeNet5;
use wgrad::models::generative::{AdversarialOptions, DcganDiscriminator, DcganGenerator, DcganOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Averaged, Averaging};
use wgrad::train::{ImageLoader, Loader, Supervised, Trainer, TrainerOptions};
use wgrad::{Device, PadMode, Tensor, no_grad};

const STEPS: usize = 3000;
const BATCH: usize = 32;
const LR: f64 = 1e-3;
/// The fraction of samples that are one digit.
const LEAST: f64 = 0.8;
/// Weight of the old average of weights after a step.
const DECAY: f64 = 0.99;
const LATENT: usize = 32;
/// Pixels around the digits, so that images are 32 x 32.
const BORDER: usize = 2;
/// Digits that are drawn in the end.
const SAMPLES: usize = 400;
/// Digits of the sheet.
const SHEET: usize = 100;
/// The probability of one digit from which a sample counts.
const CONFIDENT: f64 = 0.8;

/// Trains a DCGAN to draw digits.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    common::main(|arguments: &Arguments| arguments.flags.expect("the share of digits", run(&arguments.flags)?, LEAST))
}

/// The fraction of drawn digits that a LeNet is confident of.
pub fn run(flags: &Flags) -> Result<f64> {
    // The generator draws pixels between -1 and 1.
    let Mnist { train, .. } = flags.mnist(0.5, 0.5)?;
    let device = flags.device()?;
    let judge = judge(&device, &train, flags)?;

    let start = Instant::now();
    let options = DcganOptions::default().image_size(32).channels(1).latent(LATENT);
    let options = options.generator_width(16).discriminator_width(16);
    let generator = DcganGenerator::new(&Scope::new(&device), &options)?;
    let discriminator = DcganDiscriminator::new(&Scope::new(&device), &options)?;
    let adam = AdamOptions::default().lr(LR).betas((0.5, 0.999));
    // Averaged weights of the generator draw better than any of those averaged.
    let mut draws = Averaged::new(Adam::new(&generator, adam)?, Averaging::Ema { decay: DECAY })?;
    let mut tells = Adam::new(&discriminator, adam)?;
    let step = AdversarialOptions::default().label_smoothing(0.1);
    let steps = flags.steps.unwrap_or(STEPS);
    let samples = if flags.steps.is_some() { SHEET } else { SAMPLES };
    let noise = Tensor::randn(&device, &[samples, LATENT])?;
    let digits = ImageLoader::shuffled(&train, &device, BATCH, flags.seed)?;
    let mut at = 0;
    for epoch in 0..steps.div_ceil(digits.batches()) {
        for batch in digits.resume(epoch as u64, 0)?.take(steps - at) {
            let real = batch?.images.pad(&[BORDER as isize; 4], PadMode::Constant(-1.0))?;
            let numbers = Tensor::randn(&device, &[real.shape()[0], LATENT])?;
            let losses = step.step((&generator, &mut draws), (&discriminator, &mut tells), &real, &numbers)?;
            at += 1;
            if at % 500 == 0 {
                let [tells, drawn] = [losses.discriminator, losses.generator].map(|loss| loss.item::<f32>());
                let share = draws.with_average(|| confident(&judge, &draw(&generator, &noise)?))?;
                eprintln!("step {at}: losses {:.3} and {:.3}, {share:.3} of the digits are one", tells?, drawn?);
            }
        }
    }
    draws.apply()?;
    let drawn = draw(&generator, &noise)?;
    let share = confident(&judge, &drawn)?;
    if let Some(path) = flags.picture("gan.png")? {
        save_images(&((drawn.narrow(0, 0, SHEET)? + 1.0)? * 0.5)?, path, 10)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{share:.3} of the digits are one with confidence {CONFIDENT} after {steps} steps and {seconds:.0} s on {}",
        device.name()
    );
    Ok(share)
}

/// Digits from random numbers. Norms take the batch's statistics: the running ones belong to weights that were not averaged.
fn draw(generator: &DcganGenerator, noise: &Tensor) -> wgrad::Result<Tensor> {
    let size = 32 - 2 * BORDER;
    no_grad(|| generator.forward(noise)?.narrow(2, BORDER, size)?.narrow(3, BORDER, size))
}

/// The fraction of digits that the judge is confident of.
fn confident(judge: &LeNet5, digits: &Tensor) -> wgrad::Result<f64> {
    let probabilities = no_grad(|| judge.forward(digits)?.softmax(1))?.amax(1)?;
    Ok(f64::from(probabilities.ge_scalar(CONFIDENT)?.to_dtype(wgrad::DType::F32)?.mean_all()?.item::<f32>()?))
}

/// A LeNet that recognises digits.
fn judge(device: &Device, train: &Images, flags: &Flags) -> Result<LeNet5> {
    let net = LeNet5::new(&Scope::new(device))?;
    let mut adam = Adam::new(&net, AdamOptions::default().lr(2e-3))?;
    let batches = ImageLoader::shuffled(train, device, BATCH, flags.seed)?.first(flags.steps.unwrap_or(usize::MAX));
    let mut trainer = Trainer::new(device, TrainerOptions::default().epochs(1).seed(flags.seed))?;
    trainer.fit(&net, &mut adam, &mut Supervised::classification(), &batches, None)?;
    net.eval();
    Ok(net)
}

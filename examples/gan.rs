//! Trains a DCGAN to draw digits, and a LeNet that says how many are one: `cargo run --release --example gan -- --out pictures`.
//!
//! The networks are those of the paper for images of 32 x 32, with 16 channels in the largest maps instead of 64.

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
use wgrad::optim::{Adam, AdamOptions};
use wgrad::train::{ImageLoader, Loader, Supervised, Trainer, TrainerOptions};
use wgrad::{Device, PadMode, Tensor, no_grad};

const STEPS: usize = 600;
const BATCH: usize = 64;
const LR: f64 = 1e-3;
const LATENT: usize = 32;
/// Pixels around the digits, so that images are 32 x 32.
const BORDER: usize = 2;
/// Digits that are drawn in the end.
const SAMPLES: usize = 400;
/// Digits of the sheet.
const SHEET: usize = 100;
/// The probability of one digit from which on a sample counts.
const CONFIDENT: f64 = 0.8;

/// Trains a DCGAN to draw digits.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    common::main(|arguments: &Arguments| run(&arguments.flags).map(|_| ()))
}

/// The share of drawn digits that a LeNet is confident of.
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
    let (mut draws, mut tells) = (Adam::new(&generator, adam)?, Adam::new(&discriminator, adam)?);
    let step = AdversarialOptions::default().label_smoothing(0.1);
    let steps = flags.steps.unwrap_or(STEPS);
    let digits = ImageLoader::shuffled(&train, &device, BATCH, flags.seed)?;
    for (at, batch) in digits.resume(0, 0)?.take(steps).enumerate() {
        let border = [BORDER as isize; 4];
        let real = batch?.images.pad(&border, PadMode::Constant(-1.0))?;
        let noise = Tensor::randn(&device, &[real.shape()[0], LATENT])?;
        let losses = step.step((&generator, &mut draws), (&discriminator, &mut tells), &real, &noise)?;
        if (at + 1) % 100 == 0 {
            let [tells, draws] = [losses.discriminator, losses.generator].map(|loss| loss.item::<f32>());
            eprintln!("step {}: the discriminator's loss is {:.3}, the generator's {:.3}", at + 1, tells?, draws?);
        }
    }

    generator.eval();
    let samples = if flags.steps.is_some() { SHEET } else { SAMPLES };
    let (drawn, probabilities) = no_grad(|| {
        let size = 32 - 2 * BORDER;
        let drawn = generator.forward(&Tensor::randn(&device, &[samples, LATENT])?)?;
        let drawn = drawn.narrow(2, BORDER, size)?.narrow(3, BORDER, size)?;
        let probabilities = judge.forward(&drawn)?.softmax(1)?;
        Ok::<_, wgrad::Error>((drawn, probabilities))
    })?;
    let confident =
        probabilities.amax(1)?.ge_scalar(CONFIDENT)?.to_dtype(wgrad::DType::F32)?.mean_all()?.item::<f32>()?;
    if let Some(path) = flags.picture("gan.png")? {
        save_images(&((drawn.narrow(0, 0, SHEET)? + 1.0)? * 0.5)?, path, 10)?;
    }
    let kinds: Vec<String> = kinds(&probabilities)?.iter().map(usize::to_string).collect();
    eprintln!("digits 0 to 9 among {samples} samples: {}", kinds.join(", "));
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{confident:.3} of the digits are one with confidence {CONFIDENT} after {steps} steps and {seconds:.0} s on {}",
        device.name()
    );
    Ok(f64::from(confident))
}

/// A LeNet that knows digits.
fn judge(device: &Device, train: &Images, flags: &Flags) -> Result<LeNet5> {
    let net = LeNet5::new(&Scope::new(device))?;
    let mut adam = Adam::new(&net, AdamOptions::default().lr(2e-3))?;
    let batches = ImageLoader::shuffled(train, device, BATCH, flags.seed)?.first(flags.steps.unwrap_or(usize::MAX));
    let mut trainer = Trainer::new(device, TrainerOptions::default().epochs(1).seed(flags.seed))?;
    trainer.fit(&net, &mut adam, &mut Supervised::classification(), &batches, None)?;
    net.eval();
    Ok(net)
}

/// The number of samples that are taken for each digit.
fn kinds(probabilities: &Tensor) -> Result<[usize; 10]> {
    let mut counts = [0; 10];
    for digit in probabilities.argmax(1)?.to_vec::<i32>()? {
        counts[usize::try_from(digit)?] += 1;
    }
    Ok(counts)
}

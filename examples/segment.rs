//! Trains a small U-Net to find drawn shapes: `cargo run --release --features images --example segment -- --out pictures`.
//!
//! Measured with seed 0 on llvmpipe: a mean IoU of 0.9920 on unseen drawings, in 79 s of processor time.

mod common;

use clap::Parser;
pub use common::Flags;
use common::Result;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use wgrad::data::{
    Batch, DataLoader, DataLoaderOptions, Dataset, Drawing, Image, ImageBatch, Normalization, RandomSampler, Sample,
    Shapes, save_images, stack_images, stack_masks,
};
use wgrad::metrics::{AggregationLevel, SegmentationOptions, SegmentationScores};
use wgrad::models::segmentation::{UNet, UNetOptions, UNetUpsampling};
use wgrad::nn::{Module, Scope};
use wgrad::optim::lr_scheduler::{LrScheduler, OneCycleLr};
use wgrad::optim::{AdamW, AdamWOptions};
use wgrad::train::{self, Loader, Scheduled, Supervised, Trainer, TrainerOptions};
use wgrad::{DType, Device, Tensor};

/// Circles, squares, triangles and the background.
const CLASSES: usize = 4;
const SIZE: [usize; 2] = [32, 32];
const BATCH: usize = 16;
const STEPS: usize = 600;
const LR: f64 = 1e-2;
/// Drawings that training does not see.
const HELD_OUT: usize = 256;
/// The mean IoU that it must reach.
const LEAST: f64 = 0.9;
/// Drawings on the sheet of pictures.
const SHOWN: usize = 8;

/// Trains a small U-Net to find drawn shapes.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    common::main(|arguments: &Arguments| arguments.flags.expect("the mean IoU", run(&arguments.flags)?, LEAST))
}

/// The mean intersection over union of the four classes, on unseen drawings.
pub fn run(flags: &Flags) -> Result<f64> {
    let start = Instant::now();
    let device = flags.device()?;
    let options = UNetOptions::default().classes(CLASSES).depth(3).base_width(8);
    let net = UNet::new(&Scope::new(&device), &options.upsampling(UNetUpsampling::Resized).batch_norm(true))?;

    let steps = flags.steps.unwrap_or(STEPS);
    let train = drawings(&device, steps * BATCH, flags.seed)?;
    let held_out = if flags.steps.is_some() { BATCH } else { HELD_OUT };
    let test = drawings(&device, held_out, flags.seed ^ u64::MAX)?;
    let mut adam = AdamW::new(&net, AdamWOptions::default().lr(LR))?;
    let schedule = LrScheduler::new(&mut adam, OneCycleLr::new(LR, steps as u64))?;
    let scores = SegmentationOptions::default().aggregation_level(AggregationLevel::Global);
    let mut task = Supervised::segmentation().metric(SegmentationScores::new(&device, CLASSES, scores)?);
    let options = TrainerOptions::default().seed(flags.seed);
    let mut trainer = Trainer::new(&device, options)?.callback(Scheduled::by_step(schedule));
    trainer.fit(&net, &mut adam, &mut task, &train, None)?;

    let mean_iou = trainer.evaluate(&net, &mut task, &test)?.scalar("mean_iou").unwrap_or_default();
    if let Some(path) = flags.picture("segment.png")? {
        let (batch, answers) = train::predict(&net, &task, &test)?.next().ok_or("there is nothing to show")??;
        show(&path, &batch, &answers)?;
    }
    let parameters: usize = net.parameters().iter().map(|parameter| parameter.value().numel()).sum();
    let seconds = start.elapsed().as_secs_f64();
    println!("mean IoU {mean_iou:.4} after {seconds:.0} s, {parameters} parameters on {}", device.name());
    Ok(mean_iou)
}

/// Batches of drawings and their masks, in a random order.
fn drawings(device: &Device, count: usize, seed: u64) -> Result<impl Loader<Batch = Batch>> {
    let sample = |drawing: Drawing| Ok(Sample { image: drawing.image, target: drawing.mask });
    let set = Shapes::new(count, SIZE, seed)?.map(sample);
    let options = DataLoaderOptions::default().batch_size(BATCH);
    let loader = DataLoader::new(set, RandomSampler::new(count, seed), stack_images, options)?;
    let normalization = Normalization::new(&[0.5; 3], &[0.25; 3])?;
    let device = device.clone();
    Ok(loader.map(move |batch: ImageBatch<Image>, _| {
        let images = batch.images_to(&device, &normalization)?;
        Ok(Batch { images, labels: stack_masks(&batch.targets)?.to_tensor(&device)? })
    }))
}

/// Writes some images, each beside its mask and the answer.
fn show(path: &Path, batch: &Batch, answers: &Tensor) -> Result<()> {
    let images = ((batch.images.clone() * 0.25)? + 0.5)?;
    let parts = [images, colours(&batch.labels)?, colours(answers)?];
    let shown = Tensor::stack(&parts.iter().collect::<Vec<_>>(), 1)?.narrow(0, 0, SHOWN)?.flatten(0, 1)?;
    Ok(save_images(&shown, path, 3)?)
}

/// `[N, H, W]` class numbers as `[N, 3, H, W]`: black, red, green and blue.
fn colours(classes: &Tensor) -> Result<Tensor> {
    let of_class = |class: f32| classes.eq_scalar(class)?.to_dtype(DType::F32);
    let channels = [of_class(1.0)?, of_class(2.0)?, of_class(3.0)?];
    Ok(Tensor::stack(&channels.iter().collect::<Vec<_>>(), 1)?)
}

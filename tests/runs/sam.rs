//! Runs whose optimizer takes two gradients a step, against loops written by hand.

use crate::common::{has_f16, own_adapter};
use crate::setting::{Net, bits, images};
use wgrad::amp::{AutocastOptions, GradScaler, GradScalerOptions, autocast};
use wgrad::data::{Batch, Images};
use wgrad::nn::Module;
use wgrad::optim::{
    AdamW, AdamWOptions, Averaged, Averaging, Lookahead, LookaheadOptions, Optimizer, Sam, SamOptions, Sgd, SgdOptions,
};
use wgrad::train::{BatchSizeFinder, ImageLoader, Loader, LrFinder, Supervised, Trainer, TrainerOptions};
use wgrad::{CrossEntropyOptions, DType, Device, Result, Tensor};

const EPOCHS: u64 = 2;
const BATCH: usize = 4;
/// Seven batches an epoch, so that its last step has a single one.
const ACCUMULATE: usize = 3;

type Make = fn(&Net) -> Result<Box<dyn Optimizer>>;

fn adamw(net: &Net) -> Result<AdamW> {
    AdamW::new(net, AdamWOptions::default().lr(0.02))?.clip_grad_norm(0.5)
}

/// Wrappers outside, and wrappers inside.
const ORDERS: [Make; 2] = [
    |net| {
        let ahead = Lookahead::new(Sam::new(adamw(net)?, SamOptions::default())?, LookaheadOptions::default().k(2))?;
        Ok(Box::new(Averaged::new(ahead, Averaging::Ema { decay: 0.8 })?))
    },
    |net| {
        let averaged = Averaged::new(adamw(net)?, Averaging::Ema { decay: 0.8 })?;
        Ok(Box::new(Sam::new(averaged, SamOptions::default().rho(0.5).adaptive(true))?))
    },
];

fn set() -> Images {
    images(7 * BATCH - 1, 1)
}

fn start(device: &Device, make: Make) -> (Net, Box<dyn Optimizer>) {
    device.manual_seed(3);
    let net = Net::new(device);
    let optimizer = make(&net).unwrap();
    (net, optimizer)
}

/// The first scales are too large for f16, so the first steps climb nowhere and change nothing.
fn scaling() -> GradScalerOptions {
    GradScalerOptions::default().init_scale(2f64.powi(18)).growth_interval(3)
}

fn run(device: &Device, make: Make, halves: bool) -> Vec<u64> {
    let (net, mut optimizer) = start(device, make);
    let set = set();
    let train = ImageLoader::shuffled(&set, device, BATCH, 5).unwrap();
    let options = TrainerOptions::default().epochs(EPOCHS).accumulate(ACCUMULATE).scaler(scaling());
    let options = if halves { options.autocast(AutocastOptions::default()) } else { options };
    let mut trainer = Trainer::new(device, options).unwrap();
    trainer.fit(&net, &mut *optimizer, &mut Supervised::classification(), &train, None).unwrap();
    bits(device, &net, &*optimizer)
}

fn by_hand(device: &Device, make: Make, halves: bool) -> Vec<u64> {
    let (net, mut optimizer) = start(device, make);
    let mut scaler = GradScaler::new(device, scaling().enabled(halves)).unwrap();
    let set = set();
    let train = ImageLoader::shuffled(&set, device, BATCH, 5).unwrap();
    for epoch in 0..EPOCHS {
        let batches: Vec<Batch> = train.resume(epoch, 0).unwrap().collect::<Result<_>>().unwrap();
        for batches in batches.chunks(ACCUMULATE) {
            let backward = |scaler: &mut GradScaler| {
                for Batch { images, labels } in batches {
                    let loss = || net.forward(images)?.cross_entropy(labels, &CrossEntropyOptions::default());
                    let loss = if halves { autocast(DType::F16, loss) } else { loss() }.unwrap();
                    let loss = scaler.scale(&loss).unwrap();
                    let share = 1.0 / batches.len() as f64;
                    if share == 1.0 { loss } else { loss.mul_scalar(share).unwrap() }.backward().unwrap();
                }
            };
            backward(&mut scaler);
            scaler.first_step(&mut *optimizer).unwrap();
            backward(&mut scaler);
            scaler.step(&mut *optimizer).unwrap();
            scaler.update().unwrap();
            optimizer.zero_grad();
        }
    }
    bits(device, &net, &*optimizer)
}

#[test]
fn a_run_is_the_loop_written_by_hand() {
    let device = Device::reference();
    for make in ORDERS {
        for halves in [false, true] {
            assert!(run(&device, make, halves) == by_hand(&device, make, halves), "in f16: {halves}");
        }
    }
}

#[test]
fn a_run_on_the_adapter_is_the_loop_written_by_hand() {
    if let Some(device) = own_adapter() {
        let halves = has_f16(&device);
        assert!(run(&device, ORDERS[0], halves) == by_hand(&device, ORDERS[0], halves));
    }
}

/// A climb moves the result: a run without it ends elsewhere.
#[test]
fn a_run_climbs() {
    let device = Device::reference();
    let plain: Make = |net| Ok(Box::new(adamw(net)?));
    let climbing: Make = |net| Ok(Box::new(Sam::new(adamw(net)?, SamOptions::default())?));
    assert_ne!(run(&device, plain, false), run(&device, climbing, false));
}

#[test]
fn finders_take_both_steps() {
    let device = Device::reference();
    let net = Net::new(&device);
    let sgd = Sgd::new(&net, SgdOptions::default().lr(0.1)).unwrap();
    let mut sam = Sam::new(sgd, SamOptions::default()).unwrap();
    let loss = |size: usize| net.forward(&Tensor::ones(&device, &[size, 2, 2])?)?.square()?.mean_all();
    let before = bits(&device, &net, &sam);
    let curve = LrFinder::default().steps(5).run(&device, &net, &mut sam, || loss(4)).unwrap();
    assert_eq!(curve.losses.len(), 5);
    assert_eq!(BatchSizeFinder::default().largest(16).run(&device, &net, &mut sam, loss).unwrap(), 16);
    // A test that fails after a climb leaves no climb behind.
    let mut calls = 0;
    let failed = LrFinder::default().steps(5).run(&device, &net, &mut sam, || {
        calls += 1;
        if calls == 2 { loss(4)?.reshape(&[7]) } else { loss(4) }
    });
    assert!(failed.is_err());
    assert!(bits(&device, &net, &sam) == before);
    let message = sam.step().unwrap_err().to_string();
    assert!(message.starts_with("sam: call first_step()"), "{message}");
}

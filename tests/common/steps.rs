//! Training steps for counting, on the noop adapter, which computes nothing.

use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Noop, Result, Tensor};

/// A software adapter with subgroups of 8, as llvmpipe has them.
pub fn software() -> Noop {
    Noop { software: true, subgroup_size: 8, ..Noop::default() }
}

/// A GPU with subgroups of 32.
pub fn gpu() -> Noop {
    Noop { software: false, subgroup_size: 32, ..Noop::default() }
}

/// Dispatches and peak bytes of a network's training step with Adam, once nothing is new.
pub fn of_step(noop: &Noop, make: fn(&Scope) -> Result<Box<dyn Module>>, input: [usize; 4]) -> (u64, u64) {
    let device = Device::with_options(&DeviceOptions::default().noop(noop.clone())).unwrap();
    let network = make(&Scope::new(&device)).unwrap();
    let mut adam = Adam::new(network.parameters(), AdamOptions::default()).unwrap();
    let x = Tensor::ones(&device, &input).unwrap();
    // U-Net has a class for each pixel.
    let logits = network.forward(&x).unwrap().shape().to_vec();
    let elements = [&logits[..1], &logits[2..]].concat();
    let labels = Tensor::from_slice(&device, &vec![1i32; elements.iter().product()], &elements).unwrap();
    let mut dispatches = 0;
    for _ in 0..3 {
        device.sync().unwrap();
        device.reset_peak_stats();
        let before = device.stats().dispatches;
        let loss = network.forward(&x).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        adam.step().unwrap();
        adam.zero_grad();
        dispatches = device.stats().dispatches - before;
    }
    (dispatches, device.stats().bytes_live_peak)
}

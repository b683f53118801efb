//! Number of kernels that compute some tensors, on the noop adapter.

use super::Random;
use wgrad::{Device, DeviceOptions, Noop, Result, Tensor};

/// A device that computes nothing.
pub fn noop() -> Device {
    Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap()
}

/// Kernels that computing these tensors takes.
pub fn dispatches(device: &Device, run: impl Fn() -> Result<Tensor>) -> u64 {
    device.sync().unwrap();
    let before = device.stats().dispatches;
    run().unwrap().to_vec::<f32>().unwrap();
    device.stats().dispatches - before
}

/// Between -1/2 and 1/2.
pub fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (random.unit() - 0.5) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

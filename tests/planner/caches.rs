//! Caches of a device: bounded for any sizes, and emptied on request.

use crate::common::own_adapter;
use wgrad::{Device, DeviceOptions, Noop, Tensor};

fn noop() -> Device {
    Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap()
}

#[test]
fn the_pool_follows_what_is_live() {
    let device = noop();
    for step in 0..30 {
        let x = Tensor::rand(&device, &[8_000_000 + step * 160_000]).unwrap();
        x.sort(0, false).unwrap().0.mean_all().unwrap().item::<f32>().unwrap();
        drop(x);
        let stats = device.stats();
        assert!(stats.bytes_pooled <= 2 * stats.bytes_live_peak, "after {step} sizes: {stats:?}");
    }
    // Up to 64 MB are pooled however little was live.
    let device = noop();
    for step in 0..60 {
        let x = Tensor::zeros(&device, &[100_000 + step * 20_000]).unwrap().add_scalar(1.0).unwrap();
        device.flush().unwrap();
        drop(x);
        assert!(device.stats().bytes_pooled <= 64 << 20, "after {step} sizes");
    }
}

#[test]
fn a_working_set_that_shrank_lets_go_of_memory() {
    let device = noop();
    let large = Tensor::ones(&device, &[1 << 26]).unwrap().add_scalar(1.0).unwrap();
    device.flush().unwrap();
    drop(large);
    assert!(device.stats().bytes_pooled >= 1 << 28);
    for step in 0..2048 {
        Tensor::from_slice(&device, &[step as f32], &[1]).unwrap().add_scalar(1.0).unwrap().to_vec::<f32>().unwrap();
    }
    let stats = device.stats();
    assert!(stats.bytes_pooled <= 64 << 20, "{stats:?}");
}

#[test]
fn empty_cache_gives_back_all_that_can_be_made_again() {
    let Some(device) = own_adapter() else { return };
    let x = Tensor::from_slice(&device, &[3.0f32, 1.0, 2.0], &[3]).unwrap();
    let step = || x.mul_scalar(2.0).unwrap().softmax(0).unwrap().to_vec::<f32>().unwrap();
    // The first run uploads data that later ones find.
    step();
    let first = step();
    let ran = device.stats();
    step();
    assert_eq!((device.stats().pipelines, device.stats().plans), (ran.pipelines, ran.plans));
    assert!(!device.shader_sources().is_empty());
    device.empty_cache();
    assert_eq!(device.stats().bytes_pooled, 0);
    assert!(device.shader_sources().is_empty());
    assert_eq!(step(), first);
    assert!(device.stats().pipelines > ran.pipelines && device.stats().plans > ran.plans);
}

/// More kernels than are kept, each with another text.
#[test]
fn kernels_and_plans_are_forgotten_that_were_not_used_for_longest() {
    let device = noop();
    let x = Tensor::ones(&device, &[2, 3]).unwrap();
    let chain = |bits: u32| {
        let step = |x: Tensor, bit: u32| if bits >> bit & 1 == 1 { x.add(&x) } else { x.mul(&x) };
        let last = (0..11).fold(x.clone(), |x, bit| step(x, bit).unwrap());
        last.to_vec::<f32>().unwrap();
    };
    for bits in 0..1100 {
        chain(bits);
        chain(0);
    }
    let (texts, stats) = (device.shader_sources().len(), device.stats());
    assert!(stats.pipelines >= 1100 && texts <= 1024, "{texts} texts of {} pipelines", stats.pipelines);
    // The one that was used all the time is still there, and so are the last ones.
    chain(0);
    chain(1099);
    chain(900);
    assert_eq!((device.stats().pipelines, device.stats().plans), (stats.pipelines, stats.plans));
}

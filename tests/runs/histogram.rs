//! Histograms against counting one by one in double precision.

use crate::common;
use wgrad::logs::Histogram;
use wgrad::{DType, Device, Error, Tensor};

/// The bins of TensorBoard, counted one by one.
fn counted(values: &[f32], bins: usize) -> (f64, f64, Vec<u64>) {
    let finite = || values.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value));
    let (min, max) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let mut counts = vec![0; bins];
    for value in finite() {
        let place = ((value - min) / ((max - min) / bins as f64)).floor();
        counts[if max > min { (place as usize).min(bins - 1) } else { bins - 1 }] += 1;
    }
    if finite().count() == 0 { (0.0, 0.0, counts) } else { (min, max, counts) }
}

fn check(device: &Device) {
    let mut random = common::Random(7);
    // Halves of whole numbers are on the edges of bins, exactly so in single precision.
    let steps: Vec<f32> = (0..5000).map(|_| (random.unit() * 120.0).floor() as f32 / 2.0).chain([0.0, 60.0]).collect();
    let mut specials = steps.clone();
    specials.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    let lists: [&[f32]; 9] = [
        &steps,
        &specials,
        &[],
        &[2.5; 3],
        &[-0.0, 0.0],
        &[f32::NAN, f32::INFINITY],
        &[f32::MAX, f32::MIN, 0.0],
        &[1.0, 2.0],
        &[f32::MAX, f32::MAX],
    ];
    let tensors = lists.map(|list| Tensor::from_slice(device, list, &[list.len()]).unwrap());
    let histograms = Histogram::of_each(&tensors.each_ref(), 30).unwrap();
    for (histogram, list) in histograms.iter().zip(lists) {
        let (min, max, counts) = counted(list, 30);
        assert_eq!(
            (histogram.min(), histogram.max(), histogram.counts()),
            (min, max, &counts[..]),
            "{} values",
            list.len()
        );
    }
}

#[test]
fn bins_hold_what_falls_into_them() {
    check(&Device::reference());
    common::adapter().iter().for_each(check);
}

#[test]
fn counts_past_what_a_float_holds_are_exact() {
    let Some(device) = common::adapter() else { return };
    let ones = Tensor::ones(&device, &[(1 << 24) + 3]).unwrap();
    assert_eq!(Histogram::of(&ones, 2).unwrap().counts(), [0, (1 << 24) + 3]);
}

#[test]
fn integers_truth_values_and_halves_are_counted() {
    let device = Device::reference();
    let bytes = Tensor::from_slice(&device, &[0, 255, 3, 3], &[2, 2]).unwrap();
    assert_eq!(Histogram::of(&bytes, 5).unwrap().counts(), [3, 0, 0, 0, 1]);
    assert_eq!(Histogram::of(&bytes.eq_scalar(3.0).unwrap(), 2).unwrap().counts(), [2, 2]);
    assert_eq!(Histogram::of(&bytes.to_dtype(DType::F16).unwrap(), 5).unwrap().counts(), [3, 0, 0, 0, 1]);
    assert!(matches!(Histogram::of(&bytes, 0), Err(Error::Invalid { .. })));
}

#[test]
fn all_are_read_at_once() {
    let Some(device) = common::own_adapter() else { return };
    let tensors = [[3, 100], [17, 5], [1, 1]].map(|shape| Tensor::randn(&device, &shape).unwrap());
    let before = device.stats();
    Histogram::of_each(&tensors.each_ref(), 30).unwrap();
    // One flush, and one copy to host-readable memory.
    assert_eq!((device.stats().runs - before.runs, device.stats().submits - before.submits), (1, 2));
}

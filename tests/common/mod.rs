//! What the suites share: devices, and inputs made from a case's description.
#![allow(dead_code)]

use std::sync::OnceLock;
use wgrad::ops::case::{Case, Input};
use wgrad::{DType, Device, Tensor};

/// The adapter under test, opened once.
///
/// A missing adapter fails the suite, unless `WGRAD_TEST_ADAPTER=none` says that it may.
pub fn adapter() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    DEVICE
        .get_or_init(|| match std::env::var("WGRAD_TEST_ADAPTER").as_deref() {
            Ok("none") => None,
            _ => Some(Device::open().expect("an adapter to test on; WGRAD_TEST_ADAPTER=none runs without")),
        })
        .clone()
}

/// The adapter under test, opened anew: for tests of what a device counts or draws, which others would disturb.
pub fn own_adapter() -> Option<Device> {
    adapter().map(|_| Device::open().expect("an adapter that opens twice"))
}

/// A small generator for test data (splitmix64), so that failures repeat.
pub struct Random(pub u64);

impl Random {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Values for an input: in its domain, away from its kinks, all different where it asks for that.
pub fn values(input: &Input, random: &mut Random) -> Vec<f64> {
    let count: usize = input.shape.iter().product();
    let (low, high) = input.domain;
    if input.distinct {
        // A shuffled ladder: neighbours differ by a visible step.
        let mut ladder: Vec<f64> =
            (0..count).map(|i| low + (high - low) * (i as f64 + 0.5) / count.max(1) as f64).collect();
        for i in (1..count).rev() {
            ladder.swap(i, (random.unit() * (i + 1) as f64) as usize);
        }
        return ladder.iter().map(|&v| f64::from(v as f32)).collect();
    }
    (0..count)
        .map(|_| match input.dtype {
            DType::F32 | DType::F16 => loop {
                let value = f64::from((low + (high - low) * random.unit()) as f32);
                if input.kinks.iter().all(|kink| (value - kink).abs() > 0.02) {
                    return value;
                }
            },
            _ => (low + ((high - low + 1.0) * random.unit()).floor()).min(high),
        })
        .collect()
}

/// A tensor of the input's type from values.
pub fn tensor(device: &Device, input: &Input, values: &[f64]) -> Tensor {
    let shape = &input.shape;
    match input.dtype {
        DType::I32 => Tensor::from_slice(device, &values.iter().map(|&v| v as i32).collect::<Vec<_>>(), shape),
        DType::U32 => Tensor::from_slice(device, &values.iter().map(|&v| v as u32).collect::<Vec<_>>(), shape),
        DType::Bool => Tensor::from_slice(device, &values.iter().map(|&v| v != 0.0).collect::<Vec<_>>(), shape),
        _ => Tensor::from_slice(device, &values.iter().map(|&v| v as f32).collect::<Vec<_>>(), shape),
    }
    .unwrap()
}

/// Values for all inputs of a case, the same for the same case number.
pub fn inputs(case: &Case, number: usize) -> Vec<Vec<f64>> {
    let mut random = Random(0xC0FFEE ^ (number as u64) << 20);
    case.inputs.iter().map(|input| values(input, &mut random)).collect()
}

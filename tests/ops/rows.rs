//! Kernels over rows: the same results with loads of eight elements and of four.

use crate::common;
use crate::common::Random;
use wgrad::{BatchNormOptions, DType, Device, DeviceOptions, Disable, Noop, Result, Tensor};

/// Between -4 and 4.
fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| 8.0 * random.unit() as f32 - 4.0).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// A result, and the magnitude of its terms, or `None` if its own counts.
type Case = (&'static str, Tensor, Option<f32>);

/// Inputs without other holders may be overwritten.
fn cases(device: &Device, rows: usize, length: usize) -> Result<Vec<Case>> {
    let shape = [rows, length];
    let x = random(device, &shape, 1);
    let (scale, shift) = (random(device, &[length], 2), random(device, &[length], 3));
    let of_rows = random(device, &[rows, 1], 4);
    let wide = random(device, &[rows, length + 4], 5);
    let norm = BatchNormOptions::default().training(true);
    let channels = random(device, &[3, rows, length], 6);
    let (channel_scale, channel_shift) = (random(device, &[rows], 7), random(device, &[rows], 8));
    let counted: Vec<i32> = (0..rows * length).map(|i| (i * i % 997) as i32 - 400).collect();
    let counted = Tensor::from_slice(device, &counted, &shape)?;
    let total = (rows * length) as f32;
    Ok(vec![
        ("softmax", x.softmax(1)?, None),
        ("softmax in place", random(device, &shape, 9).softmax(1)?, None),
        ("softmax in place of one of two", random(device, &shape, 9).add(&x)?.softmax(1)?.mul(&x)?, None),
        ("softmax of a part", wide.narrow(1, 4, length)?.softmax(1)?, None),
        ("softmax of halves", x.to_dtype(DType::F16)?.softmax(1)?.to_dtype(DType::F32)?, None),
        ("softmax in halves", x.to_dtype(DType::F16)?.softmax(1)?, None),
        ("softmax to truth values", x.softmax(1)?.gt(&x)?, None),
        ("softmax over halves", x.to_dtype(DType::F16)?.flatten(0, -1)?.softmax(0)?, None),
        ("softmax over everything", x.flatten(0, -1)?.softmax(0)?, None),
        ("log softmax", x.log_softmax(1)?, Some(16.0)),
        ("log softmax of a sum", x.add(&of_rows)?.log_softmax(1)?, Some(16.0)),
        ("layer norm", x.layer_norm(&[length], Some(&scale), Some(&shift), 1e-5)?, Some(16.0)),
        ("layer norm in place", random(device, &shape, 10).layer_norm(&[length], None, None, 1e-5)?.relu()?, Some(8.0)),
        (
            "batch norm",
            channels.batch_norm(None, None, Some(&channel_scale), Some(&channel_shift), &norm)?.relu()?,
            Some(16.0),
        ),
        ("sum", x.mul(&scale)?.sum_keepdim(1)?.add(&of_rows)?.relu()?, Some(4.0 * length as f32)),
        ("sum of halves", x.to_dtype(DType::F16)?.to_dtype(DType::F32)?.sum(1)?, Some(length as f32)),
        ("sum of everything", x.square()?.sum([0, 1])?.mul_scalar(0.5)?, Some(4.0 * total)),
        ("largest", x.max(1)?.0.add(&of_rows.squeeze(1)?)?, Some(8.0)),
        ("sum of integers", counted.sum(1)?.to_dtype(DType::F32)?, None),
        ("difference from the mean", x.sub(&x.mean_keepdim(1)?)?.mul(&x)?, Some(16.0)),
    ])
}

fn check(device: &Device, rows: usize, length: usize, of: impl Fn(&Device, usize, usize) -> Result<Vec<Case>>) {
    let (got, exact) = (of(device, rows, length).unwrap(), of(&Device::reference(), rows, length).unwrap());
    for ((name, got, size), (_, exact, _)) in got.into_iter().zip(exact) {
        let (got, exact) = (got.to_f64().unwrap(), exact.to_f64().unwrap());
        assert_eq!(got.len(), exact.len());
        for (at, (got, exact)) in got.iter().zip(&exact).enumerate() {
            // Errors of exp and of blocks of 256 terms; a result in halves has 11 binary digits.
            let is_half = name.contains("halves") && name.contains("softmax");
            let digits = if is_half { 2f64.powi(-10) } else { 32.0 * f64::from(f32::EPSILON) };
            // The smallest half.
            let least = if is_half { 2f64.powi(-24) } else { 1e-14 };
            let tolerance = digits * size.map_or(exact.abs(), f64::from) + least;
            let distance = (got - exact).abs();
            assert!(distance <= tolerance, "{name} [{rows}, {length}] at {at}: {got} instead of {exact}");
        }
    }
}

fn devices() -> impl Iterator<Item = Device> {
    [Disable::default(), Disable { int64: true, ..Disable::default() }].into_iter().filter_map(common::poisoned)
}

#[test]
fn rows_of_any_length_are_right_in_eights_and_in_fours() {
    for device in devices() {
        for length in [1, 3, 4, 7, 8, 12, 16, 20, 24, 36, 1000, 1002, 1004, 4104, 4100] {
            for rows in [3, 16] {
                check(&device, rows, length, cases);
            }
        }
    }
}

#[test]
fn long_rows_are_right_in_eights_and_in_fours() {
    for device in devices() {
        for length in [160_008, 160_004] {
            check(&device, 3, length, |device, rows, length| {
                let in_place = random(device, &[rows, length], 1).softmax(1)?;
                Ok(vec![
                    ("softmax in place", in_place, None),
                    ("log softmax", random(device, &[rows, length], 2).log_softmax(1)?, Some(16.0)),
                ])
            });
        }
    }
}

#[test]
fn softmax_of_extremes_is_that_of_the_reference() {
    let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
    let row = |of: &dyn Fn(usize) -> f32| -> Vec<f32> { (0..1000).map(of).collect() };
    let rows = [
        row(&|_| low),
        row(&|i| if i < 700 { low } else { i as f32 * 1e-3 }),
        row(&|i| if i % 3 == 0 { low } else { -(i as f32) }),
        row(&|i| if i == 500 { high } else { 1.0 }),
        row(&|i| if i == 500 { f32::NAN } else { 1.0 }),
        row(&|i| i as f32),
        row(&|i| (i as f32 - 500.0) * 6e35),
        row(&|_| f32::MIN),
    ];
    let of = |device: &Device, log: bool| {
        let x = Tensor::from_slice(device, &rows.concat(), &[rows.len(), 1000]).unwrap();
        let y = if log { x.log_softmax(1) } else { x.softmax(1) };
        y.unwrap().to_vec::<f32>().unwrap()
    };
    for device in devices() {
        for log in [false, true] {
            for (at, (got, exact)) in of(&device, log).into_iter().zip(of(&Device::reference(), log)).enumerate() {
                let is_close = (got - exact).abs() <= 32.0 * f32::EPSILON * exact.abs().max(1e-3);
                let is_same = got == exact || got.is_nan() && exact.is_nan();
                assert!(is_close || is_same, "at {} of row {}: {got} instead of {exact}", at % 1000, at / 1000);
            }
        }
    }
}

#[test]
fn no_place_is_counted_past_the_end_of_a_row() {
    // 2^32 - 1 elements, all of them one broadcast number. Adding them up takes too long for a software driver; steps of up to
    // 2^30 elements used to pass the end there, wrap and start again.
    for software in [true, false] {
        let noop = Noop { software, max_buffer_bytes: 1 << 40, ..Noop::default() };
        let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
        let x = Tensor::from_slice(&device, &[1.0f32], &[1]).unwrap().expand(&[65_535, 65_537]).unwrap();
        x.sum_all().unwrap().item::<f32>().unwrap();
        let sources = device.shader_sources();
        let loops = sources.iter().flat_map(|(_, source)| source.lines()).filter(|line| line.contains("params.length"));
        let loops: Vec<&str> =
            loops.filter(|line| line.contains("for (") || line.contains("min(")).map(str::trim).collect();
        assert!(loops.len() >= 2, "{loops:?}");
        for line in loops {
            // Chunks of a row, and the lanes of a team, are few.
            let is_short = line == "for (var e = first; e < params.length; e += step) {";
            let counts = line.starts_with("for (var block = first * ") && line.ends_with("block < params.length;) {");
            let spans = line.starts_with("let span = min(params.length - block, ");
            assert!(is_short || counts || spans, "{line}");
        }
    }
}

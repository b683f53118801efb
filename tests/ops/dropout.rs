//! Dropout: its random choice follows the probability, repeats by the seed, is the same on adapter and reference, and is the same
//! forward and backward.

use crate::common::own_adapter;
use wgrad::{Device, Error, Result, Tensor};

type Method = fn(&Tensor, f64, bool) -> Result<Tensor>;

const METHODS: [(&str, Method); 6] = [
    ("dropout", Tensor::dropout),
    ("dropout1d", Tensor::dropout1d),
    ("dropout2d", Tensor::dropout2d),
    ("dropout3d", Tensor::dropout3d),
    ("alpha_dropout", Tensor::alpha_dropout),
    ("feature_alpha_dropout", Tensor::feature_alpha_dropout),
];

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.to_vec().unwrap()
}

#[test]
fn the_share_that_is_dropped_is_p_and_the_rest_is_scaled() {
    for device in devices() {
        device.manual_seed(11);
        let count = 40_000;
        let x = Tensor::full(&device, &[count], 3.0f32).unwrap();
        for p in [0.1f64, 0.5, 0.9] {
            let y = values(&x.dropout(p, true).unwrap());
            let kept = (3.0 / (1.0 - p)) as f32;
            // The adapter rounds the factor before the product.
            let is_kept = |y: f32| (y - kept).abs() <= kept * f32::EPSILON;
            assert!(y.iter().all(|&y| y == 0.0 || is_kept(y)), "p {p}");
            let share = y.iter().filter(|&&y| y == 0.0).count() as f64 / count as f64;
            // Five standard errors.
            let error = 5.0 * (p * (1.0 - p) / count as f64).sqrt();
            assert!((share - p).abs() < error, "p {p}: {share} were dropped");
        }
    }
}

#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    for device in devices() {
        device.manual_seed(12);
        let x = Tensor::randn(&device, &[200, 200]).unwrap();
        for p in [0.1, 0.5] {
            let y = x.alpha_dropout(p, true).unwrap();
            let mean = y.mean_all().unwrap().item::<f32>().unwrap();
            let variance = y.var_all(1.0).unwrap().item::<f32>().unwrap();
            assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "p {p}: mean {mean}, variance {variance}");
        }
    }
}

#[test]
fn the_seed_decides_what_is_dropped_on_adapter_and_reference() {
    let reference = Device::reference();
    for (name, method) in METHODS {
        // Dropped elements are zeros; alpha dropout shifts them by numbers, which may be rounded differently.
        let run = |device: &Device, seed| {
            device.manual_seed(seed);
            let x = Tensor::from_slice(device, &[1.0f32; 13 * 2 * 6], &[13, 2, 6]).unwrap();
            let first = values(&method(&x, 0.5, true).unwrap());
            let second = values(&method(&x, 0.5, true).unwrap());
            (first, second)
        };
        let (first, second) = run(&reference, 3);
        assert_ne!(first, second, "{name} goes on in the stream");
        assert_eq!((&first, &second), (&run(&reference, 3).0, &run(&reference, 3).1), "{name}");
        assert_ne!(first, run(&reference, 4).0, "{name}");
        let Some(device) = own_adapter() else { continue };
        for (a, b) in [(first, run(&device, 3).0), (second, run(&device, 3).1)] {
            let kept = |v: &[f32]| v.iter().map(|&v| v > 0.5).collect::<Vec<_>>();
            assert_eq!(kept(&a), kept(&b), "{name}");
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
        }
    }
}

#[test]
fn channels_go_as_a_whole() {
    let cases: [(&str, Method, &[usize], usize); 7] = [
        ("dropout1d", Tensor::dropout1d, &[4, 25, 3], 3),
        ("dropout1d", Tensor::dropout1d, &[100, 3], 3),
        ("dropout2d", Tensor::dropout2d, &[4, 25, 3, 2], 6),
        ("dropout2d", Tensor::dropout2d, &[4, 25, 3], 3),
        ("dropout3d", Tensor::dropout3d, &[4, 25, 1, 3, 2], 6),
        ("dropout3d", Tensor::dropout3d, &[100, 1, 3, 2], 6),
        ("feature_alpha_dropout", Tensor::feature_alpha_dropout, &[4, 25, 3, 2], 6),
    ];
    for device in devices() {
        device.manual_seed(5);
        for (name, method, shape, places) in cases {
            let x = Tensor::ones(&device, shape).unwrap();
            let y = values(&method(&x, 0.5, true).unwrap());
            let channels: Vec<f32> = y
                .chunks_exact(places)
                .inspect(|channel| assert!(channel.iter().all(|v| v == &channel[0]), "{name} {shape:?}"))
                .map(|channel| channel[0])
                .collect();
            let largest = channels.iter().fold(f32::MIN, |a, &b| a.max(b));
            let kept = channels.iter().filter(|&&v| v == largest).count();
            assert!((25..=75).contains(&kept), "{name} {shape:?} kept {kept} of 100 channels");
        }
    }
}

#[test]
fn the_gradient_goes_through_what_was_kept() {
    for device in devices() {
        for (name, method) in METHODS {
            device.manual_seed(8);
            let x = Tensor::randn(&device, &[13, 2, 6]).unwrap().requires_grad();
            let y = method(&x, 0.25, true).unwrap();
            // An element's factor is its slope: the same output for two inputs shows it.
            y.sum_all().unwrap().backward().unwrap();
            let slope = values(&x.grad().unwrap());
            let scale = slope.iter().fold(0.0f32, |a, &b| a.max(b));
            assert!(slope.iter().all(|&s| s == 0.0 || s == scale), "{name}");
            assert!(slope.contains(&0.0) && scale > 0.5, "{name}");
            let (x, y) = (values(&x), values(&y));
            let shifts: Vec<f32> = (0..x.len()).map(|i| y[i] - x[i] * slope[i]).collect();
            if !name.contains("alpha") {
                assert!((scale - 4.0 / 3.0).abs() < 1e-6, "{name}: {scale}");
                assert!(shifts.iter().all(|s| s.abs() < 1e-6), "{name}");
            }
            // One shift for all kept elements, one for all dropped ones.
            for kept in [true, false] {
                let mut group = shifts.iter().zip(&slope).filter(|(_, s)| (**s > 0.0) == kept).map(|(shift, _)| *shift);
                let first = group.next().unwrap();
                assert!(group.all(|shift| (shift - first).abs() < 1e-5), "{name}");
            }
        }
    }
}

#[test]
fn nothing_is_drawn_where_nothing_is_random() {
    for device in devices() {
        device.manual_seed(1);
        let x = Tensor::from_slice(&device, &[f32::INFINITY, f32::NAN, -3.0, 0.5], &[1, 2, 2]).unwrap();
        for (name, method) in METHODS {
            for (p, training) in [(0.0, true), (0.7, false), (1.0, false)] {
                let y = values(&method(&x, p, training).unwrap());
                assert!(y[0] == f32::INFINITY && y[1].is_nan() && y[2..] == [-3.0, 0.5], "{name}");
            }
            // A product with 0, as in PyTorch.
            let y = values(&method(&x, 1.0, true).unwrap());
            assert!(y[0].is_nan() && y[1].is_nan() && y[2..] == [0.0, 0.0], "{name}: {y:?}");
            assert!(method(&Tensor::zeros(&device, &[0, 2, 3]).unwrap(), 0.5, true).unwrap().numel() == 0);
        }
        assert_eq!(device.random_state().counter, 0);
    }
}

#[test]
fn what_is_no_probability_and_has_no_channels_is_an_error() {
    for device in devices() {
        let x = Tensor::ones(&device, &[2, 3, 4]).unwrap();
        for (name, method) in METHODS {
            for (p, training) in [(-0.1, true), (1.1, false), (f64::NAN, true), (f64::NAN, false)] {
                let error = method(&x, p, training).unwrap_err();
                assert!(matches!(error, Error::Invalid { .. }), "{error}");
                assert!(error.to_string().contains(name) && error.to_string().contains(&p.to_string()), "{error}");
            }
            let whole = Tensor::full(&device, &[2, 3, 4], 1i32).unwrap();
            assert!(matches!(method(&whole, 0.5, true), Err(Error::WrongDType { .. })), "{name}");
        }
        let (row, scalar) = (Tensor::ones(&device, &[3]).unwrap(), Tensor::ones(&device, &[]).unwrap());
        for error in [
            row.dropout1d(0.5, false),
            Tensor::ones(&device, &[2, 3, 4, 5]).unwrap().dropout1d(0.5, true),
            row.dropout2d(0.5, true),
            scalar.dropout3d(0.5, true),
            row.feature_alpha_dropout(0.5, true),
        ] {
            assert!(matches!(error, Err(Error::Invalid { .. })));
        }
        assert!(row.dropout3d(0.5, true).is_ok());
    }
}

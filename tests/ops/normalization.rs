//! Normalization: statistics that stay exact, layers that differ in training and evaluation, and the switch between
//! both.

use crate::common;
use crate::common::{Random, own_adapter};
use wgrad::nn::{
    self, AlphaDropout, BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormLayerOptions, Dropout, Dropout1d, Dropout2d,
    Dropout3d, FeatureAlphaDropout, GroupNorm, GroupNormOptions, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d,
    InstanceNormLayerOptions, LayerNorm, LayerNormOptions, Linear, LocalResponseNorm, Mode, Module, Relu, RmsNorm,
    RmsNormOptions, Scope, Sequential,
};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{BatchNormOptions, DType, Device, Error, Parameter, Result, Tensor};

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_f64().unwrap()
}

fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| 4.0 * random.unit() as f32 - 2.0).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

fn close(got: &[f64], expected: &[f64], allowed: f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= allowed, "[{i}]: {g}, not {e}");
    }
}

/// A variance of about 1 around a mean of a million, in the sixteenths that f32 holds there.
#[test]
fn a_large_mean_costs_no_digits() {
    let (rows, columns) = (3, 4000);
    let mut generator = Random(1);
    let x: Vec<f32> =
        (0..rows * columns).map(|_| (1e6 + ((generator.unit() - 0.5) * 56.0).round() / 16.0) as f32).collect();
    let truth: Vec<(f64, f64)> = x
        .chunks_exact(columns)
        .map(|row| {
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / columns as f64;
            (mean, row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / columns as f64)
        })
        .collect();
    for device in devices() {
        let t = Tensor::from_slice(&device, &x, &[rows, columns]).unwrap();
        let variances = values(&t.var(1, 0.0).unwrap());
        let deviations = values(&t.std(1, 0.0).unwrap());
        let normalized = [
            t.layer_norm(&[columns], None, None, 0.0).unwrap(),
            t.unsqueeze(0).unwrap().instance_norm(None, None, None, None, &Default::default()).unwrap(),
            t.unsqueeze(0).unwrap().group_norm(rows, None, None, 0.0).unwrap(),
            t.t().unwrap().batch_norm(None, None, None, None, &training()).unwrap().t().unwrap(),
        ];
        for (row, &(mean, variance)) in truth.iter().enumerate() {
            assert!((variances[row] / variance - 1.0).abs() < 1e-5, "{}, not {variance}", variances[row]);
            assert!((deviations[row] / variance.sqrt() - 1.0).abs() < 1e-5);
            let expected: Vec<f64> =
                x[row * columns..][..columns].iter().map(|&v| (f64::from(v) - mean) / variance.sqrt()).collect();
            for normalized in &normalized {
                close(&values(normalized)[row * columns..][..columns], &expected, 2e-5);
            }
        }
        let constant = Tensor::full(&device, &[2, 1000], 123_456.7f32).unwrap();
        close(&values(&constant.var(1, 1.0).unwrap()), &[0.0; 2], 1e-12);
    }
}

fn training() -> BatchNormOptions {
    BatchNormOptions::default().training(true)
}

#[test]
fn half_precision_is_computed_in_single() {
    for device in devices() {
        if !common::has_f16(&device) {
            continue;
        }
        // The square of 3000 is more than f16 holds, and its mean of 300 elements less exact than f16's steps.
        let x = random(&device, &[4, 300], 2).mul_scalar(1500.0).unwrap().to_dtype(DType::F16).unwrap();
        let exact = x.to_dtype(DType::F32).unwrap();
        type Method = fn(&Tensor) -> Result<Tensor>;
        let methods: [Method; 9] = [
            |x| x.std(1, 1.0),
            |x| x.layer_norm(&[300], None, None, 1e-5),
            |x| x.rms_norm(&[300], None, None),
            |x| x.group_norm(1, None, None, 1e-5),
            |x| x.batch_norm(None, None, None, None, &training()),
            |x| x.unsqueeze(0)?.instance_norm(None, None, None, None, &Default::default()),
            |x| x.normalize(2.0, 1, 1e-12),
            |x| x.softmax(1),
            |x| x.log_softmax(1),
        ];
        for (at, method) in methods.iter().enumerate() {
            let got = method(&x).unwrap();
            assert_eq!(got.dtype(), DType::F16);
            let expected = values(&method(&exact).unwrap());
            for (g, e) in values(&got).iter().zip(&expected) {
                assert!((g - e).abs() <= e.abs() / 1024.0 + 1e-7, "method {at}: {g}, not {e}");
            }
        }
        // Weights may be f16 too.
        let weight = Tensor::full(&device, &[300], 2.0f32).unwrap().to_dtype(DType::F16).unwrap();
        let y = x.layer_norm(&[300], Some(&weight), Some(&weight), 1e-5).unwrap();
        assert_eq!(y.dtype(), DType::F16);
    }
}

fn batch_norm(device: &Device, options: &BatchNormLayerOptions) -> BatchNorm2d {
    BatchNorm2d::new(&Scope::new(device).at("bn"), 3, options).unwrap()
}

/// Mean and unbiased variance of each channel of `[N, C, L]`.
fn statistics(x: &[f64], channels: usize, places: usize) -> (Vec<f64>, Vec<f64>) {
    (0..channels)
        .map(|c| {
            let of: Vec<f64> =
                x.chunks_exact(places).skip(c).step_by(channels).flat_map(|place| place.to_vec()).collect();
            let mean = of.iter().sum::<f64>() / of.len() as f64;
            (mean, of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64)
        })
        .unzip()
}

#[test]
fn training_moves_the_statistics_and_evaluation_uses_them() {
    for device in devices() {
        let layer = batch_norm(&device, &BatchNormLayerOptions::default().eps(0.0));
        let running = layer.running.clone().unwrap();
        let (mut mean, mut var) = (vec![0.0; 3], vec![1.0; 3]);
        for step in 0..3 {
            let x = random(&device, &[4, 3, 2, 5], step).add_scalar(3.0).unwrap();
            let y = layer.forward(&x).unwrap();
            let (of_mean, of_var) = statistics(&values(&y), 3, 10);
            close(&of_mean, &[0.0; 3], 1e-5);
            close(&of_var, &[40.0 / 39.0; 3], 1e-4);
            let (batch_mean, batch_var) = statistics(&values(&x), 3, 10);
            for c in 0..3 {
                mean[c] = 0.9 * mean[c] + 0.1 * batch_mean[c];
                var[c] = 0.9 * var[c] + 0.1 * batch_var[c];
            }
            close(&values(&running.mean.value()), &mean, 1e-5);
            close(&values(&running.var.value()), &var, 1e-5);
            assert_eq!(running.num_batches_tracked.value().item::<i32>().unwrap(), step as i32 + 1);
        }
        layer.eval();
        let x = random(&device, &[1, 3, 1, 1], 9);
        let expected: Vec<f64> = (0..3).map(|c| (values(&x)[c] - mean[c]) / var[c].sqrt()).collect();
        close(&values(&layer.forward(&x).unwrap()), &expected, 1e-5);
        close(&values(&running.mean.value()), &mean, 1e-5);
        assert_eq!(running.num_batches_tracked.value().item::<i32>().unwrap(), 3);
        layer.train(true);
        assert!(matches!(layer.forward(&x), Err(Error::Invalid { .. })), "one value for each channel");
    }
}

#[test]
fn without_a_momentum_the_statistics_are_the_mean_over_all_batches() {
    for device in devices() {
        let layer = batch_norm(&device, &BatchNormLayerOptions::default().momentum(None));
        let (mut mean, mut var) = (vec![0.0; 3], vec![0.0; 3]);
        for step in 0..4 {
            let x = random(&device, &[4, 3, 2, 5], 20 + step);
            layer.forward(&x).unwrap();
            let (batch_mean, batch_var) = statistics(&values(&x), 3, 10);
            for c in 0..3 {
                mean[c] += batch_mean[c] / 4.0;
                var[c] += batch_var[c] / 4.0;
            }
        }
        let running = layer.running.unwrap();
        close(&values(&running.mean.value()), &mean, 1e-5);
        close(&values(&running.var.value()), &var, 1e-5);
    }
}

#[test]
fn statistics_that_are_not_tracked_are_the_batchs_in_evaluation_too() {
    let device = Device::reference();
    let options = BatchNormLayerOptions::default().track_running_stats(false).affine(false);
    let layer = batch_norm(&device, &options);
    assert!(layer.parameters().is_empty());
    let x = random(&device, &[4, 3, 2, 5], 1);
    let trained = values(&layer.forward(&x).unwrap());
    layer.eval();
    assert_eq!(values(&layer.forward(&x).unwrap()), trained);
}

#[test]
fn instance_norm_tracks_the_mean_of_the_samples() {
    for device in devices() {
        let options = InstanceNormLayerOptions::default().track_running_stats(true).affine(true);
        let layer = InstanceNorm1d::new(&Scope::new(&device), 2, &options).unwrap();
        let x = random(&device, &[3, 2, 7], 4);
        layer.forward(&x).unwrap();
        let (means, vars): (Vec<_>, Vec<_>) =
            values(&x).chunks_exact(14).map(|sample| statistics(sample, 2, 7)).unzip();
        let of = |each: &[Vec<f64>], c: usize| each.iter().map(|sample| sample[c]).sum::<f64>() / 3.0;
        let running = layer.running.as_ref().unwrap();
        let mean: Vec<f64> = (0..2).map(|c| 0.1 * of(&means, c)).collect();
        let var: Vec<f64> = (0..2).map(|c| 0.9 + 0.1 * of(&vars, c)).collect();
        close(&values(&running.mean.value()), &mean, 1e-6);
        close(&values(&running.var.value()), &var, 1e-6);
        layer.eval();
        let one = random(&device, &[2, 1], 5);
        let expected: Vec<f64> = (0..2).map(|c| (values(&one)[c] - mean[c]) / (var[c] + 1e-5).sqrt()).collect();
        close(&values(&layer.forward(&one).unwrap()), &expected, 1e-5);
    }
}

/// A custom module: lists its children and nothing else.
struct Block {
    first: Sequential,
    dropout: Dropout,
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.dropout.forward(&self.first.forward(input)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; first, dropout]
    }
}

#[test]
fn the_switch_reaches_every_child() {
    for device in devices() {
        device.manual_seed(3);
        let scope = Scope::new(&device);
        let norm = BatchNorm1d::new(&scope.at("norm"), 4, &BatchNormLayerOptions::default()).unwrap();
        let block = Block {
            first: Sequential::new(&scope)
                .push(Linear::new(&scope.at("fc"), 5, 4).unwrap())
                .push(Sequential::new(&scope).push(norm.clone()).push(Relu)),
            dropout: Dropout::new(0.5),
        };
        let names: Vec<String> = block.parameters().iter().map(|p| p.name().to_string()).collect();
        let norms =
            ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map(|n| format!("norm.{n}"));
        assert_eq!(names[..2], ["fc.weight", "fc.bias"]);
        assert_eq!(names[2..], norms);
        // Clones share the mode and the statistics.
        let model = Sequential::new(&scope).push(block);
        let x = random(&device, &[8, 5], 1);
        let count = || norm.running.as_ref().unwrap().num_batches_tracked.value().item::<i32>().unwrap();
        assert_ne!(values(&model.forward(&x).unwrap()), values(&model.forward(&x).unwrap()), "dropout drops");
        assert_eq!(count(), 2);
        model.eval();
        assert_eq!(values(&model.forward(&x).unwrap()), values(&model.forward(&x).unwrap()));
        assert_eq!(count(), 2);
        model.train(true);
        model.forward(&x).unwrap();
        assert_eq!(count(), 3);
        // Optimizers leave the statistics alone.
        let sgd = Sgd::new(model.parameters(), SgdOptions::default()).unwrap();
        assert_eq!(sgd.parameters().len(), 4);
    }
    let mode = Mode::default();
    assert!(mode.is_training());
    mode.clone().set(false);
    assert!(!mode.is_training());
}

#[test]
fn layers_have_pytorchs_names_and_initial_values() {
    let device = Device::reference();
    let scope = Scope::new(&device).at("x");
    let state = |module: &dyn Module| -> Vec<(String, Vec<usize>, f64, bool)> {
        let entry = |p: &Parameter| {
            let value = values(&p.value());
            assert!(value.iter().all(|v| *v == value[0]));
            (p.name().to_string(), p.value().shape().to_vec(), value[0], !p.is_buffer())
        };
        module.parameters().iter().map(entry).collect()
    };
    let scale = |shape: &[usize]| {
        vec![("x.weight".to_string(), shape.to_vec(), 1.0, true), ("x.bias".to_string(), shape.to_vec(), 0.0, true)]
    };
    let running = vec![
        ("x.running_mean".to_string(), vec![3], 0.0, false),
        ("x.running_var".to_string(), vec![3], 1.0, false),
        ("x.num_batches_tracked".to_string(), vec![], 0.0, false),
    ];
    let all = [scale(&[3]), running.clone()].concat();
    let options = BatchNormLayerOptions::default();
    assert_eq!(state(&BatchNorm1d::new(&scope, 3, &options).unwrap()), all);
    assert_eq!(state(&BatchNorm3d::new(&scope, 3, &options).unwrap()), all);
    let none = InstanceNormLayerOptions::default();
    assert_eq!(state(&InstanceNorm2d::new(&scope, 3, &none).unwrap()), []);
    let tracked = InstanceNormLayerOptions { track_running_stats: true, affine: true, ..none };
    assert_eq!(state(&InstanceNorm3d::new(&scope, 3, &tracked).unwrap()), all);
    assert_eq!(state(&GroupNorm::new(&scope, 2, 4, &GroupNormOptions::default()).unwrap()), scale(&[4]));
    assert_eq!(state(&LayerNorm::new(&scope, &[2, 3], &LayerNormOptions::default()).unwrap()), scale(&[2, 3]));
    let no_bias = LayerNormOptions::default().bias(false);
    assert_eq!(state(&LayerNorm::new(&scope, &[2], &no_bias).unwrap()), scale(&[2])[..1]);
    assert_eq!(state(&RmsNorm::new(&scope, &[2], &RmsNormOptions::default()).unwrap()), scale(&[2])[..1]);
    assert!(matches!(GroupNorm::new(&scope, 3, 4, &GroupNormOptions::default()), Err(Error::Invalid { .. })));
    assert!(matches!(GroupNorm::new(&scope, 0, 4, &GroupNormOptions::default()), Err(Error::Invalid { .. })));
}

#[test]
fn layers_compute_what_their_methods_do() {
    let device = Device::reference();
    let scope = Scope::new(&device);
    let x = random(&device, &[2, 4, 3, 5], 1);
    let same = |layer: &dyn Module, expected: Result<Tensor>| {
        assert_eq!(values(&layer.forward(&x).unwrap()), values(&expected.unwrap()));
    };
    same(&GroupNorm::new(&scope, 2, 4, &GroupNormOptions::default()).unwrap(), x.group_norm(2, None, None, 1e-5));
    same(
        &LayerNorm::new(&scope, &[3, 5], &LayerNormOptions::default()).unwrap(),
        x.layer_norm(&[3, 5], None, None, 1e-5),
    );
    same(&RmsNorm::new(&scope, &[5], &RmsNormOptions::default()).unwrap(), x.rms_norm(&[5], None, None));
    same(&LocalResponseNorm::new(3), x.local_response_norm(3, 1e-4, 0.75, 1.0));
    let instance = InstanceNorm2d::new(&scope, 4, &InstanceNormLayerOptions::default()).unwrap();
    same(&instance, x.instance_norm(None, None, None, None, &Default::default()));
    let unbatched = x.narrow(0, 1, 1).unwrap();
    assert_eq!(
        values(&instance.forward(&unbatched.squeeze(0).unwrap()).unwrap()),
        values(&instance.forward(&unbatched).unwrap())
    );
    // The random results, by the seed.
    let seeded = |layer: &dyn Module, method: fn(&Tensor, f64, bool) -> Result<Tensor>| {
        device.manual_seed(6);
        let got = values(&layer.forward(&x).unwrap());
        device.manual_seed(6);
        assert_eq!(got, values(&method(&x, 0.5, true).unwrap()));
        layer.eval();
        assert_eq!(values(&layer.forward(&x).unwrap()), values(&x));
    };
    seeded(&Dropout::default(), Tensor::dropout);
    seeded(&Dropout2d::default(), Tensor::dropout2d);
    seeded(&Dropout3d::default(), Tensor::dropout3d);
    seeded(&AlphaDropout::default(), Tensor::alpha_dropout);
    seeded(&FeatureAlphaDropout::default(), Tensor::feature_alpha_dropout);
    assert!(matches!(Dropout1d::default().forward(&x), Err(Error::Invalid { .. })));
}

#[test]
fn inputs_of_another_rank_or_size_are_errors() {
    let device = Device::reference();
    let scope = Scope::new(&device);
    let ones = |shape: &[usize]| Tensor::ones(&device, shape).unwrap();
    let options = BatchNormLayerOptions::default();
    let one = BatchNorm1d::new(&scope, 3, &options).unwrap();
    let two = BatchNorm2d::new(&scope, 3, &options).unwrap();
    let instance = InstanceNorm1d::new(&scope, 3, &InstanceNormLayerOptions::default().affine(true));
    let instance = instance.unwrap();
    for error in [
        one.forward(&ones(&[3])),
        one.forward(&ones(&[2, 3, 4, 5])),
        one.forward(&ones(&[2, 4])),
        one.forward(&ones(&[1, 3])),
        two.forward(&ones(&[2, 3, 4])),
        two.forward(&ones(&[2, 4, 1, 1])),
        instance.forward(&ones(&[3])),
        instance.forward(&ones(&[2, 4, 5])),
        instance.forward(&ones(&[2, 3, 1])),
    ] {
        assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
    }
    // A failed call has counted nothing.
    assert_eq!(one.running.unwrap().num_batches_tracked.value().item::<i32>().unwrap(), 0);
}

#[test]
fn deviations_whose_squares_overflow_have_a_variance() {
    for device in devices() {
        let values: Vec<f32> = (0..1000).map(|i| 1e20 + 1e19 * ((i * 7919 % 1009) as f32 / 252.0 - 2.0)).collect();
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e3;
        let deviation = (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / 999.0).sqrt();
        let x = Tensor::from_slice(&device, &values, &[1000]).unwrap().requires_grad();
        let std = x.std_all(1.0).unwrap();
        assert!((f64::from(std.item::<f32>().unwrap()) / deviation - 1.0).abs() < 1e-5);
        std.backward().unwrap();
        for (gradient, &value) in x.grad().unwrap().to_vec::<f32>().unwrap().iter().zip(&values) {
            let expected = (f64::from(value) - mean) / deviation / 999.0;
            assert!((f64::from(*gradient) - expected).abs() < 1e-7, "{gradient}, not {expected}");
        }
        // Values near 1e38, and so are the squares that are added up.
        let variance = f64::from(x.var_all(1.0).unwrap().item::<f32>().unwrap());
        assert!((variance / deviation.powi(2) - 1.0).abs() < 1e-5);
        // And where squares underflow.
        let small = x.detach().mul_scalar(1e-20).unwrap().mul_scalar(1e-20).unwrap();
        let std = f64::from(small.std_all(1.0).unwrap().item::<f32>().unwrap());
        assert!((std / deviation * 1e40 - 1.0).abs() < 1e-4, "{std}");
    }
}

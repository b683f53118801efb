//! Sanity checks of attributions on a LeNet that has learned some digits.

use crate::common::adapter;
use std::path::Path;
use wgrad::data::Mnist;
use wgrad::explain::{CamMethod, Explainer, rank_correlation};
use wgrad::models::LeNet5;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{Device, Error, Tensor};

/// scipy's `spearmanr` of these, ties included.
#[test]
fn rank_correlations_are_scipys() {
    let device = Device::reference();
    let tensor = |values: &[f32]| Tensor::from_slice(&device, values, &[2, 5]).unwrap();
    let a = tensor(&[0.3, -1.0, 2.0, 2.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let b = tensor(&[1.0, 0.0, 0.0, 7.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let got = rank_correlation(&a, &b).unwrap();
    assert!((got[0] - 0.552_631_578_947_368_6).abs() < 1e-12, "{got:?}");
    assert!(got[1].is_nan(), "a map of equal numbers has no order");
    assert!(rank_correlation(&a, &a.narrow(1, 0, 4).unwrap()).is_err());
}

/// Gradients and Grad-CAM change with the weights, guided backpropagation less, as in the paper; the network stays as it is.
#[test]
fn maps_of_methods_that_pass_change_with_the_weights() {
    let Some(device) = adapter() else { return };
    device.manual_seed(2);
    let set = Mnist::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")).unwrap().train;
    let net = LeNet5::new(&Scope::new(&device)).unwrap();
    let mut adam = Adam::new(net.parameters(), AdamOptions::default().lr(2e-3)).unwrap();
    let batches = set.limit(32 * 40).unwrap();
    for batch in batches.batches(&device, 32).unwrap() {
        let batch = batch.unwrap();
        net.forward(&batch.images)
            .unwrap()
            .cross_entropy(&batch.labels, &Default::default())
            .unwrap()
            .backward()
            .unwrap();
        adam.step().unwrap();
        adam.zero_grad();
    }
    net.eval();
    let x = set.limit(8).unwrap().batches(&device, 8).unwrap().next().unwrap().unwrap().images;
    let explainer = Explainer::new(&net);
    let before = net.forward(&x).unwrap().to_vec::<f32>().unwrap();
    let last = |name: &str, method: &dyn Fn(&Explainer, &Tensor) -> wgrad::Result<Tensor>| {
        let steps = explainer.cascading_randomization(&x, method).unwrap();
        let layers: Vec<&str> = steps.iter().map(|step| step.layer.as_str()).collect();
        assert_eq!(layers, ["fc3", "fc2", "fc1", "conv2", "conv1"], "{name}");
        assert!(steps.iter().all(|step| step.correlations.len() == 8));
        steps.iter().map(|step| step.mean()).collect::<Vec<f64>>()
    };
    let gradient = last("gradient", &|explainer, x| explainer.vanilla_gradient(x));
    let cam = last("grad-cam", &|explainer, x| explainer.cam_raw(x, "conv2", CamMethod::GradCam));
    let guided = last("guided-backprop", &|explainer, x| explainer.guided_backprop(x));
    assert!(gradient.iter().all(|&mean| mean < 0.5), "{gradient:?}");
    assert!(cam.iter().all(|&mean| mean < 0.5), "{cam:?}");
    for (guided, gradient) in guided.iter().zip(&gradient).take(3) {
        assert!(guided > gradient, "{guided} {gradient}");
    }
    assert_eq!(net.forward(&x).unwrap().to_vec::<f32>().unwrap(), before, "the weights are back");
    // Also after an error.
    let calls = std::cell::Cell::new(0);
    let failing = explainer.cascading_randomization(&x, |explainer, x| {
        calls.set(calls.get() + 1);
        if calls.get() == 3 {
            Err(Error::Invalid { op: "test", rule: "stop".to_string() })
        } else {
            explainer.saliency(x)
        }
    });
    assert!(failing.is_err() && calls.get() == 3);
    assert_eq!(net.forward(&x).unwrap().to_vec::<f32>().unwrap(), before);
}

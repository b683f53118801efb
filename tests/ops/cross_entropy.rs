//! Edge cases of cross entropy; its values are compared with PyTorch's by the conformance files.

use crate::common::own_adapter;
use wgrad::{CrossEntropyOptions, Device, Error, Reduction, Tensor};

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn logits(device: &Device) -> Tensor {
    Tensor::from_slice(device, &[1.0f32, 2.0, 3.0, 0.5, -1.0, 0.0], &[2, 3]).unwrap().requires_grad()
}

#[test]
fn a_label_out_of_range_is_an_error_at_the_next_synchronisation() {
    for device in devices() {
        for label in [3, -1, i32::MAX] {
            let labels = Tensor::from_slice(&device, &[0, label], &[2]).unwrap();
            let loss = logits(&device).cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
            let error = loss.item::<f32>().unwrap_err();
            assert!(matches!(error, Error::IndexOutOfRange { size: 3, .. }), "{label} on {}: {error}", device.name());
        }
        // The device goes on afterwards.
        let labels = Tensor::from_slice(&device, &[0, 2], &[2]).unwrap();
        let loss = logits(&device).cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        assert!(loss.item::<f32>().unwrap().is_finite());
    }
}

#[test]
fn where_all_labels_are_ignored_the_mean_is_nan_and_the_gradient_zero() {
    for device in devices() {
        let labels = Tensor::from_slice(&device, &[-100, -100], &[2]).unwrap();
        let x = logits(&device);
        let loss = x.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        assert!(loss.item::<f32>().unwrap().is_nan());
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [0.0; 6]);
    }
}

#[test]
fn one_hot_probabilities_are_labels() {
    for device in devices() {
        let x = logits(&device);
        let labels = Tensor::from_slice(&device, &[2, 0], &[2]).unwrap();
        let one_hot = Tensor::from_slice(&device, &[0.0f32, 0.0, 1.0, 1.0, 0.0, 0.0], &[2, 3]).unwrap();
        let options = CrossEntropyOptions::default().label_smoothing(0.2);
        let (a, b) = (x.cross_entropy(&labels, &options).unwrap(), x.cross_entropy(&one_hot, &options).unwrap());
        assert!((a.item::<f32>().unwrap() - b.item::<f32>().unwrap()).abs() < 1e-6);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let device = Device::reference();
    let x = logits(&device);
    let labels = |count: usize| Tensor::from_slice(&device, &vec![0; count], &[count]).unwrap();
    let plain = CrossEntropyOptions::default();
    let rule = |result: wgrad::Result<Tensor>, text: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(text), "{text:?} in {message:?}");
    };
    rule(x.cross_entropy(&labels(3), &plain), "labels [3] must be [2] for an input of [2, 3]");
    rule(x.cross_entropy(&x.narrow(1, 0, 2).unwrap(), &plain), "must have the shape of the input");
    rule(x.cross_entropy(&labels(2).to_dtype(wgrad::DType::U32).unwrap(), &plain), "expected i32 labels");
    rule(labels(2).cross_entropy(&labels(2), &plain), "expected f32 scores");
    let weight = Some(Tensor::ones(&device, &[2]).unwrap());
    rule(x.cross_entropy(&labels(2), &CrossEntropyOptions { weight, ..plain.clone() }), "must be [3], one a class");
    let smooth = CrossEntropyOptions { label_smoothing: 1.5, ..plain.clone() };
    rule(x.cross_entropy(&labels(2), &smooth), "label_smoothing is 1.5");
    rule(x.nll_loss(&labels(2), &CrossEntropyOptions { label_smoothing: 0.1, ..plain.clone() }), "no label smoothing");
    rule(x.cross_entropy(&x, &CrossEntropyOptions { ignore_index: 0, ..plain.clone() }), "ignore_index 0");
    let none = CrossEntropyOptions { reduction: Reduction::None, ..plain };
    assert_eq!(x.cross_entropy(&labels(2), &none).unwrap().shape()[..], [2]);
}

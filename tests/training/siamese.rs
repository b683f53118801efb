//! Siamese networks and the losses of embeddings, compared with PyTorch programs that go through all pairs and triplets in
//! float64 (`tests/golden/siamese.py`).

use crate::common::adapter;
use crate::common::from_names::{fill, gradients, numbers, worst};
use crate::common::network_runs::of_float32;
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::{Siamese, SiameseOptions};
use wgrad::nn::{ContrastiveLoss, Loss, MinedTripletLoss, Module, Scope};
use wgrad::{Device, Error, MinedTripletOptions, Reduction, Result, Tensor, TripletMining};

const LABELS: [i32; 9] = [0, 2, 1, 0, 0, 1, 2, 0, 3];

/// The loss of a name for the embeddings of nine images.
fn loss(name: &str, embeddings: &Tensor) -> Result<Tensor> {
    let device = embeddings.device();
    if name == "contrastive" {
        let (first, second) = (embeddings.narrow(0, 0, 4)?, embeddings.narrow(0, 4, 4)?);
        let alike = Tensor::from_slice(device, &[1, -1, -1, 1], &[4])?;
        let distances = first.pairwise_distance(&second, 2.0, 1e-6)?;
        return ContrastiveLoss::default().margin(2.0).forward(&distances, &alike);
    }
    let mining = if name.starts_with("batch_hard") { TripletMining::BatchHard } else { TripletMining::SemiHard };
    let options = MinedTripletOptions::default().mining(mining).margin(0.5).squared(name.ends_with("squared"));
    MinedTripletLoss::new(options).forward(embeddings, &Tensor::from_slice(device, &LABELS, &[9])?)
}

fn compare(device: &Device, bound: impl Fn(f64) -> f64) {
    let golden: Value = serde_json::from_str(include_str!("../golden/siamese.json")).unwrap();
    for (name, normalize) in [("plain", false), ("normalized", true)] {
        let golden = &golden[name];
        let bound = bound(golden["f32"].as_f64().unwrap());
        let options = SiameseOptions::default().image_size(9).channels(2).widths([3, 4]).hidden(6).embedding_dim(5);
        let net = Siamese::new(&Scope::new(device), &options.normalize(normalize)).unwrap();
        fill(&net, device);
        let images: Vec<f32> = numbers("images", 9 * 2 * 9 * 9).map(|unit| (3.0 * unit) as f32).collect();
        let images = Tensor::from_slice(device, &images, &[9, 2, 9, 9]).unwrap();
        let expected: Vec<f64> = serde_json::from_value(golden["embeddings"].clone()).unwrap();
        let embeddings = net.forward(&images).unwrap().to_f64().unwrap();
        let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert_eq!(embeddings.len(), expected.len());
        for (got, expected) in embeddings.iter().zip(&expected) {
            assert!((got - expected).abs() <= bound * scale, "{name}: {got}, not {expected}");
        }
        for kind in ["contrastive", "batch_hard", "batch_hard_squared", "semi_hard", "semi_hard_squared"] {
            let golden = &golden[kind];
            net.zero_grad();
            let loss = loss(kind, &net.forward(&images).unwrap()).unwrap();
            loss.backward().unwrap();
            let (got, expected) = (loss.to_f64().unwrap()[0], golden["loss"].as_f64().unwrap());
            assert!((got - expected).abs() <= bound * expected, "{name} {kind}: {got}, not {expected}");
            let digests: Vec<[f64; 2]> = serde_json::from_value(golden["gradients"].clone()).unwrap();
            let gradients: BTreeMap<String, Tensor> = gradients(&net).collect();
            assert_eq!(gradients.len(), digests.len());
            let (apart, whose) = worst(&gradients, &digests);
            assert!(apart <= bound, "{name} {kind}: the gradient of {whose} is {apart:.1e} off");
        }
    }
}

#[test]
fn values_are_pytorchs_on_the_reference() {
    compare(&Device::reference(), |_| 1e-9);
}

#[test]
fn values_are_pytorchs_on_the_adapter() {
    adapter().iter().for_each(|device| compare(device, of_float32));
}

#[test]
fn batches_without_triplets_have_no_loss_and_no_gradient() {
    let device = Device::reference();
    for (mining, labels) in [
        (TripletMining::BatchHard, [0, 0, 0]),
        (TripletMining::BatchHard, [0, 1, 2]),
        (TripletMining::SemiHard, [0, 0, 0]),
        (TripletMining::SemiHard, [0, 1, 2]),
    ] {
        let embeddings = Tensor::from_slice(&device, &[1.0f32, 2.0, 4.0], &[3, 1]).unwrap().requires_grad();
        let labels = Tensor::from_slice(&device, &labels, &[3]).unwrap();
        let loss = embeddings.mined_triplet_loss(&labels, &MinedTripletOptions::default().mining(mining)).unwrap();
        loss.backward().unwrap();
        assert_eq!(loss.item::<f32>().unwrap(), 0.0);
        assert_eq!(embeddings.grad().unwrap().to_vec::<f32>().unwrap(), [0.0; 3]);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let device = Device::reference();
    let rule = |result: Result<Tensor>| match result {
        Err(Error::Invalid { rule, .. }) => rule,
        other => panic!("{other:?}"),
    };
    let (embeddings, labels) =
        (Tensor::zeros(&device, &[3, 2]).unwrap(), |count: usize| Tensor::full(&device, &[count], 0i32).unwrap());
    let options = MinedTripletOptions::default();
    let wrong = rule(embeddings.mined_triplet_loss(&labels(2), &options));
    assert_eq!(wrong, "labels [2] must be [3], one for each embedding");
    let wrong = rule(embeddings.mined_triplet_loss(&labels(3), &options.margin(0.0)));
    assert_eq!(wrong, "margin is 0; it must be above 0");
    assert_eq!(
        rule(labels(3).to_dtype(wgrad::DType::F32).unwrap().mined_triplet_loss(&labels(3), &options)),
        "embeddings [3] must be [N, D]"
    );
    let float = embeddings.mined_triplet_loss(&embeddings, &options);
    assert!(matches!(float, Err(Error::WrongDType { .. })));
    let small = Siamese::new(&Scope::new(&device), &SiameseOptions::default().image_size([28, 3])).map(drop);
    assert!(matches!(small, Err(Error::Invalid { ref rule, .. }) if rule == "28 x 3 can't be halved 2 times"));
    assert!(labels(3).contrastive_loss(&labels(3), 1.0, Reduction::Mean).is_err());
}

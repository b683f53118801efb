//! Pruning: the weights that `torch.nn.utils.prune` prunes (`tests/golden/pruning.py`), which stay 0 whoever changes them.

use crate::common::adapter;
use crate::common::from_names::tensor;
use crate::nets::TwoConvolutions as Net;
use serde_json::Value;
use wgrad::amp::{AutocastOptions, GradScalerOptions};
use wgrad::compress::pruning::*;
use wgrad::nn::Module;
use wgrad::optim::*;
use wgrad::train::Stepper;
use wgrad::weights::{self, LoadOptions, SaveOptions};
use wgrad::{CrossEntropyOptions, Device, Error, Parameter, Result, Tensor};

fn loss(net: &Net, device: &Device) -> Result<Tensor> {
    let labels = Tensor::from_slice(device, &[1i32, 0, 3], &[3])?;
    net.forward(&tensor(device, "pruned", &[3, 2, 7, 6]))?.cross_entropy(&labels, &CrossEntropyOptions::default())
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/pruning.json")).unwrap()
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The indices that a mask prunes; the value is 0 at all of them.
fn pruned(parameter: &Parameter) -> Vec<usize> {
    let mask = parameter.mask().unwrap().value().to_f64().unwrap();
    let places: Vec<usize> = (0..mask.len()).filter(|&at| mask[at] == 0.0).collect();
    let values = parameter.value().to_f64().unwrap();
    assert!(places.iter().all(|&at| values[at] == 0.0), "{}", parameter.name());
    assert_eq!(parameter.pruned().unwrap(), places.len());
    places
}

fn close(got: &[f64], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let apart = got.iter().zip(expected).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= bound * scale, "{what}: {apart} of {scale}");
}

#[test]
fn the_pruned_weights_are_those_of_pytorch() {
    let (golden, device) = (golden(), Device::reference());
    let check = |name: &str, prune: &dyn Fn(&Parameter) -> Result<()>| {
        let net = Net::new(&device);
        prune(&net.conv2.weight).unwrap();
        assert_eq!(pruned(&net.conv2.weight), list::<usize>(&golden[name]), "{name}");
    };
    check("l1_share", &|w| l1_unstructured(w, 0.35));
    check("l1_count", &|w| l1_unstructured(w, 17));
    check("l1_twice", &|w| l1_unstructured(w, 0.35).and_then(|()| l1_unstructured(w, 0.35)));
    for (order, n) in [("1", 1.0), ("2", 2.0), ("3.5", 3.5), ("inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)] {
        for dim in 0..2 {
            check(&format!("ln_{order}_{dim}"), &|w| ln_structured(w, 0.4, n, dim));
        }
    }
    check("ln_twice", &|w| ln_structured(w, 2, 2.0, 0).and_then(|()| ln_structured(w, 0.5, 2.0, 0)));
    check("ln_after_l1", &|w| l1_unstructured(w, 0.5).and_then(|()| ln_structured(w, 0.5, 1.0, 1)));
    let net = Net::new(&device);
    for (name, amount) in [("global", 0.4), ("global_twice", 0.25)] {
        global_unstructured(&prunable(&net), Method::L1, amount).unwrap();
        let all: Vec<Vec<usize>> = prunable(&net).iter().map(pruned).collect();
        assert_eq!(all, list::<Vec<usize>>(&golden[name]), "{name}");
    }
}

#[test]
fn chance_prunes_the_number_that_was_asked_for() {
    let device = Device::reference();
    let net = Net::new(&device);
    random_unstructured(&net.conv2.weight, 0.25).unwrap();
    assert_eq!(pruned(&net.conv2.weight).len(), 68); // 67.5, to even
    random_structured(&net.fc.weight, 5, 1).unwrap();
    let places = pruned(&net.fc.weight);
    assert_eq!(places.len(), 5 * 4);
    assert_eq!(places.iter().map(|at| at % 36).collect::<std::collections::BTreeSet<_>>().len(), 5);
    global_unstructured(&prunable(&net), Method::Random, 1.0).unwrap();
    assert_eq!(sparsity(&prunable(&net)).unwrap(), 1.0);
    assert!(is_pruned(&net));
    prunable(&net).iter().for_each(|weight| remove(weight).unwrap());
    assert!(!is_pruned(&net));
}

#[test]
fn amounts_and_dimensions_that_do_not_exist_are_refused() {
    let net = Net::new(&Device::reference());
    let refused = |outcome: Result<()>, words: &str| match outcome {
        Err(Error::Invalid { rule, .. }) => assert!(rule.contains(words), "{rule}"),
        other => panic!("{other:?}"),
    };
    let w = &net.conv2.weight;
    refused(l1_unstructured(w, 1.5), "from 0 to 1");
    refused(l1_unstructured(w, f64::NAN), "from 0 to 1");
    refused(l1_unstructured(w, 271), "of the 270");
    refused(ln_structured(w, 1, 2.0, 4), "no dimension 4");
    refused(w.set_mask(Some(&Tensor::ones(&Device::reference(), &[3]).unwrap())), "holds");
    refused(Pruner::new(Vec::new(), PrunerOptions::default()).map(drop), "no parameters");
    let schedule = Schedule::Cubic { begin: 0, every: 1, times: 2, initial: 0.9, sparsity: 0.5 };
    let pruner = || Pruner::new(prunable(&net), PrunerOptions::default()).unwrap();
    refused(Pruning::new(pruner(), schedule).map(drop), "must rise");
    refused(
        Pruning::new(pruner(), Schedule::Iterative { begin: 0, every: 0, times: 1, sparsity: 0.5 }).map(drop),
        "every",
    );
}

/// A pruned network after five steps, by its layers' outputs for known inputs.
fn trained<O: Optimizer>(device: &Device, make: impl Fn(&Net) -> Result<O>) -> [Vec<f64>; 2] {
    let net = Net::new(device);
    // An optimizer packs parameters as they are, so one mask comes before it and one after.
    l1_unstructured(&net.conv2.weight, 0.6).unwrap();
    let mut optimizer = make(&net).unwrap();
    ln_structured(&net.fc.weight, 0.3, 2.0, 1).unwrap();
    for _ in 0..5 {
        loss(&net, device).unwrap().backward().unwrap();
        optimizer.step().unwrap();
        optimizer.zero_grad();
    }
    assert_eq!((pruned(&net.conv2.weight).len(), pruned(&net.fc.weight).len()), (162, 44));
    let conv2 = net.conv2.forward(&tensor(device, "probe2", &[1, 5, 7, 6])).unwrap();
    let fc = net.fc.forward(&tensor(device, "probe3", &[2, 36])).unwrap();
    [conv2.to_f64().unwrap(), fc.to_f64().unwrap()]
}

#[test]
fn training_goes_as_with_pytorchs_masks() {
    let golden = &golden()["trained"];
    for (device, bound) in [Some((Device::reference(), 1e-9)), adapter().map(|d| (d, 1e-4))].into_iter().flatten() {
        let check = |name: &str, got: [Vec<f64>; 2]| {
            // Bias corrections are words of f32 on every device.
            let bound = if name.starts_with("adam") { 1e-6 } else { bound };
            for (layer, got) in ["conv2", "fc"].into_iter().zip(got) {
                close(&got, &list::<f64>(&golden[name][layer]), bound, &format!("{name} {layer}"));
            }
        };
        let sgd = SgdOptions::default().lr(0.25).momentum(0.875);
        check("sgd", trained(&device, |net| Sgd::new(net, sgd.weight_decay(0.125).nesterov(true))));
        check("clipped", trained(&device, |net| Sgd::new(net, sgd)?.clip_grad_norm(0.25)));
        if device.is_reference() {
            let (betas, eps) = ((0.875, 1.0 - 1.0 / 1024.0), (-27f64).exp2());
            let adam = AdamOptions::default().lr(1.0 / 32.0).betas(betas).eps(eps).weight_decay(0.125);
            check("adam", trained(&device, |net| Adam::new(net, adam)));
            let adamw = AdamWOptions::default().lr(1.0 / 32.0).betas(betas).eps(eps).weight_decay(0.125);
            check("adamw", trained(&device, |net| AdamW::new(net, adamw)));
        }
    }
}

/// Pruned weights stay 0 whoever writes the parameter: optimizers of every kind of state, and the wrappers that write by
/// themselves.
#[test]
fn masks_hold_whatever_the_optimizer() {
    let device = Device::reference();
    trained(&device, |net| Adafactor::new(net, AdafactorOptions::default()));
    trained(&device, |net| Muon::new(vec![net.conv2.weight.clone(), net.fc.weight.clone()], MuonOptions::default()));
    trained(&device, |net| Lion::new(net, LionOptions::default()));
    trained(&device, |net| Rprop::new(net, RpropOptions::default()));
    trained(&device, |net| Sgd::new(net, SgdOptions::default())?.grad_noise(0.1, 0.55));
    let sgd = |net: &Net| Sgd::new(net, SgdOptions::default().lr(0.1));
    // Its slow weights are from before the second mask.
    trained(&device, |net| Lookahead::new(sgd(net)?, LookaheadOptions::default().k(2)));
    let net = Net::new(&device);
    let mut averaged = Averaged::new(sgd(&net).unwrap(), Averaging::Ema { decay: 0.9 }).unwrap();
    loss(&net, &device).unwrap().backward().unwrap();
    averaged.step().unwrap();
    l1_unstructured(&net.fc.weight, 0.5).unwrap();
    assert_eq!(averaged.with_average(|| Ok(pruned(&net.fc.weight).len())).unwrap(), 72);
    averaged.apply().unwrap();
    assert_eq!(pruned(&net.fc.weight).len(), 72);
    let mut sam = Sam::new(sgd(&net).unwrap(), SamOptions::default()).unwrap();
    sam.zero_grad();
    loss(&net, &device).unwrap().backward().unwrap();
    sam.first_step().unwrap();
    assert_eq!(pruned(&net.fc.weight).len(), 72);
    loss(&net, &device).unwrap().backward().unwrap();
    sam.step().unwrap();
    assert_eq!(pruned(&net.fc.weight).len(), 72);
}

#[test]
fn masks_hold_in_half_precision() {
    let device = Device::reference();
    let net = Net::new(&device);
    global_unstructured(&prunable(&net), Method::L1, 0.7).unwrap();
    let before: Vec<Vec<usize>> = prunable(&net).iter().map(pruned).collect();
    let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.1).momentum(0.9)).unwrap();
    // The first scale is too large, so that a step is skipped.
    let scaler = GradScalerOptions::default().init_scale(1e9);
    let mut stepper = Stepper::autocast(&device, AutocastOptions::default(), scaler).unwrap();
    for _ in 0..20 {
        let loss = stepper.forward(|| loss(&net, &device)).unwrap();
        stepper.backward(&loss, 1.0).unwrap();
        stepper.step(&mut sgd).unwrap();
    }
    assert!(sgd.steps().unwrap()[0] < 20);
    assert_eq!(prunable(&net).iter().map(pruned).collect::<Vec<_>>(), before);
}

#[test]
fn files_hold_the_zeros_and_loading_leaves_masks() {
    let (device, folder) = (Device::reference(), tempfile::tempdir().unwrap());
    let path = folder.path().join("pruned.safetensors");
    let net = Net::new(&device);
    global_unstructured(&prunable(&net), Method::L1, 0.7).unwrap();
    weights::save(&path, &net, &SaveOptions::default()).unwrap();
    let again = Net::new(&device);
    weights::load(&path, &again, &LoadOptions::default()).unwrap();
    mask_zeros(&prunable(&again)).unwrap();
    for (old, new) in prunable(&net).iter().zip(prunable(&again)) {
        assert_eq!(pruned(old), pruned(&new));
    }
    // A dense file, such as that of an early step, does not restore pruned weights.
    weights::save(&path, &Net::new(&device), &SaveOptions::default()).unwrap();
    weights::load(&path, &net, &LoadOptions::default()).unwrap();
    assert_eq!(
        prunable(&net).iter().map(pruned).collect::<Vec<_>>(),
        prunable(&again).iter().map(pruned).collect::<Vec<_>>()
    );
}

#[test]
fn movement_prunes_what_sanhs_formula_does() {
    let golden = &golden()["movement"];
    let device = Device::reference();
    let net = Net::new(&device);
    let options = PrunerOptions::default().criterion(Criterion::Movement);
    let mut pruner = Pruner::new(vec![net.conv2.weight.clone()], options).unwrap();
    let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.5)).unwrap();
    let mut chosen = Vec::new();
    for step in 1..=6 {
        loss(&net, &device).unwrap().backward().unwrap();
        pruner.observe(None).unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
        if step % 2 == 0 {
            pruner.prune_to(0.7).unwrap();
            chosen.push(pruned(&net.conv2.weight));
        }
    }
    let expected = list::<Vec<usize>>(&golden["pruned"]);
    assert!(expected[0].iter().any(|at| !expected[1].contains(at)), "no weight comes back");
    assert_eq!(chosen, expected);
    close(&net.conv2.weight.value().to_f64().unwrap(), &list::<f64>(&golden["weight"]), 1e-9, "weight");
}

#[test]
fn pruners_reach_their_sparsities() {
    let device = Device::reference();
    let shares = |reach: Reach, granularity: Granularity| {
        let net = Net::new(&device);
        let options = PrunerOptions::default().reach(reach).granularity(granularity);
        let mut pruner = Pruner::new(prunable(&net), options).unwrap();
        let mut before = vec![Vec::new(); 3];
        for share in [0.2, 0.5, 0.5, 0.8] {
            pruner.prune_to(share).unwrap();
            let now: Vec<Vec<usize>> = prunable(&net).iter().map(pruned).collect();
            assert!(before.iter().zip(&now).all(|(old, new)| old.iter().all(|at| new.contains(at))));
            before = now;
        }
        before.iter().map(Vec::len).collect::<Vec<_>>()
    };
    let sizes = [90, 270, 144];
    let global = shares(Reach::Global, Granularity::Weight);
    assert_eq!(global.iter().sum::<usize>(), 403); // of 504
    let layer = shares(Reach::Layer, Granularity::Weight);
    assert_eq!(layer, sizes.map(|size: usize| (0.8 * size as f64).round() as usize));
    let filters = shares(Reach::Layer, Granularity::Channel { n: 2.0, dim: 0 });
    assert_eq!(filters, [4 * 18, 5 * 45, 3 * 36]);
    let net = Net::new(&device);
    let mut pruner = Pruner::new(prunable(&net), PrunerOptions::default()).unwrap();
    pruner.prune_to(0.65).unwrap();
    let of_torch = Net::new(&device);
    global_unstructured(&prunable(&of_torch), Method::L1, 0.65).unwrap();
    let all = |net: &Net| prunable(net).iter().map(pruned).collect::<Vec<_>>();
    assert_eq!(all(&net), all(&of_torch));
}

#[test]
fn summaries_show_sparsity() {
    let device = Device::reference();
    let net = Net::new(&device);
    let summary = net.summary(&[1, 2, 7, 6]).unwrap();
    assert!(summary.pruned_parameters == 0 && !summary.to_string().contains("parsity"));
    l1_unstructured(&net.fc.weight, 0.75).unwrap();
    let summary = net.summary(&[1, 2, 7, 6]).unwrap();
    assert_eq!((summary.pruned_parameters, summary.rows[3].pruned_parameters), (108, 108));
    let text = summary.to_string();
    assert!(text.contains("Sparsity") && text.contains("Pruned params: 108 (20.8 %)"), "{text}"); // of 519
    assert!(text.lines().any(|line| line.contains("fc") && line.ends_with("73.0 %")), "{text}"); // of 148
}

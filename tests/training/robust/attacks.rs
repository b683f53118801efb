//! Attacks, compared image by image with torchattacks and foolbox (`tests/golden/robust.py`), and held to their bounds.

use super::{Net, images, largest, normalization};
use crate::common::adapter;
use serde_json::Value;
use wgrad::robust::*;
use wgrad::{Device, Error, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../golden/robust.json")).unwrap()
}

fn classes(device: &Device, name: &str) -> Tensor {
    let classes: Vec<i32> = serde_json::from_value(golden()[name].clone()).unwrap();
    Tensor::from_slice(device, &classes, &[classes.len()]).unwrap()
}

#[test]
fn adversarial_images_are_those_of_torchattacks_and_foolbox() {
    let (golden, normalization) = (golden(), normalization());
    let devices = [Some((Device::reference(), 1e-7)), adapter().map(|device| (device, 1e-4))];
    for (device, bound) in devices.into_iter().flatten() {
        let model = Net::new(&device);
        let net = Classifier::new(&model).normalization(&normalization);
        let (labels, targets) = (classes(&device, "labels"), classes(&device, "targets"));
        let carlini = CarliniWagnerOptions::default().searches(3).lr(0.1).confidence(0.1).initial_const(1.0);
        let pgd = PgdOptions::default().random_start(false).steps(6);
        let (any, wanted) = (Goal::untargeted(&labels), Goal::targeted(&targets));
        let by_gradient: [(&str, Box<dyn Attack>); 5] = [
            ("fgsm", Box::new(Fgsm { eps: 0.05 })),
            ("bim", Box::new(Pgd::bim(0.05, 0.02, 5))),
            ("pgd", Box::new(Pgd::new(&pgd.eps(0.04).step(0.015)))),
            ("pgd_l2", Box::new(Pgd::new(&pgd.norm(Norm::L2).eps(0.5).step(0.2)))),
            ("mi_fgsm", Box::new(MiFgsm { eps: 0.05, step: 0.02, steps: 5, decay: 0.7 })),
        ];
        let by_search: [(&str, &dyn Attack, &Goal); 3] = [
            ("deep_fool", &DeepFool::new(&DeepFoolOptions::default().steps(20).candidates(4)), &any),
            ("carlini_wagner", &CarliniWagner::new(&carlini.steps(12)), &any),
            ("carlini_wagner_targeted", &CarliniWagner::new(&carlini.steps(15)), &wanted),
        ];
        let check = |name: &str, attack: &dyn Attack, goal: &Goal| {
            let expected: Vec<f64> = serde_json::from_value(golden[name].clone()).unwrap();
            let got = attack.perturb(&net, &images(&device), goal).unwrap().to_f64().unwrap();
            assert_eq!(got.len(), expected.len());
            let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < bound, "{name}: {apart:.1e}");
        };
        for (name, attack) in &by_gradient {
            check(name, &**attack, &any);
            check(&format!("{name}_targeted"), &**attack, &wanted);
        }
        // Long chains of the same calls, which the adapter need not repeat.
        for (name, attack, goal) in by_search.into_iter().filter(|_| device.is_reference()) {
            check(name, attack, goal);
        }
    }
}

/// Random starts differ, and stay within the bound and between 0 and 1; further attempts only raise the loss.
#[test]
fn random_attacks_stay_within_their_bounds() {
    let device = Device::reference();
    let model = Net::new(&device);
    let (net, goal) = (Classifier::new(&model), Goal::untargeted(&classes(&device, "labels")));
    let x = images(&device);
    let pgd = PgdOptions::default().eps(0.2).step(0.05).steps(2);
    let attacks: [(Box<dyn Attack>, f64); 3] = [
        (Box::new(RFgsm { eps: 0.2, alpha: 0.15 }), 0.2),
        (Box::new(Pgd::new(&pgd)), 0.2),
        (Box::new(Pgd::new(&pgd.norm(Norm::L2).eps(0.6))), 0.6),
    ];
    for (at, (attack, eps)) in attacks.iter().enumerate() {
        let [first, second] = [1, 2].map(|seed| {
            device.manual_seed(seed);
            attack.perturb(&net, &x, &goal).unwrap()
        });
        assert!(largest(&first.sub(&second).unwrap()) > 1e-3, "{at}: the starts are the same");
        let change = first.sub(&x).unwrap();
        let size = if at == 2 { change.flatten(1, -1).unwrap().norm(2.0, 1).unwrap() } else { change };
        assert!(largest(&size) <= eps + 1e-9, "{at}: {}", largest(&size));
        assert!(first.to_f64().unwrap().iter().all(|value| (0.0..=1.0).contains(value)), "{at}");
    }
    let losses = |restarts: usize| {
        device.manual_seed(4);
        let near = Pgd::new(&pgd.restarts(restarts)).perturb(&net, &x, &goal).unwrap();
        let options = wgrad::CrossEntropyOptions::default().reduction(wgrad::Reduction::None);
        net.logits(&near).unwrap().cross_entropy(goal.labels(), &options).unwrap().to_f64().unwrap()
    };
    let (once, four) = (losses(1), losses(4));
    assert!(four.iter().zip(&once).all(|(four, once)| four >= once) && four != once, "{once:?} {four:?}");
}

#[test]
fn wrong_attacks_are_errors() {
    let device = Device::reference();
    let model = Net::new(&device);
    let (net, labels, x) = (Classifier::new(&model), classes(&device, "labels"), images(&device));
    let (any, wanted) = (Goal::untargeted(&labels), Goal::targeted(&labels));
    let too_few = Goal::untargeted(&labels.narrow(0, 0, 2).unwrap());
    let attacks: [(Box<dyn Attack>, &Goal, &str); 7] = [
        (Box::new(Fgsm { eps: 0.0 }), &any, "eps 0"),
        (Box::new(Fgsm { eps: 0.1 }), &too_few, "labels [2]"),
        (Box::new(RFgsm { eps: 0.1, alpha: 0.2 }), &any, "expected positive numbers"),
        (Box::new(Pgd::new(&PgdOptions::default().restarts(0))), &any, "0 restarts"),
        (Box::new(Pgd::new(&PgdOptions::default().restarts(2).random_start(false))), &any, "random start"),
        (Box::new(DeepFool::default()), &wanted, "without a target"),
        (Box::new(CarliniWagner::new(&CarliniWagnerOptions::default().lr(0.0))), &any, "steps of 0"),
    ];
    for (attack, goal, words) in attacks {
        let error = attack.perturb(&net, &x, goal).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(words), "{error}");
    }
}

//! Staged unfreezing: frozen parts don't move, nor do their statistics, also in a resumed run, and thaw when they should.

use crate::setting::{AfterEpoch, AfterStep, Net, bits, images};
use std::cell::RefCell;
use std::path::Path;
use wgrad::models::segmentation::{Fcn, FcnOptions};
use wgrad::models::{ResNet, ResNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{ParamGroup, Sgd, SgdOptions};
use wgrad::train::{Checkpoints, Finetuning, ImageLoader, Run, Supervised, Trainer, TrainerOptions};
use wgrad::{Device, DeviceOptions, Noop, Result};

const EPOCHS: u64 = 3;
const UNFREEZE_AT: u64 = 2;
/// Steps of an epoch.
const STEPS: u64 = 3;

/// Values by name.
type Values = Vec<(String, Vec<f64>)>;

fn values(model: &dyn Module) -> Values {
    let of = |(name, parameter): (String, wgrad::Parameter)| (name, parameter.value().to_f64().unwrap());
    model.named_parameters().into_iter().map(of).collect()
}

/// The names of the values that differ.
fn moved(before: &[(String, Vec<f64>)], after: &[(String, Vec<f64>)]) -> Vec<String> {
    before.iter().zip(after).filter(|(a, b)| a.1 != b.1).map(|(a, _)| a.0.clone()).collect()
}

/// Trains a network whose head alone is trained until the last epoch: the values after each epoch, and the bits of the end.
fn run(path: &Path, stop_at: Option<u64>, is_resumed: bool) -> Result<(Vec<Values>, Vec<u64>)> {
    let device = Device::reference();
    device.manual_seed(if is_resumed { 99 } else { 3 });
    let model = Net::new(&device);
    let groups = vec![
        ParamGroup::new(Finetuning::part(&model, "backbone")?, SgdOptions::default().lr(0.01)),
        ParamGroup::new(Finetuning::part(&model, "head.*")?, SgdOptions::default().lr(0.1)),
    ];
    let mut sgd = Sgd::with_groups(groups)?;
    let set = images(11, 1);
    let loader = ImageLoader::shuffled(&set, &device, 4, 5)?;
    let by_epoch = RefCell::new(vec![values(&model)]);
    let stops = |run: &mut Run| {
        if stop_at == Some(run.step) {
            run.requests.stop("enough");
        }
        Ok(())
    };
    let notes = |run: &mut Run| {
        by_epoch.borrow_mut().push(values(run.model));
        Ok(())
    };
    let mut task = Supervised::classification();
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(EPOCHS).seed(5))?
        .callback(Finetuning::new(["backbone"]).unfreeze_at(UNFREEZE_AT, "backbone"))
        .callback(AfterStep(stops))
        .callback(AfterEpoch(notes))
        .callback(Checkpoints::at(path));
    if is_resumed {
        trainer.resume(path, &model, &mut sgd, &mut task)?;
    }
    trainer.fit(&model, &mut sgd, &mut task, &loader, Some(&loader))?;
    drop(trainer);
    Ok((by_epoch.into_inner(), bits(&device, &model, &sgd)))
}

#[test]
fn a_frozen_backbone_stays_with_its_statistics_until_it_thaws() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let (by_epoch, expected) = run(&folder.path().join("whole"), None, false)?;
    for epoch in 0..EPOCHS as usize {
        let moved = moved(&by_epoch[epoch], &by_epoch[epoch + 1]);
        let all = ["body.weight", "body.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"];
        let all = [&all[..], &["norm.num_batches_tracked", "head.weight", "head.bias"]].concat();
        // A bias before a norm has no gradient except roundings.
        let moved: Vec<&str> = moved.iter().map(String::as_str).filter(|name| *name != "body.bias").collect();
        let expected: Vec<&str> = all.into_iter().filter(|name| *name != "body.bias").collect();
        let expected = if epoch < UNFREEZE_AT as usize { expected[expected.len() - 2..].to_vec() } else { expected };
        assert_eq!(moved, expected, "epoch {epoch}");
    }
    // Interrupted within a frozen epoch, within the one that thaws, and between.
    for step in [1, STEPS + 1, UNFREEZE_AT * STEPS, UNFREEZE_AT * STEPS + 1] {
        let half = folder.path().join(format!("half{step}"));
        run(&half, Some(step), false)?;
        assert!(run(&half, None, true)?.1 == expected, "stopped after step {step}");
    }
    Ok(())
}

#[test]
fn parts_are_found_by_name() -> Result<()> {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18().classes(5))?;
    let trained = |net: &dyn Module| -> Vec<String> {
        net.parameters().iter().filter(|p| p.requires_grad()).map(|p| p.name().to_string()).collect()
    };
    let training = |net: &dyn Module| -> Vec<String> {
        let is_training = |layer: &dyn Module| layer.mode().is_some_and(wgrad::nn::Mode::is_training);
        net.named_modules().into_iter().filter(|(_, layer)| is_training(*layer)).map(|(name, _)| name).collect()
    };
    let stages = Finetuning::new(["backbone"]).unfreeze_at(1, "layer4.1.*").unfreeze_at(3, "backbone");
    stages.apply(&net, 0)?;
    assert_eq!((trained(&net), training(&net)), (vec!["fc.weight".into(), "fc.bias".into()], vec![]));
    stages.apply(&net, 2)?;
    assert_eq!(training(&net), ["layer4.1.bn1", "layer4.1.bn2"]);
    assert_eq!((trained(&net).len(), &*trained(&net)[0]), (8, "layer4.1.conv1.weight"));
    stages.apply(&net, 3)?;
    assert_eq!((trained(&net).len(), training(&net).len()), (62, 20));
    let error = Finetuning::new(["layer5.*"]).apply(&net, 0).unwrap_err().to_string();
    assert!(error.contains("no parameter belongs to the part \"layer5.*\""), "{error}");

    // The part is the network's backbone if it has one.
    let net = Fcn::new(&Scope::new(&device), &FcnOptions::fcn_resnet50().classes(2))?;
    Finetuning::new(["backbone"]).apply(&net, 0)?;
    assert!(trained(&net).iter().all(|name| name.starts_with("classifier.")) && trained(&net).len() == 5);
    assert_eq!(training(&net), ["", "classifier.1", "classifier.3"]);
    Ok(())
}

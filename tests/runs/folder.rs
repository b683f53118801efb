//! Files of a run's folder.

use crate::setting::{AfterEpoch, images};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Averaged, Averaging, Sgd, SgdOptions};
use wgrad::train::{
    BestWeights, Checkpoints, Config, Fit, ImageLoader, Monitor, Run, Supervised, Trainer, TrainerOptions, evaluate,
};
use wgrad::weights::{self, Metadata, SaveOptions};
use wgrad::{Device, Error, Result};

/// A run of a registered network in a folder, which may fail after an epoch.
fn fit(folder: &Path, epochs: u64, fails_after: Option<u64>, resume: bool) -> Result<Fit> {
    let device = Device::reference();
    device.manual_seed(5);
    let options = ModelOptions::default().classes(3).channels(1).size(28);
    let model = models::by_name("lenet5", &Scope::new(&device), &options)?;
    let sgd = Sgd::new(&model, SgdOptions::default().lr(0.05))?;
    let mut optimizer = Averaged::new(sgd, Averaging::Ema { decay: 0.5 })?;
    let (train, validation) = (images28(6, 1), images28(4, 2));
    let train = ImageLoader::shuffled(&train, &device, 3, 0)?;
    let validation = ImageLoader::in_order(&validation, &device, 4)?;
    let about = Metadata::new("lenet5", options).with_classes(["a", "b", "c"]);
    let fail = |run: &mut Run| match fails_after == Some(run.epoch) {
        true => Err(Error::invalid("test", "no more")),
        false => Ok(()),
    };
    let mut task = Supervised::classification();
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(epochs).folder(folder))?
        .callback(AfterEpoch(fail))
        .callback(Config::default().with("image_size", 28)?.classes(["a", "b", "c"]))
        .callback(BestWeights::new(Monitor::min("val/loss"), SaveOptions::default().metadata(about)))
        .callback(Checkpoints::default());
    if resume {
        trainer.resume(&folder.join("last.safetensors"), &model, &mut optimizer, &mut task)?;
    }
    let fit = trainer.fit(&model, &mut optimizer, &mut task, &train, Some(&validation))?;
    // The file is of the averages that were evaluated.
    let (best, metadata) = weights::open(folder.join("best.safetensors"), &device)?;
    let loss = evaluate(&best, &mut task, &validation)?.scalar("loss").unwrap();
    let expected = fit.scalar("val/loss").unwrap();
    assert!(loss <= expected * (1.0 + 1e-6), "{loss} {expected}");
    assert_eq!(metadata.classes, ["a", "b", "c"]);
    Ok(fit)
}

/// Images of 28 x 28 pixels: those of 2 x 2, each pixel 14 x 14 times.
fn images28(count: usize, seed: u64) -> wgrad::data::Images {
    let small = images(count, seed);
    let pixels: Vec<u8> = (0..count)
        .flat_map(|index| {
            let image = wgrad::data::Dataset::get(&small, index).unwrap().image;
            (0..28 * 28).map(move |at| image.pixels()[at / 28 / 14 * 2 + at % 28 / 14])
        })
        .collect();
    let array = wgrad::data::Array::new(vec![count, 28, 28], pixels).unwrap();
    wgrad::data::Images::new(array, small.labels().to_vec(), small.classes().to_vec()).unwrap()
}

#[test]
fn a_folder_tells_of_its_run() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/run");
    let error = fit(&path, 3, Some(1), false).unwrap_err();
    assert!(error.to_string().contains("no more"), "{error}");
    let config: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path.join("config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["model"], &config["optimizer"], &config["epochs"]),
        (&"LeNet5".into(), &"sgd".into(), &3.into())
    );
    assert_eq!((&config["image_size"], &config["batches"], &config["lr"][0]), (&28.into(), &2.into(), &0.05.into()));
    assert_eq!(fs::read_to_string(path.join("classes.txt")).unwrap(), "a\nb\nc\n");

    // A new run does not write over the old one's checkpoint; the old one goes on.
    let before = fs::read(path.join("last.safetensors")).unwrap();
    let error = fit(&path, 3, None, false).unwrap_err().to_string();
    assert!(error.contains("a checkpoint of another run"), "{error}");
    assert!(fs::read(path.join("last.safetensors")).unwrap() == before);
    let fit = fit(&path, 3, None, true).unwrap();
    assert_eq!((fit.epochs, fit.steps), (3, 6));
}

#[test]
fn callbacks_that_write_need_a_folder() {
    let device = Device::reference();
    let set = images(4, 1);
    let train = ImageLoader::in_order(&set, &device, 4).unwrap();
    let refused = |add: &dyn Fn(Trainer<'static>) -> Trainer<'static>| {
        let model = crate::setting::Net::new(&device);
        let mut sgd = Sgd::new(model.parameters(), SgdOptions::default()).unwrap();
        let mut trainer = add(Trainer::new(&device, TrainerOptions::default()).unwrap());
        let fit = trainer.fit(&model, &mut sgd, &mut Supervised::classification(), &train, None);
        fit.unwrap_err().to_string()
    };
    let messages = [
        refused(&|trainer| trainer.callback(Checkpoints::default())),
        refused(&|trainer| trainer.callback(Config::default())),
        refused(&|trainer| trainer.callback(BestWeights::new(Monitor::min("val/loss"), SaveOptions::default()))),
    ];
    for message in messages {
        assert!(message.contains("set TrainerOptions::folder"), "{message}");
    }
    let message = refused(&|trainer| trainer.callback(Checkpoints::at("/nowhere/run")));
    assert!(message.contains("there is no folder /nowhere"), "{message}");
}

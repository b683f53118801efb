//! Runs whose loss is not finite any more.

use crate::setting::images;
use wgrad::nn::{Children, Linear, Module, Scope};
use wgrad::optim::{Adam, AdamOptions};
use wgrad::train::{ImageLoader, Supervised, Trainer, TrainerOptions};
use wgrad::{Device, Error, Result, Tensor};

/// A layer whose logarithm the training leads below 0.
struct Net {
    fc: Linear,
}

impl Module for Net {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let outputs = self.fc.forward(&input.flatten(1, -1)?)?;
        outputs.square()?.neg()?.add_scalar(9.0)?.log()
    }
    fn children(&self) -> Children<'_> {
        wgrad::nn::children![self; fc]
    }
}

fn fails(find_nan: bool) -> Error {
    let device = Device::reference();
    device.manual_seed(1);
    let model = Net { fc: Linear::new(&Scope::new(&device).at("fc"), 4, 3).unwrap() };
    let mut adam = Adam::new(&model, AdamOptions::default().lr(0.05)).unwrap();
    let set = images(40, 1);
    let train = ImageLoader::shuffled(&set, &device, 4, 0).unwrap();
    let options = TrainerOptions::default().epochs(100).log_every(7).find_nan(find_nan);
    let mut trainer = Trainer::new(&device, options).unwrap();
    trainer.fit(&model, &mut adam, &mut Supervised::classification(), &train, None).unwrap_err()
}

#[test]
fn a_run_names_the_operation_that_gave_nan_first() {
    match fails(true) {
        Error::NotFinite { op, leaf, .. } => assert_eq!((op, leaf), ("log", false)),
        other => panic!("{other}"),
    }
    let message = fails(false).to_string();
    assert!(message.starts_with("fit: the loss of step ") && message.contains("find_nan"), "{message}");
}

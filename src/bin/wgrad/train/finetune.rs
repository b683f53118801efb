//! Further training of an existing network, and measures of it.

use super::arguments::{Auto, OptimizerKind};
use super::batches::Feeder;
use super::pictures::Pictures;
use super::settings::Settings;
use super::{augment, optimizer, plan};
use crate::collection::{Channels, Collection, Source};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::network::Network;
use crate::run_folder::CONFIG;
use clap::Args;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use wgrad::Error;
use wgrad::logs::Progress;
use wgrad::train::{Callback, Loader, Scheduled, Trainer, TrainerOptions, evaluate};

#[derive(Args)]
pub struct Further {
    /// Passes over the training pictures
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub epochs: u64,
    /// Highest learning rate, which falls along a cosine
    #[arg(long, value_name = "LR", default_value_t = 1e-3)]
    pub lr: f64,
    /// Pictures per batch
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: usize,
    /// Seed of order and augmentation
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// A network's pictures, and the settings to train it further.
pub struct Finetune<'a> {
    network: &'a Network,
    context: &'a Context,
    settings: Settings,
    lr: f64,
    pub batch_size: usize,
    pictures: Pictures,
    workers: usize,
}

impl<'a> Finetune<'a> {
    /// Reads the pictures. Settings are those of the network's run where `path` is its folder. The pictures that measure it are
    /// the test part if there is one, else the validation part, else those that the run held back.
    pub fn new(
        network: &'a Network,
        path: &Path,
        source: &Source,
        further: &Further,
        context: &'a Context,
    ) -> Outcome<Finetune<'a>> {
        let rules = [
            (further.lr > 0.0 && further.lr.is_finite(), "--lr must be above 0"),
            (further.batch_size > 0, "--batch-size must be at least 1"),
        ];
        if let Some((_, rule)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Err(Failure::usage(rule));
        }
        let known = match path.join(CONFIG).is_file() {
            true => Settings::read(path)?,
            false => Settings::plain(&source.data, OptimizerKind::AdamW),
        };
        let settings = Settings {
            data: source.data.clone(),
            channels: Channels::of(network.about.options.channels),
            size: Some(network.size()?),
            freeze: Vec::new(),
            unfreeze_at: None,
            backbone_lr: None,
            ema: None,
            epochs: further.epochs,
            lr: Auto::Value(further.lr),
            batch_size: Auto::Value(further.batch_size),
            overfit_one_batch: false,
            ..known
        };
        let collection = Collection::open(source, settings.channels)?;
        let classes = &network.about.classes;
        if *classes != collection.classes {
            let message =
                format!("the network knows {}, and not {}", classes.join(", "), collection.classes.join(", "));
            return Err(
                Failure::new(message).hint("DATA must have the classes that it was trained for, in their order")
            );
        }
        let val = collection.test.clone().or(collection.val);
        let collection = Collection { val, ..collection };
        let workers = available_parallelism().map_or(1, usize::from);
        network.device().manual_seed(further.seed);
        let pictures = Pictures::read(&collection, &settings, workers, Some(network.normalization()?), context)?;
        let settings = Settings { seed: further.seed, ..settings };
        let Further { lr, batch_size, .. } = *further;
        Ok(Finetune { network, context, settings, lr, batch_size, pictures, workers })
    }

    /// The steps of the training.
    pub fn steps(&self) -> Outcome<u64> {
        Ok(self.settings.epochs * self.feeder().train(self.batch_size, self.augment()?)?.batches() as u64)
    }

    /// The accuracy on pictures that were not trained on.
    pub fn accuracy(&self) -> Outcome<f64> {
        let mut task = plan::task(&self.settings, &self.pictures, self.network.device())?;
        let val = self.feeder().val(self.batch_size)?;
        let model = &*self.network.model;
        let evaluation = evaluate(model, &mut task, &val)?;
        let missing = || Error::invalid("evaluate", "no picture could be read");
        Ok(evaluation.scalar("accuracy").ok_or_else(missing)?)
    }

    /// Trains.
    pub fn fit(&self, callback: Option<&mut dyn Callback>) -> Outcome {
        let stop = interrupt::listen()?;
        let (device, model) = (self.network.device(), &*self.network.model);
        let mut optimizer = optimizer::build(&self.settings, model, &[], self.lr)?;
        let train = self.feeder().train(self.batch_size, self.augment()?)?;
        let steps = self.settings.epochs * train.batches() as u64;
        let schedule = optimizer::schedule(&self.settings, &mut *optimizer, steps)?;
        let options = TrainerOptions::default().epochs(self.settings.epochs).log_every(10u64);
        let mut trainer = Trainer::new(device, options)?
            .callback(Scheduled::by_step(schedule))
            .callback(stop.clone())
            .callback(if self.context.is_quiet() { Progress::quiet() } else { Progress::new() });
        if let Some(callback) = callback {
            trainer = trainer.callback(callback);
        }
        let mut task = plan::task(&self.settings, &self.pictures, device)?;
        trainer.fit(model, &mut *optimizer, &mut task, &train, None)?;
        drop(trainer);
        model.eval();
        match stop.is_requested() {
            true => Err(Failure::new("interrupted, and nothing was written").code(130)),
            false => Ok(()),
        }
    }

    fn augment(&self) -> Outcome<Arc<wgrad::transforms::Compose>> {
        Ok(Arc::new(augment::compose(&self.settings, &self.pictures.normalization, self.pictures.size)?))
    }

    fn feeder(&self) -> Feeder<'_> {
        let Finetune { network, pictures, workers, settings, .. } = self;
        Feeder { device: network.device(), pictures, workers: *workers, seed: settings.seed }
    }
}

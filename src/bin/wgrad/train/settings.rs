//! The options of a run, with defaults for those not given. They are a part of the run's `config.json`.

use super::arguments::{Arguments, Augment, Auto, ClassWeights, Duration, OptimizerKind, Schedule};
use crate::collection::Channels;
use crate::distill::Teaching;
use crate::failure::{Failure, Outcome};
use crate::run_folder::{CONFIG, weights_of};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use wgrad::train::Finetuning;
use wgrad::weights::Metadata;

/// Key of the settings in `config.json`.
pub const SETTINGS: &str = "settings";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub data: String,
    /// `None` until the pictures are known, as `size` is.
    pub channels: Option<Channels>,
    pub model: String,
    pub weights: Option<PathBuf>,
    pub freeze: Vec<String>,
    pub unfreeze_at: Option<u64>,
    pub backbone_lr: Option<f64>,
    pub epochs: u64,
    /// `None` until the pictures are known.
    pub size: Option<usize>,
    pub batch_size: Auto<usize>,
    pub augment: Augment,
    pub flip: bool,
    pub optimizer: OptimizerKind,
    pub lr: Auto<f64>,
    pub schedule: Schedule,
    pub weight_decay: f64,
    pub label_smoothing: f64,
    pub class_weights: ClassWeights,
    pub sam: Option<f64>,
    pub ema: Option<f64>,
    pub amp: bool,
    pub val_split: f64,
    pub early_stop: Option<u64>,
    pub max_time: Option<Duration>,
    pub overfit_one_batch: bool,
    pub seed: u64,
    #[serde(default)]
    pub teaching: Option<Teaching>,
}

impl Settings {
    /// The settings of a new run.
    pub fn new(arguments: &Arguments) -> Outcome<Settings> {
        let optimizer = arguments.optimizer.unwrap_or(OptimizerKind::AdamW);
        let plain = Settings::plain(&arguments.source.data, optimizer);
        let settings = match (arguments.weights.clone(), plain.lr) {
            (Some(path), Auto::Value(lr)) => Settings { weights: Some(path), lr: Auto::Value(lr / 10.0), ..plain },
            _ => plain,
        };
        settings.with(arguments)
    }

    /// Those that an optimizer takes where nothing else is said.
    pub fn plain(data: &str, optimizer: OptimizerKind) -> Settings {
        let (lr, weight_decay) = match optimizer {
            OptimizerKind::Sgd => (0.05, 5e-4),
            OptimizerKind::Lion => (1e-4, 0.1),
            _ => (1e-3, 0.01),
        };
        Settings {
            data: data.to_string(),
            channels: None,
            model: "resnet18".to_string(),
            weights: None,
            freeze: Vec::new(),
            unfreeze_at: None,
            backbone_lr: None,
            epochs: 10,
            size: None,
            batch_size: Auto::Auto,
            augment: Augment::Light,
            flip: false,
            optimizer,
            lr: Auto::Value(lr),
            schedule: Schedule::Cosine,
            weight_decay,
            label_smoothing: 0.1,
            class_weights: ClassWeights::Auto,
            sam: None,
            ema: None,
            amp: false,
            val_split: 0.2,
            early_stop: None,
            max_time: None,
            overfit_one_batch: false,
            seed: 0,
            teaching: None,
        }
    }

    /// The settings of the run in a folder, replaced by those given now.
    pub fn resumed(folder: &Path, arguments: &Arguments) -> Outcome<Settings> {
        Settings::read(folder)?.with(arguments)
    }

    /// The settings of the run in a folder.
    pub fn read(folder: &Path) -> Outcome<Settings> {
        let path = folder.join(CONFIG);
        let fault = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{}: {error}", path.display()))
                .hint("it is a run's folder where `wgrad train` began a run")
        };
        let text = fs::read_to_string(&path).map_err(|error| fault(&error))?;
        let config: Value = serde_json::from_str(&text).map_err(|error| fault(&error))?;
        Settings::deserialize(&config[SETTINGS]).map_err(|error| fault(&error))
    }

    /// The channels asked for, or those of the weights to start from or of the teacher, if these name any.
    pub fn wanted_channels(&self) -> Option<Channels> {
        if self.channels.is_some() {
            return self.channels;
        }
        let teacher = self.teaching.as_ref().map(|teaching| &teaching.teacher);
        let about = Metadata::read(weights_of(self.weights.as_ref().or(teacher)?)?).ok()?;
        Channels::of(about.options.channels)
    }

    /// The parts of the network that are frozen, and until when.
    pub fn finetuning(&self) -> Finetuning {
        let frozen = Finetuning::new(&self.freeze);
        let Some(epoch) = self.unfreeze_at else { return frozen };
        self.freeze.iter().fold(frozen, |stages, part| stages.unfreeze_at(epoch, part))
    }

    /// The learning rate of all but the last layer, as a fraction of that layer's.
    pub fn backbone_share(&self) -> f64 {
        self.backbone_lr.unwrap_or(if self.unfreeze_at.is_some() { 0.1 } else { 1.0 })
    }

    /// Names and values of the settings that are set.
    pub fn listed(&self) -> Outcome<Vec<(String, String)>> {
        let settings: Map<String, Value> = serde_json::from_value(serde_json::to_value(self)?)?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let set = settings.iter().filter(|(_, value)| !value.is_null());
        Ok(set.map(|(name, value)| (name.clone(), text(value))).collect())
    }

    fn with(self, given: &Arguments) -> Outcome<Settings> {
        let settings = Settings {
            channels: given.source.channels.or(self.channels),
            model: given.model.clone().unwrap_or(self.model),
            freeze: if given.freeze.is_empty() { self.freeze } else { given.freeze.clone() },
            unfreeze_at: given.unfreeze_at.or(self.unfreeze_at),
            backbone_lr: given.backbone_lr.or(self.backbone_lr),
            epochs: given.epochs.unwrap_or(self.epochs),
            size: given.size.or(self.size),
            batch_size: given.batch_size.unwrap_or(self.batch_size),
            augment: given.augment.unwrap_or(self.augment),
            flip: given.flip || self.flip,
            optimizer: given.optimizer.unwrap_or(self.optimizer),
            lr: given.lr.unwrap_or(self.lr),
            schedule: given.schedule.unwrap_or(self.schedule),
            weight_decay: given.weight_decay.unwrap_or(self.weight_decay),
            label_smoothing: given.label_smoothing.unwrap_or(self.label_smoothing),
            class_weights: given.class_weights.unwrap_or(self.class_weights),
            sam: given.sam.or(self.sam),
            ema: given.ema.or(self.ema),
            amp: given.amp || self.amp,
            val_split: given.val_split.unwrap_or(self.val_split),
            early_stop: given.early_stop.or(self.early_stop),
            max_time: given.max_time.or(self.max_time),
            overfit_one_batch: given.overfit_one_batch || self.overfit_one_batch,
            seed: given.seed.unwrap_or(self.seed),
            ..self
        };
        settings.check()?;
        Ok(settings)
    }

    /// Rejects numbers that make no run, before anything is read.
    fn check(&self) -> Outcome {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let rules = [
            (self.epochs > 0, "--epochs must be at least 1"),
            (self.unfreeze_at.is_none() || !self.freeze.is_empty(), "--unfreeze-at needs --freeze"),
            (self.backbone_lr.is_none_or(|share| share > 0.0 && share.is_finite()), "--backbone-lr must be above 0"),
            (self.size != Some(0), "--size must be at least 1"),
            (self.batch_size != Auto::Value(0), "--batch-size must be at least 1"),
            (share(self.label_smoothing), "--label-smoothing must be at least 0 and below 1"),
            (share(self.val_split) && self.val_split > 0.0, "--val-split must be above 0 and below 1"),
            (self.sam.is_none_or(|rho| rho > 0.0 && rho.is_finite()), "--sam must be above 0"),
            (self.ema.is_none_or(share), "--ema must be at least 0 and below 1"),
            (self.weight_decay >= 0.0 && self.weight_decay.is_finite(), "--weight-decay must not be negative"),
            (!matches!(self.lr, Auto::Value(lr) if !(lr > 0.0 && lr.is_finite())), "--lr must be above 0"),
            (self.early_stop != Some(0), "--early-stop must be at least 1"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(Failure::usage(rule)),
            None => Ok(()),
        }
    }
}

//! The options of `wgrad train`.

use crate::collection::Source;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// Train a network on a folder of pictures
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad train flowers
  wgrad train flowers --model mobilenet_v1 --epochs 30 --augment trivial --flip
  wgrad train flowers --weights resnet18.safetensors --freeze backbone --unfreeze-at 5
  wgrad train cifar10 --data-dir cifar-10-batches-bin --amp
  wgrad train flowers --out runs/1 --resume")]
pub struct Arguments {
    #[command(flatten)]
    pub source: Source,
    /// The network; `wgrad models` lists them [default: resnet18, with a small stem for pictures up to 64]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Start from the weights in this file, which may have other classes
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Freeze the parameters whose names match, such as 'layer?.*'; `backbone` is all but the last layer. Frozen norms keep
    /// their statistics
    #[arg(long, value_name = "PATTERN")]
    pub freeze: Vec<String>,
    /// Train what --freeze froze from this epoch on, after as many of the rest alone
    #[arg(long, value_name = "EPOCH")]
    pub unfreeze_at: Option<u64>,
    /// Learning rate of all but the last layer, as a share of the others' [default: 1, with --unfreeze-at 0.1]
    #[arg(long, value_name = "X")]
    pub backbone_lr: Option<f64>,
    /// Passes over the training pictures [default: 10]
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Height and width to which pictures are resized [default: 224, or less if the pictures are small]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Pictures per step, or auto [default: auto: up to 64, as many as fit]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<Auto<usize>>,
    /// Random changes of the training pictures [default: light]
    #[arg(long, value_enum)]
    pub augment: Option<Augment>,
    /// Mirror training pictures from left to right at random, where that leaves their class the same
    #[arg(long)]
    pub flip: bool,
    /// [default: adamw]
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerKind>,
    /// Highest learning rate, or auto to find one by a range test [default: 0.001, for sgd 0.05; a tenth with --weights]
    #[arg(long, value_name = "LR")]
    pub lr: Option<Auto<f64>>,
    /// Course of the learning rate after a warm-up of a twentieth of the steps [default: cosine]
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// [default: 0.01, for sgd 0.0005]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Label smoothing: the share of each target that is spread over all classes [default: 0.1]
    #[arg(long, value_name = "X")]
    pub label_smoothing: Option<f64>,
    /// Weights of the classes in the loss: auto weighs rare ones more if the largest has twice the pictures of the
    /// smallest [default: auto]
    #[arg(long, value_enum)]
    pub class_weights: Option<ClassWeights>,
    /// Take each step by the gradient at the worst point this far away, which takes twice the time and may generalize better
    /// (SAM), such as 0.05
    #[arg(long, value_name = "RHO")]
    pub sam: Option<f64>,
    /// Evaluate and keep moving averages of the weights with this decay, such as 0.99
    #[arg(long, value_name = "DECAY")]
    pub ema: Option<f64>,
    /// Compute in half precision where it is safe
    #[arg(long)]
    pub amp: bool,
    /// Share of the training pictures to validate on, if there is no val/ [default: 0.2]
    #[arg(long, value_name = "X")]
    pub val_split: Option<f64>,
    /// Stop when the validation loss has not fallen for N epochs
    #[arg(long, value_name = "N")]
    pub early_stop: Option<u64>,
    /// Stop after a time, such as 90s, 30m or 2h
    #[arg(long, value_name = "TIME")]
    pub max_time: Option<Duration>,
    /// Train on one batch over and over: a network that can't learn it is faulty
    #[arg(long)]
    pub overfit_one_batch: bool,
    /// Threads that read pictures [default: the processor's]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Seed of weights, split, order and augmentation [default: 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The run's folder [default: the next free of runs/1, runs/2 ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the run in --out with its settings; options given now replace them
    #[arg(long, requires = "out")]
    pub resume: bool,
}

/// Random changes of training pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Augment {
    None,
    /// Small turns, shifts, scales and changes of brightness
    Light,
    /// TrivialAugment
    Trivial,
    /// RandAugment
    Rand,
    /// AutoAugment: CIFAR-10's policy up to 64 pixels, ImageNet's above
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum OptimizerKind {
    AdamW,
    Adam,
    /// With momentum 0.9
    Sgd,
    Lion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    Cosine,
    /// Falls to 0 in a straight line
    Linear,
    /// Falls to a tenth after each third of the epochs
    Step,
    Constant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    Auto,
    None,
    Balanced,
}

/// A number, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auto<T> {
    Auto,
    #[serde(untagged)]
    Value(T),
}

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Auto<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Auto<T>, String> {
        match text {
            "auto" => Ok(Auto::Auto),
            number => number.parse().map(Auto::Value).map_err(|error| format!("{error}, and it is not auto")),
        }
    }
}

/// A time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub f64);

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Duration, String> {
        let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let with_unit = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
        let (number, seconds) = with_unit.unwrap_or((text, 1.0));
        match number.parse::<f64>() {
            Ok(number) if number > 0.0 && number.is_finite() => Ok(Duration(number * seconds)),
            _ => Err("a time is a number above 0 with s, m or h after it, such as 30m".to_string()),
        }
    }
}

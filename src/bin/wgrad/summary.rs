//! `wgrad summary`: the layers of a network.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Scope, Summary};
use wgrad::weights::Metadata;
use wgrad::{Device, DeviceOptions, Noop, Tensor};

/// Show the layers of a network: shapes, parameters, multiply-adds, receptive fields
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad summary resnet18 --size 64 --classes 5
  wgrad summary runs/1/best.safetensors
  wgrad summary lenet5 --channels 1 --size 28 --json")]
pub struct Arguments {
    /// A network's name (`wgrad models` lists them), a file of weights or a run's folder
    model: String,
    #[command(flatten)]
    shape: Shape,
    /// Images per batch
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch_size: usize,
}

/// The settings of a network's constructor.
#[derive(Args)]
pub struct Shape {
    /// Classes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    classes: usize,
    /// Channels of the images
    #[arg(long, value_name = "N", default_value_t = 3)]
    channels: usize,
    /// Height and width of the images
    #[arg(long, value_name = "N", default_value_t = 224)]
    size: usize,
}

impl Shape {
    pub fn options(&self) -> ModelOptions {
        ModelOptions::default().classes(self.classes).channels(self.channels).size(self.size)
    }
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let path = Path::new(&arguments.model);
    let summary = match crate::run_folder::weights_of(path) {
        Some(file) => {
            let about = Metadata::read(file)?;
            of_name(&about.architecture, &about.options, arguments.batch_size)?
        }
        None => of_name(&arguments.model, &arguments.shape.options(), arguments.batch_size)?,
    };
    match context.json() {
        true => context.answer_json(&as_json(&summary)),
        false => context.answer(summary),
    }
}

/// The summary of a network by its name. The network is built on a device that computes nothing, so no driver is
/// needed.
pub fn of_name(name: &str, options: &ModelOptions, batch_size: usize) -> Outcome<Summary> {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    let model = models::by_name(name, &Scope::new(&device), options)
        .map_err(|error| Failure::from(error).hint("`wgrad models` lists the networks"))?;
    Ok(Summary::new(&*model, &Tensor::zeros(&device, &options.images(batch_size))?)?)
}

/// True if a network gives logits of classes for an image as a whole.
pub fn is_classifier(summary: &Summary) -> bool {
    summary.rows.first().is_some_and(|whole| whole.output.len() == 2)
}

fn as_json(summary: &Summary) -> Value {
    let rows = summary.rows.iter().map(|row| {
        json!({
            "name": row.name,
            "type": row.type_name,
            "depth": row.depth,
            "input": row.input.to_vec(),
            "output": row.output.to_vec(),
            "parameters": row.trained_parameters + row.frozen_parameters,
            "multiply_adds": row.multiply_adds,
            "receptive_field": row.receptive_field.as_ref().map(|field| field.size.to_vec()),
        })
    });
    json!({
        "layers": rows.collect::<Vec<_>>(),
        "trained_parameters": summary.trained_parameters,
        "frozen_parameters": summary.frozen_parameters,
        "parameter_bytes": summary.parameter_bytes,
        "multiply_adds": summary.multiply_adds,
        "activation_bytes": summary.activation_bytes,
    })
}

//! `wgrad models`: the available networks.

use crate::context::Context;
use crate::failure::Outcome;
use crate::summary;
use crate::table::Table;
use clap::Args;
use serde_json::json;
use wgrad::models;
use wgrad::nn::Summary;

/// List the networks that can be trained, with their sizes
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad models
  wgrad models --size 32 --classes 10")]
pub struct Arguments {
    #[command(flatten)]
    shape: summary::Shape,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let options = arguments.shape.options();
    let mut summaries: Vec<(&str, Summary)> = Vec::new();
    let mut others = Vec::new();
    for name in models::names() {
        match summary::of_name(name, &options, 1) {
            Ok(summary) if summary::is_classifier(&summary) => summaries.push((name, summary)),
            Ok(_) => {}
            Err(_) => others.push(name),
        }
    }
    if context.json() {
        let each = summaries.iter().map(|(name, summary)| {
            json!({
                "name": name,
                "parameters": summary.trained_parameters,
                "multiply_adds": summary.multiply_adds,
                "activation_bytes": summary.activation_bytes,
            })
        });
        return context.answer_json(&each.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["model", "million parameters", "million multiply-adds", "MB per image, training"]);
    let millions = |count: f64| format!("{:.2}", count / 1e6);
    for (name, summary) in summaries {
        table.row([
            name.to_string(),
            millions(summary.trained_parameters as f64),
            millions(summary.multiply_adds as f64),
            millions(summary.activation_bytes as f64),
        ]);
    }
    context.answer(table)?;
    let (size, channels) = (options.size[0], options.channels);
    context.note(format!("for {} classes and images of {channels} x {size} x {size}", options.classes));
    if !others.is_empty() {
        context.note(format!("these take no such images: {}", others.join(", ")));
    }
    Ok(())
}

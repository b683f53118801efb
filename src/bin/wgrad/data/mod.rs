//! `wgrad data`: a look at a data set before it is trained on.

mod duplicates;
mod look;
mod sheet;
mod survey;

use crate::collection::{Collection, Source};
use crate::context::Context;
use crate::failure::Outcome;
use clap::Args;
use std::path::PathBuf;
use survey::Survey;

/// Look at a data set: classes, sizes, duplicates, unreadable files
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad data flowers
  wgrad data flowers --sheet flowers.png
  wgrad data mnist --data-dir data/mnist --json")]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Write a PNG with samples of each class, one row each
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Samples per class on the sheet
    #[arg(long, value_name = "N", default_value_t = 10)]
    samples: usize,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let collection = Collection::open(&arguments.source, None)?;
    let survey = Survey::of(&collection, context)?;
    if context.json() {
        context.answer_json(&survey)?;
    } else {
        context.answer(&survey)?;
    }
    if let Some(path) = &arguments.sheet {
        let rows = sheet::write(path, &collection, arguments.samples)?;
        context.note(format!("{}: {rows}", path.display()));
    }
    Ok(())
}

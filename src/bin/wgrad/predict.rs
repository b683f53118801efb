//! `wgrad predict`: the classes of pictures.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::image_files;
use crate::network::Network;
use crate::table::Table;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use wgrad::Result;
use wgrad::data::{ColorMode, DataLoader, DataLoaderOptions, Dataset, Image, SequentialSampler};

/// Name the classes of pictures with a trained network
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad predict runs/1 new.jpg
  wgrad predict runs/1/best.safetensors holiday/ --top 3
  wgrad predict runs/1 holiday/ --csv > holiday.csv")]
pub struct Arguments {
    /// A run's folder, or a file of weights, which also describes its network
    network: PathBuf,
    /// Pictures, or folders of pictures
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Classes to list for each picture
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Write lines of file, rank, class and probability
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Pictures per batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: usize,
}

#[derive(Serialize)]
struct Prediction {
    file: String,
    /// The classes with the largest probabilities, the largest first; none where the file can't be read.
    classes: Vec<Ranked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Ranked {
    class: String,
    probability: f32,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let files = image_files::named(&arguments.images)?;
    let network = Network::open(&arguments.network, &context.device()?)?;
    let predictions = predict(&network, files, arguments)?;
    let failed = predictions.iter().filter(|prediction| prediction.error.is_some()).count();
    match (context.json(), arguments.csv) {
        (true, _) => context.answer_json(&predictions)?,
        (_, true) => context.answer(as_csv(&predictions)?)?,
        _ => context.answer(as_table(&predictions))?,
    }
    for prediction in &predictions {
        prediction.error.iter().for_each(|error| eprintln!("{error}"));
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} files can't be read", predictions.len()))),
    }
}

/// Files that threads read and resize; unreadable ones are not errors of the set.
struct Files {
    paths: Vec<PathBuf>,
    mode: ColorMode,
    size: usize,
}

impl Dataset for Files {
    type Item = Result<Image>;

    fn len(&self) -> usize {
        self.paths.len()
    }

    fn get(&self, index: usize) -> Result<Result<Image>> {
        Ok(Image::open(&self.paths[index], self.mode).and_then(|image| crate::fit::fitted(image, self.size)))
    }
}

fn predict(network: &Network, paths: Vec<PathBuf>, arguments: &Arguments) -> Outcome<Vec<Prediction>> {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let workers = available_parallelism().map_or(1, usize::from);
    let options = DataLoaderOptions::default().batch_size(arguments.batch_size).workers(workers);
    let sampler = SequentialSampler::new(paths.len());
    let set = Files { paths, mode: network.mode()?, size: network.size()? };
    let mut predictions = Vec::with_capacity(names.len());
    let mut names = names.into_iter();
    for batch in DataLoader::new(set, sampler, Ok, options)?.epoch(0)? {
        let batch = batch?;
        let readable: Vec<&Image> = batch.iter().filter_map(|image| image.as_ref().ok()).collect();
        let mut rows = network.probabilities(&readable)?.into_iter();
        for (image, file) in batch.iter().zip(names.by_ref()) {
            let error = image.as_ref().err().map(ToString::to_string);
            let row = if error.is_none() { rows.next().unwrap_or_default() } else { Vec::new() };
            predictions.push(Prediction { file, classes: ranked(network, &row, arguments.top), error });
        }
    }
    Ok(predictions)
}

fn ranked(network: &Network, probabilities: &[f32], top: usize) -> Vec<Ranked> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let ranked = |&class: &usize| Ranked { class: network.class(class), probability: probabilities[class] };
    order.iter().take(top).map(ranked).collect()
}

fn as_table(predictions: &[Prediction]) -> Table {
    let mut table = Table::new(&["file", "class", "probability", "or else"]);
    for Prediction { file, classes, .. } in predictions {
        let Some((first, rest)) = classes.split_first() else { continue };
        let percent = |ranked: &Ranked| format!("{:.1} %", 100.0 * ranked.probability);
        let rest: Vec<String> = rest.iter().map(|ranked| format!("{} {}", ranked.class, percent(ranked))).collect();
        table.row([file.clone(), first.class.clone(), percent(first), rest.join(", ")]);
    }
    table
}

fn as_csv(predictions: &[Prediction]) -> Outcome<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fault = |error: csv::Error| Failure::new(format!("CSV: {error}"));
    writer.write_record(["file", "rank", "class", "probability"]).map_err(fault)?;
    for Prediction { file, classes, .. } in predictions {
        for (rank, Ranked { class, probability }) in (1..).zip(classes) {
            let rank: u32 = rank;
            writer.write_record([file, &rank.to_string(), class, &probability.to_string()]).map_err(fault)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Failure::new(format!("CSV: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_string())
}

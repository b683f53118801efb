//! `wgrad train`: from a folder of pictures to a network.

mod arguments;
mod augment;
mod batches;
mod finetune;
mod optimizer;
mod pictures;
mod plan;
mod settings;

pub use arguments::Arguments;
pub use finetune::{Finetune, Further};

use crate::collection::Collection;
use crate::context::Context;
use crate::distill::{self, Row, Teaching};
use crate::failure::Outcome;
use crate::interrupt;
use crate::network::Network;
use crate::run_folder::{self, CONFIG, LAST};
use batches::Feeder;
use plan::Plan;
use serde_json::{Map, Value, json};
use settings::{SETTINGS, Settings};
use std::path::Path;
use std::time::Duration;
use wgrad::amp::AutocastOptions;
use wgrad::data::{Batch, Dataset};
use wgrad::logs::tensorboard::TensorBoardLogger;
use wgrad::logs::{CsvLogger, JsonLinesLogger, Progress};
use wgrad::report::ReportWriter;
use wgrad::train::{
    BestWeights, Checkpoints, Config, EarlyStopping, Estimate, Fit, Loader, Monitor, Scheduled, Supervised, TimeLimit,
    Trainer, TrainerOptions, evaluate,
};
use wgrad::weights::SaveOptions;
use wgrad::{Device, Error};

/// Steps between two readings of the loss.
const READ_EVERY: u64 = 10;

/// Trains a network, by a teacher where there is one.
pub fn run(arguments: &Arguments, taught: Option<&distill::Arguments>, context: &Context) -> Outcome {
    let stop = interrupt::listen()?;
    let folder = arguments.out.clone().unwrap_or_else(run_folder::next);
    let mut settings = match arguments.resume {
        true => Settings::resumed(&folder, arguments)?,
        false => Settings::new(arguments)?,
    };
    if let Some(given) = taught {
        settings.teaching = Some(Teaching::with(settings.teaching, given)?);
    }
    match arguments.resume {
        true => context.note(format!("resuming {}", folder.display())),
        false => run_folder::check_free(&folder)?,
    }
    let collection = Collection::open(&arguments.source, settings.wanted_channels())?;
    let plan = Plan::new(settings, &collection, arguments.workers, arguments.resume.then_some(&*folder), context)?;
    context.note(plan.described(&collection));

    let weights = SaveOptions::default().metadata(plan.metadata());
    let mut best = BestWeights::new(Monitor::max("val/accuracy"), weights).then(Monitor::min("val/loss"));
    let config = Config::default().with(SETTINGS, &plan.settings)?.classes(plan.pictures.classes.clone());
    let augment = plan.augment()?;
    let Plan { device, settings, pictures, batch_size, model, mut optimizer, answers, mut task, workers } = plan;
    let shown = pictures.val.set();
    let report = ReportWriter::new(format!("{} on {}", settings.model, settings.data))
        .answers(&answers)
        .images(move |item| Ok(shown.get(item)?.image))
        .configuration(settings.listed()?);
    let feeder = Feeder { device: &device, pictures: &pictures, workers, seed: settings.seed };
    let (train, val) = (feeder.train(batch_size, augment)?, feeder.val(batch_size)?);
    let options = TrainerOptions {
        epochs: settings.epochs,
        autocast: settings.amp.then(AutocastOptions::default),
        log_every: READ_EVERY,
        folder: Some(folder.clone()),
        seed: settings.seed,
        ..TrainerOptions::default()
    };
    let steps = settings.epochs * train.batches() as u64;
    let schedule = optimizer::schedule(&settings, &mut *optimizer, steps)?;
    let mut trainer = Trainer::new(&device, options)?
        .callback(Scheduled::by_step(schedule))
        .callback(settings.finetuning())
        .callback(config)
        .callback(&mut best)
        .callback(Checkpoints::default())
        .callback(stop.clone())
        .callback(Estimate::default())
        .callback(CsvLogger::new())
        .callback(JsonLinesLogger::new())
        .callback(TensorBoardLogger::new())
        .callback(report)
        .callback(if context.is_quiet() { Progress::quiet() } else { Progress::new() });
    if let Some(epochs) = settings.early_stop {
        trainer = trainer.callback(EarlyStopping::new(Monitor::min("val/loss")).patience(epochs));
    }
    if let Some(time) = settings.max_time {
        trainer = trainer.callback(TimeLimit::new(Duration::from_secs_f64(time.0)));
    }
    if arguments.resume {
        trainer.resume(&folder.join(LAST), &*model, &mut *optimizer, &mut task)?;
    }
    let fit = match settings.overfit_one_batch {
        true => trainer.fit(&*model, &mut *optimizer, &mut task, &train.overfit(1), None),
        false => trainer.fit(&*model, &mut *optimizer, &mut task, &train, Some(&val)),
    }?;
    drop(trainer);
    let best = Some(best.best()).filter(|best| best.is_finite());
    let rows = match (&settings.teaching, best, stop.is_requested()) {
        (Some(teaching), Some(_), false) => {
            let networks = [("teacher", &*teaching.teacher), ("student", &*folder)];
            networks.map(|(name, path)| row(name, path, &device, &*val)).into_iter().collect::<Outcome<Vec<Row>>>()?
        }
        _ => Vec::new(),
    };
    finish(&fit, best, &rows, &folder, arguments, context)?;
    match stop.is_requested() {
        true => Err(interrupt::failure(&resume_line(&folder, arguments))),
        false => Ok(()),
    }
}

/// A network's row of the table, with its accuracy in validation.
fn row(name: &'static str, path: &Path, device: &Device, val: &dyn Loader<Batch = Batch>) -> Outcome<Row> {
    let network = Network::open(path, device)?;
    let mut task = Supervised::classification().metric(plan::accuracy(device, network.about.options.classes)?);
    let accuracy = evaluate(&*network.model, &mut task, val)?.scalar("accuracy");
    let missing = || Error::invalid("evaluate", "no accuracy was measured");
    Row::of(name, &network, accuracy.ok_or_else(missing)?)
}

/// The numbers of the pictures that the run in a folder held back for validation, if it did.
pub fn validated(folder: &Path, collection: &Collection) -> Outcome<Option<Vec<usize>>> {
    if !folder.join(CONFIG).is_file() {
        return Ok(None);
    }
    let [_, (_, validated)] = pictures::split(collection, &Settings::read(folder)?)?;
    Ok(Some(validated))
}

/// Prints the result, and the next commands.
fn finish(
    fit: &Fit,
    best: Option<f64>,
    rows: &[Row],
    folder: &Path,
    arguments: &Arguments,
    context: &Context,
) -> Outcome {
    if context.json() {
        let scalars: Map<String, Value> =
            fit.scalars.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        return context.answer_json(&json!({
            "folder": folder,
            "epochs": fit.epochs,
            "steps": fit.steps,
            "images_per_second": fit.items_per_second(),
            "wait_share": fit.times.wait_share(),
            "last": scalars,
            "best": { "accuracy": best },
            "stopped": fit.stopped,
            "networks": rows,
        }));
    }
    let folder_text = folder.display();
    let pace = format!(
        "{} epochs, {:.0} images/s, {:.1} % of the time waiting for data",
        fit.epochs,
        fit.items_per_second(),
        100.0 * fit.times.wait_share(),
    );
    let Some(best) = best else {
        // One batch was learned by heart, or the run was interrupted before the first validation.
        let Some(loss) = fit.scalar("train/loss") else { return Ok(()) };
        return context.answer(format!("training loss {loss:.4} after {pace}"));
    };
    context.answer(format!("validation accuracy {best:.4} at best in {pace}"))?;
    if !rows.is_empty() {
        context.answer(distill::table(rows))?;
    }
    context.note(format!(
        "\nnext:\n  open {folder_text}/report.html\n  wgrad predict {folder_text} PICTURE...\n  wgrad evaluate {folder_text} {}\n  {} --epochs {}",
        arguments.source.data,
        resume_line(folder, arguments),
        2 * fit.epochs.max(1),
    ));
    Ok(())
}

fn resume_line(folder: &Path, arguments: &Arguments) -> String {
    format!("wgrad train {} --out {} --resume", arguments.source.data, folder.display())
}

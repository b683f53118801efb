//! `wgrad evaluate`: the scores of a network on labelled pictures.

use crate::collection::{Channels, Collection, Part, Source};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::fit::Fitted;
use crate::network::Network;
use crate::table::Table;
use crate::train;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::thread::available_parallelism;
use wgrad::data::{Batch, DataLoader, DataLoaderOptions, Dataset, Sample, SequentialSampler, stack_images};
use wgrad::metrics::{
    Average, ClassificationOptions, ConfusionMatrix, Counts, KappaWeights, Metric, Normalize, Score, StatScores, Task,
};
use wgrad::train::RunningMean;
use wgrad::{CrossEntropyOptions, no_grad};

/// The most columns of a matrix on a terminal.
const MOST_COLUMNS: usize = 12;

/// Score a network: metrics, scores by class, confusion matrix
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad evaluate runs/1 flowers
  wgrad evaluate runs/1/best.safetensors flowers --part test
  wgrad evaluate runs/1 cifar10 --data-dir cifar-10-batches-bin --json")]
pub struct Arguments {
    #[command(flatten)]
    scored: Scored,
}

// A network, and the pictures to score it on. (clap takes a documentation comment for that of the subcommand.)
#[derive(Args)]
pub struct Scored {
    /// A run's folder or a file of weights
    pub network: PathBuf,
    #[command(flatten)]
    pub source: Source,
    /// The part of the pictures [default: test if there is one, else val, else the pictures that the run in the folder
    /// validated on, else all]
    #[arg(long, value_enum)]
    part: Option<PartName>,
    /// Pictures per batch
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartName {
    Train,
    Val,
    Test,
    All,
}

#[derive(Serialize)]
pub struct Report {
    part: String,
    pub pictures: usize,
    pub accuracy: f64,
    /// Only with more than five classes.
    top5_accuracy: Option<f64>,
    balanced_accuracy: f64,
    macro_f1: f64,
    cohen_kappa: f64,
    loss: f64,
    classes: Vec<ClassReport>,
    /// Rows are true classes, columns predicted ones.
    confusion_matrix: Vec<Vec<u64>>,
    unreadable: usize,
}

#[derive(Serialize)]
struct ClassReport {
    name: String,
    pictures: u64,
    precision: f64,
    recall: f64,
    f1: f64,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let network = Network::open(&arguments.scored.network, &context.device()?)?;
    let collection = Collection::open(&arguments.scored.source, Channels::of(network.about.options.channels))?;
    let report = reports(&network, &collection, &arguments.scored)?;
    match context.json() {
        true => context.answer_json(&report),
        false => report.iter().try_for_each(|report| context.answer(report)),
    }
}

/// The scores of each part that is asked for.
pub fn reports(network: &Network, collection: &Collection, scored: &Scored) -> Outcome<Vec<Report>> {
    let numbers = numbers(collection, network)?;
    let parts = chosen(collection, scored)?.into_iter();
    parts.map(|(name, part, indices)| measured(network, name, part, indices, &numbers, scored.batch_size)).collect()
}

/// The network's number for each class of the pictures.
pub fn numbers(collection: &Collection, network: &Network) -> Outcome<Vec<i32>> {
    let of = |class: &String| {
        let at = network.about.classes.iter().position(|known| known == class);
        at.and_then(|at| i32::try_from(at).ok()).ok_or_else(|| {
            Failure::new(format!("the network knows no class {class:?}"))
                .hint(format!("it was trained for {}", network.about.classes.join(", ")))
        })
    };
    collection.classes.iter().map(of).collect()
}

/// The parts to evaluate by name, with the numbers of their pictures.
type Chosen<'a> = Vec<(String, &'a Part, Vec<usize>)>;

fn chosen<'a>(collection: &'a Collection, arguments: &Scored) -> Outcome<Chosen<'a>> {
    let whole = |name: &str, part: &'a Part| (name.to_string(), part, (0..part.len()).collect::<Vec<usize>>());
    let missing = |name: &str| Failure::new(format!("{}: there is no {name}/", arguments.source.data));
    let named =
        |name: &str, part: &'a Option<Part>| part.as_ref().map(|part| whole(name, part)).ok_or_else(|| missing(name));
    Ok(match (arguments.part, &collection.test, &collection.val) {
        (Some(PartName::Train), ..) => vec![whole("train", &collection.train)],
        (Some(PartName::Val), ..) => vec![named("val", &collection.val)?],
        (Some(PartName::Test), ..) | (None, Some(_), _) => vec![named("test", &collection.test)?],
        (None, None, Some(val)) => vec![whole("val", val)],
        (Some(PartName::All), ..) => collection.parts().into_iter().map(|(name, part)| whole(name, part)).collect(),
        (None, None, None) => vec![match train::validated(&arguments.network, collection)? {
            Some(indices) => ("the pictures that the run validated on".to_string(), &collection.train, indices),
            None => whole("all", &collection.train),
        }],
    })
}

fn measured(
    network: &Network,
    part: String,
    set: &Part,
    indices: Vec<usize>,
    numbers: &[i32],
    batch_size: usize,
) -> Outcome<Report> {
    let classes = network.about.options.classes;
    let device = network.device();
    let mut matrix = ConfusionMatrix::new(device, Task::Multiclass(classes), &ClassificationOptions::default())?;
    let mut top5 = match classes > 5 {
        true => Some(StatScores::new(device, Task::Multiclass(classes), &ClassificationOptions::default().top_k(5))?),
        false => None,
    };
    let (mut loss, mut pictures) = (RunningMean::new(device)?, 0);
    let unreadable = each_batch(network, set, indices, numbers, batch_size, |batch| {
        let logits = no_grad(|| network.model.forward(&batch.images))?;
        let count = batch.labels.numel();
        pictures += count;
        loss.add(&logits.cross_entropy(&batch.labels, &CrossEntropyOptions::default())?, count)?;
        matrix.update(&logits, &batch.labels)?;
        top5.iter_mut().try_for_each(|top5| top5.update(&logits, &batch.labels))?;
        Ok(device.flush()?)
    })?;
    let counts = matrix.counts()?;
    let matrix = matrix.matrix(Normalize::None)?;
    let rows = matrix.chunks(classes).map(|row| row.iter().map(|&count| count as u64).collect()).collect();
    let one = |counts: &Counts, score, average| Ok::<f64, Failure>(counts.score(score, average)?[0]);
    let by_class = |score| counts.score(score, Average::None);
    let (precision, recall, f1) = (by_class(Score::Precision)?, by_class(Score::Recall)?, by_class(Score::F1)?);
    let support = counts.support();
    let class = |at: usize| ClassReport {
        name: network.class(at),
        pictures: support[at],
        precision: precision[at],
        recall: recall[at],
        f1: f1[at],
    };
    Ok(Report {
        part,
        pictures,
        accuracy: one(&counts, Score::Accuracy, Average::Micro)?,
        top5_accuracy: match &top5 {
            Some(top5) => Some(one(&top5.counts()?, Score::Accuracy, Average::Micro)?),
            None => None,
        },
        balanced_accuracy: one(&counts, Score::BalancedAccuracy, Average::Micro)?,
        macro_f1: one(&counts, Score::F1, Average::Macro)?,
        cohen_kappa: one(&counts, Score::CohenKappa(KappaWeights::None), Average::Micro)?,
        loss: loss.read()?,
        classes: (0..classes).map(class).collect(),
        confusion_matrix: rows,
        unreadable,
    })
}

/// Hands on batches of pictures as the network takes them, with its numbers of their classes, and counts those that can't be read.
pub fn each_batch(
    network: &Network,
    set: &Part,
    indices: Vec<usize>,
    numbers: &[i32],
    batch_size: usize,
    mut each: impl FnMut(Batch) -> Outcome,
) -> Outcome<usize> {
    let workers = available_parallelism().map_or(1, usize::from);
    let options = DataLoaderOptions::default().batch_size(batch_size).workers(workers).skip_errors(true);
    let numbers = numbers.to_vec();
    let renumber = move |sample: Sample<i32>| {
        let target = usize::try_from(sample.target).map_or(-1, |target| numbers[target]);
        Ok(Sample { target, ..sample })
    };
    let set = Fitted { set: set.clone().subset(indices)?, size: network.size()? }.map(renumber);
    let sampler = SequentialSampler::new(set.len());
    let loader = DataLoader::new(set, sampler, stack_images, options)?;
    let normalization = network.normalization()?;
    for batch in loader.epoch(0)? {
        each(batch?.to_device(network.device(), &normalization)?)?;
    }
    Ok(loader.skipped().len())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} pictures", self.part, self.pictures)?;
        if self.unreadable > 0 {
            writeln!(f, "left out, since they can't be read: {}", self.unreadable)?;
        }
        writeln!(f, "accuracy           {:.4}", self.accuracy)?;
        self.top5_accuracy.iter().try_for_each(|top5| writeln!(f, "among the first 5  {top5:.4}"))?;
        writeln!(f, "balanced accuracy  {:.4}", self.balanced_accuracy)?;
        writeln!(f, "macro F1           {:.4}", self.macro_f1)?;
        writeln!(f, "Cohen's kappa      {:.4}", self.cohen_kappa)?;
        writeln!(f, "loss               {:.4}\n", self.loss)?;
        let mut table = Table::new(&["class", "pictures", "precision", "recall", "F1"]);
        for class in &self.classes {
            let number = |value: f64| format!("{value:.3}");
            table.row([
                class.name.clone(),
                class.pictures.to_string(),
                number(class.precision),
                number(class.recall),
                number(class.f1),
            ]);
        }
        writeln!(f, "{table}\n")?;
        self.confusions(f)
    }
}

impl Report {
    /// The matrix where it is small enough to read, else the most frequent confusions.
    fn confusions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = |row: &[u64]| row.iter().map(u64::to_string).collect::<Vec<_>>();
        if self.classes.len() <= MOST_COLUMNS {
            writeln!(f, "confusion matrix: rows are true classes, columns what they were taken for")?;
            let names: Vec<&str> = self.classes.iter().map(|class| class.name.as_str()).collect();
            let mut table = Table::new(&[&["true"], &names[..]].concat());
            for (name, row) in names.iter().zip(&self.confusion_matrix) {
                table.row([name.to_string()].into_iter().chain(cells(row)));
            }
            return write!(f, "{table}");
        }
        let classes = self.classes.len();
        let mut wrong: Vec<(u64, usize, usize)> = (0..classes * classes)
            .map(|at| (self.confusion_matrix[at / classes][at % classes], at / classes, at % classes))
            .filter(|&(count, truth, taken)| count > 0 && truth != taken)
            .collect();
        wrong.sort_by_key(|&(count, ..)| std::cmp::Reverse(count));
        write!(f, "most frequent confusions (--json has the whole matrix)")?;
        wrong.iter().take(MOST_COLUMNS).try_for_each(|&(count, truth, taken)| {
            write!(f, "\n  {count} of {} taken for {}", self.classes[truth].name, self.classes[taken].name)
        })
    }
}

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
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use wgrad::data::{Batch, DataLoader, DataLoaderOptions, Dataset, Sample, SequentialSampler, stack_images};
use wgrad::metrics::{
    Average, ClassificationOptions, ConfusionMatrix, Counts, KappaWeights, Metric, Normalize, Score, StatScores, Task,
};
use wgrad::report::{Answers, AnswersPage};
use wgrad::train::RunningMean;
use wgrad::{CrossEntropyOptions, no_grad};

/// The most columns of a matrix on a terminal.
const MOST_COLUMNS: usize = 12;

/// Score a network: metrics, scores by class, confusion matrix
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad evaluate runs/1 flowers
  wgrad evaluate runs/1/best.safetensors flowers --part test --page flowers.html
  wgrad evaluate runs/1 cifar10 --data-dir cifar-10-batches-bin --json")]
pub struct Arguments {
    #[command(flatten)]
    scored: Scored,
    /// Write a page with the scores, curves and worst mistakes; of several parts, one for each, by its name
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
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
    let numbers = numbers(&collection, &network)?;
    let parts = chosen(&collection, &arguments.scored)?;
    let is_only = parts.len() == 1;
    let mut reports = Vec::new();
    for (name, part, indices) in parts {
        let mut answers = arguments.page.is_some().then(|| Answers::new(network.about.classes.clone()));
        let scored = &arguments.scored;
        let (report, read) = measured(&network, name, part, indices, &numbers, scored.batch_size, answers.as_mut())?;
        if let (Some(page), Some(answers)) = (&arguments.page, &answers) {
            let page = if is_only { page.clone() } else { beside(page, &report.part) };
            let image = |at: usize| Ok(part.get(read[at])?.image);
            let title = format!("{} on {}", network.about.architecture, scored.source.data);
            AnswersPage::new(title, report.described(), answers).images(image).scores(report.scores()).save(&page)?;
            context.note(format!("wrote {}", page.display()));
        }
        reports.push(report);
    }
    match context.json() {
        true => context.answer_json(&reports),
        false => reports.iter().try_for_each(|report| context.answer(report)),
    }
}

/// `page-test.html` for the part `test` of `page.html`.
fn beside(page: &Path, part: &str) -> PathBuf {
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-{part}");
    page.with_file_name(page.extension().map_or(name.clone(), |end| format!("{name}.{}", end.to_string_lossy())))
}

/// The scores of each part that is asked for.
pub fn reports(network: &Network, collection: &Collection, scored: &Scored) -> Outcome<Vec<Report>> {
    let numbers = numbers(collection, network)?;
    let of = |(name, part, indices)| Ok(measured(network, name, part, indices, &numbers, scored.batch_size, None)?.0);
    chosen(collection, scored)?.into_iter().map(of).collect()
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

/// The scores of some pictures of a part, and the numbers of those that could be read. `answers` takes each answer.
fn measured(
    network: &Network,
    part: String,
    set: &Part,
    mut indices: Vec<usize>,
    numbers: &[i32],
    batch_size: usize,
    mut answers: Option<&mut Answers>,
) -> Outcome<(Report, Vec<usize>)> {
    let classes = network.about.options.classes;
    let device = network.device();
    let mut matrix = ConfusionMatrix::new(device, Task::Multiclass(classes), &ClassificationOptions::default())?;
    let mut top5 = match classes > 5 {
        true => Some(StatScores::new(device, Task::Multiclass(classes), &ClassificationOptions::default().top_k(5))?),
        false => None,
    };
    let (mut loss, mut pictures) = (RunningMean::new(device)?, 0);
    let unreadable = each_batch(network, set, indices.clone(), numbers, batch_size, |batch| {
        let logits = no_grad(|| network.model.forward(&batch.images))?;
        let count = batch.labels.numel();
        pictures += count;
        loss.add(&logits.cross_entropy(&batch.labels, &CrossEntropyOptions::default())?, count)?;
        matrix.update(&logits, &batch.labels)?;
        top5.iter_mut().try_for_each(|top5| top5.update(&logits, &batch.labels))?;
        answers.iter_mut().try_for_each(|answers| answers.update(&logits, &batch.labels))?;
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
    let report = Report {
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
        unreadable: unreadable.len(),
    };
    for at in unreadable.into_iter().rev() {
        indices.remove(at);
    }
    Ok((report, indices))
}

/// Hands on batches of pictures as the network takes them, with its numbers of their classes. Returns the positions of those that
/// can't be read, in rising order.
pub fn each_batch(
    network: &Network,
    set: &Part,
    indices: Vec<usize>,
    numbers: &[i32],
    batch_size: usize,
    mut each: impl FnMut(Batch) -> Outcome,
) -> Outcome<Vec<usize>> {
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
    Ok(loader.skipped().into_iter().map(|(place, _)| place).collect())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.described())?;
        self.scores().iter().try_for_each(|(name, value)| writeln!(f, "{name:<19}{value}"))?;
        writeln!(f)?;
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
    fn described(&self) -> String {
        let left_out = match self.unreadable {
            0 => String::new(),
            unreadable => format!("\nleft out, since they can't be read: {unreadable}"),
        };
        format!("{}: {} pictures{left_out}", self.part, self.pictures)
    }

    fn scores(&self) -> Vec<(String, String)> {
        let top5 = self.top5_accuracy.map(|top5| ("among the first 5", top5));
        [("accuracy", self.accuracy)]
            .into_iter()
            .chain(top5)
            .chain([
                ("balanced accuracy", self.balanced_accuracy),
                ("macro F1", self.macro_f1),
                ("Cohen's kappa", self.cohen_kappa),
                ("loss", self.loss),
            ])
            .map(|(name, value)| (name.to_string(), format!("{value:.4}")))
            .collect()
    }

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

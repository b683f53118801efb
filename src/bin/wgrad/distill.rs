//! `wgrad distill`: a small network that learns from a large one.

use crate::context::Context;
use crate::costs::{self, Costs};
use crate::failure::{Failure, Outcome};
use crate::network::Network;
use crate::table::Table;
use crate::train;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;
use wgrad::compress::distillation::{Distillation, DistillationOptions, regressor};
use wgrad::nn::{Module, Scope};
use wgrad::train::Supervised;

/// Images of a batch by which a network's pace is measured.
const BATCH: usize = 64;

/// Train a small network to answer as a large one does
#[derive(Args)]
#[group(id = "distill")]
#[command(after_help = "\
Examples:
  wgrad distill flowers --teacher runs/1 --model mobilenet_v1
  wgrad distill flowers --teacher runs/1 --model resnet20 --attention layer3=layer4 --epochs 30
  wgrad distill flowers --teacher runs/1 --model resnet18    (born again: a teacher of the same kind)
  wgrad distill flowers --out runs/2 --resume

All options of `wgrad train` hold. Pictures are normalised, and unless --size says otherwise resized, as for the teacher.")]
pub struct Arguments {
    /// The teacher: a run's folder or a file of weights
    #[arg(long, value_name = "WEIGHTS", required_unless_present = "resume")]
    teacher: Option<PathBuf>,
    /// Divides both networks' logits before they are compared [default: 4]
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Weight of the teacher's answers in the loss; the labels have the rest [default: 0.9]
    #[arg(long, value_name = "X")]
    soft: Option<f64>,
    /// Compare where two layers look: the student's and the teacher's, as `wgrad summary` names them
    #[arg(long, value_name = "STUDENT=TEACHER")]
    attention: Vec<Pair>,
    /// Weight of each --attention [default: 1000]
    #[arg(long, value_name = "X")]
    attention_weight: Option<f64>,
    /// Find a layer's outputs of the teacher in one of the student, by a regressor that is trained along
    #[arg(long, value_name = "STUDENT=TEACHER")]
    hint: Vec<Pair>,
    /// Weight of each --hint [default: 1]
    #[arg(long, value_name = "X")]
    hint_weight: Option<f64>,
    #[command(flatten)]
    train: train::Arguments,
}

/// A layer of the student and one of the teacher.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pair {
    student: String,
    teacher: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Pair, String> {
        let (student, teacher) = text.split_once('=').ok_or("two layers with = between them, such as conv2=layer3")?;
        Ok(Pair { student: student.to_string(), teacher: teacher.to_string() })
    }
}

/// The part of a run's settings that is about its teacher.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Teaching {
    pub teacher: PathBuf,
    temperature: f64,
    soft: f64,
    attention: Vec<Pair>,
    attention_weight: f64,
    hint: Vec<Pair>,
    hint_weight: f64,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    train::run(&arguments.train, Some(arguments), context)
}

impl Teaching {
    /// The settings of a new or resumed run, overridden by those given now.
    pub fn with(old: Option<Teaching>, given: &Arguments) -> Outcome<Teaching> {
        let old = old.or_else(|| {
            Some(Teaching {
                teacher: given.teacher.clone()?,
                temperature: 4.0,
                soft: 0.9,
                attention: Vec::new(),
                attention_weight: 1000.0,
                hint: Vec::new(),
                hint_weight: 1.0,
            })
        });
        let old =
            old.ok_or_else(|| Failure::new("the run has no teacher").hint("`wgrad train --resume` continues it"))?;
        let pairs = |given: &Vec<Pair>, old| if given.is_empty() { old } else { given.clone() };
        let teaching = Teaching {
            teacher: given.teacher.clone().unwrap_or(old.teacher),
            temperature: given.temperature.unwrap_or(old.temperature),
            soft: given.soft.unwrap_or(old.soft),
            attention: pairs(&given.attention, old.attention),
            attention_weight: given.attention_weight.unwrap_or(old.attention_weight),
            hint: pairs(&given.hint, old.hint),
            hint_weight: given.hint_weight.unwrap_or(old.hint_weight),
        };
        let is_weight = |weight: f64| weight >= 0.0 && weight.is_finite();
        let rules = [
            (teaching.temperature > 0.0 && teaching.temperature.is_finite(), "--temperature must be above 0"),
            ((0.0..=1.0).contains(&teaching.soft), "--soft must be between 0 and 1"),
            (is_weight(teaching.attention_weight), "--attention-weight must not be negative"),
            (is_weight(teaching.hint_weight), "--hint-weight must not be negative"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(Failure::usage(rule)),
            None => Ok(teaching),
        }
    }

    /// The task of a student; `images` is the shape of a batch of one.
    pub fn task(
        &self,
        teacher: Network,
        student: &dyn Module,
        plain: Supervised,
        images: [usize; 4],
    ) -> Outcome<Distillation> {
        let shape = |net: &dyn Module, layer: &str, of: &str| {
            let rows = net.summary(&images)?.rows;
            let row = rows.iter().find(|row| row.name == layer).map(|row| row.output.to_vec());
            row.ok_or_else(|| {
                Failure::new(format!("the {of} runs no layer {layer:?}"))
                    .hint("`wgrad summary` lists a network's layers")
            })
        };
        let shapes = |pair: &Pair| -> Outcome<[Vec<usize>; 2]> {
            Ok([shape(student, &pair.student, "student")?, shape(&*teacher.model, &pair.teacher, "teacher")?])
        };
        let scope = Scope::new(teacher.device());
        let mut regressors = Vec::new();
        for (at, pair) in self.hint.iter().enumerate() {
            let [guided, hint] = shapes(pair)?;
            regressors.push(regressor(&scope.at("regressor").at(at), &guided, &hint)?);
        }
        self.attention.iter().try_for_each(|pair| shapes(pair).map(|_| ()))?;
        let options =
            DistillationOptions::default().temperature(self.temperature).soft(self.soft).hard(1.0 - self.soft);
        let mut task = Distillation::new(plain, teacher.model, &options)?;
        for pair in &self.attention {
            task = task.attention(&pair.student, &pair.teacher, self.attention_weight);
        }
        for (pair, regressor) in self.hint.iter().zip(regressors) {
            task = task.hint(regressor, &pair.student, &pair.teacher, self.hint_weight);
        }
        Ok(task)
    }
}

/// A network in the table.
#[derive(Serialize)]
pub struct Row {
    network: &'static str,
    architecture: String,
    #[serde(flatten)]
    costs: Costs,
}

impl Row {
    /// Measures a network whose accuracy is known.
    pub fn of(name: &'static str, network: &Network, accuracy: f64) -> Outcome<Row> {
        let architecture = network.about.architecture.clone();
        Ok(Row { network: name, architecture, costs: Costs::of(network, accuracy, BATCH)? })
    }
}

/// The networks side by side.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[&["", "network"][..], &costs::TITLES].concat());
    for Row { network, architecture, costs } in rows {
        table.row([network.to_string(), architecture.clone()].into_iter().chain(costs.cells()));
    }
    table
}

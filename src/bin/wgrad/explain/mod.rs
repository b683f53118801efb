//! `wgrad explain`: heat maps of the pixels that a network's answers rest on.

mod layer;
mod method;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::fit::fitted;
use crate::image_files;
use crate::network::Network;
use crate::table::Table;
use clap::Args;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use method::{Method, Question};
use serde::Serialize;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use wgrad::data::Image;
use wgrad::explain::{ColourMap, Explainer, HeatMap, HeatMapOptions, Target};
use wgrad::report::{Drawing, DrawingPage, HeatMapChart};
use wgrad::{Error, Tensor};

/// Draw heat maps of the pixels that a network's answers rest on
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad explain runs/1 new.jpg
  wgrad explain runs/1 new.jpg --method all
  wgrad explain runs/1 holiday/ --method lime,integrated-gradients --class cat --out maps")]
pub struct Arguments {
    /// A run's folder, or a file of weights, which also describes its network
    network: PathBuf,
    /// Pictures, or folders of pictures
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Methods, each with a map of its own; all draws a sheet of every method
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "grad-cam")]
    #[arg(value_parser = PossibleValuesParser::new(method::names()))]
    method: Vec<String>,
    /// The layer that class activation maps are of; `wgrad summary` lists the layers [default: the last one with maps]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The class that is asked about, by its name or number [default: the likeliest of each picture]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Folder for the maps [default: explain in the run's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Colours [default: diverging for maps with signs, else viridis]
    #[arg(long, value_parser = colours())]
    colours: Option<ColourMap>,
    /// Perturbed copies of a picture for lime, and masks of rise
    #[arg(long, value_name = "N", default_value_t = 500)]
    samples: usize,
    /// Superpixels of a picture for lime and feature-ablation
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    superpixels: usize,
    /// Seed of what is drawn at random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Pictures per batch, where a method makes many of one
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: usize,
}

/// Colours by their names.
fn colours() -> impl TypedValueParser<Value = ColourMap> {
    PossibleValuesParser::new(ColourMap::ALL.map(ColourMap::name))
        .map(|name| ColourMap::ALL.into_iter().find(|map| map.name() == name).unwrap_or_default())
}

#[derive(Serialize)]
struct Report {
    layer: Option<String>,
    page: PathBuf,
    pictures: Vec<Explained>,
}

#[derive(Serialize)]
struct Explained {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
    /// The picture with its maps.
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The class that is asked about.
#[derive(Serialize)]
struct Answer {
    class: String,
    probability: f32,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let files = image_files::named(&arguments.images)?;
    let network = Network::open(&arguments.network, &context.device()?)?;
    let (mode, size) = (network.mode()?, network.size()?);
    let methods = method::chosen(&arguments.method);
    let plan = Plan {
        class: arguments.class.as_deref().map(|class| number(&network, class)).transpose()?,
        layer: layer::chosen(&network, arguments.layer.as_deref(), methods.iter().any(|method| method.needs_layer))?,
        network,
        methods,
        arguments,
    };
    let out = arguments.out.clone().unwrap_or_else(|| beside(&arguments.network));
    std::fs::create_dir_all(&out).map_err(|error| Failure::new(format!("{}: {error}", out.display())))?;

    let bar = context.progress(files.len(), "pictures");
    let mut page = DrawingPage::new("Explanations", &format!("{} of {}", arguments.method.join(", "), plan.name()));
    let mut pictures: Vec<Explained> = Vec::with_capacity(files.len());
    for file in &files {
        let name = file.display().to_string();
        match Image::open(file, mode).and_then(|image| fitted(image, size)) {
            Ok(image) => {
                let (answer, drawing) = plan.explain(&name, &image, context)?;
                let path = free(&out, file, &pictures);
                drawing.save(&path)?;
                page = page.section(&name, &[drawing])?;
                pictures.push(Explained { file: name, answer: Some(answer), maps: Some(path), error: None });
            }
            Err(error) => {
                pictures.push(Explained { file: name, answer: None, maps: None, error: Some(error.to_string()) });
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = Report { layer: plan.layer.clone(), page: out.join("report.html"), pictures };
    page.facts("Settings", &plan.settings()).save(&report.page)?;
    tell(&report, context)
}

/// The number of a class that is named, or numbered.
fn number(network: &Network, class: &str) -> Outcome<usize> {
    let classes = &network.about.classes;
    let named = classes.iter().position(|known| known == class);
    let numbered = class.parse().ok().filter(|&number| number < network.about.options.classes);
    named.or(numbered).ok_or_else(|| {
        let known = match classes.is_empty() {
            true => format!("it has {}, from 0 on", network.about.options.classes),
            false => format!("it knows {}", classes.join(", ")),
        };
        Failure::new(format!("the network has no class {class:?}")).hint(known)
    })
}

/// The folder `explain` in a run's folder.
fn beside(network: &Path) -> PathBuf {
    let folder = if network.is_dir() { Some(network) } else { network.parent() };
    folder.unwrap_or(Path::new("")).join("explain")
}

/// A file that no earlier picture of this call has: two pictures in two folders may have one name.
fn free(out: &Path, picture: &Path, earlier: &[Explained]) -> PathBuf {
    let stem = picture.file_stem().map_or_else(|| "picture".to_string(), |stem| stem.to_string_lossy().into_owned());
    let path = |number: usize| match number {
        1 => out.join(format!("{stem}.png")),
        _ => out.join(format!("{stem}-{number}.png")),
    };
    let is_taken = |path: &Path| earlier.iter().any(|other| other.maps.as_deref() == Some(path));
    (1..).map(path).find(|path| !is_taken(path)).unwrap_or_else(|| out.join("picture.png"))
}

/// Questions that are asked of all pictures.
struct Plan<'a> {
    network: Network,
    class: Option<usize>,
    layer: Option<String>,
    methods: Vec<&'static Method>,
    arguments: &'a Arguments,
}

impl Plan<'_> {
    fn name(&self) -> &str {
        &self.network.about.architecture
    }

    /// The class that is asked about, and the picture with its maps.
    fn explain(&self, name: &str, image: &Image, context: &Context) -> Outcome<(Answer, Drawing)> {
        let probabilities = self.network.probabilities(&[image])?.remove(0);
        let likeliest = (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let class = self.class.or(likeliest).ok_or_else(|| Failure::new("the network has no classes"))?;
        let answer = Answer { class: self.network.class(class), probability: probabilities[class] };

        let device = self.network.device();
        let bytes: Vec<i32> = image.pixels().iter().copied().map(i32::from).collect();
        let [channels, height, width] = image.shape();
        let pixels = Tensor::from_slice(device, &bytes, &[1, channels, height, width])?;
        let question = Question {
            explainer: Explainer::new(&*self.network.model)
                .target(Target::Class(class))
                .batch(self.arguments.batch_size),
            images: self.network.input(&[image])?,
            layer: self.layer.as_deref().unwrap_or_default(),
            pixels,
            segments: self.arguments.superpixels,
            superpixels: OnceCell::new(),
            samples: self.arguments.samples,
        };
        let title = format!("{name}: {} {:.1} %", answer.class, 100.0 * answer.probability);
        let mut chart = HeatMapChart::new(&title, image);
        if let Some(colours) = self.arguments.colours {
            chart = chart.colours(colours);
        }
        for method in &self.methods {
            device.manual_seed(self.arguments.seed);
            match (method.of)(&question) {
                Ok(map) => {
                    let options = HeatMapOptions::default().sign(method.sign).outliers(method.outliers);
                    chart = HeatMap::read(&map, &options)?.iter().fold(chart, |chart, map| chart.map(method.name, map));
                }
                // A sheet of all methods leaves out those that are not for this network.
                Err(error @ Error::Invalid { .. }) if self.is_sheet() => {
                    context.note(format!("{name}: no {}: {error}", method.name));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((answer, chart.draw()))
    }

    fn is_sheet(&self) -> bool {
        self.arguments.method.iter().any(|method| method == method::ALL)
    }

    fn settings(&self) -> Vec<(String, String)> {
        let arguments = self.arguments;
        [
            ("network", arguments.network.display().to_string()),
            ("layer", self.layer.clone().unwrap_or_else(|| "none has maps".to_string())),
            ("samples", arguments.samples.to_string()),
            ("superpixels", arguments.superpixels.to_string()),
            ("seed", arguments.seed.to_string()),
            ("wgrad", env!("CARGO_PKG_VERSION").to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into()
    }
}

fn tell(report: &Report, context: &Context) -> Outcome {
    if context.json() {
        context.answer_json(report)?;
    } else {
        let mut table = Table::new(&["file", "class", "probability", "maps"]);
        for Explained { file, answer, maps, .. } in &report.pictures {
            let (Some(answer), Some(maps)) = (answer, maps) else { continue };
            let percent = format!("{:.1} %", 100.0 * answer.probability);
            table.row([file.clone(), answer.class.clone(), percent, maps.display().to_string()]);
        }
        context.answer(table)?;
        context.note(format!("all of them: {}", report.page.display()));
    }
    let errors: Vec<&String> = report.pictures.iter().filter_map(|picture| picture.error.as_ref()).collect();
    errors.iter().for_each(|error| eprintln!("{error}"));
    match errors.len() {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} files can't be read", report.pictures.len()))),
    }
}

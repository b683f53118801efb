//! Everything that a run needs, built from its settings and its pictures.

use super::arguments::{Auto, ClassWeights};
use super::batches::Feeder;
use super::pictures::Pictures;
use super::settings::Settings;
use super::{augment, optimizer};
use crate::collection::{Channels, Collection};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::network::Network;
use crate::run_folder::{BEST, weights_of};
use crate::summary;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use wgrad::data::{Batch, Normalization, class_weights};
use wgrad::metrics::{self, Average, ClassificationOptions, Score, StatScores};
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::Optimizer;
use wgrad::report::Answers;
use wgrad::train::{BatchSizeFinder, Loader, LrFinder, Supervised, Task};
use wgrad::transforms::Compose;
use wgrad::weights::{self, LoadOptions, Metadata};
use wgrad::{CrossEntropyOptions, Device, Error, Result, Tensor};

/// Classes are weighted where the largest is at least this many times as large as the smallest.
const UNEQUAL: usize = 2;
/// The least steps of an epoch, as far as smaller batches can provide them.
const STEPS: usize = 16;
const BATCH_SIZES: (usize, usize) = (4, 64);

pub struct Plan {
    pub device: Device,
    pub settings: Settings,
    pub pictures: Pictures,
    pub batch_size: usize,
    pub model: Box<dyn Module>,
    pub optimizer: Box<dyn Optimizer>,
    pub answers: Answers,
    pub task: Box<dyn Task<Batch = Batch>>,
    pub workers: usize,
}

impl Plan {
    /// A run resumed from a folder takes its weights and its normalization from there.
    pub fn new(
        mut settings: Settings,
        collection: &Collection,
        workers: Option<usize>,
        resumed: Option<&Path>,
        context: &Context,
    ) -> Outcome<Plan> {
        if let Some(path) = &settings.weights {
            let missing = || Failure::new(format!("{}: there is no such file or run", path.display()));
            settings.weights = Some(weights_of(path).ok_or_else(missing)?);
        }
        let start = match resumed {
            Some(folder) => Some(folder.join(BEST)),
            None => settings.weights.clone(),
        };
        let given = start.and_then(|path| Metadata::read(path).ok()).and_then(|about| about.normalization);
        let workers = workers.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
        let device = context.device()?;
        device.manual_seed(settings.seed);
        let teacher = match &settings.teaching {
            Some(teaching) => Some(teacher(&teaching.teacher, collection, &device)?),
            None => None,
        };
        let given = match &teacher {
            Some(teacher) => {
                settings.size = Some(settings.size.map_or_else(|| teacher.size(), Ok)?);
                Some(shared(given, teacher.normalization()?)?)
            }
            None => given,
        };
        let pictures = Pictures::read(collection, &settings, workers, given, context)?;
        settings.size = Some(pictures.size);
        settings.channels = Channels::of(pictures.channels);
        let options = options(&pictures);
        let model = models::by_name(&settings.model, &Scope::new(&device), &options)
            .map_err(|error| Failure::from(error).hint("`wgrad models` lists the networks"))?;
        if !summary::is_classifier(&model.summary(&options.images(1))?) {
            let message = format!("{} gives no class for a picture as a whole", settings.model);
            return Err(Failure::new(message).hint("`wgrad models` lists the networks that do"));
        }
        if let Some(path) = settings.weights.as_ref().filter(|_| resumed.is_none()) {
            load(&*model, path, context)?;
        }
        let stages = settings.finetuning();
        // A step takes the most memory once everything is trained.
        stages.apply(&*model, settings.unfreeze_at.unwrap_or(0))?;
        let answers = Answers::new(pictures.classes.clone());
        let plain = task(&settings, &pictures, &device)?.metric(answers.clone());
        let (task, more): (Box<dyn Task<Batch = Batch>>, _) = match (&settings.teaching, teacher) {
            (Some(teaching), Some(teacher)) => {
                let task = teaching.task(teacher, &*model, plain, options.images(1))?;
                let more = task.parameters();
                (Box::new(task), more)
            }
            _ => (Box::new(plain), Vec::new()),
        };
        let first = if let Auto::Value(lr) = settings.lr { lr } else { 1e-3 };
        let mut optimizer = optimizer::build(&settings, &*model, &more, first)?;
        let batch_size = match settings.batch_size {
            Auto::Value(batch_size) => batch_size,
            Auto::Auto => batch_size(&device, &*model, &mut *optimizer, &pictures)?,
        };
        settings.batch_size = Auto::Value(batch_size);
        stages.apply(&*model, 0)?;
        let mut plan = Plan { device, settings, pictures, batch_size, model, optimizer, answers, task, workers };
        if plan.settings.lr == Auto::Auto {
            plan.find_lr(context)?;
        }
        Ok(plan)
    }

    /// The random changes; none for a run that learns one batch by heart.
    pub fn augment(&self) -> Outcome<Arc<Compose>> {
        let Plan { settings, pictures, .. } = self;
        Ok(Arc::new(match settings.overfit_one_batch {
            true => Compose::new(),
            false => augment::compose(settings, &pictures.normalization, pictures.size)?,
        }))
    }

    /// The metadata of the file of weights.
    pub fn metadata(&self) -> Metadata {
        Metadata::new(&self.settings.model, options(&self.pictures))
            .with_classes(self.pictures.classes.clone())
            .with_normalization(self.pictures.normalization.clone())
    }

    /// The plan in a few lines.
    pub fn described(&self, collection: &Collection) -> String {
        let Plan { pictures, settings, .. } = self;
        let (train, val) = (pictures.train.labels().len(), pictures.val.labels().len());
        let parameters = self.model.parameters();
        let numbers = parameters.iter().filter(|p| !p.is_buffer() && p.requires_grad()).map(|p| p.value().numel());
        let lr = if let Auto::Value(lr) = settings.lr { lr } else { 0.0 };
        format!(
            "{}: {} classes, {train} pictures to train on and {val} to validate on, as {} x {} x {}\n\
             {}: {:.2} million parameters to train on {}\n\
             {} epochs in batches of {}, learning rate {lr:.2e}",
            collection.layout.name(),
            pictures.classes.len(),
            pictures.channels,
            pictures.size,
            pictures.size,
            settings.model,
            numbers.sum::<usize>() as f64 / 1e6,
            self.device.name(),
            settings.epochs,
            self.batch_size,
        )
    }

    /// Sets the learning rate by a range test, which changes nothing else.
    fn find_lr(&mut self, context: &Context) -> Outcome {
        let feeder =
            Feeder { device: &self.device, pictures: &self.pictures, workers: self.workers, seed: self.settings.seed };
        let train = feeder.train(self.batch_size, self.augment()?)?;
        let (mut epoch, mut batches) = (0, train.resume(0, 0)?);
        let mut next = || loop {
            if let Some(batch) = batches.next() {
                return batch;
            }
            epoch += 1;
            batches = train.resume(epoch, 0)?;
        };
        let (model, task, optimizer) = (&*self.model, &*self.task, &mut *self.optimizer);
        let curve =
            LrFinder::default().run(&self.device, model, optimizer, || Ok(task.forward(model, &next()?)?.loss))?;
        let lr = curve.valley().or(curve.steepest()).ok_or_else(|| {
            Failure::new("the range test found no learning rate: the loss did not fall").hint("--lr sets one")
        })?;
        optimizer::set_lr(optimizer, lr)?;
        context.note(format!("learning rate {lr:.2e}, by a range test"));
        self.settings.lr = Auto::Value(lr);
        Ok(())
    }
}

/// The teacher, which must know the pictures' classes in their order.
fn teacher(path: &Path, collection: &Collection, device: &Device) -> Outcome<Network> {
    let teacher = Network::open(path, device)?;
    if teacher.about.classes != collection.classes {
        let [theirs, ours] = [&teacher.about.classes, &collection.classes].map(|classes| classes.join(", "));
        return Err(Failure::new(format!("the teacher tells {theirs}, and the pictures are of {ours}")));
    }
    Ok(teacher)
}

/// The normalization of two networks that see the same batches.
fn shared(student: Option<Normalization>, teacher: Normalization) -> Outcome<Normalization> {
    match student {
        Some(student) if student != teacher => {
            Err(Failure::new("the weights to start from have another normalization than the teacher"))
        }
        _ => Ok(teacher),
    }
}

fn options(pictures: &Pictures) -> ModelOptions {
    ModelOptions::default().classes(pictures.classes.len()).channels(pictures.channels).size(pictures.size)
}

/// A batch size that gives an epoch some steps, or the largest that fits into memory.
fn batch_size(
    device: &Device,
    model: &dyn Module,
    optimizer: &mut dyn Optimizer,
    pictures: &Pictures,
) -> Result<usize> {
    let (least, most) = BATCH_SIZES;
    let wanted = (pictures.train.labels().len() / STEPS).max(1).next_power_of_two().clamp(least, most);
    let loss = |size: usize| {
        let shape = [size, pictures.channels, pictures.size, pictures.size];
        model.forward(&Tensor::zeros(device, &shape)?)?.square()?.mean_all()
    };
    match BatchSizeFinder::default().smallest(wanted).largest(wanted).run(device, model, optimizer, loss) {
        Err(Error::OutOfMemory { .. } | Error::TooLarge { .. } | Error::StateUnknown { .. }) => {
            BatchSizeFinder::default().smallest(1).largest(wanted).run(device, model, optimizer, loss)
        }
        found => found,
    }
}

/// Loads the weights that fit, and reports the rest.
fn load(model: &dyn Module, path: &Path, context: &Context) -> Outcome {
    let report = weights::load(path, model, &LoadOptions::default().partial(true))?;
    context.note(format!("{}: {} of {} tensors", path.display(), report.loaded.len(), model.parameters().len()));
    if !report.keys.is_empty() {
        context.note(format!("  {}", report.keys));
    }
    Ok(())
}

/// Cross entropy, with weights of the classes where they are unequal.
pub fn task(settings: &Settings, pictures: &Pictures, device: &Device) -> Result<Supervised> {
    let classes = pictures.classes.len();
    let labels = pictures.train.labels();
    let counts: Vec<usize> =
        (0..).take(classes).map(|class| labels.iter().filter(|&&label| label == class).count()).collect();
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let is_weighted = match settings.class_weights {
        ClassWeights::Auto => most >= UNEQUAL * least && least > 0,
        ClassWeights::Balanced => true,
        ClassWeights::None => false,
    };
    let smoothing = if settings.overfit_one_batch { 0.0 } else { settings.label_smoothing };
    let mut loss = CrossEntropyOptions::default().label_smoothing(smoothing);
    if is_weighted {
        let weights = class_weights(labels, classes)?;
        loss = loss.weight(Tensor::from_slice(device, &weights, &[classes])?);
    }
    let task = Supervised::classification().loss(move |outputs, labels| outputs.cross_entropy(labels, &loss));
    Ok(task.metric(accuracy(device, classes)?).train_metric(accuracy(device, classes)?))
}

pub fn accuracy(device: &Device, classes: usize) -> Result<StatScores> {
    let scores = StatScores::new(device, metrics::Task::Multiclass(classes), &ClassificationOptions::default())?;
    Ok(scores.report(Score::Accuracy, Average::Micro))
}

//! Checkpoints: safetensors files that hold a run.
//!
//! Parameters have their own names, so that other programs find them; tensors of optimizers and other state are prefixed by the
//! name that the program gives each part, and a dot. Everything else is JSON in the file's metadata, under `wgrad.checkpoint`. A
//! parameter that several modules share is stored once.

use crate::error::{Error, Result};
use crate::file;
use crate::graph::{Device, Parameter, RandomState, Tensor};
use crate::nn::Module;
use crate::number::nearest;
use crate::state::{Numbers, State};
use crate::weights::{CHECKPOINT as TAG, to_tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

const VERSION: u64 = 3;
/// The name that safetensors files keep for themselves.
const METADATA: &str = "__metadata__";

/// The position of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Epochs done.
    pub epoch: u64,
    /// Batches done of the epoch after those.
    pub batch: u64,
    /// The seed of the shuffled order.
    pub seed: u64,
}

impl Position {
    /// Reads the position of a checkpoint's run; `None` if another program wrote the file.
    /// [`weights::load`](crate::weights::load) loads a checkpoint's weights alone.
    ///
    /// # Errors
    /// [`Error::File`] if the file can't be read or is damaged.
    pub fn read(path: &Path) -> Result<Option<Position>> {
        let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
        let file = Checkpoint::open(path, &bytes)?;
        if file.is_foreign() { Ok(None) } else { file.position().map(Some) }
    }
}

/// One entry of the file.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    /// Single precision, except on the reference, which would lose digits. Counts are 64-bit integers, as in PyTorch.
    fn of(parameter: &Parameter) -> Result<Entry> {
        let value = parameter.value();
        let values = value.to_f64()?;
        let shape = value.shape().to_vec();
        Ok(if !value.dtype().is_float() {
            Entry {
                dtype: Dtype::I64,
                shape,
                bytes: values.iter().flat_map(|&v| nearest::<i64>(v).to_le_bytes()).collect(),
            }
        } else if value.device().is_reference() {
            Entry { dtype: Dtype::F64, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
        } else {
            Entry {
                dtype: Dtype::F32,
                shape,
                bytes: values.iter().flat_map(|&v| nearest::<f32>(v).to_le_bytes()).collect(),
            }
        })
    }
}

/// Parts of a run by their names, such as `("optimizer", &adam)`.
type Parts<'a> = [(&'a str, &'a dyn State)];

/// Parameters under the names they have in the file, each once.
fn named(op: &'static str, model: &dyn Module, parts: &Parts) -> Result<Vec<(String, Parameter)>> {
    let parameters = Parameter::each_once(model.parameters()).into_iter().map(|p| (p.name().to_string(), p));
    let tensors = parts.iter().flat_map(|(part, state)| {
        state.tensors().into_iter().map(move |tensor| (format!("{part}.{}", tensor.name()), tensor))
    });
    let all: Vec<_> = parameters.chain(tensors).collect();
    let mut names = HashSet::from([METADATA]);
    match all.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => Err(Error::invalid(op, format!("a checkpoint can't hold two entries called {name}"))),
        None => Ok(all),
    }
}

/// JSON has no infinities, so these are texts. NaN becomes null, which nothing reads.
fn to_json(number: f64) -> Value {
    if number.is_infinite() { json!(number.to_string()) } else { json!(number) }
}

fn from_json(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// Writes a run: the model's parameters, all state that goes with it, its position, and that of the device's random
/// stream.
///
/// `parts` are the optimizers, schedules and everything else that implements [`State`], each under a name of the program's
/// choice. The file is written under another name in the same folder, flushed to the disk, and renamed: even after a failure,
/// `path` holds the old checkpoint or the new one. A checkpoint that [`load`] would refuse is not written.
///
/// # Errors
/// [`Error::File`]; [`Error::Invalid`] if two entries would have one name; errors of the device.
///
/// ```
/// use wgrad::nn::{Linear, Scope};
/// use wgrad::optim::lr_scheduler::{CosineAnnealingLr, LrScheduler};
/// use wgrad::optim::{Averaged, Averaging, Optimizer, Sgd, SgdOptions};
/// use wgrad::train::{self, Position};
/// use wgrad::{Device, nn::Module};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("run.safetensors");
///
/// let device = Device::reference();
/// let model = Linear::new(&Scope::new(&device), 4, 2)?;
/// let sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// let mut optimizer = Averaged::new(sgd, Averaging::Ema { decay: 0.99 })?;
/// let mut scheduler = LrScheduler::new(&mut optimizer, CosineAnnealingLr::new(100))?;
///
/// let at = Position { epoch: 3, batch: 20, seed: 7 };
/// train::save(&path, &device, &model, &[("optimizer", &optimizer), ("scheduler", &scheduler)], &at)?;
/// let mut parts: [(&str, &mut dyn train::State); 2] = [("optimizer", &mut optimizer), ("scheduler", &mut scheduler)];
/// assert_eq!(train::load(&path, &device, &model, &mut parts)?, at);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn save(
    path: &Path,
    device: &Device,
    model: &dyn Module,
    parts: &[(&str, &dyn State)],
    at: &Position,
) -> Result<()> {
    let mut entries = BTreeMap::new();
    for (name, parameter) in named("save", model, parts)? {
        entries.insert(name, Entry::of(&parameter)?);
    }
    let mut state = serde_json::Map::new();
    for (part, of) in parts {
        let lists = of.numbers()?.into_iter();
        let numbers: serde_json::Map<String, Value> =
            lists.map(|(name, list)| (name, list.into_iter().map(to_json).collect())).collect();
        if state.insert(part.to_string(), json!({ "kind": of.kind(), "numbers": numbers })).is_some() {
            return Err(Error::invalid("save", format!("a checkpoint can't hold two parts called {part}")));
        }
    }
    let random = device.random_state();
    let about = json!({
        "version": VERSION,
        "epoch": at.epoch,
        "batch": at.batch,
        "seed": at.seed,
        "random_seed": random.seed,
        "random_counter": random.counter,
        "state": state,
    });
    let views = entries
        .iter()
        .map(|(name, entry)| Ok((name, TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let metadata = HashMap::from([(TAG.to_string(), about.to_string())]);
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| Error::file(path, error))?;
    Checkpoint::open(path, &bytes)?.run()?;
    file::replace(path, &bytes)
}

/// The part of a checkpoint that is not a tensor.
struct Run {
    position: Position,
    random: RandomState,
    /// Kind and numbers of each part.
    state: BTreeMap<String, (String, Numbers)>,
}

fn part_from_json((name, part): (&String, &Value)) -> Option<(String, (String, Numbers))> {
    let list = |(name, list): (&String, &Value)| {
        Some((name.clone(), list.as_array()?.iter().map(from_json).collect::<Option<Vec<f64>>>()?))
    };
    let numbers = part.get("numbers")?.as_object()?.iter().map(list).collect::<Option<Numbers>>()?;
    Some((name.clone(), (part.get("kind")?.as_str()?.to_string(), numbers)))
}

/// An open file.
struct Checkpoint<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    /// The value under our tag; null in files of other programs.
    about: Value,
}

impl<'a> Checkpoint<'a> {
    fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Checkpoint<'a>> {
        let unreadable = |error| Error::file(path, format!("not a whole safetensors file: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let about = match metadata.metadata().as_ref().and_then(|metadata| metadata.get(TAG)) {
            Some(about) => serde_json::from_str(about).map_err(|error| Error::file(path, format!("{TAG}: {error}")))?,
            None => Value::Null,
        };
        let checkpoint = Checkpoint { path, tensors, about };
        if checkpoint.is_foreign() {
            return Ok(checkpoint);
        }
        match checkpoint.number("version")? {
            VERSION => Ok(checkpoint),
            other => Err(Error::file(path, format!("version {other}; this program reads version {VERSION}"))),
        }
    }

    /// True if another program wrote it.
    fn is_foreign(&self) -> bool {
        self.about.is_null()
    }

    fn run(&self) -> Result<Run> {
        if self.is_foreign() {
            return Err(Error::file(self.path, format!("a safetensors file, but no checkpoint: {TAG} is missing")));
        }
        Ok(Run {
            position: self.position()?,
            random: RandomState { seed: self.number("random_seed")?, counter: self.number("random_counter")? },
            state: self.about("state", |parts| parts.as_object()?.iter().map(part_from_json).collect())?,
        })
    }

    fn about<T>(&self, key: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<T> {
        self.about.get(key).and_then(read).ok_or_else(|| Error::file(self.path, format!("{TAG} has no valid {key:?}")))
    }

    fn number(&self, key: &str) -> Result<u64> {
        self.about(key, Value::as_u64)
    }

    fn position(&self) -> Result<Position> {
        Ok(Position { epoch: self.number("epoch")?, batch: self.number("batch")?, seed: self.number("seed")? })
    }

    fn entry(&self, name: &str) -> Result<TensorView<'a>> {
        self.tensors.tensor(name).map_err(|_| Error::file(self.path, format!("{name} is missing")))
    }

    /// The value that the file holds for a parameter, in the parameter's type.
    fn value(&self, name: &str, parameter: &Parameter) -> Result<Tensor> {
        let (entry, (shape, dtype, device)) = (self.entry(name)?, parameter.holds());
        if entry.shape() != &shape[..] {
            let reason = format!("{name} is {:?} in the file and {shape} here", entry.shape());
            return Err(Error::file(self.path, reason));
        }
        let read = |show: &mut dyn FnMut(&[u8]) -> Result<()>| show(entry.data());
        to_tensor(entry.dtype(), &device, &shape, dtype, read).map_err(|error| match error {
            Error::Invalid { rule, .. } => Error::file(self.path, format!("{name} {rule}")),
            other => other,
        })
    }

    fn values(&self, parameters: &[(String, Parameter)]) -> Result<Vec<Tensor>> {
        parameters.iter().map(|(name, parameter)| self.value(name, parameter)).collect()
    }
}

/// Restores a run from the checkpoint: parameters, all of its `parts`, and the device's random stream. The run then goes on bit
/// for bit as it would have without the interruption.
///
/// `parts` must have the names and kinds that [`save`] was given. Groups that were added to an optimizer have to be added
/// before.
///
/// # Errors
/// [`Error::File`] if the file can't be read, is cut off or no checkpoint, was written with other parts,
/// or a tensor in it is missing, left over, or of another shape; [`Error::Invalid`] if two parameters have one name.
/// Nothing has changed then.
pub fn load(
    path: &Path,
    device: &Device,
    model: &dyn Module,
    parts: &mut [(&str, &mut dyn State)],
) -> Result<Position> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = Checkpoint::open(path, &bytes)?;
    let run = file.run()?;
    let mut left = run.state;
    let mut numbers = Vec::new();
    for (name, part) in parts.iter_mut() {
        let (kind, own) = left.remove(*name).ok_or_else(|| Error::file(path, format!("there is no {name} in it")))?;
        if kind != part.kind() {
            return Err(Error::file(path, format!("{name} was written as {kind}, not {}", part.kind())));
        }
        numbers.push(own);
    }
    if let Some((name, (kind, _))) = left.first_key_value() {
        return Err(Error::file(path, format!("{name}, {kind}, belongs to nothing here: load it too")));
    }
    let tensors_of: Vec<(&str, &dyn State)> = parts.iter().map(|(name, part)| (*name, &**part as &dyn State)).collect();
    let parameters = named("load", model, &tensors_of)?;
    let values = file.values(&parameters)?;
    for ((name, part), own) in parts.iter_mut().zip(&numbers) {
        part.check_numbers(own).map_err(|error| Error::file(path, format!("{name}: {error}")))?;
    }
    let known = |name: &str| parameters.iter().any(|(known, _)| known == name);
    if let Some(extra) = file.tensors.names().into_iter().filter(|name| !known(name)).min() {
        return Err(Error::file(path, format!("{extra} belongs to nothing here: another model or optimizer")));
    }
    // Everything has been checked: from here on nothing can fail halfway.
    parts.iter_mut().zip(&numbers).try_for_each(|((_, part), own)| part.set_numbers(own))?;
    assign(&parameters, &values)?;
    device.set_random_state(run.random);
    device.assume_restored();
    device.flush()?;
    Ok(run.position)
}

/// The parts' tensors come first: masks of pruned parameters may be among them, and apply when the model's values are assigned.
fn assign(parameters: &[(String, Parameter)], values: &[Tensor]) -> Result<()> {
    parameters.iter().zip(values).rev().try_for_each(|((_, parameter), value)| parameter.assign(value))
}

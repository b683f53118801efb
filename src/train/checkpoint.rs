//! Checkpoints: safetensors files that hold a run at the end of an epoch.
//!
//! Parameters stand under their own names, so that other programs find them; the optimizer's buffers under
//! `optimizer.`, its step counts as `optimizer.steps`. Everything else is JSON in the file's metadata, under
//! `wgrad.checkpoint`. A parameter that several modules share stands there once.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::file;
use crate::graph::{Device, Parameter, RandomState, Tensor};
use crate::nn::Module;
use crate::number::nearest;
use crate::optim::Optimizer;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

const TAG: &str = "wgrad.checkpoint";
const VERSION: u64 = 2;
const STEPS: &str = "optimizer.steps";
/// The name that safetensors files keep for themselves.
const METADATA: &str = "__metadata__";

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Epochs done.
    pub epoch: u64,
    /// The seed of the shuffled order.
    pub seed: u64,
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

/// Parameters under the names they have in the file, each once.
fn named(op: &'static str, model: &dyn Module, optimizer: Option<&dyn Optimizer>) -> Result<Vec<(String, Parameter)>> {
    let parameters = Parameter::each_once(model.parameters()).into_iter().map(|p| (p.name().to_string(), p));
    let buffers = optimizer.into_iter().flat_map(|optimizer| optimizer.buffers());
    let all: Vec<_> = parameters.chain(buffers.map(|b| (format!("optimizer.{}", b.name()), b))).collect();
    let mut names = HashSet::from([STEPS, METADATA]);
    match all.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => Err(Error::invalid(op, format!("a checkpoint can't hold two entries called {name}"))),
        None => Ok(all),
    }
}

/// Writes a run: parameters, optimizer, position, and where the device's random stream stands.
///
/// The file is written under another name in the same folder, brought to the disk, and renamed: whatever goes wrong,
/// `path` holds the old checkpoint or the new one. What [`load`] would refuse is not written.
///
/// # Errors
/// [`Error::File`]; [`Error::Invalid`] where two entries would have one name; and what went wrong on the device.
pub fn save(path: &Path, device: &Device, model: &dyn Module, optimizer: &dyn Optimizer, at: &Position) -> Result<()> {
    let mut entries = BTreeMap::new();
    for (name, parameter) in named("save", model, Some(optimizer))? {
        entries.insert(name, Entry::of(&parameter)?);
    }
    let steps = optimizer.steps()?;
    let rates = (0..optimizer.groups()).map(|group| optimizer.lr(group)).collect::<Result<Vec<f64>>>()?;
    let bytes = steps.iter().flat_map(|steps| steps.to_le_bytes()).collect();
    entries.insert(STEPS.to_string(), Entry { dtype: Dtype::U64, shape: vec![steps.len()], bytes });
    let random = device.random_state();
    let about = json!({
        "version": VERSION,
        "epoch": at.epoch,
        "seed": at.seed,
        "random_seed": random.seed,
        "random_counter": random.counter,
        "optimizer": optimizer.name(),
        "lr": rates,
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

/// The part of a checkpoint that is no tensor.
struct Run {
    position: Position,
    random: RandomState,
    optimizer: String,
    /// Of each group.
    lr: Vec<f64>,
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

    /// True where another program wrote it.
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
            optimizer: self.about("optimizer", |name| name.as_str().map(str::to_string))?,
            lr: self.about("lr", |rates| rates.as_array()?.iter().map(Value::as_f64).collect())?,
        })
    }

    fn about<T>(&self, key: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<T> {
        self.about
            .get(key)
            .and_then(read)
            .ok_or_else(|| Error::file(self.path, format!("{TAG} has no valid {key:?}: {}", self.about)))
    }

    fn number(&self, key: &str) -> Result<u64> {
        self.about(key, Value::as_u64)
    }

    fn position(&self) -> Result<Position> {
        Ok(Position { epoch: self.number("epoch")?, seed: self.number("seed")? })
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
        let values = numbers(entry.dtype(), entry.data())
            .ok_or_else(|| Error::file(self.path, format!("{name} is {:?}, which is not read", entry.dtype())))?;
        let exact = |low: f64, high: f64| match values.iter().find(|v| v.fract() != 0.0 || **v < low || **v > high) {
            Some(value) => Err(Error::file(self.path, format!("{name} holds {value}, which is no {dtype}"))),
            None => Ok(()),
        };
        match dtype {
            DType::I32 => {
                exact(i32::MIN.into(), i32::MAX.into())?;
                Tensor::from_slice(&device, &values.iter().map(|&v| nearest::<i32>(v)).collect::<Vec<_>>(), &shape)
            }
            DType::U32 => {
                exact(0.0, u32::MAX.into())?;
                Tensor::from_slice(&device, &values.iter().map(|&v| nearest::<u32>(v)).collect::<Vec<_>>(), &shape)
            }
            DType::Bool => {
                exact(0.0, 1.0)?;
                Tensor::from_slice(&device, &values.iter().map(|&v| v != 0.0).collect::<Vec<_>>(), &shape)
            }
            DType::F32 | DType::F16 => Tensor::from_f64(&device, &values, &shape)?.to_dtype(dtype),
        }
    }

    fn values(&self, parameters: &[(String, Parameter)]) -> Result<Vec<Tensor>> {
        parameters.iter().map(|(name, parameter)| self.value(name, parameter)).collect()
    }
}

/// The numbers of an entry, `None` for types that are not read. Integers past 2^53 are rounded: no type here holds them.
fn numbers(dtype: Dtype, data: &[u8]) -> Option<Vec<f64>> {
    fn each<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Option<Vec<f64>> {
        Some(data.as_chunks().0.iter().map(|bytes| number(*bytes)).collect())
    }
    match dtype {
        Dtype::F64 => each(data, f64::from_le_bytes),
        Dtype::F32 => each(data, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::F16 => each(data, |bytes| f16::from_le_bytes(bytes).into()),
        Dtype::BF16 => each(data, |bytes| bf16::from_le_bytes(bytes).into()),
        Dtype::I64 => each(data, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::U64 => each(data, |bytes| u64::from_le_bytes(bytes) as f64),
        Dtype::I32 => each(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U32 => each(data, |bytes| u32::from_le_bytes(bytes).into()),
        Dtype::I16 => each(data, |bytes| i16::from_le_bytes(bytes).into()),
        Dtype::U16 => each(data, |bytes| u16::from_le_bytes(bytes).into()),
        Dtype::I8 => each(data, |bytes| i8::from_le_bytes(bytes).into()),
        Dtype::U8 => each(data, |bytes| u8::from_le_bytes(bytes).into()),
        Dtype::BOOL => each(data, |[byte]: [u8; 1]| f64::from(u8::from(byte != 0))),
        _ => None,
    }
}

/// Brings a run to where the checkpoint stands: parameters, optimizer with its learning rate, and the device's random
/// stream. What follows is bit for bit what would have followed without the interruption.
///
/// # Errors
/// [`Error::File`] where the file can't be read, is cut off or no checkpoint, was written by another optimizer,
/// or a tensor in it is missing, left over, or of another shape; [`Error::Invalid`] where two parameters have one name.
/// Nothing has changed then.
pub fn load(path: &Path, device: &Device, model: &dyn Module, optimizer: &mut dyn Optimizer) -> Result<Position> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = Checkpoint::open(path, &bytes)?;
    let run = file.run()?;
    if run.optimizer != optimizer.name() {
        let reason = format!("written with the optimizer {}, not {}", run.optimizer, optimizer.name());
        return Err(Error::file(path, reason));
    }
    let parameters = named("load", model, Some(optimizer))?;
    let values = file.values(&parameters)?;
    let steps = file.entry(STEPS)?;
    if steps.dtype() != Dtype::U64 || steps.shape() != [optimizer.parameters().len()] {
        let reason = format!("{STEPS} is {:?} of {:?} and does not fit the optimizer", steps.dtype(), steps.shape());
        return Err(Error::file(path, reason));
    }
    let known = |name: &str| name == STEPS || parameters.iter().any(|(known, _)| known == name);
    if let Some(extra) = file.tensors.names().into_iter().find(|name| !known(name)) {
        return Err(Error::file(path, format!("{extra} belongs to nothing here: another model or optimizer")));
    }
    if run.lr.len() != optimizer.groups() {
        let reason = format!("{} groups of parameters, not {}", run.lr.len(), optimizer.groups());
        return Err(Error::file(path, reason));
    }
    // Everything has been checked but the learning rates: from here on nothing is left half done.
    let steps: Vec<u64> = steps.data().as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    run.lr.iter().enumerate().try_for_each(|(group, &lr)| optimizer.set_lr(group, lr))?;
    optimizer.set_steps(&steps)?;
    assign(&parameters, &values)?;
    device.set_random_state(run.random);
    device.assume_restored();
    device.flush()?;
    Ok(run.position)
}

/// Loads parameters and nothing else, to evaluate, to use or to fine-tune a model: from a checkpoint, whose position it
/// returns, or from any safetensors file, such as PyTorch's `state_dict` saved by `safetensors.torch`. Numbers are
/// converted to the parameters' types; entries that the model has no parameter for are left out.
///
/// # Errors
/// [`Error::File`] where the file can't be read or is cut off, or a tensor is missing, of another shape, or holds numbers
/// that the parameter's type does not have; [`Error::Invalid`] where two parameters have one name. Nothing has changed then.
pub fn load_parameters(path: &Path, model: &dyn Module) -> Result<Option<Position>> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = Checkpoint::open(path, &bytes)?;
    let position = if file.is_foreign() { None } else { Some(file.position()?) };
    let parameters = named("load_parameters", model, None)?;
    let values = file.values(&parameters)?;
    assign(&parameters, &values)?;
    Ok(position)
}

fn assign(parameters: &[(String, Parameter)], values: &[Tensor]) -> Result<()> {
    parameters.iter().zip(values).try_for_each(|((_, parameter), value)| parameter.assign(value))
}

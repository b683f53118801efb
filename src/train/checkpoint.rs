//! Checkpoints: safetensors files that hold a run at the end of an epoch.
//!
//! Parameters stand under their own names, so that other programs find them; the optimizer's buffers under
//! `optimizer.`, its step counts as `optimizer.steps`. Everything else is JSON in the file's metadata, under
//! `wgrad.checkpoint`.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::file;
use crate::graph::{Device, Parameter, RandomState, Tensor};
use crate::nn::Module;
use crate::optim::Optimizer;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

const TAG: &str = "wgrad.checkpoint";
const VERSION: u64 = 1;
const STEPS: &str = "optimizer.steps";

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
            Entry { dtype: Dtype::I64, shape, bytes: values.iter().flat_map(|&v| (v as i64).to_le_bytes()).collect() }
        } else if value.device().is_reference() {
            Entry { dtype: Dtype::F64, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
        } else {
            Entry { dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect() }
        })
    }
}

/// The optimizer's buffers, and the names they have in the file.
fn named_buffers(optimizer: &dyn Optimizer) -> impl Iterator<Item = (String, Parameter)> {
    optimizer.buffers().into_iter().map(|buffer| (format!("optimizer.{}", buffer.name()), buffer))
}

/// Writes a run: parameters, optimizer, position, and where the device's random stream stands.
///
/// The file is written under another name in the same folder, brought to the disk, and renamed: whatever goes wrong,
/// `path` holds the old checkpoint or the new one.
///
/// # Errors
/// [`Error::File`], and what went wrong on the device.
pub fn save(path: &Path, device: &Device, model: &dyn Module, optimizer: &dyn Optimizer, at: &Position) -> Result<()> {
    let mut entries = BTreeMap::new();
    for parameter in model.parameters() {
        if entries.insert(parameter.name().to_string(), Entry::of(&parameter)?).is_some() {
            return Err(Error::invalid("save", format!("two parameters are called {}", parameter.name())));
        }
    }
    for (name, buffer) in named_buffers(optimizer) {
        entries.insert(name, Entry::of(&buffer)?);
    }
    let steps = optimizer.steps();
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
        "lr": optimizer.lr(),
    });
    let views = entries
        .iter()
        .map(|(name, entry)| Ok((name, TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let metadata = HashMap::from([(TAG.to_string(), about.to_string())]);
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| Error::file(path, error))?;
    file::replace(path, &bytes)
}

/// An open checkpoint.
struct Checkpoint<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    about: Value,
}

impl<'a> Checkpoint<'a> {
    fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Checkpoint<'a>> {
        let unreadable = |error| Error::file(path, format!("not a whole safetensors file: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let foreign = || Error::file(path, format!("a safetensors file, but no checkpoint: {TAG} is missing"));
        let about = metadata.metadata().as_ref().and_then(|metadata| metadata.get(TAG)).ok_or_else(foreign)?;
        let about: Value = serde_json::from_str(about).map_err(|error| Error::file(path, format!("{TAG}: {error}")))?;
        let checkpoint = Checkpoint { path, tensors, about };
        match checkpoint.number("version")? {
            VERSION => Ok(checkpoint),
            other => Err(Error::file(path, format!("version {other}; this program reads version {VERSION}"))),
        }
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

    /// The value that the file holds for a parameter.
    fn value(&self, name: &str, parameter: &Parameter) -> Result<Tensor> {
        let (entry, current) = (self.entry(name)?, parameter.value());
        if entry.shape() != &current.shape()[..] {
            let reason = format!("{name} is {:?} in the file and {} here", entry.shape(), current.shape());
            return Err(Error::file(self.path, reason));
        }
        let values: Vec<f64> = match entry.dtype() {
            Dtype::F32 => {
                entry.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
            }
            Dtype::F64 => entry.data().chunks_exact(8).map(|b| f64::from_le_bytes(eight(b))).collect(),
            Dtype::I64 => entry.data().chunks_exact(8).map(|b| i64::from_le_bytes(eight(b)) as f64).collect(),
            other => return Err(Error::file(self.path, format!("{name} is {other:?}; expected F32, F64 or I64"))),
        };
        let (device, shape) = (current.device(), current.shape());
        match current.dtype() {
            // By way of f32 large counts would be rounded.
            DType::I32 => Tensor::from_slice(device, &values.iter().map(|&v| v as i32).collect::<Vec<_>>(), shape),
            dtype => Tensor::from_f64(device, &values, shape)?.to_dtype(dtype),
        }
    }

    fn values(&self, parameters: &[(String, Parameter)]) -> Result<Vec<Tensor>> {
        parameters.iter().map(|(name, parameter)| self.value(name, parameter)).collect()
    }
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    std::array::from_fn(|i| bytes[i])
}

fn named(parameters: Vec<Parameter>) -> Vec<(String, Parameter)> {
    parameters.into_iter().map(|parameter| (parameter.name().to_string(), parameter)).collect()
}

/// Brings a run to where the checkpoint stands: parameters, optimizer with its learning rate, and the device's random
/// stream. What follows is bit for bit what would have followed without the interruption.
///
/// # Errors
/// [`Error::File`] where the file can't be read, is cut off or no checkpoint, was written by another optimizer,
/// or a tensor in it is missing, left over, or of another shape. Nothing has changed then.
pub fn load(path: &Path, device: &Device, model: &dyn Module, optimizer: &mut dyn Optimizer) -> Result<Position> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = Checkpoint::open(path, &bytes)?;
    let position = file.position()?;
    let random = RandomState { seed: file.number("random_seed")?, counter: file.number("random_counter")? };
    let lr = file.about("lr", Value::as_f64)?;
    let name = file.about("optimizer", |name| name.as_str().map(str::to_string))?;
    if name != optimizer.name() {
        return Err(Error::file(path, format!("written with the optimizer {name}, not {}", optimizer.name())));
    }
    let mut parameters = named(model.parameters());
    parameters.extend(named_buffers(optimizer));
    let values = file.values(&parameters)?;
    let steps = file.entry(STEPS)?;
    if steps.dtype() != Dtype::U64 || steps.shape() != [optimizer.steps().len()] {
        let reason = format!("{STEPS} is {:?} of {:?} and does not fit the optimizer", steps.dtype(), steps.shape());
        return Err(Error::file(path, reason));
    }
    let known = |name: &str| name == STEPS || parameters.iter().any(|(known, _)| known == name);
    if let Some(extra) = file.tensors.names().into_iter().find(|name| !known(name)) {
        return Err(Error::file(path, format!("{extra} belongs to nothing here: another model or optimizer")));
    }
    // Everything has been checked: from here on nothing is left half done.
    let steps: Vec<u64> = steps.data().chunks_exact(8).map(|b| u64::from_le_bytes(eight(b))).collect();
    optimizer.set_steps(&steps)?;
    optimizer.set_lr(lr);
    assign(&parameters, &values)?;
    device.set_random_state(random);
    device.flush()?;
    Ok(position)
}

/// Loads a checkpoint's parameters and nothing else, to evaluate or to use a model.
///
/// # Errors
/// As [`load`], except that optimizers are not looked at.
pub fn load_parameters(path: &Path, model: &dyn Module) -> Result<Position> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = Checkpoint::open(path, &bytes)?;
    let position = file.position()?;
    let parameters = named(model.parameters());
    let values = file.values(&parameters)?;
    assign(&parameters, &values)?;
    Ok(position)
}

fn assign(parameters: &[(String, Parameter)], values: &[Tensor]) -> Result<()> {
    parameters.iter().zip(values).try_for_each(|((_, parameter), value)| parameter.assign(value))
}

//! Files of quantized weights.

use super::layer::{Inputs, Layer};
use super::network::Quantized;
use crate::dtype::Element;
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::nn::Module;
use crate::nn::state_dict::is_within;
use crate::number::nearest;
use crate::ops::{QuantizationParameters, QuantizedTensor};
use crate::shape::Shape;
use crate::weights::{Metadata, Reader, Structure, TAG, build, encode, write_safetensors};
use safetensors::Dtype;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The key of a file's metadata that says that weights of it are bytes.
const KEY: &str = "wgrad.quantized";

/// The ends of the names of a layer's entries, behind the name of its weight.
const BYTES: &str = ".int8";
const SCALE: &str = ".scale";
const INPUT_SCALE: &str = ".input_scale";
const INPUT_ZERO_POINT: &str = ".input_zero_point";

/// Writes a quantized network as a safetensors file: of a weight called `conv1.weight` its bytes, `conv1.weight.int8`, and a
/// scale for each output, `conv1.weight.scale`; of its layer's inputs `conv1.weight.input_scale` and
/// `conv1.weight.input_zero_point`, unless they are each batch's own. All else is as [`weights::save`](crate::weights::save)
/// writes it. `metadata` says which network it is, so that [`open`] can build it.
///
/// ```
/// use wgrad::compress::quantization::{self, Quantized, QuantizationOptions};
/// use wgrad::models::{self, ModelOptions};
/// use wgrad::nn::{Module, Scope};
/// use wgrad::weights::Metadata;
/// use wgrad::{Device, Tensor};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("digits.safetensors");
/// let device = Device::reference();
/// let options = ModelOptions::default().classes(10).channels(1).size(28);
/// let net = models::by_name("lenet5", &Scope::new(&device), &options)?;
/// let images = Tensor::rand(&device, &[2, 1, 28, 28])?;
/// let small = Quantized::calibrated(net, [Ok(images.clone())], &QuantizationOptions::default())?;
/// quantization::save(&path, &small, &Metadata::new("lenet5", options))?;
/// assert!(path.metadata().unwrap().len() < 61_706 * 4 * 3 / 10);
///
/// let (again, _) = quantization::open(&path, &device)?;
/// for ((name, weight), (_, held)) in small.weights().zip(again.weights()) {
///     assert_eq!(weight.to_bytes()?, held.to_bytes()?, "{name}");
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::File`]; [`Error::Invalid`] if two parameters have one name; errors of the device.
pub fn save<M: Module>(path: impl AsRef<Path>, network: &Quantized<M>, metadata: &Metadata) -> Result<()> {
    let path = path.as_ref();
    let mut entries: BTreeMap<String, (Dtype, Vec<usize>, Entry)> = BTreeMap::new();
    for (name, parameter) in network.model().named_parameters() {
        if network.layers().contains_key(&name) {
            continue;
        }
        let (shape, dtype, _) = parameter.holds();
        let dtype = if dtype.is_float() { Dtype::F32 } else { Dtype::I64 };
        if entries.insert(name.clone(), (dtype, shape.to_vec(), Entry::Parameter(parameter))).is_some() {
            return Err(Error::invalid("quantization::save", format!("a file can't hold two entries called {name}")));
        }
    }
    for (name, layer) in network.layers() {
        let scales = floats(&layer.weight.parameters().scale);
        let shape = layer.weight.shape().to_vec();
        entries.insert(format!("{name}{SCALE}"), (Dtype::F32, vec![shape[0]], Entry::Bytes(scales)));
        entries.insert(format!("{name}{BYTES}"), (Dtype::I8, shape, Entry::Weight(layer.weight.clone())));
        if let Inputs::Known(inputs, _) = &layer.inputs {
            let point = inputs.zero_point.iter().flat_map(|point| point.to_le_bytes()).collect();
            entries.insert(format!("{name}{INPUT_SCALE}"), (Dtype::F32, vec![1], Entry::Bytes(floats(&inputs.scale))));
            entries.insert(format!("{name}{INPUT_ZERO_POINT}"), (Dtype::I32, vec![1], Entry::Bytes(point)));
        }
    }
    let listed: Vec<_> =
        entries.iter().map(|(name, (dtype, shape, _))| (name.clone(), *dtype, shape.clone())).collect();
    let described = serde_json::to_string(metadata).map_err(|error| Error::file(path, error))?;
    let mut about = HashMap::from([(TAG.to_string(), described), (KEY.to_string(), "int8".to_string())]);
    Structure::of(network.model()).write(path, &mut about)?;
    write_safetensors(path, &listed, about, |name| entries[name].2.bytes())
}

/// The content of an entry.
enum Entry {
    Parameter(Parameter),
    Weight(QuantizedTensor),
    Bytes(Vec<u8>),
}

impl Entry {
    fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Entry::Bytes(bytes) => Ok(bytes.clone()),
            Entry::Weight(weight) => Ok(weight.to_bytes()?.into_iter().map(i8::cast_unsigned).collect()),
            Entry::Parameter(parameter) => encode(parameter, Dtype::F32),
        }
    }
}

fn floats(numbers: &[f64]) -> Vec<u8> {
    f32::device_bytes(&numbers.iter().map(|&number| nearest::<f32>(number)).collect::<Vec<f32>>())
}

/// True for a file that [`save`] wrote.
///
/// # Errors
/// [`Error::File`] if it can't be read.
pub fn is_quantized(path: impl AsRef<Path>) -> Result<bool> {
    Ok(Reader::open(path)?.about(KEY).is_some())
}

/// Builds the network of a file that [`save`] wrote, with the same bytes. The weights of the wrapped network are the numbers that
/// the bytes represent.
///
/// # Errors
/// [`Error::File`] if the file can't be read, was not written by [`save`] or is damaged; errors of the device.
pub fn open(path: impl AsRef<Path>, device: &Device) -> Result<(Quantized<Box<dyn Module>>, Metadata)> {
    let path = path.as_ref();
    let mut reader = Reader::open(path)?;
    let fault = |reason: String| Error::file(path, reason);
    if reader.about(KEY).is_none() {
        return Err(fault(format!("its weights are not quantized ({KEY} is missing)")));
    }
    let (model, metadata) = build(path, device)?;
    let structure = Structure::read(&reader)?;
    structure.take_apart(&reader, &*model)?;
    let regrouped = structure.regrouped(&reader, &*model)?;
    model.eval();
    let mut layers = BTreeMap::new();
    for (name, parameter) in model.named_parameters() {
        let entry = |end: &str| reader.entries().iter().find(|entry| entry.name() == format!("{name}{end}"));
        let has = |end: &str| entry(end).is_some();
        let (built, dtype, _) = parameter.holds();
        // The shape in the file, of a parameter that has lost channels.
        let cut = entry(BYTES).or(entry("")).filter(|_| structure.resized.contains(parameter.name()));
        let cut = cut.and_then(|entry| Shape::new(entry.shape()).ok()).filter(|cut| is_within(cut, &built));
        let shape = cut.unwrap_or(built);
        let take = |value: Tensor| if shape == built { parameter.assign(&value) } else { parameter.resize(&value) };
        if !has(BYTES) {
            let value = no_grad(|| reader.read(&name, device)?.to_dtype(dtype))?;
            take(value).map_err(|error| fault(error.to_string()))?;
            continue;
        }
        let is_static = has(INPUT_SCALE);
        let mut numbers = |end: &str| reader.read(&format!("{name}{end}"), device)?.to_f64();
        let bytes = numbers(BYTES)?;
        let scales = QuantizationParameters::per_channel(numbers(SCALE)?, 0);
        let inputs = match is_static {
            true => Some(QuantizationParameters {
                scale: numbers(INPUT_SCALE)?,
                zero_point: numbers(INPUT_ZERO_POINT)?.into_iter().map(nearest).collect(),
                axis: None,
            }),
            false => None,
        };
        let bytes: Vec<i8> = bytes.into_iter().map(nearest).collect();
        let layer = || {
            let weight = QuantizedTensor::from_bytes(device, &bytes, &shape, scales)?;
            take(no_grad(|| weight.dequantize()?.to_dtype(dtype))?)?;
            Layer::new(weight, inputs)
        };
        let layer = layer().map_err(|error| fault(format!("{name}: {error}")))?;
        layers.insert(name, layer);
    }
    regrouped.iter().for_each(|(layer, groups)| layer.set(*groups));
    Ok((Quantized::of_layers(model, layers)?, metadata))
}

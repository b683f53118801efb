//! Writing files of weights.

use super::Metadata;
use super::metadata::TAG;
use super::structure::Structure;
use super::{npz, safetensors};
use crate::dtype::{DType, Element};
use crate::error::{Error, Result};
use crate::graph::Parameter;
use crate::nn::Module;
use crate::number::nearest;
use crate::options::options;
use ::safetensors::Dtype;
use half::f16;
use std::collections::HashMap;
use std::path::Path;

options! {
    /// Options of [`save`].
    #[derive(Clone, Debug, PartialEq)]
    SaveOptions {
        /// The type of the floats in the file: [`DType::F32`], or [`DType::F16`] for half the size.
        dtype: DType = DType::F32,
        /// The network they belong to, so that [`open`](crate::weights::open) can build it.
        metadata: Option<Metadata> = None,
    }
}

/// Writes the values of a model's parameters, running statistics included, under the names of PyTorch's `state_dict`: as a
/// safetensors file, or for NumPy where the path ends in `.npz`. Counts and other integers are 64-bit, as PyTorch's are. One
/// tensor at a time is read from the device.
///
/// In Python, `model.load_state_dict(safetensors.torch.load_file(path))` loads them.
///
/// The file is written under another name in the same folder, flushed to the disk, and renamed: even after a failure, `path`
/// holds the old file or the new one.
///
/// ```
/// use wgrad::models::{self, ModelOptions};
/// use wgrad::nn::{Module, Scope};
/// use wgrad::weights::{self, Metadata, SaveOptions};
/// use wgrad::Device;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("digits.safetensors");
///
/// let device = Device::reference();
/// let options = ModelOptions::default().classes(10).channels(1).size(28);
/// let model = models::by_name("lenet5", &Scope::new(&device), &options)?;
/// weights::save(&path, &model, &SaveOptions::default().metadata(Metadata::new("lenet5", options)))?;
///
/// let (again, metadata) = weights::open(&path, &device)?;
/// assert_eq!(metadata.architecture, "lenet5");
/// assert_eq!(again.parameters().len(), model.parameters().len());
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::File`]; [`Error::Invalid`] if two parameters have one name, the metadata contradicts itself or is for a `.npz`
/// file, or `dtype` is not a float; and errors of the device.
pub fn save(path: impl AsRef<Path>, model: &dyn Module, options: &SaveOptions) -> Result<()> {
    const OP: &str = "weights::save";
    let path = path.as_ref();
    let float = match options.dtype {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        other => return Err(Error::invalid(OP, format!("floats are written as f32 or f16, not as {other}"))),
    };
    let mut about = HashMap::new();
    if let Some(metadata) = &options.metadata {
        metadata.check().map_err(|rule| Error::invalid(OP, rule))?;
        let text = serde_json::to_string(metadata).map_err(|error| Error::file(path, error))?;
        about.insert(TAG.to_string(), text);
    }
    Structure::of(model).write(path, &mut about)?;
    let mut parameters: HashMap<String, Parameter> = HashMap::new();
    let mut listed = Vec::new();
    for (name, parameter) in model.named_parameters() {
        let (shape, dtype, _) = parameter.holds();
        listed.push((name.clone(), if dtype.is_float() { float } else { Dtype::I64 }, shape.to_vec()));
        if name == "__metadata__" || parameters.insert(name.clone(), parameter).is_some() {
            return Err(Error::invalid(OP, format!("a file can't hold two entries called {name}")));
        }
    }
    let bytes = |name: &str| encode(&parameters[name], float);
    match path.extension() {
        Some(extension) if extension == "npz" && !about.is_empty() => {
            let rule =
                "a .npz file holds no metadata, and nothing of a network that was cut: write a .safetensors file";
            Err(Error::invalid(OP, rule))
        }
        Some(extension) if extension == "npz" => npz::write(path, &listed, bytes),
        _ => safetensors::write(path, &listed, about, bytes),
    }
}

/// The bytes of a parameter's value.
pub(crate) fn encode(parameter: &Parameter, float: Dtype) -> Result<Vec<u8>> {
    let value = parameter.value();
    Ok(match (value.dtype(), float) {
        (DType::F32, Dtype::F32) => f32::device_bytes(&value.to_vec::<f32>()?),
        (dtype, _) if !dtype.is_float() => {
            value.to_f64()?.into_iter().flat_map(|v| nearest::<i64>(v).to_le_bytes()).collect()
        }
        (_, Dtype::F16) => value.to_f64()?.into_iter().flat_map(|v| f16::from_f64(v).to_le_bytes()).collect(),
        _ => value.to_f64()?.into_iter().flat_map(|v| nearest::<f32>(v).to_le_bytes()).collect(),
    })
}

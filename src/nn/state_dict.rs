//! The values of a module by name, and how they come back.

use crate::dtype::DType;
use crate::error::{Error, IncompatibleKeys, Mismatch, Result};
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::nn::Module;
use crate::nn::module::joined;
use std::collections::{BTreeMap, BTreeSet};

/// Values by name, PyTorch's `state_dict`.
pub type StateDict = BTreeMap<String, Tensor>;

/// The parameters of a module, none of which have one name.
fn named(op: &'static str, module: &dyn Module) -> Result<Vec<(String, Parameter)>> {
    let parameters = module.named_parameters();
    let mut names = BTreeSet::new();
    match parameters.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => Err(Error::invalid(op, format!("two parameters are called {name}"))),
        None => Ok(parameters),
    }
}

pub(super) fn of(module: &dyn Module) -> Result<StateDict> {
    Ok(named("state_dict", module)?.into_iter().map(|(name, parameter)| (name, parameter.value().detach())).collect())
}

/// The names that a parameter would have at each of its places, by which other programs may call it.
fn places(module: &dyn Module) -> Vec<(String, Parameter)> {
    let of_module = |(place, module): (String, &dyn Module)| {
        let own = module.own_parameters().into_iter();
        let local = |p: &Parameter| joined(&place, p.name().rsplit('.').next().unwrap_or_default());
        own.map(|p| (local(&p), p)).collect::<Vec<_>>()
    };
    module.named_modules().into_iter().flat_map(of_module).collect()
}

pub(super) fn load(module: &dyn Module, state: &StateDict, strict: bool) -> Result<IncompatibleKeys> {
    let parameters = named("load_state_dict", module)?;
    let places = places(module);
    let mut keys = IncompatibleKeys::default();
    let known: BTreeSet<&String> = parameters.iter().chain(&places).map(|(name, _)| name).collect();
    keys.unexpected.extend(state.keys().filter(|name| !known.contains(name)).cloned());
    let mut values = Vec::new();
    for (name, parameter) in &parameters {
        let elsewhere = places.iter().filter(|(_, other)| other.is_same(parameter));
        let mut names = std::iter::once(name).chain(elsewhere.map(|(place, _)| place));
        let Some(value) = names.find_map(|name| state.get(name)) else {
            keys.missing.push(name.clone());
            continue;
        };
        let (shape, dtype, device) = parameter.holds();
        if *value.shape() != shape || value.dtype().is_float() != dtype.is_float() {
            let found = (*value.shape(), value.dtype());
            keys.mismatched.push(Mismatch { name: name.clone(), expected: (shape, dtype), found });
            continue;
        }
        values.push((parameter, no_grad(|| moved(value, &device, dtype))?));
    }
    if strict && !keys.is_empty() {
        return Err(Error::IncompatibleKeys { keys: Box::new(keys) });
    }
    values.into_iter().try_for_each(|(parameter, value)| parameter.assign(&value))?;
    Ok(keys)
}

/// A value on a device, as an element type of the same kind.
fn moved(value: &Tensor, device: &Device, dtype: DType) -> Result<Tensor> {
    if value.device() == device {
        return value.to_dtype(dtype);
    }
    let shape = value.shape();
    match dtype {
        DType::F32 | DType::F16 => Tensor::from_f64(device, &value.to_f64()?, shape)?.to_dtype(dtype),
        DType::I32 => Tensor::from_slice(device, &value.to_dtype(dtype)?.to_vec::<i32>()?, shape),
        DType::U32 => Tensor::from_slice(device, &value.to_dtype(dtype)?.to_vec::<u32>()?, shape),
        DType::Bool => Tensor::from_slice(device, &value.to_dtype(dtype)?.to_vec::<bool>()?, shape),
    }
}

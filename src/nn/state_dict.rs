//! Saves and restores the values of a module by name.

use crate::dtype::DType;
use crate::error::{Error, IncompatibleKeys, Mismatch, Result};
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::nn::Module;
use crate::nn::module::joined;
use crate::shape::Shape;
use std::collections::{BTreeMap, BTreeSet};

/// Values by name, PyTorch's `state_dict`.
pub type StateDict = BTreeMap<String, Tensor>;

/// The parameters of a module; an error if two have the same name.
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

/// Every name of each parameter; other programs may use any of them.
fn places(module: &dyn Module) -> Vec<(String, Parameter)> {
    let of_module = |(place, module): (String, &dyn Module)| {
        let own = module.own_parameters().into_iter();
        let local = |p: &Parameter| joined(&place, p.name().rsplit('.').next().unwrap_or_default());
        own.map(|p| (local(&p), p)).collect::<Vec<_>>()
    };
    module.named_modules().into_iter().flat_map(of_module).collect()
}

/// The names under which a module's values may be found.
pub(crate) fn names(module: &dyn Module) -> Result<BTreeSet<String>> {
    Ok(named("weights::load", module)?.into_iter().chain(places(module)).map(|(name, _)| name).collect())
}

/// The match between values and a module.
pub(crate) struct Fit<'a> {
    /// Parameters with a value that fits, and the name it is held under.
    pub found: Vec<(Parameter, &'a str)>,
    /// The keys that don't match.
    pub keys: IncompatibleKeys,
}

/// Looks for the values of a module among some whose shapes and types are known. Those in `resized` may be smaller than the
/// module's.
pub(crate) fn fit<'a>(
    module: &dyn Module,
    held: &BTreeMap<&'a str, (Shape, DType)>,
    resized: &BTreeSet<String>,
) -> Result<Fit<'a>> {
    let parameters = named("load_state_dict", module)?;
    let places = places(module);
    let mut keys = IncompatibleKeys::default();
    let known: BTreeSet<&str> = parameters.iter().chain(&places).map(|(name, _)| name.as_str()).collect();
    keys.unexpected.extend(held.keys().filter(|name| !known.contains(*name)).map(|name| name.to_string()));
    let mut found = Vec::new();
    for (name, parameter) in &parameters {
        let elsewhere = places.iter().filter(|(_, other)| other.is_same(parameter));
        let mut names = std::iter::once(name).chain(elsewhere.map(|(place, _)| place));
        let Some((at, value)) = names.find_map(|name| held.get_key_value(name.as_str())) else {
            keys.missing.push(name.clone());
            continue;
        };
        let (shape, dtype, _) = parameter.holds();
        let fits = value.0 == shape || resized.contains(*at) && is_within(&value.0, &shape);
        if !fits || value.1.is_float() != dtype.is_float() {
            keys.mismatched.push(Mismatch { name: name.clone(), expected: (shape, dtype), found: *value });
            continue;
        }
        found.push((parameter.clone(), *at));
    }
    Ok(Fit { found, keys })
}

/// True if a shape has elements and none beyond those of `whole`.
pub(crate) fn is_within(part: &Shape, whole: &Shape) -> bool {
    part.len() == whole.len() && part.iter().zip(whole.iter()).all(|(part, whole)| (1..=*whole).contains(part))
}

pub(super) fn load(module: &dyn Module, state: &StateDict, strict: bool) -> Result<IncompatibleKeys> {
    let held = state.iter().map(|(name, value)| (name.as_str(), (*value.shape(), value.dtype()))).collect();
    let Fit { found, keys } = fit(module, &held, &BTreeSet::new())?;
    if strict && !keys.is_empty() {
        return Err(Error::IncompatibleKeys { keys: Box::new(keys) });
    }
    let mut values = Vec::new();
    for (parameter, name) in found {
        let (_, dtype, device) = parameter.holds();
        values.push((parameter, no_grad(|| moved(&state[name], &device, dtype))?));
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

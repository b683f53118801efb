//! Conformance case files (`docs/CONFORMANCE.md`): reading them and running a case on a device.
#![allow(dead_code)]

mod attributes;
mod call;
mod metrics;
mod network;
mod training;

use call::{Call, Operation};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;
use wgrad::{DType, Device, Tensor, grad};

/// The cases of a file, in its order.
pub fn read(path: &Path) -> Result<Vec<Case>, String> {
    let fault = |reason: String| format!("{}: {reason}", path.display());
    let bytes = std::fs::read(path).map_err(|e| fault(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| fault(e.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| fault(e.to_string()))?;
    let listed = header.metadata().as_ref().and_then(|m| m.get("cases")).ok_or_else(|| fault("no cases".into()))?;
    let listed: Vec<Value> = serde_json::from_str(listed).map_err(|e| fault(e.to_string()))?;
    listed.iter().map(|case| Case::new(case, &file).map_err(&fault)).collect()
}

/// The operations that a case may call, in groups of equal arguments.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    call::TABLES.iter().copied().flatten()
}

/// True if an operation is pointwise.
pub fn is_pointwise(op: &str) -> bool {
    call::is_pointwise(op)
}

/// The arguments of an operation.
pub fn operation(op: &str) -> Option<&'static Operation> {
    let transforms = call::TRANSFORMS.iter().copied().flatten();
    operations().chain(transforms).find(|operation| operation.names.contains(&op))
}

/// A tensor of a file, in double precision.
#[derive(Clone, Debug)]
pub struct Values {
    shape: Vec<usize>,
    /// Its type here: f64 becomes f32, i64 i32, u8 bool (i32 for an index or a label).
    dtype: DType,
    values: Vec<f64>,
}

/// One call with its expected results.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub op: String,
    args: Vec<(String, Values)>,
    /// The values of a network, by its names.
    state: Vec<(String, Values)>,
    attrs: Map<String, Value>,
    outputs: Vec<Values>,
    cotangents: Vec<Option<Values>>,
    gradients: Vec<(String, Values)>,
    rtol: f64,
    atol: f64,
    /// The unit of `atol` for each result: 1 by default.
    scales: Map<String, Value>,
    /// True if a zero must have the expected sign.
    pub signed_zeros: bool,
    raises: bool,
    /// The variant that the error must be, if one is named.
    error: Option<String>,
}

/// The outcome of a case.
#[derive(Debug)]
pub enum Verdict {
    Passed,
    /// The difference, in one line.
    Failed(String),
    /// The operation or attribute that wgrad lacks.
    Unsupported(String),
}

/// The reason why a call returned no values.
pub enum Refusal {
    Unsupported(String),
    /// wgrad's types exclude the argument: a name of an enum that does not exist, a negative size.
    Argument(String),
    Error(wgrad::Error),
}

impl From<wgrad::Error> for Refusal {
    fn from(error: wgrad::Error) -> Refusal {
        Refusal::Error(error)
    }
}

impl Refusal {
    /// The variant of the error; an argument that wgrad's types exclude is an invalid one.
    fn variant(&self) -> String {
        match self {
            Refusal::Error(error) => format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect(),
            Refusal::Argument(_) | Refusal::Unsupported(_) => "Invalid".into(),
        }
    }

    /// The reason why it is not the error of a case, if it is not: another variant than the expected one, or, if none is named,
    /// one that is not the caller's fault.
    fn objection(&self, expected: Option<&str>) -> Option<String> {
        let variant = self.variant();
        let is_expected = match expected {
            Some(expected) => variant == expected,
            None => !["Internal", "Shader", "TooLarge"].contains(&variant.as_str()),
        };
        let expected = expected.unwrap_or("an error of the caller's");
        (!is_expected).then(|| format!("must be {expected}, and was {variant}: {self}"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unsupported(what) | Refusal::Argument(what) => f.write_str(what),
            Refusal::Error(error) => error.fmt(f),
        }
    }
}

fn load(file: &SafeTensors, key: &str) -> Result<Values, String> {
    let view = file.tensor(key).map_err(|e| format!("{key}: {e}"))?;
    let data = view.data();
    let (dtype, values) = match view.dtype() {
        Dtype::F32 => (DType::F32, data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(bytes(b)))).collect()),
        Dtype::F64 => (DType::F32, data.chunks_exact(8).map(|b| f64::from_le_bytes(bytes(b))).collect()),
        Dtype::F16 => (DType::F16, data.chunks_exact(2).map(|b| half::f16::from_le_bytes(bytes(b)).to_f64()).collect()),
        Dtype::I64 => (DType::I32, data.chunks_exact(8).map(|b| i64::from_le_bytes(bytes(b)) as f64).collect()),
        Dtype::I32 => (DType::I32, data.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(bytes(b)))).collect()),
        Dtype::BOOL | Dtype::U8 => (DType::Bool, data.iter().map(|&b| f64::from(b)).collect()),
        other => return Err(format!("{key}: {other:?} tensors are not part of the format")),
    };
    Ok(Values { shape: view.shape().to_vec(), dtype, values })
}

fn bytes<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(slice);
    out
}

impl Case {
    fn new(json: &Value, file: &SafeTensors) -> Result<Case, String> {
        let text = |key: &str| json[key].as_str().map(str::to_string).ok_or_else(|| format!("a case without {key}"));
        let (name, op) = (text("name")?, text("op")?);
        let names =
            serde_json::from_value::<Vec<String>>(json["args"].clone()).map_err(|e| format!("{name}: args: {e}"))?;
        let mut args = Vec::new();
        for arg in names {
            match arg.strip_suffix(']').and_then(|a| a.split_once('[')) {
                Some((list, count)) => {
                    let count: usize = count.parse().map_err(|e| format!("{name}: {arg}: {e}"))?;
                    for i in 0..count {
                        args.push((format!("{list}.{i}"), load(file, &format!("{name}.arg.{list}.{i}"))?));
                    }
                }
                None => {
                    let mut values = load(file, &format!("{name}.arg.{arg}"))?;
                    // Bytes of an image are numbers.
                    if values.dtype == DType::Bool && matches!(arg.as_str(), "index" | "target" | "inpt") {
                        values.dtype = DType::I32;
                    }
                    args.push((arg, values));
                }
            }
        }
        let raises = json["raises"].as_bool().unwrap_or(false);
        let has_grad = json["grad"].as_bool().unwrap_or(false);
        let count = if raises { 0 } else { json["outputs"].as_u64().unwrap_or(1) };
        let mut outputs: Vec<Values> =
            (0..count).map(|i| load(file, &format!("{name}.out.{i}"))).collect::<Result<_, _>>()?;
        if op.starts_with("transforms.") {
            outputs
                .iter_mut()
                .filter(|output| output.dtype == DType::Bool)
                .for_each(|output| output.dtype = DType::I32);
        }
        let cotangents =
            (0..count).map(|i| if has_grad { load(file, &format!("{name}.cot.{i}")).ok() } else { None }).collect();
        let within = format!("{name}.state.");
        let names = if op.starts_with("models.") { file.names() } else { Vec::new() };
        let mut keys: Vec<&str> = names.into_iter().filter_map(|key| key.strip_prefix(&within)).collect();
        keys.sort_unstable();
        let state = keys.into_iter().map(|key| Ok((key.to_string(), load(file, &format!("{within}{key}"))?)));
        let state = state.collect::<Result<Vec<(String, Values)>, String>>()?;
        let gradients = args
            .iter()
            .chain(&state)
            .filter_map(|(arg, _)| load(file, &format!("{name}.grad.{arg}")).ok().map(|g| (arg.clone(), g)))
            .filter(|_| has_grad && !raises)
            .collect();
        let attrs = json["attrs"].as_object().cloned().unwrap_or_default();
        let tolerance = |key: &str, default| json[key].as_f64().unwrap_or(default);
        let (rtol, atol) = (tolerance("rtol", 1e-4), tolerance("atol", 1e-5));
        let scales = json["scales"].as_object().cloned().unwrap_or_default();
        let signed_zeros = json["signed_zeros"].as_bool().unwrap_or(false);
        let error = json["error"].as_str().map(str::to_string);
        Ok(Case {
            name,
            op,
            args,
            state,
            attrs,
            outputs,
            cotangents,
            gradients,
            rtol,
            atol,
            scales,
            signed_zeros,
            raises,
            error,
        })
    }

    /// True for a trajectory of parameters.
    pub fn is_trajectory(&self) -> bool {
        self.op.starts_with("optim.")
    }

    /// Reduces the tolerance of results to a tenth.
    pub fn tighten(&mut self) {
        self.rtol /= 10.0;
        self.atol /= 10.0;
    }

    /// Calls the operation on a device and compares outputs and gradients.
    pub fn run(&self, device: &Device) -> Verdict {
        match (self.compute(device), self.raises) {
            (Err(Refusal::Unsupported(what)), _) => Verdict::Unsupported(what),
            (Err(refusal), true) => refusal.objection(self.error.as_deref()).map_or(Verdict::Passed, Verdict::Failed),
            (Err(refusal), false) => Verdict::Failed(format!("error: {refusal}")),
            (Ok(_), true) => Verdict::Failed("must be an error, and was none".into()),
            (Ok(results), false) => match self.compare(&results) {
                None => Verdict::Passed,
                Some(difference) => Verdict::Failed(difference),
            },
        }
    }

    /// Outputs, then the gradients in the file.
    fn compute(&self, device: &Device) -> Result<Vec<Values>, Refusal> {
        if let Some(results) =
            training::run(self, device).or_else(|| metrics::run(self, device)).or_else(|| network::run(self, device))
        {
            return results;
        }
        let operation = operation(&self.op).ok_or_else(|| Refusal::Unsupported(format!("operation {}", self.op)))?;
        let unknown = self.attrs.keys().find(|key| !operation.attributes.contains(&key.as_str()));
        if let Some(key) = unknown {
            return Err(Refusal::Unsupported(format!("attribute {key}")));
        }
        // Elements of a list go by the list's name.
        let known = |arg: &str| operation.tensors.contains(&arg.split('.').next().unwrap_or(arg));
        if let Some((arg, _)) = self.args.iter().find(|(arg, _)| !known(arg)) {
            return Err(Refusal::Unsupported(format!("argument {arg}")));
        }
        let inputs: Vec<(&str, Tensor)> = self
            .args
            .iter()
            .map(|(name, values)| {
                let leaf = values.tensor(device)?;
                let differentiable = self.gradients.iter().any(|(arg, _)| arg == name);
                Ok((name.as_str(), if differentiable { leaf.requires_grad() } else { leaf }))
            })
            .collect::<wgrad::Result<_>>()?;
        let outputs = (operation.run)(&Call { op: &self.op, inputs: &inputs, attrs: &self.attrs, device })?;
        let mut fed = Vec::new();
        let mut cotangents = Vec::new();
        for (output, cotangent) in outputs.iter().zip(&self.cotangents) {
            if let Some(cotangent) = cotangent {
                fed.push(output);
                cotangents.push(cotangent.tensor(device)?);
            }
        }
        let mut results = outputs.iter().map(Values::read).collect::<wgrad::Result<Vec<_>>>()?;
        let wanted: Vec<&Tensor> = self
            .gradients
            .iter()
            .filter_map(|(arg, _)| inputs.iter().find(|(name, _)| name == arg).map(|(_, tensor)| tensor))
            .collect();
        if !wanted.is_empty() {
            for (gradient, input) in grad(&fed, &wanted, &cotangents.iter().collect::<Vec<_>>())?.iter().zip(wanted) {
                results.push(match gradient {
                    Some(gradient) => Values::read(gradient)?,
                    None => Values::read(&input.zeros_like()?)?,
                });
            }
        }
        Ok(results)
    }

    /// The types of the outputs under autocast, for floats in f16 if `is_half` is true for the index of an input. Gradients are
    /// taken too.
    pub fn types_under_autocast(
        &self,
        device: &Device,
        is_half: impl Fn(usize) -> bool,
    ) -> Result<Vec<DType>, Refusal> {
        let operation = operation(&self.op).ok_or_else(|| Refusal::Unsupported(format!("operation {}", self.op)))?;
        let floats = self.args.iter().enumerate().filter(|(_, (_, values))| values.dtype.is_float());
        let floats: Vec<usize> = floats.map(|(at, _)| at).collect();
        let typed = |(at, (name, values)): (usize, &'_ (String, Values))| {
            let tensor = values.tensor(device)?;
            Ok(match floats.iter().position(|&float| float == at) {
                Some(number) if is_half(number) => (name.clone(), tensor.to_dtype(DType::F16)?.requires_grad()),
                Some(_) => (name.clone(), tensor.requires_grad()),
                None => (name.clone(), tensor),
            })
        };
        let inputs = self.args.iter().enumerate().map(typed).collect::<wgrad::Result<Vec<(String, Tensor)>>>()?;
        let inputs: Vec<(&str, Tensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
        let call = Call { op: &self.op, inputs: &inputs, attrs: &self.attrs, device };
        let mut refusal = None;
        let outputs = wgrad::amp::autocast(DType::F16, || {
            Ok((operation.run)(&call).map_err(|error| refusal = Some(error)).unwrap_or_default())
        })?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        for output in outputs.iter().filter(|output| output.is_tracked()) {
            grad(&[output], &inputs.iter().map(|(_, tensor)| tensor).collect::<Vec<_>>(), &[&output.ones_like()?])?;
        }
        Ok(outputs.iter().map(Tensor::dtype).collect())
    }

    /// The first result that differs, if any.
    fn compare(&self, results: &[Values]) -> Option<String> {
        let outputs = self.outputs.iter().enumerate().map(|(i, values)| (format!("out.{i}"), values));
        let gradients = self.gradients.iter().map(|(arg, values)| (format!("grad.{arg}"), values));
        let expected: Vec<(String, &Values)> = outputs.chain(gradients).collect();
        if expected.len() != results.len() {
            return Some(format!("{} results, expected {}", results.len(), expected.len()));
        }
        expected.iter().zip(results).find_map(|((what, expected), got)| {
            if expected.dtype != got.dtype || expected.shape != got.shape {
                return Some(format!("{what}: expected {expected}, got {got}"));
            }
            let atol = self.atol * self.scales.get(what).and_then(Value::as_f64).unwrap_or(1.0);
            let pairs = expected.values.iter().zip(&got.values);
            let excesses = pairs.map(|(&e, &g)| {
                let other_zero =
                    self.signed_zeros && e == 0.0 && g == 0.0 && e.is_sign_negative() != g.is_sign_negative();
                if other_zero { f64::INFINITY } else { excess(e, g, atol + self.rtol * e.abs()) }
            });
            let wrong: Vec<(usize, f64)> = excesses.enumerate().filter(|(_, excess)| *excess > 0.0).collect();
            let &(at, _) = wrong.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
            let (place, count, all) = (coordinates(at, &expected.shape), wrong.len(), expected.values.len());
            let (expected, got) = (expected.values[at], got.values[at]);
            Some(format!("{what}{place:?}: expected {expected:e}, got {got:e}; {count} of {all} differ"))
        })
    }
}

/// The excess of a difference over its tolerance; infinite if NaN or infinities don't agree.
fn excess(expected: f64, got: f64, tolerance: f64) -> f64 {
    if expected.is_finite() && got.is_finite() {
        (got - expected).abs() - tolerance
    } else if expected == got || (expected.is_nan() && got.is_nan()) {
        0.0
    } else {
        f64::INFINITY
    }
}

fn coordinates(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut out: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let coordinate = at % size.max(1);
            at /= size.max(1);
            coordinate
        })
        .collect();
    out.reverse();
    out
}

impl Values {
    fn tensor(&self, device: &Device) -> wgrad::Result<Tensor> {
        let (values, shape) = (&self.values, &self.shape);
        match self.dtype {
            DType::F16 => {
                Tensor::from_slice(device, &values.iter().map(|&v| half::f16::from_f64(v)).collect::<Vec<_>>(), shape)
            }
            DType::I32 => Tensor::from_slice(device, &values.iter().map(|&v| v as i32).collect::<Vec<_>>(), shape),
            DType::Bool => Tensor::from_slice(device, &values.iter().map(|&v| v != 0.0).collect::<Vec<_>>(), shape),
            _ => Tensor::from_slice(device, &values.iter().map(|&v| v as f32).collect::<Vec<_>>(), shape),
        }
    }

    fn read(tensor: &Tensor) -> wgrad::Result<Values> {
        // Values beyond f32 are infinite in the file, and not in the reference's f64.
        let limit = f64::from(f32::MAX) * (1.0 + f64::EPSILON * (1u32 << 27) as f64);
        let round = |v: f64| if v.abs() > limit { f64::INFINITY.copysign(v) } else { v };
        let values = tensor.to_f64()?.into_iter().map(round).collect();
        Ok(Values { shape: tensor.shape().to_vec(), dtype: tensor.dtype(), values })
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.shape, self.dtype)
    }
}

//! Parts that the suites share: devices, and inputs made from a case's description.
#![allow(dead_code)]

pub mod chains;
pub mod from_names;
pub mod launches;
pub mod modules;
pub mod network_runs;
pub mod numbers;
pub mod python;
pub mod steps;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use wgrad::ops::case::{Case, Input};
use wgrad::{DType, Device, DeviceOptions, Disable, Tensor, grad};

/// The adapter under test, opened once.
///
/// A missing adapter fails the suite, unless `WGRAD_TEST_ADAPTER=none` permits it.
pub fn adapter() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    DEVICE
        .get_or_init(|| match std::env::var("WGRAD_TEST_ADAPTER").as_deref() {
            Ok("none") => None,
            _ => Some(Device::open().expect("an adapter to test on; WGRAD_TEST_ADAPTER=none runs without")),
        })
        .clone()
}

/// The adapter under test with poisoned buffers: nothing holds zeros that no kernel wrote, and writing past the end of a buffer
/// is an error. The suites that use it keep all cores busy compiling, so nothing is compiled ahead.
pub fn poisoned(disable: Disable) -> Option<Device> {
    let disable = Disable { precompile: true, ..disable };
    let options = DeviceOptions::default().poison(true).disable(disable);
    adapter().map(|_| Device::with_options(&options).unwrap())
}

/// The adapter under test, opened anew: for tests of a device's counters or draws, which others would disturb.
pub fn own_adapter() -> Option<Device> {
    adapter().map(|_| Device::open().expect("an adapter that opens twice"))
}

/// This test binary again, running one test of a module (its `module_path!()`) alone, for tests of a whole process, such as of
/// its environment.
pub fn alone(module: &str, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = module.split_once("::").map_or(test.to_string(), |(_, module)| format!("{module}::{test}"));
    command.args([&name, "--exact", "--nocapture"]);
    command
}

/// True if 16-bit floats can be tested on a device; otherwise a note is printed. llvmpipe has them, so nothing is skipped there.
pub fn has_f16(device: &Device) -> bool {
    let has = device.adapter().is_none_or(|adapter| adapter.has_f16);
    assert!(has || !device.name().starts_with("llvmpipe"), "{} has lost its 16-bit floats", device.name());
    if !has {
        eprintln!("16-bit floats are left out on {}", device.name());
    }
    has
}

/// The texts in folders and their subfolders, by their paths in the repository.
pub fn files(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = String::from_utf8(std::fs::read(&path).unwrap()) {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                files.push((name, text));
            }
        }
    }
    files
}

/// A small generator for test data (splitmix64), so that failures repeat.
pub struct Random(pub u64);

impl Random {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Values for an input: in its domain, away from its kinks, all different if required.
pub fn values(input: &Input, random: &mut Random) -> Vec<f64> {
    let count: usize = input.shape.iter().product();
    let (low, high) = input.domain;
    if input.distinct {
        // A shuffled ladder: neighbours differ by a visible step.
        let mut ladder: Vec<f64> =
            (0..count).map(|i| low + (high - low) * (i as f64 + 0.5) / count.max(1) as f64).collect();
        for i in (1..count).rev() {
            ladder.swap(i, (random.unit() * (i + 1) as f64) as usize);
        }
        return ladder.iter().map(|&v| f64::from(v as f32)).collect();
    }
    (0..count)
        .map(|_| match input.dtype {
            DType::F32 | DType::F16 => loop {
                let value = f64::from((low + (high - low) * random.unit()) as f32);
                if input.kinks.iter().all(|kink| (value - kink).abs() > 0.02) {
                    return value;
                }
            },
            _ => (low + ((high - low + 1.0) * random.unit()).floor()).min(high),
        })
        .collect()
}

/// A tensor of the input's type from values.
pub fn tensor(device: &Device, input: &Input, values: &[f64]) -> Tensor {
    let shape = &input.shape;
    match input.dtype {
        DType::I32 => Tensor::from_slice(device, &values.iter().map(|&v| v as i32).collect::<Vec<_>>(), shape),
        DType::U32 => Tensor::from_slice(device, &values.iter().map(|&v| v as u32).collect::<Vec<_>>(), shape),
        DType::Bool => Tensor::from_slice(device, &values.iter().map(|&v| v != 0.0).collect::<Vec<_>>(), shape),
        _ => Tensor::from_slice(device, &values.iter().map(|&v| v as f32).collect::<Vec<_>>(), shape),
    }
    .unwrap()
}

/// Cases with the numbers that seed their values: a case keeps its number when other operations get more cases. The last three
/// digits number an operation's cases.
pub fn numbered(cases: &[Case]) -> Vec<(usize, &Case)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let number = |case: &Case, nth: usize| {
        let hash =
            case.op.bytes().fold(0x811C_9DC5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        hash as usize * 1000 + nth
    };
    cases
        .iter()
        .map(|case| {
            let nth = counts.entry(case.op).or_default();
            *nth += 1;
            (number(case, *nth), case)
        })
        .collect()
}

/// The cases that `WGRAD_TEST_OP` asks for, by default all, with their numbers.
pub fn asked(cases: &[Case]) -> Vec<(usize, &Case)> {
    match std::env::var("WGRAD_TEST_OP") {
        Ok(filter) => filtered(cases, &filter).unwrap_or_else(|error| panic!("WGRAD_TEST_OP: {error}")),
        Err(_) => numbered(cases),
    }
}

/// The cases that match a filter, with their numbers.
///
/// # Errors
/// No case matches: the names that are nearest.
pub fn filtered<'a>(cases: &'a [Case], filter: &str) -> Result<Vec<(usize, &'a Case)>, String> {
    let numbered = numbered(cases);
    let found: Vec<_> = numbered.iter().copied().filter(|(_, case)| case.matches(filter)).collect();
    if found.is_empty() { Err(format!("no case is named {filter:?}; {}", near(cases, filter))) } else { Ok(found) }
}

/// Names that a filter may have meant: those of the operation with most of the parameters, or operations with a similar name.
fn near(cases: &[Case], filter: &str) -> String {
    const MOST: usize = 8;
    let (op, parameters) = filter.split_once('[').unwrap_or((filter, ""));
    let has = |name: &str, wanted: &str| name.split(['[', ',', ']']).any(|parameter| parameter == wanted);
    let hits = |name: &String| parameters.split([',', ']']).filter(|wanted| has(name, wanted)).count();
    let mut names: Vec<String> = cases.iter().filter(|case| case.op == op).map(Case::name).collect();
    names.sort_by_key(|name| std::cmp::Reverse(hits(name)));
    if names.is_empty() {
        let pairs = |word: &str| word.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<HashSet<_>>();
        let alike = |name: &str| pairs(name).intersection(&pairs(op)).count();
        names = cases.iter().map(|case| case.op.to_string()).collect();
        names.dedup();
        names.sort_by_key(|name| (std::cmp::Reverse(alike(name)), name.len()));
        names.dedup();
    }
    names.truncate(MOST);
    format!("near it are {}", names.join(", "))
}

/// Values for all inputs of a case, the same for the same case number.
pub fn inputs(case: &Case, number: usize) -> Vec<Vec<f64>> {
    let mut random = Random(0xC0FFEE ^ (number as u64) << 20);
    case.inputs.iter().map(|input| values(input, &mut random)).collect()
}

/// A result of a case.
pub struct Outcome {
    /// `output 0`, `gradient 1`.
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Outcome {
    fn of(name: String, tensor: &Tensor) -> wgrad::Result<Outcome> {
        Ok(Outcome { name, dtype: tensor.dtype(), shape: tensor.shape().to_vec(), values: tensor.to_f64()? })
    }

    /// The difference between a device's result and the reference's, if there is one: in its type, its shape, or an element by
    /// more than the tolerance, in units of f32's epsilon at the result's own largest magnitude. Integers and truth values must
    /// be equal.
    pub fn difference(&self, expected: &Outcome, tolerance: f64) -> Option<String> {
        let kind = |outcome: &Outcome| format!("{} {} {:?}", outcome.name, outcome.dtype, outcome.shape);
        if kind(self) != kind(expected) {
            return Some(format!("{}, not {}", kind(self), kind(expected)));
        }
        let finite = expected.values.iter().filter(|value| value.is_finite());
        let scale = finite.fold(0.0f64, |scale, value| scale.max(value.abs()));
        let allowed = if self.dtype.is_float() { tolerance * f64::from(f32::EPSILON) * scale } else { 0.0 };
        let same = |(g, e): (&f64, &f64)| g == e || (g.is_nan() && e.is_nan()) || (g - e).abs() <= allowed;
        let at = self.values.iter().zip(&expected.values).position(|pair| !same(pair))?;
        let (name, got, expected) = (&self.name, self.values[at], expected.values[at]);
        Some(format!("{name}[{at}]: expected {expected}, got {got} (allowed {allowed:.1e})"))
    }
}

/// Gradients of all differentiable inputs for a random cotangent, then outputs.
pub fn results(case: &Case, number: usize, device: &Device) -> wgrad::Result<Vec<Outcome>> {
    let data = inputs(case, number);
    let leaves: Vec<Tensor> = case
        .inputs
        .iter()
        .zip(&data)
        .map(|(input, values)| {
            let t = tensor(device, input, values);
            if case.differentiable && input.dtype.is_float() { t.requires_grad() } else { t }
        })
        .collect();
    let outputs = (case.run)(&leaves)?;
    let mut all = Vec::new();
    if case.differentiable {
        let mut random = Random(number as u64 + 1);
        let floats: Vec<&Tensor> = outputs.iter().filter(|o| o.dtype().is_float()).collect();
        let cotangents: Vec<Tensor> = floats
            .iter()
            .map(|o| {
                let values: Vec<f32> = (0..o.numel()).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
                Tensor::from_slice(device, &values, o.shape())?.to_dtype(o.dtype())
            })
            .collect::<wgrad::Result<_>>()?;
        let wanted: Vec<&Tensor> = leaves.iter().filter(|t| t.is_tracked()).collect();
        let gradients = grad(&floats, &wanted, &cotangents.iter().collect::<Vec<_>>())?;
        for (i, gradient) in gradients.into_iter().enumerate() {
            if let Some(gradient) = gradient {
                assert_eq!((gradient.shape(), gradient.dtype()), (wanted[i].shape(), wanted[i].dtype()));
                all.push(Outcome::of(format!("gradient {i}"), &gradient)?);
            }
        }
    }
    for (i, output) in outputs.iter().enumerate() {
        all.push(Outcome::of(format!("output {i}"), output)?);
    }
    Ok(all)
}

/// The differences between a case on a device and on the reference: forward and backward, the first run of its plans and a second
/// one, which must give the same bits.
pub fn differences(case: &Case, number: usize, device: &Device) -> Vec<String> {
    let name = case.name();
    let expected =
        results(case, number, &Device::reference()).unwrap_or_else(|e| panic!("{name} on the reference: {e}"));
    let first = match results(case, number, device) {
        Ok(first) => first,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let plans = device.stats().plans;
    let mut found = Vec::new();
    match results(case, number, device) {
        Err(error) => found.push(format!("{name}, second run: {error}")),
        Ok(second) => {
            let bits = |run: &[Outcome]| -> Vec<u64> {
                run.iter().flat_map(|outcome| outcome.values.iter().map(|v| v.to_bits())).collect()
            };
            if bits(&first) != bits(&second) {
                found.push(format!("{name}: the second run gives other bits than the first"));
            }
            if device.stats().plans != plans {
                found.push(format!("{name}: the second run planned anew"));
            }
        }
    }
    if first.len() != expected.len() {
        found.push(format!("{name}: {} results, not {}", first.len(), expected.len()));
    }
    let pairs = first.iter().zip(&expected);
    let wrong = pairs.filter_map(|(got, expected)| got.difference(expected, case.tolerance));
    found.extend(wrong.map(|wrong| format!("{name} {wrong}")));
    found
}

//! Weights of golden networks, computed from their names (`tests/golden/from_names.py`).

use serde_json::{Value, json};
use std::collections::BTreeMap;
use wgrad::nn::{Module, StateDict};
use wgrad::{Device, Tensor};

/// The FNV-1a hash of a text.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Numbers from -1 to 1 that follow from a name.
pub fn numbers(name: &str, count: usize) -> impl Iterator<Item = f64> + use<> {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let seed = fnv(name);
    (1..=count as u64).map(move |at| {
        let word = seed.wrapping_add(GOLDEN.wrapping_mul(at));
        let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ (word >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// Numbers of a name as a tensor, which the reference holds in full digits.
pub fn tensor(device: &Device, name: &str, shape: &[usize]) -> Tensor {
    Tensor::from_f64(device, &numbers(name, shape.iter().product()).collect::<Vec<_>>(), shape).unwrap()
}

/// Numbers of a name as a tensor, rounded to f32 on every device.
pub fn rounded(device: &Device, name: &str, shape: &[usize]) -> Tensor {
    let values: Vec<f32> = numbers(name, shape.iter().product()).map(|unit| unit as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// The value of a parameter in the golden runs.
pub fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let (offset, scale) = match (name.rsplit('.').next().unwrap(), shape.len()) {
        ("running_var", _) => (1.0, 0.5),
        ("running_mean" | "in_proj_bias", _) => (0.0, 0.1),
        (last, _) if last.starts_with("bias") => (0.0, 0.1),
        ("layer_scale", _) | (_, 1) => (1.0, 0.2),
        (last, _) if last.starts_with("weight") || last == "in_proj_weight" => {
            (0.0, (3.0 / (count / shape[0]) as f64).sqrt())
        }
        _ => (0.0, 1.0),
    };
    numbers(name, count).map(|unit| (offset + scale * unit) as f32).collect()
}

/// Sets all parameters of a network to the values of their names.
pub fn fill(net: &dyn Module, device: &Device) {
    let mut state = StateDict::new();
    for (name, parameter) in net.named_parameters() {
        let old = parameter.value();
        let shape = old.shape().to_vec();
        let is_float = old.dtype().is_float();
        let new =
            if is_float { Tensor::from_slice(device, &value(&name, &shape), &shape).unwrap() } else { old.detach() };
        state.insert(name, new);
    }
    net.load_state_dict(&state, true).unwrap();
}

/// The norm of a gradient and its product with numbers that follow from its name.
pub fn digest(name: &str, gradient: &Tensor) -> [f64; 2] {
    let values = gradient.to_f64().unwrap();
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let weights = numbers(&format!("{name}@"), values.len());
    [norm, values.iter().zip(weights).map(|(value, weight)| value * weight).sum()]
}

/// The gradients of a network's parameters, by their names.
pub fn gradients(net: &dyn Module) -> impl Iterator<Item = (String, Tensor)> {
    net.named_parameters().into_iter().filter_map(|(name, parameter)| Some((name, parameter.grad()?)))
}

/// The largest difference of gradients from their golden norms and products, which are in the order of names, and the gradient's
/// name: in units of the gradient's norm, or of a thousandth of the largest one if that is more.
pub fn worst(gradients: &BTreeMap<String, Tensor>, golden: &[[f64; 2]]) -> (f64, String) {
    let largest = golden.iter().fold(0.0f64, |largest, [norm, _]| largest.max(*norm));
    let mut worst = (0.0, String::new());
    for ((name, gradient), [norm, product]) in gradients.iter().zip(golden) {
        let [got_norm, got] = digest(name, gradient);
        let apart = (got - product).abs().max((got_norm - norm).abs()) / norm.max(1e-3 * largest);
        if apart > worst.0 || apart.is_nan() {
            worst = (apart, name.clone());
        }
    }
    worst
}

/// The number of entries of a network's state, the hash of their names and shapes, and the number of trained parameters.
pub fn names(net: &dyn Module) -> Value {
    let parameters = net.named_parameters();
    let mut lines: Vec<String> =
        parameters.iter().map(|(name, p)| format!("{name} {:?}", &p.value().shape()[..])).collect();
    lines.sort();
    let trained = parameters.iter().filter(|(_, p)| !p.is_buffer()).map(|(_, p)| p.value().numel()).sum::<usize>();
    json!({ "entries": lines.len(), "names": format!("{:016x}", fnv(&lines.join("\n"))), "parameters": trained })
}

//! Cases of networks, by torchvision's names.

mod arguments;
mod build;
mod detectors;
mod inputs;

use super::{Case, Refusal, Values};
use inputs::Inputs;
use wgrad::nn::{Scope, StateDict};
use wgrad::{DType, Device, Parameter, Tensor, grad};

/// The results, if it is a case of a network: the outputs, then the gradients in the file, of the input and of parameters.
pub(super) fn run(case: &Case, device: &Device) -> Option<Result<Vec<Values>, Refusal>> {
    case.op.strip_prefix("models.").map(|name| network(name, case, device))
}

fn network(name: &str, case: &Case, device: &Device) -> Result<Vec<Values>, Refusal> {
    // Norms that torchvision freezes count no batches.
    let is_frozen =
        !case.state.iter().any(|(key, _)| key.starts_with("backbone") && key.ends_with("num_batches_tracked"));
    let (network, is_training) = build::build(name, &Scope::new(device), &case.attrs, is_frozen)?;
    let net = network.module();
    let state = case.state.iter().map(|(key, values)| Ok((key.clone(), exact(values, device)?)));
    net.load_state_dict(&state.collect::<wgrad::Result<StateDict>>()?, true)?;
    net.train(is_training);
    let inputs = Inputs::new(case, device)?;
    let parameters = net.named_parameters();
    let parameter = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, p)| Parameter::value(p));
    let mut wanted = Vec::new();
    for (key, _) in &case.gradients {
        let leaf = inputs.image(key).or_else(|| parameter(key));
        wanted.push(leaf.ok_or_else(|| Refusal::Unsupported(format!("the gradient of {key}")))?);
    }
    let outputs = network.outputs(&inputs, is_training)?;
    let mut results = outputs.iter().map(Values::read).collect::<wgrad::Result<Vec<_>>>()?;
    let fed =
        outputs.iter().zip(&case.cotangents).filter_map(|(output, cotangent)| Some((output, cotangent.as_ref()?)));
    let (fed, cotangents): (Vec<&Tensor>, Vec<&Values>) = fed.unzip();
    if !wanted.is_empty() {
        let cotangents =
            cotangents.into_iter().map(|values| exact(values, device)).collect::<wgrad::Result<Vec<_>>>()?;
        let leaves: Vec<&Tensor> = wanted.iter().collect();
        let gradients = grad(&fed, &leaves, &cotangents.iter().collect::<Vec<_>>())?;
        for (gradient, leaf) in gradients.iter().zip(&wanted) {
            results.push(Values::read(gradient.as_ref().unwrap_or(&leaf.zeros_like()?))?);
        }
    }
    Ok(results)
}

/// A tensor with all digits if the device has them.
fn exact(values: &Values, device: &Device) -> wgrad::Result<Tensor> {
    match values.dtype {
        DType::F32 => Tensor::from_f64(device, &values.values, &values.shape),
        _ => values.tensor(device),
    }
}

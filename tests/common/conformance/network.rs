//! Cases of networks, by torchvision's names.

use super::{Case, Refusal, Values};
use serde_json::Value;
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope, StateDict};
use wgrad::{DType, Device, Parameter, Tensor, grad};

/// Results of a case of a network, where it is one: the output, then the gradients that the file has, of the input and of
/// parameters.
pub(super) fn run(case: &Case, device: &Device) -> Option<Result<Vec<Values>, Refusal>> {
    case.op.strip_prefix("models.").map(|name| network(name, case, device))
}

fn network(name: &str, case: &Case, device: &Device) -> Result<Vec<Values>, Refusal> {
    let (options, is_training) = options(case)?;
    // A network or an option that wgrad does not have.
    let unsupported = |error: wgrad::Error| Refusal::Unsupported(error.to_string());
    let model = models::by_name(name, &Scope::new(device), &options).map_err(unsupported)?;
    if case.outputs.len() != 1 {
        return Err(Refusal::Unsupported(format!("{} outputs", case.outputs.len())));
    }
    let state = case.state.iter().map(|(key, values)| Ok((key.clone(), exact(values, device)?)));
    model.load_state_dict(&state.collect::<wgrad::Result<StateDict>>()?, true)?;
    model.train(is_training);
    let [(_, input)] = &case.args[..] else {
        return Err(Refusal::Unsupported(format!("{} arguments", case.args.len())));
    };
    let input = exact(input, device)?.requires_grad();
    let parameters = model.named_parameters();
    let parameter = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, p)| Parameter::value(p));
    let mut wanted = Vec::new();
    for (key, _) in &case.gradients {
        let leaf = if key == "input" { Some(input.clone()) } else { parameter(key) };
        wanted.push(leaf.ok_or_else(|| Refusal::Unsupported(format!("the gradient of {key}")))?);
    }
    let output = model.forward(&input)?;
    let mut results = vec![Values::read(&output)?];
    if let Some(Some(cotangent)) = case.cotangents.first() {
        let leaves: Vec<&Tensor> = wanted.iter().collect();
        for (gradient, leaf) in grad(&[&output], &leaves, &[&exact(cotangent, device)?])?.iter().zip(&wanted) {
            results.push(Values::read(gradient.as_ref().unwrap_or(&leaf.zeros_like()?))?);
        }
    }
    Ok(results)
}

/// The constructor's arguments, and true where the network is trained. The size of the images is no argument of most
/// constructors, and so not taken from the input.
fn options(case: &Case) -> Result<(ModelOptions, bool), Refusal> {
    let mut options = ModelOptions::default();
    let mut is_training = true;
    for (key, value) in &case.attrs {
        match (key.as_str(), value) {
            ("mode", mode) => is_training = mode == "train",
            (_, Value::Null) => {}
            (key, value) => {
                let number = value.as_f64().or_else(|| value.as_bool().map(f64::from));
                let number = number.ok_or_else(|| Refusal::Unsupported(format!("attribute {key}")))?;
                options = match key {
                    "num_classes" => options.classes(number as usize),
                    "image_size" => options.size(number as usize),
                    _ => options.set(key, number),
                };
            }
        }
    }
    Ok((options, is_training))
}

/// A tensor with all digits where the device has them.
fn exact(values: &Values, device: &Device) -> wgrad::Result<Tensor> {
    match values.dtype {
        DType::F32 => Tensor::from_f64(device, &values.values, &values.shape),
        _ => values.tensor(device),
    }
}

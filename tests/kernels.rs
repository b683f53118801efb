//! Every case of every operation on the adapter against the reference: forward and backward.

mod common;

use common::{Random, adapter, inputs, tensor};
use wgrad::ops::case::Case;
use wgrad::{Device, Tensor, grad, ops};

/// Outputs, then gradients of all differentiable inputs for a random cotangent.
fn results(case: &Case, number: usize, device: &Device) -> wgrad::Result<Vec<(String, Vec<f64>)>> {
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
                Tensor::from_slice(device, &values, o.shape()).unwrap()
            })
            .collect();
        let wanted: Vec<&Tensor> = leaves.iter().filter(|t| t.is_tracked()).collect();
        let gradients = grad(&floats, &wanted, &cotangents.iter().collect::<Vec<_>>())?;
        for (i, gradient) in gradients.into_iter().enumerate() {
            if let Some(gradient) = gradient {
                assert_eq!(gradient.shape(), wanted[i].shape());
                all.push((format!("gradient {i}"), gradient.to_f64()?));
            }
        }
    }
    for (i, output) in outputs.iter().enumerate() {
        all.push((format!("output {i}"), output.to_f64()?));
    }
    Ok(all)
}

#[test]
fn kernels_agree_with_the_reference() {
    let Some(device) = adapter() else { return };
    let reference = Device::reference();
    let only = std::env::var("WGRAD_TEST_OP").ok();
    let mut failures = Vec::new();
    let cases = ops::cases();
    let mut ran = 0;
    for (number, case) in cases.iter().enumerate() {
        if only.as_ref().is_some_and(|op| op != case.op) {
            continue;
        }
        ran += 1;
        let shapes: Vec<&Vec<usize>> = case.inputs.iter().map(|i| &i.shape).collect();
        let got = match results(case, number, &device) {
            Ok(got) => got,
            Err(error) => {
                failures.push(format!("{number} {} {shapes:?}: {error}", case.op));
                continue;
            }
        };
        let expected = results(case, number, &reference).unwrap_or_else(|e| panic!("{number} {}: {e}", case.op));
        for ((what, got), (_, expected)) in got.iter().zip(&expected) {
            let scale = expected.iter().filter(|v| v.is_finite()).fold(1.0f64, |a, b| a.max(b.abs()));
            let allowed = case.tolerance * f64::from(f32::EPSILON) * scale;
            let wrong = got.iter().zip(expected).position(|(g, e)| {
                let same = g == e || (g.is_nan() && e.is_nan()) || (g - e).abs() <= allowed;
                !same
            });
            if let Some(at) = wrong {
                failures.push(format!(
                    "{number} {} {shapes:?} {what}[{at}]: expected {}, got {} (allowed {allowed:.1e})",
                    case.op, expected[at], got[at]
                ));
            } else if got.len() != expected.len() {
                failures.push(format!("{number} {} {what}: {} elements, not {}", case.op, got.len(), expected.len()));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {ran} cases failed:\n{}", failures.len(), failures.join("\n"));
}

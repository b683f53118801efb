//! Golden runs of networks by PyTorch in float64 (`tests/golden/network_runs.py`).

use super::adapter;
use super::from_names::{fill, gradients, rounded, worst};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::nn::Module;
use wgrad::{CrossEntropyOptions, Device, Result, Tensor};

/// A network's run in one mode.
pub struct Run<'a> {
    pub name: &'a str,
    /// `"eval"` or `"train"`.
    pub mode: &'a str,
    /// The shape of the input.
    pub shape: &'a [usize],
    /// The results of the mode.
    pub golden: &'a Value,
}

impl Run<'_> {
    /// The largest differences of the outputs, relative to their largest value, or of the loss, and of gradients' products,
    /// relative to their norms, if one exceeds the bound that `bound` makes of PyTorch's own error in float32.
    pub fn difference(
        &self,
        net: &dyn Module,
        device: &Device,
        outputs: impl FnOnce(&Tensor) -> Result<Vec<Tensor>>,
        loss: impl FnOnce(&[Tensor]) -> Result<Tensor>,
        bound: &dyn Fn(f64) -> f64,
    ) -> Option<String> {
        let Run { name, mode, shape, golden } = *self;
        net.train(mode == "train");
        fill(net, device);
        let input = rounded(device, "images", shape).requires_grad();
        let outputs = outputs(&input).unwrap();
        let loss = loss(&outputs).unwrap();
        loss.backward().unwrap();

        let golden_outputs: Vec<Vec<f64>> = serde_json::from_value(golden["logits"].clone()).unwrap();
        assert_eq!(outputs.len(), golden_outputs.len(), "{name} {mode}");
        let golden_outputs: Vec<f64> = golden_outputs.into_iter().flatten().collect();
        let scale = golden_outputs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let got: Vec<f64> = outputs.iter().flat_map(|y| y.to_f64().unwrap()).collect();
        assert_eq!(got.len(), golden_outputs.len(), "{name} {mode}");
        let golden_loss = golden["loss"].as_f64().unwrap();
        let of_loss = (loss.to_f64().unwrap()[0] - golden_loss).abs() / golden_loss.abs();
        let each = got.iter().zip(&golden_outputs).map(|(a, b)| (a - b).abs() / scale).chain([of_loss]);
        let apart =
            each.fold(0.0, |largest: f64, value| if value > largest || value.is_nan() { value } else { largest });

        let digests: Vec<[f64; 2]> = serde_json::from_value(golden["gradients"].clone()).unwrap();
        let gradients: BTreeMap<String, Tensor> =
            gradients(net).chain([("input".into(), input.grad().unwrap())]).collect();
        assert_eq!(gradients.len(), digests.len(), "{name} {mode}");
        let (worst, whose) = worst(&gradients, &digests);
        let [of_outputs, of_gradients]: [f64; 2] = serde_json::from_value(golden["f32"].clone()).unwrap();
        let text = format!(
            "{name} {mode}: outputs {apart:.1e}, {whose} {worst:.1e}; PyTorch's float32 {of_outputs:.1e} and \
             {of_gradients:.1e}"
        );
        if std::env::var_os("WGRAD_TEST_PRINT").is_some() {
            println!("{text}");
        }
        let is_close = apart <= bound(of_outputs) && worst <= bound(of_gradients);
        (!is_close).then_some(text)
    }
}

/// The sum of the outputs' cross entropies for classes that follow from a sample's index.
pub fn classes_of(outputs: &[Tensor], batch: usize, classes: usize) -> Result<Tensor> {
    let labels: Vec<i32> = (0..batch).map(|at| ((3 * at + 1) % classes) as i32).collect();
    let labels = Tensor::from_slice(outputs[0].device(), &labels, &[batch])?;
    let losses = outputs.iter().map(|y| y.cross_entropy(&labels, &CrossEntropyOptions::default()));
    losses.reduce(|a, b| a?.add(&b?)).unwrap()
}

/// The bound of an adapter, from PyTorch's own error in float32: single precision loses digits in training, where norms divide by
/// the deviation of few values.
pub fn of_float32(error: f64) -> f64 {
    f64::max(1e-4, 4.0 * error)
}

/// The difference of a network, by its name and case, in a mode and on a device, if it exceeds the bound from PyTorch's own
/// error.
type Difference = fn(&str, &Value, &str, &Device, &dyn Fn(f64) -> f64) -> Option<String>;

/// Networks of a golden file.
pub struct Networks<'a> {
    pub golden: &'a Value,
    /// The networks that represent the others.
    pub sample: &'a [&'a str],
    /// Networks with hardsigmoid, whose gradient PyTorch multiplies by a sixth that is rounded to float32.
    pub rounded: &'a [&'a str],
    pub difference: Difference,
}

impl Networks<'_> {
    pub fn compare_on_the_reference(&self) {
        compare(self.golden, self.sample, |name, case, mode| {
            let bound = if self.rounded.contains(&name) { 6e-8 } else { 1e-9 };
            (self.difference)(name, case, mode, &Device::reference(), &|_| bound)
        });
    }

    pub fn compare_on_the_adapter(&self) {
        compare(self.golden, self.sample, |name, case, mode| {
            (self.difference)(name, case, mode, &adapter()?, &of_float32)
        });
    }
}

/// Runs the cases of a golden file, by name and mode, and fails with the differences that are too large. The suite runs the
/// sample in training; `make test-long` runs all, and evaluation.
fn compare(golden: &Value, sample: &[&str], difference: impl Fn(&str, &Value, &str) -> Option<String> + Sync) {
    let only = std::env::var("WGRAD_TEST_OP").ok();
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    let cases: Vec<(&String, &Value, &str)> = golden["cases"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(name, case)| ["eval", "train"].map(|mode| (name, case, mode)))
        .filter(|(name, _, _)| only.as_ref().is_none_or(|only| only == *name))
        .filter(|(name, _, mode)| all || only.is_some() || (sample.contains(&name.as_str()) && *mode == "train"))
        .collect();
    let wrong: Vec<String> = cases.par_iter().filter_map(|(name, case, mode)| difference(name, case, mode)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

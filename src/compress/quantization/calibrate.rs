//! Ranges of the inputs of a network's layers.

use super::network::{Names, OP, QuantizationOptions, fits};
use super::observer::Range;
use crate::error::Result;
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;
use crate::ops::interpose::{Answer, Interposer, interposed};
use crate::ops::{Conv2dOptions, QuantizationParameters};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Keeps the inputs of layers that can be quantized.
struct Listening {
    names: Names,
    options: QuantizationOptions,
    inputs: RefCell<Vec<(String, Tensor)>>,
}

impl Listening {
    fn hear(&self, input: &Tensor, weight: &Tensor) {
        if let Some(name) = can_be_quantized(&self.names, &self.options, weight) {
            self.inputs.borrow_mut().push((name.to_string(), input.detach()));
        }
    }
}

/// The name of a weight whose layer can and may be quantized.
pub(super) fn can_be_quantized<'a>(
    names: &'a Names,
    options: &QuantizationOptions,
    weight: &Tensor,
) -> Option<&'a str> {
    names.get(weight).filter(|name| !options.skips(name) && fits(weight) && weight.rank() > 1).map(String::as_str)
}

impl Interposer for Listening {
    fn conv2d(&self, input: &Tensor, weight: &Tensor, _: Option<&Tensor>, _: &Conv2dOptions) -> Answer {
        if input.rank() == 4 {
            self.hear(input, weight);
        }
        Ok(None)
    }

    fn linear(&self, input: &Tensor, weight: &Tensor, _: Option<&Tensor>) -> Answer {
        self.hear(input, weight);
        Ok(None)
    }
}

/// The levels of the inputs of each layer that ran, by the names of their weights.
pub(super) fn calibrated(
    model: &dyn Module,
    batches: impl IntoIterator<Item = Result<Tensor>>,
    options: &QuantizationOptions,
) -> Result<BTreeMap<String, QuantizationParameters>> {
    let empty = Range::new(OP, options.observer)?;
    let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
    let (names, inputs) = (Names::of(model), RefCell::default());
    let listening = Rc::new(Listening { names, options: options.clone(), inputs });
    for batch in batches {
        no_grad(|| interposed(listening.clone(), || model.forward(&batch?)))?;
        for (name, input) in listening.inputs.take() {
            ranges.entry(name).or_insert_with(|| empty.clone()).observe(&input.to_vec::<f32>()?);
        }
    }
    let parameters = ranges.into_iter().filter_map(|(name, range)| {
        let (low, high) = range.bounds()?;
        Some((name, options.activations.parameters(low, high)))
    });
    Ok(parameters.collect())
}

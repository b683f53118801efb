//! The outputs of some layers of a network.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{Children, Module, Sequential};

/// The first layers of a network, and which of their outputs are wanted: torchvision's `IntermediateLayerGetter`.
pub(super) struct IntermediateLayers {
    layers: Sequential,
    /// The numbers of the layers, in order.
    returned: Vec<usize>,
}

impl IntermediateLayers {
    /// The layers up to the last one that is `returned`, by names.
    pub fn new(layers: Sequential, returned: &[String]) -> Result<IntermediateLayers> {
        let names: Vec<String> = layers.children().into_iter().map(|(name, _)| name).collect();
        let at = |wanted: &String| {
            let found = names.iter().position(|name| name == wanted);
            found.ok_or_else(|| {
                let rule = format!("there is no layer {wanted:?}; the layers are {}", names.join(", "));
                Error::invalid("IntermediateLayers", rule)
            })
        };
        let mut returned = returned.iter().map(at).collect::<Result<Vec<_>>>()?;
        returned.sort_unstable();
        let end = returned.last().map_or(0, |last| last + 1);
        Ok(IntermediateLayers { layers: layers.truncate(end), returned })
    }

    /// The outputs that are wanted, in the order of the layers.
    pub fn outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::with_capacity(self.returned.len());
        let mut x = input.clone();
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x)?;
            if self.returned.contains(&number) {
                outputs.push(x.clone());
            }
        }
        Ok(outputs)
    }
}

impl Module for IntermediateLayers {
    /// The output of the last layer.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.call(input)
    }
    fn children(&self) -> Children<'_> {
        self.layers.children()
    }
}

//! The number that an image should raise.

use crate::error::{Error, Result};
use crate::explain::layer::output_of;
use crate::graph::Tensor;
use crate::nn::Module;

/// The part of a network that an image should excite. Layers are named as in the [`summary`](Module::summary).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objective {
    /// The network's answer for a class, before the softmax: an element of `[N, classes]`.
    Class(usize),
    /// The mean over all positions of a channel of a layer's output `[N, C, ..]`.
    Channel {
        /// The layer's name.
        layer: String,
        /// The number of the channel.
        channel: usize,
    },
    /// The unit of a channel in the middle of a layer's maps `[N, C, ..]`.
    Unit {
        /// The layer's name.
        layer: String,
        /// The number of the channel.
        channel: usize,
    },
    /// Half of the mean square of a layer's output: all that the layer sees already, as in DeepDream.
    Layer(String),
}

impl Objective {
    /// A channel of a layer.
    pub fn channel(layer: impl Into<String>, channel: usize) -> Objective {
        Objective::Channel { layer: layer.into(), channel }
    }

    /// The middle unit of a channel of a layer.
    pub fn unit(layer: impl Into<String>, channel: usize) -> Objective {
        Objective::Unit { layer: layer.into(), channel }
    }

    /// The number for each image, `[N]`: for given images as well as for optimized ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no layer of this name runs, or it has fewer channels; those of the network.
    pub fn values(&self, model: &dyn Module, images: &Tensor) -> Result<Tensor> {
        let (layer, channel) = match self {
            Objective::Class(class) => ("", Some(*class)),
            Objective::Channel { layer, channel } | Objective::Unit { layer, channel } => {
                (layer.as_str(), Some(*channel))
            }
            Objective::Layer(layer) => (layer.as_str(), None),
        };
        let output = output_of(model, images, layer)?;
        let Some(channel) = channel else { return output.square()?.flatten(1, -1)?.mean(1)? * 0.5 };
        if output.rank() < 2 || channel >= output.shape()[1] {
            let rule = format!("{layer:?} answers {}, which has no channel {channel}", output.shape());
            return Err(Error::invalid("Objective", rule));
        }
        let mut chosen = output.narrow(1, channel, 1)?;
        if matches!(self, Objective::Unit { .. }) {
            for dim in 2..output.rank() {
                chosen = chosen.narrow(dim, output.shape()[dim] / 2, 1)?;
            }
        }
        chosen.flatten(1, -1)?.mean(1)
    }
}

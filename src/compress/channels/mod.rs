//! Structured pruning: a network made smaller by whole channels.
//!
//! A channel is the output of a filter of a convolution or of a row of a linear layer. To cut it, everything that goes with it
//! must be cut too: its bias, its norm, the inputs of all layers that read it, and where channels are added (residual networks)
//! those that they are added to. [`Channels`] finds these for any module from a recorded forward pass, in the manner of Fang et
//! al., "DepGraph: towards any structural pruning", 2023: each index along each axis of each parameter has a label, and calls
//! join the labels of indices that can only be cut together.
//!
//! ```
//! use wgrad::compress::channels::{ChannelOptions, Channels};
//! use wgrad::nn::{Module, Scope};
//! use wgrad::{Device, Tensor, models::LeNet5, no_grad};
//! let device = Device::reference();
//! let net = LeNet5::new(&Scope::new(&device))?;
//! let channels = Channels::of(&net, &[1, 1, 28, 28])?;
//! let chosen = channels.choose(&ChannelOptions::default().amount(0.5))?;
//! channels.cut(&chosen)?;
//! let summary = net.summary(&[1, 1, 28, 28])?;
//! assert_eq!(summary.rows[1].output[..], [1, 3, 28, 28]);
//! assert_eq!(summary.trained_parameters, 3 * 26 + 8 * 76 + 60 * 201 + 42 * 61 + 10 * 43);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! The network is the same object with smaller parameters: it answers and trains on, with an optimizer made after the cut, and
//! [`weights::save`](crate::weights::save) writes a file that says which shapes are not those that the network is built with, so
//! that [`weights::open`](crate::weights::open) and [`load`](crate::weights::load) build it as it is.

mod choice;
mod cut;
mod flow;
mod labels;
mod slimming;

pub use choice::{ChannelOptions, Importance, Selection};
pub use slimming::Slimming;

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad, tracing};
use crate::nn::{Grouped, Module};
use flow::{Flow, Place};
use labels::FREE;
use std::collections::{BTreeMap, BTreeSet};

const OP: &str = "channels";

/// A position along an axis of a parameter: the numbers of the parameter, the axis and the position.
type At = (usize, usize, usize);

/// A channel: all positions that are cut with it.
type Channel = Vec<At>;

/// The channels of a network that can be cut, in groups.
pub struct Channels {
    parameters: Vec<Parameter>,
    /// Weights of norms over the batch.
    norms: BTreeSet<usize>,
    /// Axes whose positions are filters.
    filters: BTreeSet<Place>,
    groups: Vec<Group>,
    /// Depthwise convolutions by the numbers of their weights.
    depthwise: Vec<(usize, Grouped)>,
}

/// Channels that are alike: each is cut from the same parameters.
pub struct Group {
    /// The parameters whose filters compute the channels.
    pub filters: Vec<String>,
    channels: Vec<Channel>,
}

impl Group {
    /// The number of its channels.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }
}

/// The weight of a batch norm that has one.
fn norm_weight(module: &dyn Module) -> Option<Parameter> {
    let is_norm = module.type_name().starts_with("BatchNorm");
    module.own_parameters().into_iter().find(|parameter| is_norm && !parameter.is_buffer())
}

impl Channels {
    /// The channels of a module for an input of this shape, of which the first size should be 1. A forward pass is recorded and
    /// not computed, and so are its [`auxiliary_outputs`](Module::auxiliary_outputs).
    ///
    /// Channels of the input and of the output are kept. So are channels that an operation treats as a whole (a softmax or a norm
    /// over them, attention), and those that a module splits at fixed numbers.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a module without parameters, or with some that neither pass reads: the inputs of these are unknown.
    /// Those of [`forward`](Module::forward) and of `auxiliary_outputs`.
    pub fn of(model: &dyn Module, input: &[usize]) -> Result<Channels> {
        let parameters = model.parameters();
        let first = parameters.first().ok_or_else(|| Error::invalid(OP, "the module has no parameters"))?;
        let input = Tensor::zeros(&first.holds().2, input)?;
        let leaves: Vec<Tensor> = parameters.iter().map(Parameter::value).collect();
        let outputs = tracing(|| {
            no_grad(|| {
                let mut outputs = model.auxiliary_outputs(&input)?;
                outputs.push(model.forward(&input)?);
                Ok::<_, Error>(outputs)
            })
        })?;
        let mut flow = Flow::new(&parameters, &leaves, &outputs)?;
        let mut unread = parameters.iter().zip(&flow.reached).filter(|(p, reached)| !p.is_buffer() && !**reached);
        if let Some((parameter, _)) = unread.next() {
            let rule = format!(
                "{} is read in no pass; build the network without its layer, or list what it computes in auxiliary_outputs",
                parameter.name()
            );
            return Err(Error::invalid(OP, rule));
        }
        let filters: BTreeSet<Place> = flow.filters.iter().copied().collect();
        let groups = groups(&parameters, &mut flow, &filters);
        let number = |parameter: &Parameter| parameters.iter().position(|other| other.is_same(parameter));
        let (mut norms, mut depthwise) = (BTreeSet::new(), Vec::new());
        for (_, module) in model.named_modules() {
            norms.extend(norm_weight(module).as_ref().and_then(number));
            let weight = module.own_parameters().into_iter().next();
            let Some(number) = weight.as_ref().and_then(number) else { continue };
            let grouped = module.grouped().filter(|grouped| grouped.groups() > 1);
            depthwise.extend(grouped.filter(|_| parameters[number].holds().0[1] == 1).map(|grouped| (number, grouped)));
        }
        Ok(Channels { parameters, norms, filters, groups, depthwise })
    }

    /// The groups of channels.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

/// Labels as channels, by the axes that each is cut from. Those that no filter computes stay.
fn groups(parameters: &[Parameter], flow: &mut Flow, filters: &BTreeSet<Place>) -> Vec<Group> {
    let mut channels: BTreeMap<u32, Channel> = BTreeMap::new();
    for (parameter, axes) in flow.axes.iter().enumerate() {
        for (axis, labels) in axes.iter().enumerate() {
            for (place, &label) in labels.iter().enumerate() {
                let label = flow.labels.find(label);
                if label > FREE {
                    channels.entry(label).or_default().push((parameter, axis, place));
                }
            }
        }
    }
    let mut alike: BTreeMap<BTreeSet<Place>, Vec<Channel>> = BTreeMap::new();
    for channel in channels.into_values() {
        alike.entry(channel.iter().map(|&(parameter, axis, _)| (parameter, axis)).collect()).or_default().push(channel);
    }
    let group = |(axes, channels): (BTreeSet<Place>, Vec<Channel>)| {
        let of_filters = axes.intersection(filters).map(|&(parameter, _)| parameters[parameter].name().to_string());
        let filters: Vec<String> = of_filters.collect();
        (!filters.is_empty()).then_some(Group { filters, channels })
    };
    alike.into_iter().filter_map(group).collect()
}

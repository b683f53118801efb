//! Pruning a network to a sparsity, again and again.

use super::amount::checked;
use super::held::{Held, lowest, norm};
use super::methods::random;
use super::movement::Movement;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::number::nearest;
use crate::options::options;

const OP: &str = "pruner";

/// The measure of a weight: those of the lowest are pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The absolute value.
    Magnitude,
    /// By chance.
    Random,
    /// Movement away from 0 (Sanh et al., "Movement pruning", 2020): `-sum of gradient times weight` over the steps that the
    /// pruner [observed](Pruner::observe). The gradient of a pruned weight counts too, and takes it back in with the value that
    /// it had.
    Movement,
}

/// The unit of pruning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Granularity {
    /// Single weights.
    Weight,
    /// The channels along a dimension; 0 for the filters of convolutions.
    Channel {
        /// The order of the norm that measures a channel's magnitude. A movement is the sum of those of its weights.
        n: f64,
        /// The dimension.
        dim: usize,
    },
}

/// The units that are compared with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All: layers that matter less lose more.
    Global,
    /// Those of one parameter: each loses the same share.
    Layer,
}

options! {
    /// Options of a [`Pruner`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    PrunerOptions {
        /// The measure of a weight.
        criterion: Criterion = Criterion::Magnitude,
        /// The unit of pruning.
        granularity: Granularity = Granularity::Weight,
        /// The units that are compared with one another.
        reach: Reach = Reach::Global,
    }
}

/// Prunes parameters to a sparsity that rises. Their masks begin with ones, or as they are.
///
/// ```
/// use wgrad::compress::pruning::{Pruner, PrunerOptions, Reach, prunable, sparsity};
/// use wgrad::nn::{Module, Scope};
/// use wgrad::{Device, models::LeNet5};
/// let net = LeNet5::new(&Scope::new(&Device::reference()))?;
/// let mut pruner = Pruner::new(prunable(&net), PrunerOptions::default().reach(Reach::Layer))?;
/// for share in [0.5, 0.75, 0.9] {
///     pruner.prune_to(share)?;
///     // ... and some epochs of training
/// }
/// assert!((sparsity(&prunable(&net))? - 0.9).abs() < 1e-3);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Pruner {
    parameters: Vec<Parameter>,
    options: PrunerOptions,
    movements: Vec<Movement>,
}

impl Pruner {
    /// A pruner of some parameters, such as those that [`prunable`](super::prunable) lists.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none, or one has no such dimension; errors of the device.
    pub fn new(parameters: Vec<Parameter>, options: PrunerOptions) -> Result<Pruner> {
        if parameters.is_empty() {
            return Err(Error::invalid(OP, "there are no parameters to prune"));
        }
        for parameter in &parameters {
            if parameter.mask().is_none() {
                parameter.set_mask(Some(&parameter.value().ones_like()?))?;
            }
            if let Granularity::Channel { dim, .. } = options.granularity
                && dim >= parameter.holds().0.len()
            {
                let rule = format!("{} of shape {} has no dimension {dim}", parameter.name(), parameter.holds().0);
                return Err(Error::invalid(OP, rule));
            }
        }
        let movements = match options.criterion {
            Criterion::Movement => parameters.iter().map(Movement::new).collect::<Result<_>>()?,
            Criterion::Magnitude | Criterion::Random => Vec::new(),
        };
        Ok(Pruner { parameters, options, movements })
    }

    /// The parameters.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Takes the gradients that the parameters have into their movement, before the optimizer's step; without
    /// [`Criterion::Movement`] it does nothing. `loss_scale` is the number on the device by which the gradients are too large, as
    /// with a [`GradScaler`](crate::amp::GradScaler).
    ///
    /// # Errors
    /// Errors of the device.
    pub fn observe(&self, loss_scale: Option<&Tensor>) -> Result<()> {
        self.movements.iter().try_for_each(|movement| movement.observe(loss_scale))
    }

    /// Prunes until this fraction of the units is pruned. Pruned units stay pruned, except by [`Criterion::Movement`], which
    /// chooses anew. Reads the weights from the device.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a share that is not from 0 to 1; errors of the device.
    pub fn prune_to(&mut self, sparsity: f64) -> Result<()> {
        checked(OP, sparsity)?;
        let mut layers = self.parameters.iter().map(|parameter| self.layer(parameter)).collect::<Result<Vec<_>>>()?;
        if let Criterion::Movement = self.options.criterion {
            for (layer, movement) in layers.iter_mut().zip(&self.movements) {
                let scores = movement.scores()?;
                layer.scores = layer.units.iter().map(|unit| unit.iter().map(|&at| scores[at]).sum()).collect();
                layer.held.open.fill(true);
            }
        }
        match self.options.reach {
            Reach::Global => prune(&mut layers, sparsity),
            Reach::Layer => layers.iter_mut().for_each(|layer| prune(std::slice::from_mut(layer), sparsity)),
        }
        match self.options.criterion {
            Criterion::Movement => layers
                .iter()
                .zip(&self.movements)
                .try_for_each(|(layer, movement)| movement.keep_values(|| layer.held.prune())),
            Criterion::Magnitude | Criterion::Random => layers.iter().try_for_each(|layer| layer.held.prune()),
        }
    }

    /// The tensors that a resumed run needs.
    pub(super) fn tensors(&self) -> Vec<Parameter> {
        let masks = self.parameters.iter().filter_map(Parameter::mask);
        masks.chain(self.movements.iter().flat_map(Movement::tensors)).collect()
    }

    fn layer<'a>(&self, parameter: &'a Parameter) -> Result<Layer<'a>> {
        let held = Held::read(parameter)?;
        let (units, n) = match self.options.granularity {
            Granularity::Weight => ((0..held.values.len()).map(|at| vec![at]).collect(), 1.0),
            Granularity::Channel { n, dim } => (held.all_channels(OP, dim)?, n),
        };
        let scores = match self.options.criterion {
            Criterion::Random => random(&parameter.holds().2, units.len())?,
            Criterion::Magnitude | Criterion::Movement => {
                units.iter().map(|unit| norm(unit.iter().map(|&at| held.values[at]), n)).collect()
            }
        };
        Ok(Layer { held, units, scores })
    }
}

/// A parameter, the elements of each unit, and the units' scores.
struct Layer<'a> {
    held: Held<'a>,
    units: Vec<Vec<usize>>,
    scores: Vec<f64>,
}

/// Prunes the lowest units of all these layers, so that this fraction of them is pruned.
fn prune(layers: &mut [Layer], sparsity: f64) {
    let is_open = |layer: &Layer, unit: usize| layer.units[unit].iter().any(|&at| layer.held.open[at]);
    let all: Vec<(usize, usize)> =
        (0..layers.len()).flat_map(|layer| (0..layers[layer].units.len()).map(move |unit| (layer, unit))).collect();
    let scores: Vec<f64> = all.iter().map(|&(layer, unit)| layers[layer].scores[unit]).collect();
    let open: Vec<usize> = (0..all.len()).filter(|&at| is_open(&layers[all[at].0], all[at].1)).collect();
    let target = nearest::<usize>((sparsity * all.len() as f64).round_ties_even());
    let count = target.saturating_sub(all.len() - open.len());
    for at in lowest(&scores, open, count) {
        let (layer, unit) = all[at];
        let Layer { held, units, .. } = &mut layers[layer];
        units[unit].iter().for_each(|&element| held.open[element] = false);
    }
}

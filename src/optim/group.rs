//! Groups of parameters, each with options of its own.

use super::Hyper;
use super::algorithm::Algorithm;
use crate::error::{Error, Result};
use crate::graph::Parameter;
use crate::nn::Module;
use crate::pattern;

/// Parameters, and the options by which they are changed.
///
/// ```
/// use wgrad::Device;
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::optim::{AdamW, AdamWOptions, ParamGroup};
///
/// let scope = Scope::new(&Device::reference());
/// let (backbone, head) = (Linear::new(&scope.at("backbone"), 4, 4)?, Linear::new(&scope.at("head"), 4, 2)?);
/// let options = AdamWOptions::default();
/// let groups = vec![ParamGroup::new(&backbone, options.lr(1e-4)), ParamGroup::new(&head, options)];
/// let adamw = AdamW::with_groups(groups)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ParamGroup<O> {
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Their options.
    pub options: O,
}

/// Something with parameters to train: a module, or a list.
pub trait IntoParameters {
    /// The parameters.
    fn into_parameters(self) -> Vec<Parameter>;

    /// Makes sure that none is forgotten: a module must reach every parameter of its [scope](crate::nn::Scope). A list is taken
    /// as it is.
    ///
    /// # Errors
    /// [`Error::Unreached`].
    fn check(&self) -> Result<()>;
}

impl<M: Module + ?Sized> IntoParameters for &M {
    fn into_parameters(self) -> Vec<Parameter> {
        self.parameters()
    }
    fn check(&self) -> Result<()> {
        self.check_reaches_all()
    }
}

impl IntoParameters for Vec<Parameter> {
    fn into_parameters(self) -> Vec<Parameter> {
        self
    }
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl<O> ParamGroup<O> {
    /// A group of these parameters without buffers. A module may be a part of a model: parameters that it does not reach are not
    /// looked for.
    pub fn new(parameters: impl IntoParameters, options: O) -> ParamGroup<O> {
        let parameters =
            Parameter::each_once(parameters.into_parameters()).into_iter().filter(|parameter| !parameter.is_buffer());
        ParamGroup { parameters: parameters.collect(), options }
    }
}

/// Groups by names: each parameter goes to the first of `patterns` that its name matches, and those that match none to a last
/// group with `options`. In a pattern `*` stands for any characters, and `?` for one.
///
/// # Errors
/// [`Error::Invalid`] if no parameter is left for a pattern.
///
/// ```
/// use wgrad::Device;
/// use wgrad::nn::{Linear, Scope};
/// use wgrad::optim::{self, AdamWOptions};
///
/// let layer = Linear::new(&Scope::new(&Device::reference()).at("fc"), 4, 2)?;
/// let options = AdamWOptions::default();
/// let groups = optim::groups_by_name(&layer, options, &[("*.bias", options.weight_decay(0.0))])?;
/// assert_eq!(groups[0].parameters[0].name(), "fc.bias");
/// assert_eq!(groups[1].parameters[0].name(), "fc.weight");
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn groups_by_name<O: Clone>(
    parameters: impl IntoParameters,
    options: O,
    patterns: &[(&str, O)],
) -> Result<Vec<ParamGroup<O>>> {
    parameters.check()?;
    let mut rest = ParamGroup::new(parameters, options);
    let mut groups = Vec::new();
    for (pattern, options) in patterns {
        let (matching, others) = rest.parameters.into_iter().partition(|p| pattern::matches(pattern, p.name()));
        rest.parameters = others;
        groups.push(named(pattern, matching, options)?);
    }
    groups.extend((!rest.parameters.is_empty()).then_some(rest));
    Ok(groups)
}

fn named<O: Clone>(pattern: &str, parameters: Vec<Parameter>, options: &O) -> Result<ParamGroup<O>> {
    if parameters.is_empty() {
        let rule = format!("{pattern:?} matches no trained parameter that an earlier pattern leaves");
        return Err(Error::invalid("groups_by_name", rule));
    }
    Ok(ParamGroup { parameters, options: options.clone() })
}

/// Splits each group in two, if it has both kinds: parameters of two dimensions and more keep their weight decay; those of one or
/// none, the scales and shifts of norms and the biases, get none.
///
/// # Errors
/// [`Error::Invalid`] for options without a weight decay.
///
/// ```
/// use wgrad::Device;
/// use wgrad::models::LeNet5;
/// use wgrad::nn::Scope;
/// use wgrad::optim::{self, AdamW, AdamWOptions, ParamGroup};
///
/// let model = LeNet5::new(&Scope::new(&Device::reference()))?;
/// let groups = optim::no_decay_on_norms_and_biases(vec![ParamGroup::new(&model, AdamWOptions::default())])?;
/// assert_eq!((groups[0].options.weight_decay, groups[1].options.weight_decay), (0.01, 0.0));
/// let adamw = AdamW::with_groups(groups)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn no_decay_on_norms_and_biases<O: Algorithm>(groups: Vec<ParamGroup<O>>) -> Result<Vec<ParamGroup<O>>> {
    let mut split = Vec::new();
    for ParamGroup { parameters, options } in groups {
        let mut without = options.clone();
        let rule = || Error::invalid(O::NAME, "its options have no weight decay to leave out");
        *without.hyper(Hyper::WeightDecay).ok_or_else(rule)? = 0.0;
        let (decayed, others): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|p| p.holds().0.len() > 1);
        let parts =
            [(decayed, options), (others, without)].map(|(parameters, options)| ParamGroup { parameters, options });
        split.extend(parts.into_iter().filter(|group| !group.parameters.is_empty()));
    }
    Ok(split)
}

/// Groups for fine-tuning by layers (Howard and Ruder, 2018): `layers` are patterns of names from the input to the output,
/// as [`groups_by_name`] reads them, and layer `l` of `L` has the rate `lr decay^(L - 1 - l)`.
///
/// # Errors
/// [`Error::Invalid`] if a layer is left without a parameter or a parameter without a layer, and if `decay` is not
/// between 0 and 1.
///
/// ```
/// use wgrad::Device;
/// use wgrad::models::LeNet5;
/// use wgrad::nn::Scope;
/// use wgrad::optim::{self, Sgd, SgdOptions};
///
/// let model = LeNet5::new(&Scope::new(&Device::reference()))?;
/// let groups = optim::layer_decay(&model, SgdOptions::default().lr(0.1), 0.5, &["conv*", "fc1.*", "fc*"])?;
/// let rates: Vec<f64> = groups.iter().map(|group| group.options.lr).collect();
/// assert_eq!(rates, [0.025, 0.05, 0.1]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn layer_decay<O: Algorithm>(
    parameters: impl IntoParameters,
    options: O,
    decay: f64,
    layers: &[&str],
) -> Result<Vec<ParamGroup<O>>> {
    const OP: &str = "layer_decay";
    if !(0.0..=1.0).contains(&decay) {
        return Err(Error::invalid(OP, format!("decay is {decay}; it must be from 0 to 1")));
    }
    let mut share = 1.0;
    let mut patterns = Vec::new();
    for &layer in layers.iter().rev() {
        let mut scaled = options.clone();
        if let Some(lr) = scaled.hyper(Hyper::Lr) {
            *lr *= share;
        }
        patterns.push((layer, scaled));
        share *= decay;
    }
    patterns.reverse();
    let groups = groups_by_name(parameters, options, &patterns)?;
    match groups.get(layers.len()).and_then(|rest| rest.parameters.first()) {
        Some(left) => Err(Error::invalid(OP, format!("{} belongs to none of the layers {layers:?}", left.name()))),
        None => Ok(groups),
    }
}

//! Layers that are frozen at first and trained later.

use crate::error::{Error, Result};
use crate::graph::Parameter;
use crate::nn::Module;
use crate::pattern;
use crate::train::{Callback, Run};
use std::collections::BTreeMap;

/// The word for all parameters but those of the head.
const BACKBONE: &str = "backbone";

/// Transfer from weights that were trained for something else: parts of the model are frozen, and thawed at later epochs.
///
/// A part is a pattern of names, as [`freeze`](Module::freeze) takes it, or `backbone`: the parameters that begin with
/// `backbone.`, or if there are none, all but those of the layer with the last parameter. Without
/// [`unfreeze_at`](Finetuning::unfreeze_at) a part stays frozen: the network extracts features, and the rest is trained on them.
///
/// Norms with running statistics stay in evaluation while they are frozen, so that a frozen part gives the same features in every
/// epoch and batches too small for statistics do no harm; [`freeze`](Module::freeze) alone leaves them in training, as PyTorch
/// does.
///
/// ```
/// use wgrad::optim::{self, Sgd, SgdOptions};
/// use wgrad::train::{Finetuning, Trainer, TrainerOptions};
/// # use wgrad::{Device, models::{ResNet, ResNetOptions}, nn::{Module, Scope}};
/// # let device = Device::reference();
/// let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18().classes(5))?;
/// // The head alone for two epochs, then the last layers too, at a tenth of its rate, and from epoch 4 on all.
/// let stages = Finetuning::new(["backbone"]).unfreeze_at(2, "layer4.*").unfreeze_at(4, "backbone");
/// let options = SgdOptions::default().lr(0.01);
/// let sgd = Sgd::with_groups(optim::groups_by_name(&net, options, &[("fc.*", options.lr(0.1))])?)?;
/// let trainer = Trainer::new(&device, TrainerOptions::default().epochs(6))?.callback(stages.clone());
/// // A loop that is written by hand calls this as an epoch begins.
/// stages.apply(&net, 2)?;
/// let trained: Vec<String> =
///     net.parameters().iter().filter(|p| p.requires_grad()).map(|p| p.name().to_string()).collect();
/// assert_eq!((&*trained[0], trained.len()), ("layer4.0.conv1.weight", 17));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finetuning {
    frozen: Vec<String>,
    thawed: Vec<(u64, String)>,
}

impl Finetuning {
    /// Freezes some parts.
    pub fn new<S: Into<String>>(frozen: impl IntoIterator<Item = S>) -> Finetuning {
        Finetuning { frozen: frozen.into_iter().map(Into::into).collect(), thawed: Vec::new() }
    }

    /// Thaws a part as an epoch begins; epochs count from 0.
    #[must_use = "it returns the callback with the stage"]
    pub fn unfreeze_at(mut self, epoch: u64, part: impl Into<String>) -> Finetuning {
        self.thawed.push((epoch, part.into()));
        self
    }

    /// The parameters of a part, without buffers: a group for an optimizer, with its own rate.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no parameter belongs to the part.
    ///
    /// ```
    /// # use wgrad::{Device, models::LeNet5, nn::{Module, Scope}};
    /// use wgrad::optim::{ParamGroup, Sgd, SgdOptions};
    /// use wgrad::train::Finetuning;
    /// let net = LeNet5::new(&Scope::new(&Device::reference()))?;
    /// let (backbone, head) = (Finetuning::part(&net, "backbone")?, Finetuning::part(&net, "fc3.*")?);
    /// let options = SgdOptions::default();
    /// let groups = vec![ParamGroup::new(backbone, options.lr(0.001)), ParamGroup::new(head, options.lr(0.01))];
    /// let sgd = Sgd::with_groups(groups)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn part(model: &dyn Module, part: &str) -> Result<Vec<Parameter>> {
        let parameters: Vec<Parameter> = model.parameters().into_iter().filter(|p| !p.is_buffer()).collect();
        let in_part = belongs_to(&parameters, part);
        let found: Vec<Parameter> = parameters.iter().filter(|parameter| in_part(parameter.name())).cloned().collect();
        match found.is_empty() {
            true => Err(Error::invalid("Finetuning", format!("no parameter belongs to the part {part:?}"))),
            false => Ok(found),
        }
    }

    /// Freezes and thaws the parameters of the parts for an epoch, and switches their norms. Other parameters are not touched.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a part that no parameter belongs to.
    pub fn apply(&self, model: &dyn Module, epoch: u64) -> Result<()> {
        // True for the parameters that are trained, false for those that are frozen.
        let mut states = BTreeMap::new();
        for part in &self.frozen {
            states.extend(Finetuning::part(model, part)?.iter().map(|p| (p.name().to_string(), false)));
        }
        for (from, part) in &self.thawed {
            let part = Finetuning::part(model, part)?;
            states.extend(part.iter().filter(|_| *from <= epoch).map(|p| (p.name().to_string(), true)));
        }
        for parameter in model.parameters() {
            if let Some(is_trained) = states.get(parameter.name()) {
                parameter.set_requires_grad(*is_trained);
            }
        }
        for (_, layer) in model.named_modules() {
            let own = layer.own_parameters();
            let of_own: Vec<bool> = own.iter().filter_map(|parameter| states.get(parameter.name()).copied()).collect();
            if let (Some(mode), true, false) = (layer.mode(), own.iter().any(Parameter::is_buffer), of_own.is_empty()) {
                mode.set(of_own.contains(&true));
            }
        }
        Ok(())
    }
}

/// The rule that decides by its name if one of these parameters belongs to a part.
fn belongs_to(parameters: &[Parameter], part: &str) -> Box<dyn Fn(&str) -> bool> {
    if part != BACKBONE {
        let part = part.to_string();
        return Box::new(move |name| pattern::matches(&part, name));
    }
    let prefix = format!("{BACKBONE}.");
    if parameters.iter().any(|parameter| parameter.name().starts_with(&prefix)) {
        return Box::new(move |name| name.starts_with(&prefix));
    }
    let head = parameters.last().map(|parameter| layer_of(parameter.name()).to_string());
    Box::new(move |name| head.as_deref() != Some(layer_of(name)))
}

/// The name of a parameter's layer.
fn layer_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(layer, _)| layer)
}

impl Callback for Finetuning {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        self.apply(run.model, run.epoch)
    }

    fn on_epoch_start(&mut self, run: &mut Run) -> Result<()> {
        self.apply(run.model, run.epoch)
    }
}

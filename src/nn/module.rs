//! The trait of layers and networks.

use crate::error::{Error, IncompatibleKeys, Result};
use crate::graph::{Parameter, Registry, Tensor};
use crate::nn::{Grouped, Mode, Probe, StateDict, Summary, Weighted, probe, state_dict, summary};
use crate::pattern;
use std::any::type_name;
use std::sync::Arc;

/// A layer or a network: a map of tensors, with the parameters it holds.
///
/// A module implements [`call`](Module::call), and lists its parts: parameters of its own in
/// [`own_parameters`](Module::own_parameters), other modules in [`children`](Module::children). All other methods are provided
/// and follow from these; no module overrides them. Callers run a module by [`forward`](Module::forward).
///
/// ```
/// use wgrad::nn::{self, Dropout, Linear, Module, Scope};
/// use wgrad::{Device, Parameter, Result, Tensor};
///
/// struct Scaled {
///     scale: Parameter,
///     fc: Linear,
///     dropout: Dropout,
/// }
///
/// impl Module for Scaled {
///     fn call(&self, input: &Tensor) -> Result<Tensor> {
///         self.dropout.forward(&self.fc.forward(input)?.relu()?)?.mul(&self.scale.value())
///     }
///     fn own_parameters(&self) -> Vec<Parameter> {
///         nn::parameters![self; scale]
///     }
///     fn children(&self) -> nn::Children<'_> {
///         nn::children![self; fc, dropout]
///     }
/// }
///
/// let device = Device::reference();
/// let scope = Scope::new(&device);
/// let block = Scaled {
///     scale: scope.parameter("scale", &Tensor::ones(&device, &[8])?),
///     fc: Linear::new(&scope.at("fc"), 8, 8)?,
///     dropout: Dropout::new(0.5),
/// };
/// let names: Vec<String> = block.parameters().iter().map(|p| p.name().to_string()).collect();
/// assert_eq!(names, ["scale", "fc.weight", "fc.bias"]);
/// block.eval();
/// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 8])?)?.shape()[..], [2, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Module: AsModule + Send + Sync {
    /// Computes the output for an input. A module implements this, and runs its children by
    /// [`forward`](Module::forward).
    ///
    /// # Errors
    /// Those of the operations it is made of.
    #[track_caller]
    fn call(&self, input: &Tensor) -> Result<Tensor>;

    /// The modules it is made of, by the names of their fields, in a fixed order; see [`children!`](crate::nn::children).
    fn children(&self) -> Children<'_> {
        Children::new()
    }

    /// The parameters that belong to it and to none of its children, running statistics included, in a fixed order; see
    /// [`parameters!`](crate::nn::parameters).
    fn own_parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// The switch between training and evaluation that it reads itself; its children have their own.
    fn mode(&self) -> Option<&Mode> {
        None
    }

    /// The number of groups of a convolution, which changes with its weight where channels are [cut](crate::compress::channels).
    fn grouped(&self) -> Option<Grouped> {
        None
    }

    /// The layer, if it is one that [`compress`](crate::compress) can factor.
    fn weighted(&self) -> Option<Weighted<'_>> {
        None
    }

    /// Outputs that training alone reads, such as those of auxiliary classifiers, whose inputs are [cut](crate::compress::channels)
    /// along.
    ///
    /// # Errors
    /// Those of the operations they are made of.
    fn auxiliary_outputs(&self, _: &Tensor) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }

    /// The output for an input.
    ///
    /// # Errors
    /// Those of the operations it is made of.
    #[track_caller]
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if !probe::is_looking() {
            return self.call(input);
        }
        probe::enter(self.as_module(), input)?;
        let output = self.call(input);
        probe::leave(self.as_module(), input, output)
    }

    /// The output for an input, while a [`Probe`] sees every layer that runs by [`forward`](Module::forward), this one included,
    /// and may replace their outputs. The module is unchanged afterwards.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Layer, Linear, Module, Relu, Scope, Sequential}};
    /// # let device = Device::reference();
    /// let net = Sequential::new(&Scope::new(&device)).make(|s| Linear::new(s, 4, 8))?.push(Relu);
    /// let mut shapes = Vec::new();
    /// let mut probe = |layer: &Layer, _: &Tensor, output: &Tensor| {
    ///     shapes.push(format!("{} {}", layer.name, output.shape()));
    ///     Ok(None)
    /// };
    /// net.forward_with(&Tensor::ones(&device, &[3, 4])?, &mut probe)?;
    /// assert_eq!(shapes, ["0 [3, 8]", "1 [3, 8]", " [3, 8]"]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`forward`](Module::forward) and of the probe.
    fn forward_with(&self, input: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        probe::forward(self.as_module(), input, probe)
    }

    /// The outputs of the layers with some names, in the order of the names, of one forward pass: torchvision's
    /// `create_feature_extractor`. A layer that runs several times gives its last output. Only their inputs are computed, and in
    /// training the running statistics.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{ResNet, ResNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18().classes(10))?;
    /// let maps = net.intermediates(&Tensor::zeros(&device, &[2, 3, 32, 32])?, &["layer2", "layer4.1.conv2"])?;
    /// assert_eq!(maps[0].shape()[..], [2, 128, 4, 4]);
    /// assert_eq!(maps[1].shape()[..], [2, 512, 1, 1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if no layer of a name runs by [`forward`](Module::forward); those of `forward`.
    fn intermediates(&self, input: &Tensor, names: &[&str]) -> Result<Vec<Tensor>> {
        probe::intermediates(self.as_module(), input, names)
    }

    /// A table of its layers for an input of this shape: names and types, outputs, parameters, multiply-adds, receptive
    /// fields. Nothing is computed, and nothing about the module changes.
    ///
    /// ```
    /// # use wgrad::{Device, models::LeNet5, nn::{Module, Scope}};
    /// let net = LeNet5::new(&Scope::new(&Device::reference()))?;
    /// let summary = net.summary(&[1, 1, 28, 28])?;
    /// assert_eq!(summary.trained_parameters, 61_706);
    /// assert_eq!(summary.rows[1].output[..], [1, 6, 28, 28]);
    /// println!("{summary}");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for a module without parameters, which has no device ([`Summary::new`] takes a tensor), or one
    /// that reads a value in its forward pass; those of [`forward`](Module::forward).
    fn summary(&self, input: &[usize]) -> Result<Summary> {
        summary::of_shape(self.as_module(), input)
    }

    /// The parameters of the whole module, its own first and then its children's, under the dotted names of PyTorch's
    /// `state_dict`. Running statistics are among them; optimizers leave those out. A parameter that occurs several times is
    /// listed once.
    fn parameters(&self) -> Vec<Parameter> {
        let of_children = self.children().into_iter().flat_map(|(_, child)| child.parameters());
        Parameter::each_once(self.own_parameters().into_iter().chain(of_children))
    }

    /// [`parameters`](Module::parameters), each with its name.
    fn named_parameters(&self) -> Vec<(String, Parameter)> {
        self.parameters().into_iter().map(|parameter| (parameter.name().to_string(), parameter)).collect()
    }

    /// This module under the empty name, and every module within it under its dotted name; parents come before their children.
    ///
    /// ```
    /// # use wgrad::{Device, models::{ResNet, ResNetOptions}, nn::{Module, Scope}};
    /// let net = ResNet::new(&Scope::new(&Device::reference()), &ResNetOptions::resnet18_cifar().classes(10))?;
    /// let names: Vec<String> = net.named_modules().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names[..6], ["", "conv1", "bn1", "layer1", "layer1.0", "layer1.0.conv1"]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    fn named_modules(&self) -> Children<'_> {
        let mut all: Children<'_> = vec![(String::new(), self.as_module())];
        for (name, child) in self.children() {
            let within = child.named_modules().into_iter();
            all.extend(within.map(|(inner, module)| (joined(&name, &inner), module)));
        }
        all
    }

    /// Takes out the factor of each channel of a normalization by statistics that are fixed in evaluation; from then on it only
    /// shifts.
    #[doc(hidden)]
    fn take_factor(&self) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// The identity by which a module is recognised.
    #[doc(hidden)]
    fn identity(&self) -> probe::Identity {
        (std::ptr::from_ref(self).addr(), type_name::<Self>())
    }

    /// The name of its type as summaries print it: without the path, and `Conv2d` for `Conv<2>`.
    fn type_name(&self) -> String {
        short_name(type_name::<Self>())
    }

    /// Freezes the parameters whose names match a pattern, in which `*` stands for any characters, dots among them, and `?` for
    /// one; see [`Parameter::set_requires_grad`]. This works at any time: an optimizer stops changing them from its next step on.
    /// The running statistics of a frozen norm still move in training, as in PyTorch; [`Finetuning`](crate::train::Finetuning)
    /// keeps them.
    ///
    /// ```
    /// # use wgrad::{Device, models::{ResNet, ResNetOptions}, nn::{Module, Scope}};
    /// let net = ResNet::new(&Scope::new(&Device::reference()), &ResNetOptions::resnet18_cifar().classes(10))?;
    /// net.freeze("layer?.*")?;
    /// net.unfreeze("layer4.*")?;
    /// let trained = net.named_parameters().into_iter().filter(|(_, parameter)| parameter.requires_grad());
    /// assert_eq!(trained.map(|(name, _)| name).next().as_deref(), Some("conv1.weight"));
    /// assert!(net.freeze("layer5.*").is_err());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if no parameter has such a name.
    fn freeze(&self, pattern: &str) -> Result<()> {
        require_grad("freeze", &self.parameters(), pattern, false)
    }

    /// Lets the parameters whose names match a pattern be trained again, from their current values.
    ///
    /// # Errors
    /// As [`freeze`](Module::freeze).
    fn unfreeze(&self, pattern: &str) -> Result<()> {
        require_grad("unfreeze", &self.parameters(), pattern, true)
    }

    /// Freezes all its parameters with `false`, or lets all be trained with `true` (PyTorch's `requires_grad_`).
    fn set_requires_grad(&self, requires_grad: bool) {
        self.parameters().iter().for_each(|parameter| parameter.set_requires_grad(requires_grad));
    }

    /// Forgets the gradients of all its parameters.
    fn zero_grad(&self) {
        self.parameters().iter().for_each(Parameter::zero_grad);
    }

    /// The values of its parameters, running statistics included, by their names. A parameter that occurs several times is listed
    /// once. The values are the current ones: later training does not change them.
    ///
    /// # Errors
    /// [`Error::Invalid`] if two parameters have one name.
    fn state_dict(&self) -> Result<StateDict> {
        state_dict::of(self.as_module())
    }

    /// Sets its parameters to the values of a state, which may be on another device and of another float type. Names that fit no
    /// parameter, parameters without a value, and shapes that differ are returned or, if `strict`, are an error. A parameter that
    /// occurs several times may have its value under any of its names.
    ///
    /// ```
    /// # use wgrad::{Device, Error, nn::{Linear, Module, Scope}};
    /// # let device = Device::reference();
    /// let (old, new) = (Linear::new(&Scope::new(&device), 3, 2)?, Linear::new(&Scope::new(&device), 3, 2)?);
    /// let mut state = old.state_dict()?;
    /// new.load_state_dict(&state, true)?;
    /// assert_eq!(new.weight.value().to_vec::<f32>()?, old.weight.value().to_vec::<f32>()?);
    /// state.remove("bias");
    /// assert!(matches!(new.load_state_dict(&state, true), Err(Error::IncompatibleKeys { .. })));
    /// assert_eq!(new.load_state_dict(&state, false)?.missing, ["bias"]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IncompatibleKeys`] if `strict` and the state does not fit, [`Error::Invalid`] if two parameters have one name;
    /// errors of the devices. Nothing has changed then.
    fn load_state_dict(&self, state: &StateDict, strict: bool) -> Result<IncompatibleKeys> {
        state_dict::load(self.as_module(), state, strict)
    }

    /// Checks that it reaches every parameter that exists in the [scope](crate::nn::Scope) in which its own were made. Training a
    /// module does this.
    ///
    /// # Errors
    /// [`Error::Unreached`], with the names of those it does not reach.
    fn check_reaches_all(&self) -> Result<()> {
        let left_out = Registry::left_out(&self.parameters());
        if left_out.is_empty() {
            return Ok(());
        }
        let parameters = left_out.iter().map(|parameter| parameter.name().to_string()).collect();
        Err(Error::Unreached { module: self.type_name(), parameters })
    }

    /// Switches it and its children to training, as they are at first, or with `false` to evaluation: dropout drops and batch
    /// normalization takes the batch's statistics in training only. Calls that were recorded before are unaffected.
    fn train(&self, training: bool) {
        if let Some(mode) = self.mode() {
            mode.set(training);
        }
        for (_, child) in self.children() {
            child.train(training);
        }
    }

    /// Switches to evaluation.
    fn eval(&self) {
        self.train(false);
    }
}

/// Freezes or thaws the parameters whose names match.
fn require_grad(op: &'static str, parameters: &[Parameter], pattern: &str, requires_grad: bool) -> Result<()> {
    let trained = parameters.iter().filter(|parameter| !parameter.is_buffer());
    let matching: Vec<&Parameter> = trained.filter(|parameter| pattern::matches(pattern, parameter.name())).collect();
    if matching.is_empty() {
        let mut modules: Vec<&str> =
            parameters.iter().map(|p| p.name().split('.').next().unwrap_or_default()).collect();
        modules.dedup();
        let rule = format!("no parameter's name matches {pattern:?}; they begin with {}", modules.join(", "));
        return Err(Error::invalid(op, rule));
    }
    matching.into_iter().for_each(|parameter| parameter.set_requires_grad(requires_grad));
    Ok(())
}

/// Modules by name.
pub type Children<'a> = Vec<(String, &'a dyn Module)>;

/// A module as a trait object. Every module implements it.
pub trait AsModule {
    /// This module.
    fn as_module(&self) -> &dyn Module;
}

impl<M: Module> AsModule for M {
    fn as_module(&self) -> &dyn Module {
        self
    }
}

/// A pointer to a module is that module.
macro_rules! pointers {
    ($($pointer:ident)*) => {
        $(
            impl<M: Module + ?Sized> Module for $pointer<M> {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    (**self).call(input)
                }
                fn children(&self) -> Children<'_> {
                    (**self).children()
                }
                fn own_parameters(&self) -> Vec<Parameter> {
                    (**self).own_parameters()
                }
                fn mode(&self) -> Option<&Mode> {
                    (**self).mode()
                }
                fn grouped(&self) -> Option<Grouped> {
                    (**self).grouped()
                }
                fn weighted(&self) -> Option<Weighted<'_>> {
                    (**self).weighted()
                }
                fn auxiliary_outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
                    (**self).auxiliary_outputs(input)
                }
                fn type_name(&self) -> String {
                    (**self).type_name()
                }
                fn take_factor(&self) -> Result<Option<Tensor>> {
                    (**self).take_factor()
                }
                fn identity(&self) -> probe::Identity {
                    (**self).identity()
                }
            }
        )*
    };
}

pointers! { Box Arc }

/// A dotted name of two parts, either of which may be empty.
pub(super) fn joined(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", name) | (name, "") => name.to_string(),
        _ => format!("{outer}.{inner}"),
    }
}

/// `a::b::Conv<2>` as `Conv2d`, and `a::Block<b::Relu>` as `Block`.
fn short_name(full: &str) -> String {
    let (path, arguments) = full.split_once('<').unwrap_or((full, ""));
    let name = path.rsplit("::").next().unwrap_or(path);
    match arguments.strip_suffix('>').and_then(|dimensions| dimensions.parse::<u8>().ok()) {
        Some(dimensions) => format!("{name}{dimensions}d"),
        None => name.to_string(),
    }
}

//! The trait of layers and networks.

use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::Mode;
use std::any::type_name;
use std::sync::Arc;

/// A layer or a network: a map of tensors, with the parameters it holds.
///
/// A module implements [`call`](Module::call), and names what it consists of: parameters of its own in
/// [`own_parameters`](Module::own_parameters), other modules in [`children`](Module::children). All the rest is provided
/// and follows from these; no module overrides it. Whoever runs a module calls [`forward`](Module::forward).
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

    /// The output for an input.
    ///
    /// # Errors
    /// Those of the operations it is made of.
    #[track_caller]
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.call(input)
    }

    /// The parameters of the whole module, its own first and then its children's, under the dotted names of PyTorch's
    /// `state_dict`. Running statistics are among them; optimizers leave those out. A parameter that stands in several
    /// places is listed once.
    fn parameters(&self) -> Vec<Parameter> {
        let of_children = self.children().into_iter().flat_map(|(_, child)| child.parameters());
        Parameter::each_once(self.own_parameters().into_iter().chain(of_children))
    }

    /// [`parameters`](Module::parameters), each with its name.
    fn named_parameters(&self) -> Vec<(String, Parameter)> {
        self.parameters().into_iter().map(|parameter| (parameter.name().to_string(), parameter)).collect()
    }

    /// This module under the empty name, and every module within it under the dotted name of its place; parents come
    /// before their children.
    ///
    /// ```
    /// # use wgrad::{Device, models::ResNet18, nn::{Module, Scope}};
    /// let net = ResNet18::cifar(&Scope::new(&Device::reference()), 10)?;
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

    /// The name of its type as summaries print it: without the path, and `Conv2d` for `Conv<2>`.
    fn type_name(&self) -> String {
        short_name(type_name::<Self>())
    }

    /// Switches it and its children to training, how they start, or with `false` to evaluation: dropout drops and batch
    /// normalization takes the batch's statistics in training only. Calls that were recorded before stay as they are.
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

/// Modules by name.
pub type Children<'a> = Vec<(String, &'a dyn Module)>;

/// A module as a trait object. Every module has it.
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
                fn type_name(&self) -> String {
                    (**self).type_name()
                }
            }
        )*
    };
}

pointers! { Box Arc }

/// A dotted name of two parts, either of which may be empty.
fn joined(outer: &str, inner: &str) -> String {
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

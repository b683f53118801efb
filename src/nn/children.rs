//! The macros by which modules list their children and parameters.

use crate::graph::Parameter;
use crate::nn::{Children, Module};

/// The children of a module, named as its fields: the body of [`Module::children`].
///
/// A field is a module, a `Box` or an `Arc` of one, an `Option`, which has no child where it is `None`, or a `Vec` or an
/// array of these, whose elements are numbered: `layers.0`, `layers.1`.
///
/// ```
/// use wgrad::nn::{self, Linear, Module, Relu, Scope};
/// use wgrad::{Device, Result, Tensor};
///
/// struct Perceptron {
///     hidden: Vec<Linear>,
///     activation: Box<dyn Module>,
///     head: Option<Linear>,
/// }
///
/// impl Module for Perceptron {
///     fn call(&self, input: &Tensor) -> Result<Tensor> {
///         let hidden = |x: Tensor, layer: &Linear| self.activation.forward(&layer.forward(&x)?);
///         let x = self.hidden.iter().try_fold(input.clone(), hidden)?;
///         self.head.as_ref().map_or_else(|| Ok(x.clone()), |head| head.forward(&x))
///     }
///     fn children(&self) -> nn::Children<'_> {
///         nn::children![self; hidden, activation, head]
///     }
/// }
///
/// let scope = Scope::new(&Device::reference());
/// let hidden = (0..2).map(|i| Linear::new(&scope.at("hidden").at(i), 4, 4)).collect::<Result<_>>()?;
/// let net = Perceptron { hidden, activation: Box::new(Relu), head: None };
/// let names: Vec<String> = net.children().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["hidden.0", "hidden.1", "activation"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[macro_export]
macro_rules! children {
    ($self:ident; $($field:ident),* $(,)?) => {{
        let mut children = $crate::nn::Children::new();
        $($crate::nn::Child::list(&$self.$field, ::std::string::String::from(stringify!($field)), &mut children);)*
        children
    }};
}

/// The parameters of a module: the body of [`Module::own_parameters`]. A field is a
/// [`Parameter`], or an `Option`, a `Vec` or an array of these.
#[macro_export]
macro_rules! parameters {
    ($self:ident; $($field:ident),* $(,)?) => {{
        let mut parameters = ::std::vec::Vec::new();
        $($crate::nn::Held::list(&$self.$field, &mut parameters);)*
        parameters
    }};
}

/// A field that [`children!`](crate::nn::children) takes.
pub trait Child {
    /// Adds the field's modules.
    fn list<'a>(&'a self, name: String, children: &mut Children<'a>);
}

impl<M: Module> Child for M {
    fn list<'a>(&'a self, name: String, children: &mut Children<'a>) {
        children.push((name, self));
    }
}

impl<C: Child> Child for Option<C> {
    fn list<'a>(&'a self, name: String, children: &mut Children<'a>) {
        if let Some(child) = self {
            child.list(name, children);
        }
    }
}

impl<C: Child> Child for Vec<C> {
    fn list<'a>(&'a self, name: String, children: &mut Children<'a>) {
        self.iter().enumerate().for_each(|(i, child)| child.list(format!("{name}.{i}"), children));
    }
}

impl<C: Child, const N: usize> Child for [C; N] {
    fn list<'a>(&'a self, name: String, children: &mut Children<'a>) {
        self.iter().enumerate().for_each(|(i, child)| child.list(format!("{name}.{i}"), children));
    }
}

/// A field that [`parameters!`](crate::nn::parameters) takes.
pub trait Held {
    /// Adds the field's parameters.
    fn list(&self, parameters: &mut Vec<Parameter>);
}

impl Held for Parameter {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        parameters.push(self.clone());
    }
}

impl<H: Held> Held for Option<H> {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        self.iter().for_each(|held| held.list(parameters));
    }
}

impl<H: Held> Held for Vec<H> {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        self.iter().for_each(|held| held.list(parameters));
    }
}

impl<H: Held, const N: usize> Held for [H; N] {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        self.iter().for_each(|held| held.list(parameters));
    }
}

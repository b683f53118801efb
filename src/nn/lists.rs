//! Modules that hold a list of others: in sequence, side by side, or for their owner to run.

use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::nn::{Children, Module, Scope};

/// A list of modules that is built call by call.
macro_rules! lists {
    ($($(#[$doc:meta])* $list:ident;)*) => {
        $(
            $(#[$doc])*
            pub struct $list {
                scope: Scope,
                modules: Vec<(String, Box<dyn Module>)>,
            }

            impl $list {
                /// An empty list, whose modules will be made in `scope`.
                pub fn new(scope: &Scope) -> $list {
                    $list { scope: scope.clone(), modules: Vec::new() }
                }

                /// One more module at the end, made in the scope of its number.
                ///
                /// # Errors
                /// Those of `module`.
                pub fn make<M: Module + 'static>(self, module: impl FnOnce(&Scope) -> Result<M>) -> Result<$list> {
                    let number = self.modules.len();
                    self.make_named(number, module)
                }

                /// One more module at the end, made in the scope of its name.
                ///
                /// # Errors
                /// Those of `module`.
                pub fn make_named<M: Module + 'static>(
                    self,
                    name: impl ToString,
                    module: impl FnOnce(&Scope) -> Result<M>,
                ) -> Result<$list> {
                    let module = module(&self.scope.at(name.to_string()))?;
                    Ok(self.push_named(name, module))
                }

                /// One more module at the end, finished. Parameters it may have keep the names of the scope they were
                /// made in.
                #[must_use]
                pub fn push(self, module: impl Module + 'static) -> $list {
                    let number = self.modules.len();
                    self.push_named(number, module)
                }

                /// One more module at the end, finished, under the given name.
                #[must_use]
                pub fn push_named(mut self, name: impl ToString, module: impl Module + 'static) -> $list {
                    self.modules.push((name.to_string(), Box::new(module)));
                    self
                }

                /// Drops the modules from `len` on.
                #[must_use]
                pub fn truncate(mut self, len: usize) -> $list {
                    self.modules.truncate(len);
                    self
                }

                /// The number of modules.
                pub fn len(&self) -> usize {
                    self.modules.len()
                }

                /// True if it holds none.
                pub fn is_empty(&self) -> bool {
                    self.modules.is_empty()
                }

                /// A module by its index.
                ///
                /// # Errors
                /// [`Error::Invalid`] if the list is shorter.
                pub fn get(&self, index: usize) -> Result<&dyn Module> {
                    let beyond = || format!("module {index} of {}", self.modules.len());
                    let module = self.modules.get(index).ok_or_else(|| Error::invalid(stringify!($list), beyond()))?;
                    Ok(&*module.1)
                }

                /// Its modules in order.
                pub fn iter(&self) -> impl DoubleEndedIterator<Item = &dyn Module> {
                    self.modules.iter().map(|(_, module)| &**module)
                }

                fn named(&self) -> Children<'_> {
                    self.modules.iter().map(|(name, module)| (name.clone(), &**module)).collect()
                }
            }
        )*
    };
}

lists! {
    /// Layers one after the other, PyTorch's `Sequential`. They are numbered from 0, or have names of their own.
    ///
    /// [`make`](Sequential::make) makes a layer in the scope of its number, so that its parameters are named as PyTorch
    /// names them; [`push`](Sequential::push) takes a layer that has no parameters, or one that was made elsewhere. Without
    /// layers it is the identity.
    ///
    /// ```
    /// use wgrad::nn::{Linear, Module, Relu, Scope, Sequential};
    /// use wgrad::{Device, Tensor};
    ///
    /// let device = Device::reference();
    /// let net = Sequential::new(&Scope::new(&device))
    ///     .make(|s| Linear::new(s, 4, 8))?
    ///     .push(Relu)
    ///     .make(|s| Linear::new(s, 8, 2))?;
    /// assert_eq!(net.forward(&Tensor::ones(&device, &[3, 4])?)?.shape()[..], [3, 2]);
    /// assert_eq!(net.parameters()[2].name(), "2.weight");
    ///
    /// let net = Sequential::new(&Scope::new(&device))
    ///     .make_named("fc", |s| Linear::new(s, 4, 8))?
    ///     .push_named("activation", Relu);
    /// assert_eq!(net.parameters()[0].name(), "fc.weight");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    Sequential;

    /// Modules that each take the input, and whose outputs are concatenated along the channels, as in an Inception block
    /// (Szegedy et al. 2014): `[N, C, ..] -> [N, C1 + C2 + .., ..]`.
    ///
    /// ```
    /// use wgrad::nn::{Branches, Conv2d, Module, Scope};
    /// use wgrad::{Conv2dOptions, Device, Padding, Tensor};
    ///
    /// let device = Device::reference();
    /// let same = Conv2dOptions::default().padding(Padding::Same);
    /// let block = Branches::new(&Scope::new(&device))
    ///     .make(|s| Conv2d::new(s, 3, 4, [1, 1], &same))?
    ///     .make_named("wide", |s| Conv2d::new(s, 3, 8, [5, 5], &same))?;
    /// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 3, 7, 7])?)?.shape()[..], [2, 12, 7, 7]);
    /// assert_eq!(block.parameters()[2].name(), "wide.weight");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    Branches;

    /// Modules that their owner runs itself, PyTorch's `ModuleList`. Modules of one type may as well be a `Vec` in
    /// [`children!`](crate::nn::children).
    ///
    /// ```
    /// use wgrad::nn::{self, Linear, Module, ModuleList, Scope};
    /// use wgrad::{Device, Result, Tensor};
    ///
    /// struct Experts {
    ///     experts: ModuleList,
    /// }
    ///
    /// impl Module for Experts {
    ///     fn call(&self, input: &Tensor) -> Result<Tensor> {
    ///         self.experts.get(0)?.forward(input)?.maximum(&self.experts.get(1)?.forward(input)?)
    ///     }
    ///     fn children(&self) -> nn::Children<'_> {
    ///         nn::children![self; experts]
    ///     }
    /// }
    ///
    /// let device = Device::reference();
    /// let experts = ModuleList::new(&Scope::new(&device).at("experts"))
    ///     .make(|s| Linear::new(s, 4, 2))?
    ///     .make(|s| Linear::new(s, 4, 2))?;
    /// let net = Experts { experts };
    /// assert_eq!(net.forward(&Tensor::ones(&device, &[3, 4])?)?.shape()[..], [3, 2]);
    /// assert_eq!(net.parameters()[3].name(), "experts.1.bias");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ModuleList;
}

impl Module for Sequential {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        self.iter().try_fold(input.clone(), |value, layer| layer.forward(&value))
    }
    fn children(&self) -> Children<'_> {
        self.named()
    }
}

impl Module for Branches {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let outputs = self.iter().map(|branch| branch.forward(input)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&outputs.iter().collect::<Vec<_>>(), 1)
    }
    fn children(&self) -> Children<'_> {
        self.named()
    }
}

impl Module for ModuleList {
    /// [`Error::Invalid`]: only the list's owner knows how to run its modules.
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid(
            "ModuleList",
            "a list computes nothing by itself; run the modules in it, or make a Sequential",
        ))
    }
    fn children(&self) -> Children<'_> {
        self.named()
    }
}

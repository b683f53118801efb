//! Softmax and its relatives.

use crate::dims::Dim;
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;

macro_rules! softmaxes {
    ($($(#[$doc:meta])* $layer:ident, $method:ident;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("See [`Tensor::", stringify!($method), "`].")]
            #[derive(Clone, Copy, Debug)]
            pub struct $layer {
                /// The dimension; negative ones count from the end.
                pub dim: isize,
            }

            impl $layer {
                /// A layer along a dimension.
                pub fn new(dim: impl Dim) -> $layer {
                    $layer { dim: dim.number() }
                }
            }

            impl Module for $layer {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    input.$method(self.dim)
                }
            }
        )*
    };
}

softmaxes! {
    /// `e^x[d] / sum over d of e^x[d]`.
    Softmax, softmax;
    /// `x[d] - log(sum over d of e^x[d])`.
    LogSoftmax, log_softmax;
    /// `e^-x[d] / sum over d of e^-x[d]`.
    Softmin, softmin;
}

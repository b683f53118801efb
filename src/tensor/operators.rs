//! `&a + &b` and its kin.

#![allow(clippy::panic)] // Operators can't return a Result.

use crate::graph::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Binary operators over tensors and over a tensor and a number.
///
/// Operators can't return a `Result`: they panic, with the text of the error that the method would return.
macro_rules! operator {
    ($trait:ident, $method:ident, $scalar:ident) => {
        impl $trait<&Tensor> for &Tensor {
            type Output = Tensor;
            /// # Panics
            /// Where the method of the same name returns an error.
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                Tensor::$method(self, other).unwrap_or_else(|error| panic!("{error}"))
            }
        }
        impl $trait<f32> for &Tensor {
            type Output = Tensor;
            /// # Panics
            /// Where the method of the same name returns an error.
            #[track_caller]
            fn $method(self, other: f32) -> Tensor {
                Tensor::$scalar(self, other).unwrap_or_else(|error| panic!("{error}"))
            }
        }
    };
}

operator!(Add, add, add_scalar);
operator!(Sub, sub, sub_scalar);
operator!(Mul, mul, mul_scalar);
operator!(Div, div, div_scalar);

impl Neg for &Tensor {
    type Output = Tensor;
    /// # Panics
    /// Where [`Tensor::neg`] returns an error.
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self).unwrap_or_else(|error| panic!("{error}"))
    }
}

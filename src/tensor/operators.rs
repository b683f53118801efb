//! `+`, `-`, `*` and `/` over tensors and numbers, and unary `-`.

use crate::error::Result;
use crate::graph::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// An operator for each pair of types on its sides.
macro_rules! operator {
    ($trait:ident, $method:ident: $($left:ty, $right:ty;)+ => |$a:ident, $b:ident| $result:expr) => {$(
        impl $trait<$right> for $left {
            type Output = Result<Tensor>;
            #[track_caller]
            fn $method(self, other: $right) -> Result<Tensor> {
                let ($a, $b) = (self, other);
                $result
            }
        }
    )+};
}

/// A binary operator with its method. Rust lets a crate implement an operator only if one side is a type of its own, not only a
/// `Result` of it: so two results, or a result and a number, need a `?` on one of them.
macro_rules! binary {
    ($($trait:ident, $method:ident, $scalar:ident;)+) => {$(
        operator! { $trait, $method:
            Tensor, Tensor; Tensor, &Tensor; &Tensor, Tensor; &Tensor, &Tensor;
            => |a, b| Tensor::$method(&a, &b)
        }
        operator! { $trait, $method: Tensor, Result<Tensor>; &Tensor, Result<Tensor>; => |a, b| Tensor::$method(&a, &b?) }
        operator! { $trait, $method: Result<Tensor>, Tensor; Result<Tensor>, &Tensor; => |a, b| Tensor::$method(&a?, &b) }
        operator! { $trait, $method: Tensor, f64; &Tensor, f64; => |a, b| Tensor::$scalar(&a, b) }
        operator! { $trait, $method: f64, Tensor; f64, &Tensor; => |a, b| Tensor::$method(&b.everywhere(a)?, &b) }
    )+};
}

binary! {
    Add, add, add_scalar;
    Sub, sub, sub_scalar;
    Mul, mul, mul_scalar;
    Div, div, div_scalar;
}

macro_rules! negation {
    ($($operand:ty)+) => {$(
        impl Neg for $operand {
            type Output = Result<Tensor>;
            #[track_caller]
            fn neg(self) -> Result<Tensor> {
                Tensor::neg(&self)
            }
        }
    )+};
}

negation!(Tensor & Tensor);

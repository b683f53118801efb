//! The dimensions of a call: a number, several, or all of them.

use crate::number::nearest;
use std::fmt::Display;
use std::ops::RangeFull;

/// The number of a dimension, from 0 for the outermost; negative numbers count from the end, so -1 is the last.
pub trait Dim: Copy + Display + Dims {
    /// The number as the caller wrote it.
    fn number(self) -> isize;
}

/// Dimensions of a tensor: a number, an array or slice of numbers, or `..` for all of them. An empty list means no dimensions.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let x = Tensor::ones(&device, &[2, 3, 4])?;
/// assert_eq!(x.sum(0)?.shape()[..], [3, 4]);
/// assert_eq!(x.sum(-1)?.shape()[..], [2, 3]);
/// assert_eq!(x.sum([0, 2])?.shape()[..], [3]);
/// assert_eq!(x.sum_keepdim(..)?.shape()[..], [1, 1, 1]);
/// let inner: Vec<usize> = (1..x.rank()).collect();
/// assert_eq!(x.sum(&inner)?.shape()[..], [2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Dims {
    /// The numbers as the caller wrote them; all of a tensor's `rank` dimensions for `..`.
    fn numbers(&self, rank: usize) -> Vec<isize>;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Dim for $number {
            fn number(self) -> isize {
                nearest(self)
            }
        }

        impl Dims for $number {
            fn numbers(&self, _: usize) -> Vec<isize> {
                vec![self.number()]
            }
        }
    )*};
}

numbers!(isize usize i32);

impl<D: Dim> Dims for [D] {
    fn numbers(&self, _: usize) -> Vec<isize> {
        self.iter().map(|dim| dim.number()).collect()
    }
}

impl<D: Dim, const N: usize> Dims for [D; N] {
    fn numbers(&self, rank: usize) -> Vec<isize> {
        self.as_slice().numbers(rank)
    }
}

impl<D: Dim> Dims for Vec<D> {
    fn numbers(&self, rank: usize) -> Vec<isize> {
        self.as_slice().numbers(rank)
    }
}

impl Dims for RangeFull {
    fn numbers(&self, rank: usize) -> Vec<isize> {
        (0..rank).map(nearest).collect()
    }
}

impl<T: Dims + ?Sized> Dims for &T {
    fn numbers(&self, rank: usize) -> Vec<isize> {
        (**self).numbers(rank)
    }
}

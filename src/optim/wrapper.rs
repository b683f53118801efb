//! Optimizers that delegate their work, or most of it, to another.

use super::{Guard, Hyper, Lent, Optimizer};
use crate::error::Result;
use crate::graph::Parameter;

/// The methods of [`Optimizer`] that are delegated to the optimizer that `inner` finds.
macro_rules! left_to {
    (($this:ident) $inner:expr) => {
        fn name(&self) -> &'static str {
            let $this = self;
            $inner.name()
        }
        fn parameters(&self) -> Vec<Parameter> {
            let $this = self;
            $inner.parameters()
        }
        fn steps(&self) -> Result<Vec<u64>> {
            let $this = self;
            $inner.steps()
        }
        fn set_steps(&mut self, steps: &[u64]) -> Result<()> {
            let $this = self;
            $inner.set_steps(steps)
        }
        fn groups(&self) -> usize {
            let $this = self;
            $inner.groups()
        }
        fn hyper(&self, hyper: Hyper, group: usize) -> Result<Option<f64>> {
            let $this = self;
            $inner.hyper(hyper, group)
        }
        fn set_hyper(&mut self, hyper: Hyper, group: usize, value: f64) -> Result<()> {
            let $this = self;
            $inner.set_hyper(hyper, group, value)
        }
        fn zero_grad(&self) {
            let $this = self;
            $inner.zero_grad();
        }
    };
}
pub(super) use left_to;

/// The first of two steps, delegated in the same way.
macro_rules! first_step_left_to {
    (($this:ident) $inner:expr) => {
        fn has_first_step(&self) -> bool {
            let $this = self;
            $inner.has_first_step()
        }
        #[track_caller]
        fn first_step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
            let $this = self;
            $inner.first_step_with(guard)
        }
    };
}
pub(super) use first_step_left_to;

/// A pointer to an optimizer is that optimizer.
macro_rules! pointers {
    ($($pointer:ty),*) => {
        $(
            impl<O: Optimizer + ?Sized> Optimizer for $pointer {
                left_to!((this) (**this));
                first_step_left_to!((this) (**this));
                #[track_caller]
                fn step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
                    (**self).step_with(guard)
                }
                fn buffers(&self) -> Vec<Parameter> {
                    (**self).buffers()
                }
                #[track_caller]
                fn lend_average(&self) -> Result<Option<Lent>> {
                    (**self).lend_average()
                }
                fn counts(&self) -> Vec<(&'static str, u64)> {
                    (**self).counts()
                }
                fn set_counts(&mut self, counts: &[u64]) {
                    (**self).set_counts(counts);
                }
            }
        )*
    };
}

pointers! { Box<O>, &mut O }

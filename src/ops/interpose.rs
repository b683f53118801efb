//! Replaces convolutions and linear maps by others.

use crate::error::Result;
use crate::graph::{Tensor, is_walking};
use crate::ops::Conv2dOptions;
use std::cell::RefCell;
use std::rc::Rc;

/// The output of a layer computed by another; `None` leaves the layer as it is.
pub(crate) type Answer = Result<Option<Tensor>>;

/// Computes layers with weights instead of their operation.
pub(crate) trait Interposer {
    fn conv2d(&self, input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Answer;

    fn linear(&self, input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Answer;
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Interposer>>> = const { RefCell::new(None) };
}

/// Restores the earlier interposer.
struct Restore(Option<Rc<dyn Interposer>>);

impl Drop for Restore {
    fn drop(&mut self) {
        drop(CURRENT.replace(self.0.take()));
    }
}

/// Runs `body` with an interposer on this thread.
pub(crate) fn interposed<R>(by: Rc<dyn Interposer>, body: impl FnOnce() -> R) -> R {
    let _restore = Restore(CURRENT.replace(Some(by)));
    body()
}

/// The interposer's answer, if there is one; it is not asked recursively, nor in a reverse walk.
pub(in crate::ops) fn ask(question: impl FnOnce(&dyn Interposer) -> Answer) -> Answer {
    if is_walking() {
        return Ok(None);
    }
    let Some(by) = CURRENT.take() else { return Ok(None) };
    let restore = Restore(Some(by.clone()));
    let answer = question(&*by);
    drop(restore);
    answer
}

//! The line of user code that a call is recorded for.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::Location;

thread_local! {
    static SOURCE: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// While this is held, all that its thread records is ascribed to one line.
pub(crate) struct Ascribed {
    outer: Option<&'static Location<'static>>,
    /// Keeps it on its thread.
    here: PhantomData<*const ()>,
}

/// Ascribes recorded calls to a line: a gradient to the line of the call that it differentiates, a container's layers to the line
/// that called the container. If several are nested, the outermost line counts.
#[must_use]
pub(crate) fn ascribe(source: &'static Location<'static>) -> Ascribed {
    let outer = SOURCE.get();
    SOURCE.set(outer.or(Some(source)));
    Ascribed { outer, here: PhantomData }
}

/// Ascribes everything that a function records to the line that called it: for functions that record in closures, which can't be
/// marked `#[track_caller]`.
#[must_use]
#[track_caller]
pub(crate) fn ascribe_to_caller() -> Ascribed {
    ascribe(Location::caller())
}

impl Drop for Ascribed {
    fn drop(&mut self) {
        SOURCE.set(self.outer);
    }
}

/// The line that a call recorded now is ascribed to.
#[track_caller]
pub(super) fn source() -> &'static Location<'static> {
    // Not by `unwrap_or_else`, whose own line would be the caller's.
    match SOURCE.get() {
        Some(source) => source,
        None => Location::caller(),
    }
}

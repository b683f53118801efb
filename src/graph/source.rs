//! Which line of user code a call is recorded for.

use std::cell::Cell;
use std::panic::Location;

thread_local! {
    static SOURCE: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Ascribes what `body` records to one line: a gradient to the line of the call that it is the gradient of, a
/// container's layers to the line that called the container. Of scopes in scopes the outermost counts.
pub(crate) fn recorded_at<T>(source: &'static Location<'static>, body: impl FnOnce() -> T) -> T {
    struct Restore(Option<&'static Location<'static>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SOURCE.set(self.0);
        }
    }
    let outer = SOURCE.get();
    let _restore = Restore(outer);
    SOURCE.set(outer.or(Some(source)));
    body()
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

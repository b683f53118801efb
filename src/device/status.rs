//! Errors of a device since the last check.

use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Filled by wgpu's handlers, emptied at synchronisation points.
#[derive(Default)]
pub(super) struct Status {
    lost: Mutex<Option<String>>,
    error: Mutex<Option<Error>>,
}

impl Status {
    /// Installs the handlers on a device of our own, so that no report of wgpu's can panic.
    pub fn watching(device: &wgpu::Device) -> Arc<Status> {
        let status = Arc::new(Status::default());
        let on_error = status.clone();
        device.on_uncaptured_error(Arc::new(move |error| on_error.report(from_wgpu(error))));
        let on_lost = status.clone();
        device.set_device_lost_callback(move |reason, message| {
            *on_lost.lost.lock() = Some(format!("{reason:?}: {message}"));
        });
        status
    }

    /// Keeps the first error until the next check.
    pub fn report(&self, error: Error) {
        self.error.lock().get_or_insert(error);
    }

    /// The device's loss, for ever, or the first error since the last check.
    pub fn check(&self) -> Result<()> {
        if let Some(reason) = &*self.lost.lock() {
            return Err(Error::DeviceLost { reason: reason.clone() });
        }
        self.error.lock().take().map_or(Ok(()), Err)
    }
}

fn from_wgpu(error: wgpu::Error) -> Error {
    let reason = error.to_string();
    match error {
        wgpu::Error::OutOfMemory { source } => Error::OutOfMemory { reason: source.to_string() },
        _ => Error::Device { reason },
    }
}

impl super::Gpu {
    /// Runs `body` and returns wgpu's reports meanwhile as an error. Scopes belong to this thread, so this works on a device
    /// shared with an application too, and leaves its handlers alone.
    pub fn guarded<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = self.scoped(body)?;
        self.status.check()?;
        Ok(result)
    }

    /// The same without checking earlier errors: an error means that `body` has failed.
    pub fn scoped<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let result = body();
        let caught = [memory.pop_now(), validation.pop_now(), internal.pop_now()];
        match caught.into_iter().flatten().next() {
            Some(error) => Err(self.or_lost(from_wgpu(error))),
            None => result,
        }
    }

    /// The device's loss if that caused an error. wgpu reports it when the device is polled, and until then calls fail with other
    /// errors.
    pub fn or_lost(&self, error: Error) -> Error {
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.status.check().err().unwrap_or(error)
    }
}

trait PopNow {
    fn pop_now(self) -> Option<wgpu::Error>;
}

impl PopNow for wgpu::ErrorScopeGuard {
    /// On native backends the future is ready at once, and needs no waker.
    fn pop_now(self) -> Option<wgpu::Error> {
        let mut popped = pin!(self.pop());
        match popped.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(error) => error,
            Poll::Pending => pollster::block_on(popped),
        }
    }
}

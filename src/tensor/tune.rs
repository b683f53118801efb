//! Tuning a device for a program.

use crate::error::Result;
use crate::graph::Device;
use crate::tune::{DEFAULT_LIMIT, Tuning};
use std::time::Duration;

impl Device {
    /// Runs `body`, tunes what it computes for at most ten seconds, and tells what was found: as
    /// [`tune_within`](Device::tune_within).
    ///
    /// # Errors
    /// As `tune_within`.
    ///
    /// ```
    /// use wgrad::{Device, Tensor};
    ///
    /// let device = Device::open().unwrap_or_else(|_| Device::reference());
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let options = wgrad::DeviceOptions::default().cache_folder(folder.path());
    /// # let device = Device::with_options(&options).unwrap_or(device);
    /// let x = Tensor::randn(&device, &[64, 100])?;
    /// let w = Tensor::randn(&device, &[100, 10])?;
    /// let step = || x.matmul(&w)?.softmax(1)?.sum_all()?.item::<f32>();
    /// let (sum, tuning) = device.tune(step)?;
    /// assert!((sum - 64.0).abs() < 1e-3);
    /// println!("{tuning}");
    /// step()?; // with the fastest kernels, here and in every later process
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn tune<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<(T, Tuning)> {
        self.tune_within(DEFAULT_LIMIT, body)
    }

    /// Runs `body`, tunes what it computes, and tells what was found.
    ///
    /// Where there are several ways to compute a call of it (convolutions, their gradients, matrix products), all are
    /// compared on values made up for it: one that is not right, or does not compile, can't win, and the fastest of the
    /// others computes such calls from now on, on this device and in later processes with the same adapter, driver and
    /// version of wgrad (`docs/TUNING.md` tells where that is kept). `body` should do all that is to be fast, a step of
    /// training for example; once is enough, and what else it does happens as it would otherwise.
    ///
    /// No candidate is begun once `limit` was spent on tuning; calls that were not reached keep the cost model's choice,
    /// and a later `tune` goes on with them. Tuning takes memory for the operands and results of one call at a time.
    /// Results change by rounding where another kernel wins. All plans are made anew afterwards.
    ///
    /// # Errors
    /// What `body` returns and what a synchronisation meets; [`Error::Invalid`](crate::Error::Invalid) where this
    /// device is being tuned already. Files that can't be read or written are [notes](Tuning::notes), not errors.
    pub fn tune_within<T>(&self, limit: Duration, body: impl FnOnce() -> Result<T>) -> Result<(T, Tuning)> {
        let Some(planner) = self.planner() else {
            let value = body()?;
            self.sync()?;
            return Ok((value, Tuning::with_note("the reference has one way to compute each call")));
        };
        let running = planner.tuner().start(limit)?;
        self.sync()?;
        planner.forget_plans();
        let value = body()?;
        self.sync()?;
        Ok((value, running.finish()))
    }
}

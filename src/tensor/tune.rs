//! Tuning a device for a program.

use crate::error::Result;
use crate::graph::Device;
use crate::tune::{DEFAULT_LIMIT, Tuning};
use std::time::Duration;

impl Device {
    /// Runs `body`, tunes the calls that it computes for at most ten seconds, and reports the findings: as
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

    /// Runs `body`, tunes the calls that it computes, and reports the findings.
    ///
    /// A call that can be computed in several ways (convolutions, their gradients, matrix products) is computed in each of them
    /// on random values: a candidate with wrong results, or that does not compile, can't win, and the fastest of the others
    /// computes such calls from now on, on this device and in later processes with the same adapter, driver and version of wgrad
    /// (`docs/TUNING.md` tells where that is kept). `body` should do everything that must be fast, a step of training for
    /// example; once is enough, and it has its usual effects.
    ///
    /// No candidate is started once tuning has taken `limit`; calls that were not reached keep the cost model's choice, and a
    /// later `tune` goes on with them. Tuning takes memory for the operands and results of one call at a time. Results change by
    /// rounding if another kernel wins. All plans are made anew afterwards.
    ///
    /// # Errors
    /// Those of `body` and of a synchronisation; [`Error::Invalid`](crate::Error::Invalid) if this device is being tuned already.
    /// Files that can't be read or written are [notes](Tuning::notes), not errors.
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

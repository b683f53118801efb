//! Profiles: the time that each kernel takes in a stretch of work.

mod table;
mod trace;

use crate::error::Result;
use crate::graph::{Device, ProfileEvent};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

impl Device {
    /// Runs `body` and measures the device's time meanwhile (PyTorch's `torch.profiler.profile`): by kernel, by operation and by
    /// the line of user code that recorded it.
    ///
    /// Work recorded before is finished first, and the work of `body` is finished too, so that exactly its work is
    /// measured, and whatever other threads do on this device at the same time. Kernels are timed by timestamp queries
    /// where the adapter has them ([`Adapter::has_timestamps`](crate::custom::Adapter::has_timestamps)), and otherwise
    /// submitted one by one and timed on the host, which adds the cost of a submission to each. Either way the host
    /// waits for each flush, so the whole takes longer than without a profile. The first run of a program also plans
    /// it and compiles its kernels: profile a later one.
    ///
    /// # Errors
    /// Those of `body` and of a synchronisation; [`Error::Invalid`](crate::Error::Invalid) if this device is being profiled
    /// already.
    ///
    /// ```
    /// use wgrad::{Device, Tensor};
    ///
    /// let device = Device::open().unwrap_or_else(|_| Device::reference());
    /// let x = Tensor::randn(&device, &[64, 100])?;
    /// let (sum, profile) = device.profile(|| x.softmax(1)?.sum_all()?.item::<f32>())?;
    /// assert!((sum - 64.0).abs() < 1e-3);
    /// println!("{profile}");
    /// let softmax = profile.by_op().into_iter().find(|row| row.name.contains("softmax"));
    /// assert!(softmax.is_some_and(|row| row.count >= 1));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn profile<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<(T, Profile)> {
        let running = self.executor().profiler().start()?;
        self.sync()?;
        running.restart();
        let value = body()?;
        self.sync()?;
        let (wall, events) = running.finish();
        let by_timestamps = self.adapter().is_some_and(|adapter| adapter.has_timestamps);
        Ok((value, Profile { events, wall, by_timestamps, peak_flops: self.peak_flops()? }))
    }
}

/// The device's time, by kernel; made by [`Device::profile`]. `Display` prints it as tables.
#[derive(Clone, Debug)]
pub struct Profile {
    events: Vec<ProfileEvent>,
    wall: Duration,
    by_timestamps: bool,
    peak_flops: Option<f64>,
}

/// Runs of kernels added up: a row of a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProfileRow {
    /// The kernel, the operation or the `file:line`.
    pub name: String,
    /// Runs of kernels.
    pub count: usize,
    /// Time of all of them.
    pub total: Duration,
    /// Part of the profile's device time, from 0 to 1.
    pub share: f64,
    /// Estimated floating-point operations; 0 if there is no estimate.
    pub work: u64,
    /// `work` a second as a part of [`Device::peak_flops`]; `None` if there is no estimate or no peak.
    pub share_of_peak: Option<f64>,
}

impl ProfileRow {
    /// Mean time of one run.
    pub fn mean(&self) -> Duration {
        self.total / u32::try_from(self.count.max(1)).unwrap_or(u32::MAX)
    }

    /// Estimated floating-point operations a second; `None` if there is no estimate.
    pub fn flops(&self) -> Option<f64> {
        (self.work > 0 && !self.total.is_zero()).then(|| self.work as f64 / self.total.as_secs_f64())
    }
}

impl Profile {
    /// Every run of a kernel, in the order of submission.
    pub fn events(&self) -> &[ProfileEvent] {
        &self.events
    }

    /// Time of all kernels together.
    pub fn device_time(&self) -> Duration {
        self.events.iter().map(|event| event.time).sum()
    }

    /// Time from the start of the profile to its end, on the host.
    pub fn wall_time(&self) -> Duration {
        self.wall
    }

    /// True if the device took the times; otherwise the host did, with kernels submitted one by one.
    pub fn by_timestamps(&self) -> bool {
        self.by_timestamps
    }

    /// [`Device::peak_flops`].
    pub fn peak_flops(&self) -> Option<f64> {
        self.peak_flops
    }

    /// A row for each kernel, the longest total first.
    pub fn by_kernel(&self) -> Vec<ProfileRow> {
        self.rows(|event| event.kernel.to_string())
    }

    /// A row for each operation, by PyTorch's name, the longest total first. Operations that one kernel computes are
    /// one row, their names joined by `+`.
    pub fn by_op(&self) -> Vec<ProfileRow> {
        self.rows(|event| event.op.clone())
    }

    /// A row for each line of user code, the longest total first: the calls that it recorded, and their gradients.
    pub fn by_line(&self) -> Vec<ProfileRow> {
        self.rows(|event| format!("{}:{}", event.source.file(), event.source.line()))
    }

    fn rows(&self, name: impl Fn(&ProfileEvent) -> String) -> Vec<ProfileRow> {
        let mut at: HashMap<String, usize> = HashMap::new();
        let mut rows: Vec<ProfileRow> = Vec::new();
        for event in &self.events {
            let name = name(event);
            let at = *at.entry(name.clone()).or_insert(rows.len());
            if at == rows.len() {
                let (total, share, share_of_peak) = (Duration::ZERO, 0.0, None);
                rows.push(ProfileRow { name, count: 0, total, share, work: 0, share_of_peak });
            }
            let row = &mut rows[at];
            row.count += 1;
            row.total += event.time;
            row.work += event.work;
        }
        let all = self.device_time().as_secs_f64().max(f64::MIN_POSITIVE);
        for row in &mut rows {
            row.share = row.total.as_secs_f64() / all;
            row.share_of_peak = row.flops().zip(self.peak_flops).map(|(flops, peak)| flops / peak);
        }
        rows.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    /// Writes the profile in Chrome's trace format, for `chrome://tracing` and <https://ui.perfetto.dev> (PyTorch's
    /// `export_chrome_trace`). The file appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File).
    pub fn write_chrome_trace(&self, path: impl AsRef<Path>) -> Result<()> {
        trace::write(self, path.as_ref())
    }
}

//! The only module that sees wgpu: adapters, pooled buffers, cached pipelines and bind groups, submission, reading back.

mod adapter;
mod bindings;
mod buffer;
mod cache;
mod debug;
mod disable;
mod fault;
mod peak;
mod pipeline;
mod precompile;
mod profile;
mod queue;
mod readback;
mod recipe;
mod status;
mod timing;
mod upload;

pub use adapter::{Adapter, AdapterInfo, DeviceOptions, Noop, adapters};
pub(crate) use bindings::Bindings;
pub(crate) use buffer::Buffer;
pub(crate) use cache::Cache;
pub use debug::Debug;
pub use disable::Disable;
pub use pipeline::DynamicSizes;
pub(crate) use pipeline::Pipeline;
pub(crate) use profile::LONGEST_LOOP;
pub use profile::{AdapterProfile, Roofline};
pub(crate) use queue::{Dispatch, Uniform};
pub(crate) use readback::Waiting;
pub(crate) use upload::Fill;

use crate::error::Result;
use buffer::{Memory, Pool};
use fault::Faults;
use pipeline::Pipelines;
use queue::InFlight;
use readback::{Poller, Staging};
use status::Status;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// An open device: wgpu's device and queue with their caches.
pub(crate) struct Gpu {
    adapter: Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
    timeout: Duration,
    status: Arc<Status>,
    pool: Arc<Pool>,
    pipelines: Pipelines,
    /// Opens the devices on which pipelines are precompiled, if the driver needs that.
    precompiler: Option<wgpu::Adapter>,
    in_flight: InFlight,
    staging: Staging,
    /// Bytes that were stored since the host last waited for earlier ones.
    on_the_way: AtomicUsize,
    poller: Poller,
    faults: Faults,
    /// The result of [`Gpu::peak_flops`].
    peak: OnceLock<Option<f64>>,
    /// True if buffers are filled with NaN bits when they are taken, and end in a guard band.
    poison: bool,
    /// The bytes that a plan should take at most, if the user sets them.
    memory_budget: Option<u64>,
}

impl Gpu {
    /// Opens the adapter that fits the options.
    pub fn open(options: &DeviceOptions) -> Result<Gpu> {
        let adapter = adapter::choose(options)?;
        let (device, queue) = adapter::request(&adapter)?;
        let status = Status::watching(&device);
        let disable = options.disable.with_env()?;
        let capabilities = adapter::capabilities(&device, Some(&adapter), options.noop.as_ref(), disable);
        let mut gpu = Gpu::with(capabilities, device, queue, status, options.timeout)?;
        gpu.poison = options.poison;
        gpu.memory_budget = options.memory_budget;
        gpu.precompiler = Some(adapter).filter(|adapter| !gpu.adapter.disable.precompile && precompile::helps(adapter));
        Ok(gpu)
    }

    /// Shares a device that the application opened and keeps watching.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Gpu> {
        let status = Arc::new(Status::default());
        let capabilities = adapter::capabilities(&device, None, None, Disable::default().with_env()?);
        Gpu::with(capabilities, device, queue, status, DeviceOptions::default().timeout)
    }

    fn with(
        adapter: Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        status: Arc<Status>,
        timeout: Duration,
    ) -> Result<Gpu> {
        let pool = Arc::new(Pool::default());
        let gpu = Gpu {
            faults: Faults::new(&device),
            adapter,
            device,
            queue,
            timeout,
            status,
            pool,
            pipelines: Pipelines::default(),
            precompiler: None,
            in_flight: InFlight::default(),
            staging: Staging::default(),
            on_the_way: AtomicUsize::new(0),
            poller: Poller::default(),
            peak: OnceLock::new(),
            poison: false,
            memory_budget: None,
        };
        gpu.status.check()?;
        Ok(gpu)
    }

    /// The properties on which the choice of kernels depends.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// The bytes that a plan should take at most, if the user sets them.
    pub fn memory_budget(&self) -> Option<u64> {
        self.memory_budget
    }

    /// The wgpu device, for tests that break it on purpose.
    pub fn wgpu_device(&self) -> &wgpu::Device {
        &self.device
    }

    /// True if it computes anything: wgpu's noop adapter does not.
    pub fn computes(&self) -> bool {
        self.device.adapter_info().backend != wgpu::Backend::Noop
    }

    /// Names of the adapter, of the backend, and of the driver with its version.
    pub fn identity(&self) -> [String; 3] {
        let info = self.device.adapter_info();
        let driver = format!("{} {}", info.driver, info.driver_info);
        [info.name, info.backend.to_str().to_string(), driver.trim().to_string()]
    }

    /// The counters of this module.
    pub fn stats(&self) -> Counters {
        let memory = self.pool.memory();
        let (pipelines, bind_groups) = self.pipelines.counters();
        let (dispatches, submits) = self.in_flight.counters();
        Counters { memory, pipelines, bind_groups, dispatches, submits }
    }

    /// Name and text of every module compiled so far, sorted.
    pub fn shader_sources(&self) -> Vec<(String, String)> {
        self.pipelines.sources()
    }

    /// Starts the peaks of memory again.
    pub fn reset_peaks(&self) {
        self.pool.reset_peaks();
    }

    /// Gives pooled buffers back to the driver.
    pub fn empty_pool(&self) {
        self.pool.empty();
    }

    /// Gives pooled buffers back to the driver, and pipelines that no plan runs.
    pub fn empty_cache(&self) {
        self.pool.empty();
        self.pipelines.clear();
    }
}

/// Counters since the device was opened; sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub memory: Memory,
    pub pipelines: u64,
    pub bind_groups: u64,
    pub dispatches: u64,
    pub submits: u64,
}

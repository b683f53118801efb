//! Opens a device: chooses its executor.

use crate::debug::Checked;
use crate::device::{AdapterInfo, Debug, DeviceOptions, Gpu, adapters};
use crate::error::Result;
use crate::graph::Device;
use crate::plan::Planner;
use crate::reference::Reference;
use crate::tune::Tuner;

impl Device {
    /// Opens the best adapter: discrete, integrated, virtual, software, in that order.
    ///
    /// `WGPU_BACKEND`, `WGPU_ADAPTER_NAME` and `WGPU_POWER_PREF` in the environment are honoured.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter), listing what there is;
    /// [`Error::DeviceRequest`](crate::Error::DeviceRequest).
    pub fn open() -> Result<Device> {
        Device::with_options(&DeviceOptions::default())
    }

    /// Opens the adapter that fits the options.
    ///
    /// # Errors
    /// As [`open`](Device::open).
    pub fn with_options(options: &DeviceOptions) -> Result<Device> {
        Device::from_gpu(Gpu::open(options)?, options)
    }

    /// Shares an application's own device and queue. The application's error and loss handlers stay in place;
    /// errors of wgrad's own calls are returned by them.
    ///
    /// # Errors
    /// Errors that the device reports while wgrad's buffers are made.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Device> {
        Device::from_gpu(Gpu::from_wgpu(device, queue)?, &DeviceOptions::default())
    }

    fn from_gpu(gpu: Gpu, options: &DeviceOptions) -> Result<Device> {
        let tuner = Tuner::open(&gpu, options)?;
        let planner = Box::new(Planner::new(gpu, tuner)?);
        Ok(Device::from_executor(Checked::wrap(planner, Ok(options.debug.with_env()?)), options.recording_budget))
    }

    /// The CPU reference: double precision, slow, needs no adapter.
    pub fn reference() -> Device {
        Device::from_executor(Checked::wrap(Box::new(Reference::default()), Debug::default().with_env()), None)
    }

    /// Every adapter of this machine that wgpu reaches, best first.
    pub fn adapters() -> Vec<AdapterInfo> {
        adapters()
    }

    /// True for [`Device::reference`].
    pub fn is_reference(&self) -> bool {
        self.planner().is_none()
    }

    /// The wgpu device underneath, `None` on the reference.
    pub fn wgpu_device(&self) -> Option<&wgpu::Device> {
        self.planner().map(|planner| planner.gpu().wgpu_device())
    }

    /// The adapter's properties, by which kernels are chosen; `None` on the reference.
    pub fn adapter(&self) -> Option<&crate::device::Adapter> {
        self.planner().map(|planner| planner.gpu().adapter())
    }

    /// Stem and WGSL text of every shader module compiled so far; empty on the reference.
    pub fn shader_sources(&self) -> Vec<(String, String)> {
        self.planner().map(|planner| planner.gpu().shader_sources()).unwrap_or_default()
    }

    /// The adapter's peak of f32 multiply-adds in registers, in floating-point operations a second; a profile's shares of the
    /// peak refer to it. Measured by the first call, which takes about a tenth of a second. `None` on the reference and on wgpu's
    /// noop adapter.
    ///
    /// # Errors
    /// Errors that the device reports meanwhile.
    pub fn peak_flops(&self) -> Result<Option<f64>> {
        self.planner().map_or(Ok(None), |planner| planner.gpu().peak_flops())
    }

    pub(super) fn planner(&self) -> Option<&Planner> {
        self.executor().as_any().downcast_ref()
    }
}

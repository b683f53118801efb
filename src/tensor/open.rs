//! Opening a device: choosing who carries the recording out.

use crate::device::{AdapterInfo, DeviceOptions, Gpu, adapters};
use crate::error::Result;
use crate::graph::Device;
use crate::plan::Planner;
use crate::reference::Reference;

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
        Ok(Device::from_executor(Box::new(Planner::new(Gpu::open(options)?))))
    }

    /// Shares an application's own device and queue. The application's error and loss handlers stay in place;
    /// errors of wgrad's own calls are returned by them.
    ///
    /// # Errors
    /// What the device reports while wgrad's buffers are made.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Device> {
        Ok(Device::from_executor(Box::new(Planner::new(Gpu::from_wgpu(device, queue)?))))
    }

    /// The CPU reference: double precision, slow, needs no adapter.
    pub fn reference() -> Device {
        Device::from_executor(Box::new(Reference::default()))
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

    /// What kernels are chosen by, `None` on the reference.
    pub fn adapter(&self) -> Option<&crate::Adapter> {
        self.planner().map(|planner| planner.gpu().adapter())
    }

    /// Stem and WGSL text of every shader module compiled so far; empty on the reference.
    pub fn shader_sources(&self) -> Vec<(String, String)> {
        self.planner().map(|planner| planner.gpu().shader_sources()).unwrap_or_default()
    }

    fn planner(&self) -> Option<&Planner> {
        self.executor().as_any().downcast_ref()
    }
}

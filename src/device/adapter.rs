//! Finds an adapter and opens it.

use crate::device::{AdapterProfile, Debug, Disable};
use crate::error::{Error, Result};
use crate::options::options;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The properties of an adapter that the choice of a kernel may depend on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Adapter {
    /// Name, as the driver gives it.
    pub name: String,
    /// A software adapter. Kernels ask the `profile` instead, which holds the differences.
    pub is_cpu: bool,
    /// The differences that matter to kernels.
    pub profile: AdapterProfile,
    /// 16-bit floats in shaders and storage.
    pub has_f16: bool,
    /// Fewest invocations of a subgroup; 1 if there are no subgroup operations.
    pub subgroup_size: u32,
    /// Cooperative matrices of 16 x 16 x 16 with f16 operands and f32 sums, and subgroups of exactly 32 invocations.
    pub has_cooperative_matrices: bool,
    /// Timestamp queries, by which kernels are timed in a profile.
    pub has_timestamps: bool,
    /// Most bytes one binding can show.
    pub max_binding_bytes: u64,
    /// Most storage buffers that a kernel of fused calls binds: 8 by WebGPU's default, up to 12 if the adapter has them.
    pub max_storage_buffers: usize,
    /// Alignment of dynamic offsets into the parameters, in bytes.
    pub(crate) params_alignment: u32,
    /// Fast paths that the planner leaves out.
    pub(crate) disable: Disable,
}

impl Adapter {
    /// The adapter as it would be without any of its capabilities, so that it gets the plainest kernels.
    pub(crate) fn baseline(&self) -> Adapter {
        Adapter {
            profile: AdapterProfile::baseline(),
            subgroup_size: 1,
            has_cooperative_matrices: false,
            ..self.clone()
        }
    }
}

/// One adapter of this machine, with its limits and optional capabilities.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// Name, as the driver gives it.
    pub name: String,
    /// Discrete, integrated, virtual, software or other.
    pub kind: &'static str,
    /// Vulkan, Metal, DX12.
    pub backend: &'static str,
    /// Driver name and version.
    pub driver: String,
    /// Most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Most bytes one binding can show.
    pub max_binding_bytes: u64,
    /// Most invocations of a workgroup.
    pub max_workgroup_invocations: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Invocations of a subgroup, fewest and most.
    pub subgroup_size: (u32, u32),
    /// Subgroup operations.
    pub subgroups: bool,
    /// 16-bit floats.
    pub f16: bool,
    /// Timestamp queries.
    pub timestamps: bool,
    /// Cooperative matrices.
    pub cooperative_matrices: bool,
}

options! {
    /// Options of a device: its adapter, checks, limits and time-out.
    ///
    /// If `WGRAD_DUMP_SHADERS` in the environment names a folder, every shader module is written there before it is compiled, as
    /// `NAME-HASH.wgsl`.
    ///
    /// ```
    /// use wgrad::{Device, DeviceOptions};
    /// let missing = DeviceOptions::default().adapter_name("no such adapter");
    /// let error = Device::with_options(&missing).unwrap_err();
    /// assert!(error.to_string().contains("no such adapter"));
    /// ```
    #[derive(Clone, Debug)]
    DeviceOptions {
        /// Backends to look at; `None` takes `WGPU_BACKEND` from the environment.
        backends: Option<wgpu::Backends> = None,
        /// A part of the adapter's name, in any case; `None` takes `WGPU_ADAPTER_NAME`.
        adapter_name: Option<String> = None,
        /// The compiler of shaders on DX12; `None` takes `WGPU_DX12_COMPILER`, `dxc` or `fxc`. If that is not set either, it is
        /// DXC if a `dxcompiler.dll` (1.8.2502 or later) is next to the program or on the `PATH`, otherwise FXC, which comes with
        /// Windows. FXC takes seconds for some kernels where DXC takes tenths, and has neither subgroups nor 16-bit floats, so
        /// ship DXC. A DLL somewhere else is `DynamicDxc { dxc_path }`.
        dx12_compiler: Option<wgpu::Dx12Compiler> = None,
        /// Integrated before discrete (`LowPower`) or after; `None` takes `WGPU_POWER_PREF`.
        power_preference: Option<wgpu::PowerPreference> = None,
        /// The time that a synchronisation point waits for the device before it returns [`Error::Timeout`].
        timeout: Duration = Duration::from_secs(600),
        /// Fast paths to turn off; `WGRAD_DISABLE` in the environment adds to them.
        disable: Disable = Disable::default(),
        /// Checks that run with every operation; `WGRAD_DEBUG` in the environment adds to them.
        debug: Debug = Debug::default(),
        /// Tunes the calls that are planned first, for at most ten seconds in total, as [`Device::tune`](crate::Device::tune)
        /// does; so does `WGRAD_TUNE=1` in the environment.
        tune: bool = false,
        /// The folder for the file of tuning's winners; `None` takes `WGRAD_CACHE_DIR`, or else wgrad's folder in the user's
        /// cache directory.
        cache_folder: Option<PathBuf> = None,
        /// The bytes that a plan should take at most, with its inputs: if it takes more, values of the forward pass are computed
        /// again for the backward pass until it fits, at any cost. With `None`, recomputation takes at most a twentieth of the
        /// plan's own time. It is a target: values that cannot be computed again stay.
        memory_budget: Option<u64> = None,
        /// The bytes of host memory that recorded calls may take, at 1,024 a call, before they are submitted unasked. With `None`
        /// they are 4 MiB, or 64 MiB if a gradient can be taken of them. Values that the program holds where a pass is cut are
        /// stored, so parts of a few layers take more of the device's memory than a whole pass.
        recording_budget: Option<usize> = None,
        /// Opens wgpu's noop adapter, which allocates and copies and computes nothing: for tests of everything
        /// that is not arithmetic.
        noop: Option<Noop> = None,
        /// Fills every buffer with NaN bits when it is taken, and checks after each run that no kernel wrote past the end of one,
        /// which is [`Error::Internal`]. Slow: for tests of kernels.
        poison: bool = false,
    }
}

/// The properties of the noop adapter, which decide the variants of kernels.
#[derive(Clone, Debug)]
pub struct Noop {
    /// A software adapter, otherwise a discrete GPU.
    pub software: bool,
    /// Invocations of a subgroup; 1 for an adapter without subgroup operations.
    pub subgroup_size: u32,
    /// 16-bit floats.
    pub f16: bool,
    /// Cooperative matrices; they need 16-bit floats and subgroups of 32.
    pub cooperative_matrices: bool,
    /// An adapter of DirectX 12.
    pub dx12: bool,
    /// Most bytes of a buffer and of a binding.
    pub max_buffer_bytes: u64,
    /// The adapter's name, by which faulty drivers are recognised.
    pub name: &'static str,
}

impl Default for Noop {
    fn default() -> Noop {
        Noop {
            software: true,
            subgroup_size: 8,
            f16: true,
            cooperative_matrices: false,
            dx12: false,
            max_buffer_bytes: 1 << 32,
            name: "noop",
        }
    }
}

impl Noop {
    fn options(&self) -> wgpu::NoopBackendOptions {
        let mut features = wgpu::Features::all();
        features.set(wgpu::Features::SUBGROUP, self.subgroup_size > 1);
        features.set(wgpu::Features::SHADER_F16, self.f16);
        features.set(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, self.cooperative_matrices);
        // Kernels take no time on it.
        features.remove(wgpu::Features::TIMESTAMP_QUERY);
        let limits = wgpu::Limits {
            max_buffer_size: self.max_buffer_bytes,
            max_storage_buffer_binding_size: self.max_buffer_bytes,
            max_storage_buffers_per_shader_stage: MOST_STORAGE_BUFFERS,
            ..wgpu::Limits::default()
        };
        wgpu::NoopBackendOptions {
            enable: true,
            limits: Some(limits),
            features: Some(features),
            device_type: Some(if self.software { wgpu::DeviceType::Cpu } else { wgpu::DeviceType::DiscreteGpu }),
            subgroup_min_size: Some(self.subgroup_size.max(4)),
            subgroup_max_size: Some(self.subgroup_size.max(4)),
        }
    }
}

fn instance_descriptor(options: &DeviceOptions) -> wgpu::InstanceDescriptor {
    let backends = if options.noop.is_some() {
        wgpu::Backends::NOOP
    } else {
        options.backends.or_else(wgpu::Backends::from_env).unwrap_or(wgpu::Backends::PRIMARY)
    };
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    let compiler = options.dx12_compiler.clone().or_else(wgpu::Dx12Compiler::from_env);
    descriptor.backend_options.dx12.shader_compiler = compiler.unwrap_or_default();
    if let Some(noop) = &options.noop {
        descriptor.backend_options.noop = noop.options();
    }
    descriptor
}

fn list(options: &DeviceOptions) -> (Vec<wgpu::Adapter>, wgpu::Backends) {
    let descriptor = instance_descriptor(options);
    let backends = descriptor.backends;
    let instance = wgpu::Instance::new(descriptor);
    (pollster::block_on(instance.enumerate_adapters(backends)), backends)
}

/// Every adapter of this machine that wgpu reaches, best first. Honours `WGPU_BACKEND`.
pub fn adapters() -> Vec<AdapterInfo> {
    let (mut found, _) = list(&DeviceOptions::default());
    found.sort_by_key(|adapter| rank(adapter.get_info().device_type, None));
    found.iter().map(describe).collect()
}

/// Discrete, integrated, virtual, software; integrated first if low power is preferred.
fn rank(kind: wgpu::DeviceType, power: Option<wgpu::PowerPreference>) -> u32 {
    let low = matches!(power, Some(wgpu::PowerPreference::LowPower));
    match kind {
        wgpu::DeviceType::IntegratedGpu if low => 0,
        wgpu::DeviceType::DiscreteGpu => 1,
        wgpu::DeviceType::IntegratedGpu => 2,
        wgpu::DeviceType::VirtualGpu => 3,
        wgpu::DeviceType::Cpu => 4,
        wgpu::DeviceType::Other => 5,
    }
}

pub(super) fn choose(options: &DeviceOptions) -> Result<wgpu::Adapter> {
    let name = options.adapter_name.clone().or_else(|| std::env::var("WGPU_ADAPTER_NAME").ok());
    let power = options.power_preference.or_else(wgpu::PowerPreference::from_env);
    let (found, backends) = list(options);
    let names: Vec<String> = found.iter().map(|adapter| adapter.get_info().name).collect();
    let fits = |adapter: &wgpu::Adapter| {
        name.as_ref().is_none_or(|name| adapter.get_info().name.to_lowercase().contains(&name.to_lowercase()))
    };
    found.into_iter().filter(fits).min_by_key(|adapter| rank(adapter.get_info().device_type, power)).ok_or_else(|| {
        let named = name.map(|name| format!("the name {name:?} and ")).unwrap_or_default();
        let available = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        let backends: Vec<String> = backends.iter_names().map(|(backend, _)| backend.to_lowercase()).collect();
        let backends = if backends.is_empty() {
            "no backend that wgpu knows (see WGPU_BACKEND)".to_string()
        } else {
            format!("a backend among {}", backends.join(", "))
        };
        Error::NoAdapter { wanted: format!("{named}{backends}"), available }
    })
}

/// Storage buffers that fused calls may bind. The norms of a training step take up to ten; more would cost registers.
const MOST_STORAGE_BUFFERS: u32 = 12;

/// The optional features for which kernels have variants, and those by which profiles are taken.
const OPTIONAL: wgpu::Features = wgpu::Features::SHADER_F16
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
    .union(wgpu::Features::TIMESTAMP_QUERY);

pub(super) fn request(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    let wgpu::AdapterInfo { name, device_type, .. } = adapter.get_info();
    let mut optional = OPTIONAL;
    optional.set(wgpu::Features::SHADER_INT64, device_type == wgpu::DeviceType::Cpu);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("wgrad"),
        required_features: adapter.features() & optional,
        required_limits: adapter.limits(),
        // SAFETY: of the experimental features only cooperative matrices are requested, and only kernels of our own that stay
        // within their tiles use them.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor))
        .map_err(|error| Error::DeviceRequest { adapter: name, reason: error.to_string() })
}

/// True if an adapter has the cooperative matrices that kernels are written for.
fn has_cooperative_matrices(adapter: &wgpu::Adapter) -> bool {
    use wgpu::CooperativeScalarType::{F16, F32};
    let info = adapter.get_info();
    (info.subgroup_min_size, info.subgroup_max_size) == (32, 32)
        && adapter.cooperative_matrix_properties().iter().any(|matrix| {
            [matrix.m_size, matrix.n_size, matrix.k_size] == [16; 3] && (matrix.ab_type, matrix.cr_type) == (F16, F32)
        })
}

/// The properties that kernels may depend on. An application's own device does not reveal cooperative matrices, and wgpu 30's
/// noop adapter always reports a software adapter and never lists the cooperative matrices that it takes.
pub(super) fn capabilities(
    device: &wgpu::Device,
    adapter: Option<&wgpu::Adapter>,
    noop: Option<&Noop>,
    disable: Disable,
) -> Adapter {
    let (info, limits) = (device.adapter_info(), device.limits());
    let has = |feature| device.features().contains(feature);
    let is_software = noop.map_or(info.device_type == wgpu::DeviceType::Cpu, |noop| noop.software);
    let is_cpu = is_software && !disable.software;
    let is_posing = !is_cpu && info.device_type == wgpu::DeviceType::Cpu;
    let has_subgroups = has(wgpu::Features::SUBGROUP) && !disable.subgroup;
    let subgroup_size = if has_subgroups { info.subgroup_min_size } else { 1 };
    let has_matrices = match noop {
        Some(noop) => noop.cooperative_matrices,
        None => adapter.is_some_and(has_cooperative_matrices),
    };
    let profile = if is_cpu {
        AdapterProfile::software(subgroup_size, has(wgpu::Features::SHADER_INT64) && !disable.int64)
    } else {
        // A software adapter that poses as a GPU poses as a discrete one.
        let kind = if is_posing { wgpu::DeviceType::DiscreteGpu } else { info.device_type };
        let is_dx12 = noop.map_or(info.backend == wgpu::Backend::Dx12, |noop| noop.dx12);
        AdapterProfile::gpu(kind, subgroup_size, is_dx12)
    };
    let name = noop.map_or(info.name, |noop| noop.name.to_string());
    Adapter {
        profile: profile.driven_by(is_software, &name),
        name,
        is_cpu,
        has_f16: has(wgpu::Features::SHADER_F16) && !disable.f16,
        subgroup_size,
        has_cooperative_matrices: has_matrices && !(disable.coopmat || disable.f16 || disable.subgroup),
        has_timestamps: has(wgpu::Features::TIMESTAMP_QUERY) && !disable.timestamps,
        // A value that is read back shares a buffer with the fault words.
        max_binding_bytes: limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size.saturating_sub(super::fault::FAULT_BYTES))
            // Byte offsets and invocations past the end of a folded grid are u32, and must not wrap.
            .min((1 << 32) - (1 << 20)),
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage.min(MOST_STORAGE_BUFFERS) as usize,
        params_alignment: limits.min_uniform_buffer_offset_alignment,
        disable,
    }
}

fn describe(adapter: &wgpu::Adapter) -> AdapterInfo {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    AdapterInfo {
        name: info.name,
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        backend: info.backend.to_str(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        f16: features.contains(wgpu::Features::SHADER_F16),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        cooperative_matrices: !adapter.cooperative_matrix_properties().is_empty(),
    }
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.kind, self.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::Dx12Compiler;

    #[test]
    fn dx12_compiles_with_what_was_asked_for() {
        let dxc_path = "compilers/dxcompiler.dll".to_string();
        let options = DeviceOptions::default().dx12_compiler(Dx12Compiler::DynamicDxc { dxc_path });
        let chosen = instance_descriptor(&options).backend_options.dx12.shader_compiler;
        assert!(
            matches!(&chosen, Dx12Compiler::DynamicDxc { dxc_path } if dxc_path == "compilers/dxcompiler.dll"),
            "{chosen:?}"
        );
    }
}

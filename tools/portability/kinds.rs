//! Kinds of adapters, for each of which kernels are chosen and specialised, and the compilers of their modules.

use wgrad::{Device, DeviceOptions, Disable, Noop, Result};

/// A kind of adapter.
pub struct Kind {
    pub name: &'static str,
    /// The adapter that wgpu's noop adapter poses as.
    noop: fn() -> Noop,
    /// Without 64-bit integers.
    no_int64: bool,
    /// Limits it to the networks' modules: its driver takes a second for a module, and runs the whole suite elsewhere.
    pub networks_only: bool,
    /// The shader model for which wgpu compiles its modules on DirectX: 5.1 is FXC's, others are DXC's. `None` if DirectX has no
    /// such adapter.
    pub model: Option<&'static str>,
}

fn gpu(subgroup_size: u32, f16: bool) -> Noop {
    Noop { software: false, subgroup_size, f16, ..Noop::default() }
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "gpu",
        noop: || Noop { dx12: true, ..gpu(32, true) },
        no_int64: false,
        networks_only: false,
        model: Some("6_6"),
    },
    // A GPU with FXC, and one without optional features.
    Kind {
        name: "gpu-plain",
        noop: || Noop { dx12: true, ..gpu(1, false) },
        no_int64: false,
        networks_only: false,
        model: Some("5_1"),
    },
    // WARP, Windows' software adapter, with DXC and with FXC.
    Kind {
        name: "warp",
        noop: || Noop { subgroup_size: 4, ..Noop::default() },
        no_int64: false,
        networks_only: false,
        model: Some("6_6"),
    },
    Kind {
        name: "warp-plain",
        noop: || Noop { subgroup_size: 1, f16: false, ..Noop::default() },
        no_int64: true,
        networks_only: false,
        model: Some("5_1"),
    },
    Kind { name: "llvmpipe", noop: Noop::default, no_int64: false, networks_only: true, model: None },
    Kind {
        name: "swiftshader",
        noop: || Noop { subgroup_size: 4, f16: false, name: "SwiftShader", ..Noop::default() },
        no_int64: true,
        networks_only: true,
        model: None,
    },
];

impl Kind {
    pub fn has_f16(&self) -> bool {
        (self.noop)().f16
    }

    /// Opens an adapter of this kind that computes nothing.
    pub fn open(&self, disable: Disable) -> Result<Device> {
        let disable = Disable { int64: self.no_int64, ..disable };
        Device::with_options(&DeviceOptions::default().noop((self.noop)()).disable(disable))
    }
}

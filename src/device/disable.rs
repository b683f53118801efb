//! Capabilities that are there and not to be used.

use crate::device::Adapter;
use crate::error::{Error, Result};

/// Fast paths to leave out, each with a plain twin that runs instead: for tests, and to find out whether a driver is
/// at fault. `WGRAD_DISABLE=subgroup,f16,software,timestamps` in the environment adds to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disable {
    /// Subgroup operations.
    pub subgroup: bool,
    /// 16-bit floats; tensors of them are an error then.
    pub f16: bool,
    /// The kernels for software adapters; those for GPUs run instead.
    pub software: bool,
    /// Timestamp queries; a profile then runs kernels one by one and takes the time on the host.
    pub timestamps: bool,
}

impl Disable {
    /// These, and those that the environment names.
    pub(super) fn with_env(self) -> Result<Disable> {
        match std::env::var("WGRAD_DISABLE") {
            Ok(names) => self.with_names(&names),
            Err(_) => Ok(self),
        }
    }

    fn with_names(mut self, names: &str) -> Result<Disable> {
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "subgroup" => self.subgroup = true,
                "f16" => self.f16 = true,
                "software" => self.software = true,
                "timestamps" => self.timestamps = true,
                _ => {
                    let rule = format!("{name:?} is none of subgroup, f16, software, timestamps");
                    return Err(Error::invalid("WGRAD_DISABLE", rule));
                }
            }
        }
        Ok(self)
    }

    pub(super) fn apply(self, adapter: &mut Adapter) {
        if self.subgroup {
            adapter.subgroup_size = 1;
        }
        adapter.has_f16 &= !self.f16;
        adapter.is_cpu &= !self.software;
        adapter.has_timestamps &= !self.timestamps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        let both = Disable::default().with_names("subgroup, f16,").unwrap();
        assert_eq!(both, Disable { subgroup: true, f16: true, ..Disable::default() });
        let error = Disable::default().with_names("subgroups").unwrap_err().to_string();
        assert!(error.contains("WGRAD_DISABLE") && error.contains("\"subgroups\""), "{error}");
    }
}

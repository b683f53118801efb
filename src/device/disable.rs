//! Available capabilities that must not be used.

use crate::error::{Error, Result};

/// Fast paths to turn off, each replaced by a plain variant: for tests, and to find out if a driver (or this crate) is at fault.
/// `WGRAD_DISABLE=fuse,subgroup` in the environment adds to them; the names are the fields'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disable {
    /// Compiling on several threads for a driver that compiles a pipeline at its first dispatch; without it they are compiled one
    /// by one.
    pub precompile: bool,
    /// Cooperative matrices.
    pub coopmat: bool,
    /// 16-bit floats; without it tensors of them are an error.
    pub f16: bool,
    /// Several calls in one kernel; without it each runs by itself.
    pub fuse: bool,
    /// Results in the buffers of their operands.
    pub inplace: bool,
    /// 64-bit integers, by which software adapters load and store pairs of numbers.
    pub int64: bool,
    /// Large values side by side in one buffer.
    pub parts: bool,
    /// Values computed again in the backward pass instead of being kept for it.
    pub rematerialise: bool,
    /// The kernels for software adapters; without it those for GPUs run.
    pub software: bool,
    /// Subgroup operations.
    pub subgroup: bool,
    /// Timestamp queries; without it profiles time kernels on the host.
    pub timestamps: bool,
    /// The winners of tuning; without it the cost model's choice runs, and nothing is tuned.
    pub tuned: bool,
    /// Winograd's algorithm for 3x3 convolutions; without it they add up in order.
    pub winograd: bool,
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
                "precompile" => self.precompile = true,
                "coopmat" => self.coopmat = true,
                "f16" => self.f16 = true,
                "fuse" => self.fuse = true,
                "inplace" => self.inplace = true,
                "int64" => self.int64 = true,
                "parts" => self.parts = true,
                "rematerialise" => self.rematerialise = true,
                "software" => self.software = true,
                "subgroup" => self.subgroup = true,
                "timestamps" => self.timestamps = true,
                "tuned" => self.tuned = true,
                "winograd" => self.winograd = true,
                _ => {
                    let rule = format!(
                        "{name:?} is none of coopmat, f16, fuse, inplace, int64, parts, precompile, rematerialise, \
                         software, subgroup, timestamps, tuned, winograd"
                    );
                    return Err(Error::invalid("WGRAD_DISABLE", rule));
                }
            }
        }
        Ok(self)
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

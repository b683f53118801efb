//! The choice of checks that run with every operation.

use crate::error::{Error, Result};

/// Checks after every operation, which name the first that goes wrong; for finding faults, many times slower.
/// `WGRAD_DEBUG=nan,diff` in the environment adds to them. See `docs/DEBUGGING.md`.
///
/// ```
/// use wgrad::{Debug, Device, DeviceOptions, Error, Tensor};
/// let options = DeviceOptions::default().debug(Debug { nan: true, ..Debug::default() });
/// # if Device::adapters().is_empty() { return Ok(()); }
/// let device = Device::with_options(&options)?;
/// let x = Tensor::from_slice(&device, &[1.0f32, -1.0], &[2])?;
/// let error = x.log()?.to_vec::<f32>().unwrap_err();
/// assert!(matches!(error, Error::NotFinite { op: "log", .. }));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debug {
    /// Every call runs by itself, and the first whose result is not finite although all its inputs are is [`Error::NotFinite`].
    pub nan: bool,
    /// Every kernel is compared with the reference, and the first that differs is [`Error::Differs`].
    pub diff: bool,
}

impl Debug {
    /// These, and those that the environment names.
    pub(crate) fn with_env(self) -> Result<Debug> {
        match std::env::var("WGRAD_DEBUG") {
            Ok(names) => self.with_names(&names),
            Err(_) => Ok(self),
        }
    }

    fn with_names(mut self, names: &str) -> Result<Debug> {
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "nan" => self.nan = true,
                "diff" => self.diff = true,
                _ => return Err(Error::invalid("WGRAD_DEBUG", format!("{name:?} is none of nan, diff"))),
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
        assert_eq!(Debug::default().with_names(" nan,").unwrap(), Debug { nan: true, diff: false });
        assert_eq!(Debug { nan: true, diff: false }.with_names("diff").unwrap(), Debug { nan: true, diff: true });
        let error = Debug::default().with_names("nans").unwrap_err().to_string();
        assert!(error.contains("WGRAD_DEBUG") && error.contains("\"nans\""), "{error}");
    }
}

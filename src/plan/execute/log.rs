//! The log that `WGRAD_LOG` asks for: the one place in the library that prints.

use crate::error::{Error, Result};
use crate::plan::execute::print;
use crate::plan::memory::assign::Plan;
use crate::tune::Tuning;

/// Messages to stderr. `WGRAD_LOG=plan` prints every plan when it is made, `WGRAD_LOG=tune` the calls tuned for it.
pub(in crate::plan) struct Log {
    plans: bool,
    tuning: bool,
}

impl Log {
    pub fn from_env() -> Result<Log> {
        Log::with_names(&std::env::var("WGRAD_LOG").unwrap_or_default())
    }

    fn with_names(names: &str) -> Result<Log> {
        let mut log = Log { plans: false, tuning: false };
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "plan" => log.plans = true,
                "tune" => log.tuning = true,
                _ => return Err(Error::invalid("WGRAD_LOG", format!("{name:?} is none of plan, tune"))),
            }
        }
        Ok(log)
    }

    /// Prints a new plan. `number` counts the device's plans.
    #[allow(clippy::print_stderr, reason = "the environment asks for it")]
    pub fn plan(&self, number: u64, plan: &Plan) {
        if self.plans {
            eprint!("wgrad: plan {number}: {}", print::text(plan));
        }
    }

    /// Prints what was tuned.
    #[allow(clippy::print_stderr, reason = "the environment asks for it")]
    pub fn tuning(&self, tuning: &Tuning) {
        if self.tuning {
            eprint!("wgrad: {tuning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        assert!(!Log::with_names("").unwrap().plans);
        assert!(Log::with_names(" plan,").unwrap().plans);
        assert!(Log::with_names("tune").unwrap().tuning);
        let error = Log::with_names("plans").err().unwrap().to_string();
        assert!(error.contains("WGRAD_LOG") && error.contains("\"plans\""), "{error}");
    }
}

//! What `WGRAD_LOG` in the environment asks to see: the one place in the library that prints.

use crate::error::{Error, Result};
use crate::plan::place::Plan;
use crate::plan::print;

/// What to print to stderr. `WGRAD_LOG=plan` prints every plan when it is made.
pub(super) struct Log {
    plans: bool,
}

impl Log {
    pub fn from_env() -> Result<Log> {
        Log::with_names(&std::env::var("WGRAD_LOG").unwrap_or_default())
    }

    fn with_names(names: &str) -> Result<Log> {
        let mut log = Log { plans: false };
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "plan" => log.plans = true,
                _ => return Err(Error::invalid("WGRAD_LOG", format!("{name:?} is not plan"))),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        assert!(!Log::with_names("").unwrap().plans);
        assert!(Log::with_names(" plan,").unwrap().plans);
        let error = Log::with_names("plans").err().unwrap().to_string();
        assert!(error.contains("WGRAD_LOG") && error.contains("\"plans\""), "{error}");
    }
}

//! The momentum of schedules that raise the rate: it moves the other way.

use super::GroupRates;
use super::group::PerGroup;
use crate::error::{Error, Result};

/// The range that a momentum moves in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Momenta {
    pub base: PerGroup,
    pub max: PerGroup,
}

impl Momenta {
    pub fn check(&self, op: &'static str, groups: &[GroupRates]) -> Result<()> {
        if groups.iter().any(|group| group.momentum.is_none()) {
            let rule = "the optimizer has neither a momentum nor betas to cycle: set cycle_momentum(false)";
            return Err(Error::invalid(op, rule));
        }
        let (rule, fits) = ("at least 0 and below 1", |value| (0.0..1.0).contains(&value));
        self.base.check(op, "base_momentum", groups.len(), rule, fits)?;
        self.max.check(op, "max_momentum", groups.len(), rule, fits)
    }
}

//! A row of a log.

use crate::error::{Error, Result};
use std::collections::HashSet;

/// The two columns of every row.
pub(super) const EPOCH: &str = "epoch";
pub(super) const STEP: &str = "step";

/// Numbers of a run, and its position: a row of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done since the run began.
    pub step: u64,
    /// Names such as `train/loss`, and values.
    pub scalars: Vec<(String, f64)>,
}

impl Record {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.scalars.iter().find(|(other, _)| other == name).map(|&(_, value)| value)
    }

    /// Rejects names that appear twice or are those of the first two columns.
    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        let mut names = HashSet::from([EPOCH, STEP]);
        match self.scalars.iter().find(|(name, _)| !names.insert(name)) {
            Some((name, _)) => Err(Error::invalid(op, format!("a row can't hold two values called {name:?}"))),
            None => Ok(()),
        }
    }
}

//! The numbers of a run so far.

use crate::logs::Record;
use std::collections::HashSet;

/// Rows of epochs and of validations within them, and losses of single steps.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct History {
    pub epochs: Vec<Record>,
    pub steps: Vec<(f64, f64)>,
}

impl History {
    /// The names of the numbers of training and validation, without `train/` and `val/`, the loss first.
    pub fn measures(&self) -> Vec<String> {
        let mut known = HashSet::new();
        let names = self.epochs.iter().flat_map(|row| &row.scalars).filter_map(|(name, _)| {
            let name = name.strip_prefix("train/").or_else(|| name.strip_prefix("val/"))?;
            known.insert(name.to_string()).then(|| name.to_string())
        });
        let mut names: Vec<String> = names.collect();
        names.sort_by_key(|name| name != "loss");
        names
    }

    /// The label of the axis of [`curve`](History::curve): steps where there are validations within epochs.
    pub fn axis(&self) -> &'static str {
        let is_within = self.epochs.windows(2).any(|pair| pair[0].epoch == pair[1].epoch)
            || self.epochs.first().is_some_and(|row| row.epoch == 0);
        if is_within { "step" } else { "epoch" }
    }

    /// The points of a number.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        let by_step = self.axis() == "step";
        let place = |row: &Record| if by_step { row.step as f64 } else { row.epoch as f64 };
        self.epochs.iter().filter_map(|row| Some((place(row), row.get(name)?))).collect()
    }

    /// The best value of a number and its row: the smallest of losses and errors, the largest of others.
    pub fn best(&self, name: &str) -> Option<(f64, &Record)> {
        let is_error = ["loss", "mse", "mae", "error"].iter().any(|error| name.ends_with(error));
        let values = self.epochs.iter().filter_map(|row| Some((row.get(name).filter(|value| value.is_finite())?, row)));
        values.reduce(|best, next| if (next.0 < best.0) == is_error && next.0 != best.0 { next } else { best })
    }
}

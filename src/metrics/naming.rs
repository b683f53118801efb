//! The names of a metric's values in a run's logs.

use super::task::{Average, Task};
use crate::error::{Error, Result};

/// The classes' names, and true if there are any to average over.
pub(super) struct Naming {
    classes: Vec<String>,
    is_binary: bool,
}

impl Naming {
    /// Numbers as names.
    pub fn new(task: Task) -> Naming {
        let classes = (0..task.columns()).map(|class| class.to_string()).collect();
        Naming { classes, is_binary: task == Task::Binary }
    }

    pub fn set_classes(&mut self, op: &'static str, names: &[String]) -> Result<()> {
        if names.len() != self.classes.len() {
            return Err(Error::invalid(op, format!("{} names for {} classes", names.len(), self.classes.len())));
        }
        self.classes = names.to_vec();
        Ok(())
    }

    /// Values with the name of their average or class: the plain name for a single value, and for micro.
    pub fn tell(&self, name: &str, average: Average, values: &[f64]) -> Vec<(String, f64)> {
        match average {
            Average::None if values.len() > 1 => {
                self.classes.iter().map(|class| format!("{name}/{class}")).zip(values.iter().copied()).collect()
            }
            Average::Macro if !self.is_binary => vec![(format!("{name}/macro"), values[0])],
            Average::Weighted if !self.is_binary => vec![(format!("{name}/weighted"), values[0])],
            _ => vec![(name.to_string(), values[0])],
        }
    }
}

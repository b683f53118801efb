//! State that a checkpoint holds.

use crate::error::{Error, Result};
use crate::graph::Parameter;
use std::collections::BTreeMap;

/// Named lists of numbers.
pub type Numbers = BTreeMap<String, Vec<f64>>;

/// A part of a run that [`train::save`](crate::train::save) writes and [`train::load`](crate::train::load) restores: every
/// [`Optimizer`](crate::optim::Optimizer), with its wrappers, and every schedule. Tensors are restored by their names, numbers by
/// [`set_numbers`](State::set_numbers).
pub trait State {
    /// Its kind, such as `adam`: a checkpoint is loaded into the same kind only.
    fn kind(&self) -> &'static str;

    /// State on the device.
    fn tensors(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// State on the host; none by default.
    ///
    /// # Errors
    /// Errors of the device, where that has to be asked.
    fn numbers(&self) -> Result<Numbers> {
        Ok(Numbers::new())
    }

    /// Refuses numbers that can't be a state of this kind; by default all.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a list is missing, has another length, or holds a number out of its range.
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        match numbers.keys().next() {
            Some(name) => Err(Error::invalid(self.kind(), format!("it has no number {name}"))),
            None => Ok(()),
        }
    }

    /// Restores numbers that [`check_numbers`](State::check_numbers) has passed.
    ///
    /// # Errors
    /// As `check_numbers`; nothing changes then.
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)
    }
}

/// A list of the expected length, all of whose numbers are in range.
pub(crate) fn list<'a>(
    op: &'static str,
    numbers: &'a Numbers,
    name: &str,
    length: usize,
    fits: impl Fn(f64) -> bool,
) -> Result<&'a [f64]> {
    let list = numbers.get(name).ok_or_else(|| Error::invalid(op, format!("{name} is missing")))?;
    if list.len() != length {
        return Err(Error::invalid(op, format!("{name} has {} numbers, not {length}", list.len())));
    }
    match list.iter().find(|&&number| !fits(number)) {
        Some(number) => Err(Error::invalid(op, format!("{name} holds {number}, which is out of its range"))),
        None => Ok(list),
    }
}

/// A single number that is in range.
pub(crate) fn number(op: &'static str, numbers: &Numbers, name: &str, fits: impl Fn(f64) -> bool) -> Result<f64> {
    Ok(list(op, numbers, name, 1, fits)?[0])
}

/// True if a number is a count.
pub(crate) fn is_count(number: f64) -> bool {
    number >= 0.0 && number.fract() == 0.0
}

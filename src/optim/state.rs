//! The state of an optimizer in checkpoints.

use super::{Hyper, Optimizer};
use crate::error::{Error, Result};
use crate::graph::Parameter;
use crate::number::nearest;
use crate::state::{Numbers, State, is_count, list};

const HYPERS: [(Hyper, &str); 3] =
    [(Hyper::Lr, "lr"), (Hyper::Momentum, "momentum"), (Hyper::WeightDecay, "weight_decay")];

/// One option of every group, if the optimizer has it.
fn of_groups<O: Optimizer + ?Sized>(optimizer: &O, hyper: Hyper) -> Result<Option<Vec<f64>>> {
    (0..optimizer.groups()).map(|group| optimizer.hyper(hyper, group)).collect()
}

/// Sets the options that schedules change; returns the old ones.
fn set_hypers<O: Optimizer + ?Sized>(optimizer: &mut O, numbers: &Numbers) -> (Vec<(Hyper, usize, f64)>, Result<()>) {
    let mut before = Vec::new();
    let mut set = || {
        for (hyper, name) in HYPERS {
            let Some(old) = of_groups(optimizer, hyper)? else { continue };
            let new = list(optimizer.name(), numbers, name, old.len(), f64::is_finite)?;
            for (group, (&new, old)) in new.iter().zip(old).enumerate() {
                optimizer.set_hyper(hyper, group, new)?;
                before.push((hyper, group, old));
            }
        }
        Ok(())
    };
    let result = set();
    (before, result)
}

fn take_back<O: Optimizer + ?Sized>(optimizer: &mut O, before: Vec<(Hyper, usize, f64)>) {
    for (hyper, group, old) in before.into_iter().rev() {
        // It was the optimizer's before, so it takes it.
        let _ = optimizer.set_hyper(hyper, group, old);
    }
}

impl<O: Optimizer + ?Sized> State for O {
    fn kind(&self) -> &'static str {
        self.name()
    }
    fn tensors(&self) -> Vec<Parameter> {
        self.buffers()
    }
    fn numbers(&self) -> Result<Numbers> {
        let steps = self.steps()?.into_iter().map(|steps| steps as f64).collect();
        let mut numbers = Numbers::from([("steps".to_string(), steps)]);
        for (hyper, name) in HYPERS {
            numbers.extend(of_groups(self, hyper)?.map(|of_groups| (name.to_string(), of_groups)));
        }
        numbers.extend(self.counts().into_iter().map(|(name, count)| (name.to_string(), vec![count as f64])));
        Ok(numbers)
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        let op = self.name();
        let groups = numbers.get("lr").map_or(0, Vec::len);
        if groups != self.groups() {
            let rule = format!("{groups} groups of parameters, not {}: add those that were added", self.groups());
            return Err(Error::invalid(op, rule));
        }
        list(op, numbers, "steps", self.parameters().len(), is_count)?;
        self.counts().into_iter().try_for_each(|(name, _)| list(op, numbers, name, 1, is_count).map(drop))?;
        let (before, result) = set_hypers(self, numbers);
        take_back(self, before);
        result
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)?;
        set_hypers(self, numbers).1?;
        let whole = |name: &str| -> Vec<u64> { numbers[name].iter().map(|&number| nearest(number)).collect() };
        self.set_counts(&self.counts().into_iter().flat_map(|(name, _)| whole(name)).collect::<Vec<_>>());
        self.set_steps(&whole("steps"))
    }
}

//! Cases of optimizers: `optim.NAME`.

use super::wrap::Wrapped;
use super::{Attributes, Case, Refusal, Values, options, schedule};
use serde_json::Value;
use wgrad::optim::lr_scheduler::{LrSchedule, LrScheduler};
use wgrad::optim::{Optimizer, Sam};
use wgrad::{Device, Parameter, Tensor};

/// The parameters after the last step, and their averages if there are any.
pub(super) fn run(name: &str, case: &Case, device: &Device) -> Result<Vec<Values>, Refusal> {
    let attributes = Attributes::new(&case.attrs);
    let list = |list: &str| -> wgrad::Result<Vec<Tensor>> {
        let of_list = case.args.iter().filter(|(arg, _)| arg.split_once('.').is_some_and(|(name, _)| name == list));
        of_list.map(|(_, values)| values.tensor(device)).collect()
    };
    let (values, gradients) = (list("param")?, list("grad")?);
    let named = |(k, value): (usize, &Tensor)| Parameter::new(format!("param.{k}"), value);
    let parameters: Vec<Parameter> = values.iter().enumerate().map(named).collect();
    let run = Run::new(&attributes, gradients, parameters.len())?;
    let groups = attributes.objects("groups")?;
    let scheduled = attributes.map("lr_scheduler", Value::as_object)?;
    let optimizer = options::make(name, &attributes, &groups, &parameters)?;
    let wrappers = attributes.objects("wrap")?;
    attributes.finish()?;
    let Wrapped { mut optimizer, mut averages, sam } = Wrapped::new(optimizer, &wrappers)?;
    // The optimizer has them by groups.
    averages.sort_by_key(|average| parameters.iter().position(|p| average.name().ends_with(p.name())));
    let scheduled = scheduled.map(schedule::named).transpose()?;
    match sam {
        None => run.train(&mut optimizer, None, scheduled, &parameters)?,
        Some(options) => {
            run.train(&mut Sam::new(optimizer, options)?, Some(Sam::first_step), scheduled, &parameters)?;
        }
    }
    parameters.iter().chain(&averages).map(|parameter| Ok(Values::read(&parameter.value())?)).collect()
}

/// The gradients of a case, and the steps by them.
struct Run {
    gradients: Vec<Tensor>,
    steps: usize,
    accumulate: usize,
    missing: Vec<(usize, usize)>,
}

impl Run {
    fn new(attributes: &Attributes, gradients: Vec<Tensor>, parameters: usize) -> Result<Run, Refusal> {
        let steps = attributes.count("steps", 0)? as usize;
        let accumulate = attributes.count("accumulate", 1)? as usize;
        if gradients.len() != steps * parameters || accumulate == 0 {
            return Err(Refusal::Argument(format!("{} gradients for {steps} steps", gradients.len())));
        }
        let pair = |pair: &Value| Some((pair.get(0)?.as_u64()? as usize, pair.get(1)?.as_u64()? as usize));
        let missing = attributes.map("missing", |value| value.as_array()?.iter().map(pair).collect())?;
        Ok(Run { gradients, steps, accumulate, missing: missing.unwrap_or_default() })
    }

    /// Takes all steps; with a `first_step`, each by the gradient after that.
    fn train<O: Optimizer>(
        &self,
        optimizer: &mut O,
        first_step: Option<fn(&mut O) -> wgrad::Result<()>>,
        scheduled: Option<Box<dyn LrSchedule>>,
        parameters: &[Parameter],
    ) -> wgrad::Result<()> {
        let mut scheduler = scheduled.map(|schedule| LrScheduler::new(optimizer, schedule)).transpose()?;
        let stride = if first_step.is_some() { 2 } else { self.accumulate };
        for begin in (0..self.steps - self.steps % stride).step_by(stride) {
            optimizer.zero_grad();
            for t in begin..begin + stride {
                self.add_gradients(t, parameters)?;
                if let Some(first_step) = first_step.filter(|_| t == begin) {
                    first_step(optimizer)?;
                }
            }
            optimizer.step()?;
            if let Some(scheduler) = &mut scheduler {
                scheduler.step(optimizer)?;
            }
        }
        Ok(())
    }

    /// Adds the gradients of a time to the parameters' own.
    fn add_gradients(&self, t: usize, parameters: &[Parameter]) -> wgrad::Result<()> {
        let given = parameters.iter().enumerate().filter(|(k, _)| !self.missing.contains(&(t, *k)));
        for (k, parameter) in given {
            let gradient = &self.gradients[t * parameters.len() + k];
            let sum = match parameter.grad() {
                Some(sum) => sum.add(gradient)?,
                None => gradient.clone(),
            };
            parameter.set_grad(Some(sum))?;
        }
        Ok(())
    }
}

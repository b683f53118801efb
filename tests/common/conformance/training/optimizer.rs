//! Cases of optimizers: `optim.NAME`.

use super::wrap::Wrapped;
use super::{Attributes, Case, Refusal, Values, options, schedule};
use serde_json::Value;
use wgrad::optim::lr_scheduler::LrScheduler;
use wgrad::{Device, Parameter, Tensor};

/// The parameters after the last step, and their averages where they are averaged.
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
    let Wrapped { mut optimizer, mut averages } = Wrapped::new(optimizer, &wrappers)?;
    // The optimizer has them by groups.
    averages.sort_by_key(|average| parameters.iter().position(|p| average.name().ends_with(p.name())));
    let mut scheduler = match scheduled {
        Some(attrs) => Some(LrScheduler::new(&mut *optimizer, schedule::named(attrs)?)?),
        None => None,
    };
    for step in 0..run.steps / run.accumulate {
        optimizer.zero_grad();
        for t in step * run.accumulate..(step + 1) * run.accumulate {
            run.add_gradients(t, &parameters)?;
        }
        run.clip(&parameters)?;
        optimizer.step()?;
        if let Some(scheduler) = &mut scheduler {
            scheduler.step(&mut *optimizer)?;
        }
    }
    parameters.iter().chain(&averages).map(|parameter| Ok(Values::read(&parameter.value())?)).collect()
}

/// The gradients of a case, and the steps that they make.
struct Run {
    gradients: Vec<Tensor>,
    steps: usize,
    accumulate: usize,
    missing: Vec<(usize, usize)>,
    clip_norm: Option<f64>,
    clip_value: Option<f64>,
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
        let (clip_norm, clip_value) =
            (attributes.map("clip_grad_norm", Value::as_f64)?, attributes.map("clip_grad_value", Value::as_f64)?);
        Ok(Run { gradients, steps, accumulate, missing: missing.unwrap_or_default(), clip_norm, clip_value })
    }

    fn clip(&self, parameters: &[Parameter]) -> wgrad::Result<()> {
        if let Some(max) = self.clip_norm {
            let mut sum = 0.0;
            for gradient in parameters.iter().filter_map(Parameter::grad) {
                sum += gradient.to_f64()?.iter().map(|v| v * v).sum::<f64>();
            }
            let factor = (max / (sum.sqrt() + 1e-6)).min(1.0) as f32;
            for parameter in parameters {
                let clipped = parameter.grad().map(|gradient| gradient.mul_scalar(factor)).transpose()?;
                parameter.set_grad(clipped)?;
            }
        }
        if let Some(max) = self.clip_value {
            for parameter in parameters {
                let max = max as f32;
                let clipped = parameter.grad().map(|g| g.clamp(Some(-max), Some(max))).transpose()?;
                parameter.set_grad(clipped)?;
            }
        }
        Ok(())
    }

    /// Adds the gradients of a time to those that the parameters have.
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

//! The optimizer of a run and its schedule.

use super::arguments::{OptimizerKind, Schedule};
use super::settings::Settings;
use std::f64::consts::PI;
use wgrad::nn::Module;
use wgrad::optim::lr_scheduler::{LambdaLr, LrScheduler};
use wgrad::optim::{
    Adam, AdamOptions, AdamW, AdamWOptions, Averaged, Averaging, Lion, LionOptions, Optimizer, ParamGroup, Sam,
    SamOptions, Sgd, SgdOptions, no_decay_on_norms_and_biases as split,
};
use wgrad::train::Finetuning;
use wgrad::{Parameter, Result};

/// The warm-up takes one step in `WARM_UP`, and at most `LONGEST_WARM_UP` steps.
const WARM_UP: u64 = 20;
const LONGEST_WARM_UP: u64 = 1000;

/// The optimizer by the settings, without weight decay on norms and biases. `more` is trained besides the model, at the head's
/// rate.
pub fn build(settings: &Settings, model: &dyn Module, more: &[Parameter], lr: f64) -> Result<Box<dyn Optimizer>> {
    let decay = settings.weight_decay;
    let optimizer: Box<dyn Optimizer> = match settings.optimizer {
        OptimizerKind::AdamW => {
            let options = |lr| AdamWOptions::default().lr(lr).weight_decay(decay);
            Box::new(AdamW::with_groups(split(groups(settings, model, more, lr, options)?)?)?)
        }
        OptimizerKind::Adam => {
            let options = |lr| AdamOptions::default().lr(lr).weight_decay(decay);
            Box::new(Adam::with_groups(split(groups(settings, model, more, lr, options)?)?)?)
        }
        OptimizerKind::Sgd => {
            let options = |lr| SgdOptions::default().lr(lr).momentum(0.9).weight_decay(decay);
            Box::new(Sgd::with_groups(split(groups(settings, model, more, lr, options)?)?)?)
        }
        OptimizerKind::Lion => {
            let options = |lr| LionOptions::default().lr(lr).weight_decay(decay);
            Box::new(Lion::with_groups(split(groups(settings, model, more, lr, options)?)?)?)
        }
    };
    let optimizer: Box<dyn Optimizer> = match settings.sam {
        Some(rho) => Box::new(Sam::new(optimizer, SamOptions::default().rho(rho))?),
        None => optimizer,
    };
    Ok(match settings.ema {
        Some(decay) => Box::new(Averaged::new(optimizer, Averaging::Ema { decay })?),
        None => optimizer,
    })
}

/// One group for all, or one for the backbone and, last, one for the head.
fn groups<O>(
    settings: &Settings,
    model: &dyn Module,
    more: &[Parameter],
    lr: f64,
    options: impl Fn(f64) -> O,
) -> Result<Vec<ParamGroup<O>>> {
    let share = settings.backbone_share();
    if share == 1.0 {
        let all: Vec<Parameter> = model.parameters().into_iter().chain(more.iter().cloned()).collect();
        return Ok(vec![ParamGroup::new(all, options(lr))]);
    }
    let backbone = ParamGroup::new(Finetuning::part(model, "backbone")?, options(share * lr));
    let is_in_backbone = |name: &str| backbone.parameters.iter().any(|parameter| parameter.name() == name);
    let head = model.parameters().into_iter().filter(|p| !is_in_backbone(p.name()));
    let head: Vec<Parameter> = head.chain(more.iter().cloned()).collect();
    Ok(vec![backbone, ParamGroup::new(head, options(lr))])
}

/// Sets the rate of the head, the last group, and those of the others in proportion.
pub fn set_lr(optimizer: &mut dyn Optimizer, lr: f64) -> Result<()> {
    let Some(last) = optimizer.groups().checked_sub(1) else { return Ok(()) };
    let factor = lr / optimizer.lr(last)?;
    (0..=last).try_for_each(|group| {
        let lr = optimizer.lr(group)? * factor;
        optimizer.set_lr(group, lr)
    })
}

/// The schedule over this many steps, including the warm-up. It is a formula of the step alone, so that a run resumed
/// with more epochs continues where the longer run would be.
pub fn schedule(settings: &Settings, optimizer: &mut dyn Optimizer, steps: u64) -> Result<LrScheduler> {
    let (schedule, warm_up) = (settings.schedule, (steps / WARM_UP).min(LONGEST_WARM_UP));
    let factor = move |step: u64| {
        let share = step.min(steps) as f64 / steps.max(1) as f64;
        let fallen = match schedule {
            Schedule::Cosine => (1.0 + (PI * share).cos()) / 2.0,
            Schedule::Linear => 1.0 - share,
            Schedule::Step => 0.1f64.powf((3.0 * share).floor()),
            Schedule::Constant => 1.0,
        };
        fallen * ((step + 1) as f64 / (warm_up + 1) as f64).min(1.0)
    };
    LrScheduler::new(optimizer, LambdaLr::new(factor))
}

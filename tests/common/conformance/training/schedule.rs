//! Cases of schedules: `lr_scheduler.NAME`.

use super::{Attributes, Refusal, Values};
use serde_json::{Map, Value};
use wgrad::DType;
use wgrad::optim::lr_scheduler::{
    Anneal, ChainedScheduler, ConstantLr, CosineAnnealingLr, CosineAnnealingWarmRestarts, CyclicLr, CyclicMode,
    ExponentialLr, GroupRates, LambdaLr, LinearLr, LinearWarmup, LrSchedule, MultiStepLr, MultiplicativeLr, OneCycleLr,
    Plateau, PolynomialLr, ReduceLrOnPlateau, SequentialLr, StepLr, Threshold, trace,
};

/// The rates before each step, and for cycles the momenta.
pub(super) fn run(name: &str, attrs: &Map<String, Value>) -> Result<Vec<Values>, Refusal> {
    let attributes = Attributes::new(attrs);
    let steps = attributes.count("steps", 0)?;
    let base_lrs = attributes.numbers("base_lr")?.ok_or_else(|| attributes.wrong("base_lr"))?;
    let mut groups: Vec<GroupRates> = base_lrs.iter().map(|&lr| GroupRates::new(lr)).collect();
    if name == "ReduceLROnPlateau" {
        let metrics = attributes.numbers("metrics")?.unwrap_or_default();
        return Ok(vec![values(&follow(plateau(&attributes)?, &mut groups, &metrics)?, |group| group.lr)]);
    }
    groups.iter_mut().for_each(|group| group.momentum = Some(0.9));
    let all = trace(&*schedule(name, &attributes)?, &groups, steps)?;
    let mut results = vec![values(&all, |group| group.lr)];
    if cycles_momentum(name, attrs) {
        results.push(values(&all, |group| group.momentum.unwrap_or(f64::NAN)));
    }
    Ok(results)
}

fn values(steps: &[Vec<GroupRates>], number: impl Fn(&GroupRates) -> f64) -> Values {
    let shape = vec![steps.len(), steps.first().map_or(0, Vec::len)];
    Values { shape, dtype: DType::F32, values: steps.iter().flatten().map(number).collect() }
}

fn cycles_momentum(name: &str, attrs: &Map<String, Value>) -> bool {
    let inner = attrs.get("schedulers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let cycles = attrs.get("cycle_momentum") != Some(&Value::Bool(false));
    let mut inner = inner.filter_map(|attrs| Some((attrs.get("name")?.as_str()?, attrs)));
    matches!(name, "OneCycleLR" | "CyclicLR") && cycles || inner.any(|(name, attrs)| cycles_momentum(name, attrs))
}

/// A schedule within another, or of an optimizer: an object with a `name`.
pub(super) fn named(attrs: &Map<String, Value>) -> Result<Box<dyn LrSchedule>, Refusal> {
    let attributes = Attributes::new(attrs);
    schedule(attributes.text("name", "")?, &attributes)
}

fn schedule(name: &str, attributes: &Attributes) -> Result<Box<dyn LrSchedule>, Refusal> {
    let a = attributes;
    let schedule: Box<dyn LrSchedule> = match name {
        "StepLR" => Box::new(StepLr::new(a.count("step_size", 0)?).gamma(a.number("gamma", 0.1)?)),
        "MultiStepLR" => Box::new(MultiStepLr::new(a.counts("milestones")?).gamma(a.number("gamma", 0.1)?)),
        "ExponentialLR" => Box::new(ExponentialLr::new(a.number("gamma", f64::NAN)?)),
        "PolynomialLR" => Box::new(PolynomialLr::new(a.count("total_iters", 5)?).power(a.number("power", 1.0)?)),
        "ConstantLR" => Box::new(ConstantLr::new(a.number("factor", 1.0 / 3.0)?, a.count("total_iters", 5)?)),
        "LinearLR" => {
            let (start, end) = (a.number("start_factor", 1.0 / 3.0)?, a.number("end_factor", 1.0)?);
            Box::new(LinearLr::new(start, end, a.count("total_iters", 5)?))
        }
        "CosineAnnealingLR" => {
            Box::new(CosineAnnealingLr::new(a.count("T_max", 0)?).eta_min(a.number("eta_min", 0.0)?))
        }
        "CosineAnnealingWarmRestarts" => {
            let restarts = CosineAnnealingWarmRestarts::new(a.count("T_0", 0)?);
            Box::new(restarts.t_mult(a.count("T_mult", 1)?).eta_min(a.number("eta_min", 0.0)?))
        }
        "OneCycleLR" => Box::new(one_cycle(a)?),
        "CyclicLR" => Box::new(cyclic(a)?),
        // PyTorch takes a closure, which a file can't hold: the file has the base of a power instead.
        "LambdaLR" => Box::new(LambdaLr::each(powers(a)?)),
        "MultiplicativeLR" => Box::new(MultiplicativeLr::each(powers(a)?)),
        "SequentialLR" => {
            let (inner, milestones) = (a.objects("schedulers")?, a.counts("milestones")?);
            let Some((first, rest)) = inner.split_first().filter(|(_, rest)| rest.len() == milestones.len()) else {
                return Err(a.wrong("milestones"));
            };
            let mut sequence = SequentialLr::new(named(first)?);
            for (next, milestone) in rest.iter().zip(milestones) {
                sequence = sequence.then(milestone, named(next)?);
            }
            Box::new(sequence)
        }
        "ChainedScheduler" => {
            let inner = a.objects("schedulers")?;
            let chain = inner
                .into_iter()
                .try_fold(ChainedScheduler::new(), |chain, next| Ok::<_, Refusal>(chain.then(named(next)?)));
            Box::new(chain?)
        }
        // timm's, which has no name there.
        "LinearWarmup" => {
            let inner = named(a.map("scheduler", Value::as_object)?.ok_or_else(|| a.wrong("scheduler"))?)?;
            let warmup = LinearWarmup::new(a.count("warmup_t", 0)?, inner);
            Box::new(
                warmup.warmup_lr_init(a.number("warmup_lr_init", 0.0)?).warmup_prefix(a.flag("warmup_prefix", false)?),
            )
        }
        _ => return Err(Refusal::Unsupported(format!("schedule {name}"))),
    };
    a.finish()?;
    Ok(schedule)
}

fn one_cycle(a: &Attributes) -> Result<OneCycleLr, Refusal> {
    let max_lr = a.numbers("max_lr")?.ok_or_else(|| a.wrong("max_lr"))?;
    let (epochs, steps_per_epoch) = (a.count("epochs", 0)?, a.count("steps_per_epoch", 0)?);
    let one_cycle = match a.map("total_steps", Value::as_u64)? {
        Some(total_steps) => OneCycleLr::new(max_lr, total_steps),
        None => OneCycleLr::of_epochs(max_lr, epochs, steps_per_epoch),
    };
    let anneal = match a.text("anneal_strategy", "cos")? {
        "cos" => Anneal::Cos,
        "linear" => Anneal::Linear,
        _ => return Err(a.wrong("anneal_strategy")),
    };
    Ok(one_cycle
        .pct_start(a.number("pct_start", 0.3)?)
        .anneal(anneal)
        .cycle_momentum(a.flag("cycle_momentum", true)?)
        .base_momentum(a.numbers("base_momentum")?.unwrap_or(vec![0.85]))
        .max_momentum(a.numbers("max_momentum")?.unwrap_or(vec![0.95]))
        .div_factor(a.number("div_factor", 25.0)?)
        .final_div_factor(a.number("final_div_factor", 1e4)?)
        .three_phase(a.flag("three_phase", false)?))
}

fn cyclic(a: &Attributes) -> Result<CyclicLr, Refusal> {
    let base_lr = a.numbers("base_lr")?.ok_or_else(|| a.wrong("base_lr"))?;
    let max_lr = a.numbers("max_lr")?.ok_or_else(|| a.wrong("max_lr"))?;
    let up = a.count("step_size_up", 2000)?;
    let (gamma, scale_mode) = (a.number("gamma", 1.0)?, a.text("scale_mode", "cycle")?);
    let power = a.map("scale_fn", Value::as_f64)?.map(|base| move |x: f64| base.powf(x));
    let mode = match (power, scale_mode, a.text("mode", "triangular")?) {
        (Some(power), "cycle", _) => CyclicMode::ByCycle(Box::new(power)),
        (Some(power), "iterations", _) => CyclicMode::ByIteration(Box::new(power)),
        (Some(_), ..) => return Err(a.wrong("scale_mode")),
        (None, _, "triangular") => CyclicMode::Triangular,
        (None, _, "triangular2") => CyclicMode::Triangular2,
        (None, _, "exp_range") => CyclicMode::ExpRange(gamma),
        (None, ..) => return Err(a.wrong("mode")),
    };
    Ok(CyclicLr::new(base_lr, max_lr, up)
        .step_size_down(a.count("step_size_down", up)?)
        .mode(mode)
        .cycle_momentum(a.flag("cycle_momentum", true)?)
        .base_momentum(a.numbers("base_momentum")?.unwrap_or(vec![0.8]))
        .max_momentum(a.numbers("max_momentum")?.unwrap_or(vec![0.9])))
}

type Closure = Box<dyn Fn(u64) -> f64 + Send + Sync>;

fn powers(a: &Attributes) -> Result<Vec<Closure>, Refusal> {
    let bases = a.numbers("lr_lambda")?.ok_or_else(|| a.wrong("lr_lambda"))?;
    Ok(bases.into_iter().map(|base| Box::new(move |step: u64| base.powf(step as f64)) as Closure).collect())
}

fn plateau(a: &Attributes) -> Result<ReduceLrOnPlateau, Refusal> {
    let mode = match a.text("mode", "min")? {
        "min" => Plateau::Min,
        "max" => Plateau::Max,
        _ => return Err(a.wrong("mode")),
    };
    let threshold = a.number("threshold", 1e-4)?;
    let threshold = match a.text("threshold_mode", "rel")? {
        "rel" => Threshold::Rel(threshold),
        "abs" => Threshold::Abs(threshold),
        _ => return Err(a.wrong("threshold_mode")),
    };
    let plateau = ReduceLrOnPlateau::new(mode)
        .factor(a.number("factor", 0.1)?)
        .patience(a.count("patience", 10)?)
        .threshold(threshold)
        .cooldown(a.count("cooldown", 0)?)
        .min_lr(a.numbers("min_lr")?.unwrap_or(vec![0.0]))
        .eps(a.number("eps", 1e-8)?);
    a.finish()?;
    Ok(plateau)
}

/// The rates before each measurement, and after the last.
fn follow(
    mut plateau: ReduceLrOnPlateau,
    groups: &mut [GroupRates],
    metrics: &[f64],
) -> Result<Vec<Vec<GroupRates>>, Refusal> {
    let mut all = vec![groups.to_vec()];
    for &metric in metrics {
        plateau.follow(groups, metric)?;
        all.push(groups.to_vec());
    }
    Ok(all)
}

//! Carlini and Wagner's attack on the Euclidean length of the change.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, gradient_of_sum, with_grad};
use crate::optim::{Adam, AdamOptions, Optimizer};
use crate::options::options;
use crate::robust::{Attack, Classifier, Goal, lengths, of_each};

options! {
    /// Options of [`CarliniWagner`], with foolbox's defaults.
    #[derive(Clone, Copy, Debug)]
    CarliniWagnerOptions {
        /// Searches for the smallest constant that fools.
        searches: usize = 9,
        /// Steps of Adam in each.
        steps: usize = 10_000,
        /// Adam's step.
        lr: f64 = 1e-2,
        /// The margin by which the wanted logit passes the others.
        confidence: f64 = 0.0,
        /// The constant of the first search.
        initial_const: f64 = 1e-3,
    }
}

/// The smallest change that fools, by Adam over `w` with `x = (tanh(w) + 1) / 2`, of `|x - x0|^2 + c max(0, margin + confidence)`
/// (Carlini and Wagner, "Towards Evaluating the Robustness of Neural Networks", 2016). The margin is the true logit minus the
/// largest other one, or the largest other one minus the target's. Each image has its own `c`: ten times as large while nothing
/// fools, and from then on halfway between the largest that did not and the smallest that did.
#[derive(Clone, Copy, Debug, Default)]
pub struct CarliniWagner {
    options: CarliniWagnerOptions,
}

impl CarliniWagner {
    /// An attack with these options.
    pub fn new(options: &CarliniWagnerOptions) -> CarliniWagner {
        CarliniWagner { options: *options }
    }
}

impl Attack for CarliniWagner {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        const OP: &str = "CarliniWagner";
        let CarliniWagnerOptions { searches, steps, lr, confidence, initial_const } = self.options;
        let count = goal.check(images)?;
        if !(lr > 0.0 && initial_const > 0.0 && confidence >= 0.0) {
            let rule = format!("steps of {lr}, a constant of {initial_const}, a confidence of {confidence}");
            return Err(Error::invalid(OP, rule));
        }
        let images = images.detach();
        let inside = |w: &Tensor| (w.tanh()? + 1.0)? * 0.5;
        let squeezed = (((&images * 2.0)? - 1.0)? * 0.999_999)?;
        // The inverse of the hyperbolic tangent.
        let start = (((1.0 + &squeezed)? / (1.0 - &squeezed)?)?.log()? * 0.5)?;
        let origin = inside(&start)?;
        let constant = |value: f64| Tensor::filled(images.device(), &[count], value);
        let (mut consts, mut lower, mut upper) = (constant(initial_const)?, constant(0.0)?, constant(f64::INFINITY)?);
        let (mut best, mut best_length) = (images.clone(), constant(f64::INFINITY)?);
        for _ in 0..searches {
            let w = Parameter::new("w", &start);
            let mut adam = Adam::new(vec![w.clone()], AdamOptions::default().lr(lr))?;
            let mut has_found = constant(0.0)?.to_dtype(DType::Bool)?;
            for _ in 0..steps {
                let value = w.value();
                let (near, margin, cost) = with_grad(true, || {
                    let near = inside(&value)?;
                    let margin = (goal.margin(&net.logits(&near)?)? + confidence)?;
                    let cost = ((&near - &origin)?.square()?.flatten(1, -1)?.sum(1)? + margin.relu()? * &consts)?;
                    Ok::<_, Error>((near.detach(), margin.detach(), cost))
                })?;
                w.set_grad(Some(gradient_of_sum(&cost, &value, None)?))?;
                adam.step()?;
                let fools = margin.lt_scalar(0.0)?;
                let length = lengths(&(&near - &images)?)?;
                let is_better = fools.logical_and(&length.lt(&best_length)?)?;
                best = of_each(&is_better, &images)?.where_(&near, &best)?;
                best_length = is_better.where_(&length, &best_length)?;
                has_found = has_found.logical_or(&fools)?;
            }
            upper = has_found.where_(&consts, &upper)?;
            lower = has_found.where_(&lower, &consts)?;
            let halfway = ((&lower + &upper)? * 0.5)?;
            consts = upper.isinf()?.where_(&(&consts * 10.0)?, &halfway)?;
        }
        Ok(best)
    }
}

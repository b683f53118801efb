//! DeepFool: the nearest border of a network that is taken for linear.

use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::options::options;
use crate::robust::{Attack, Classifier, Goal, lengths, of_each};
use crate::shape::Shape;

options! {
    /// Options of [`DeepFool`], with foolbox's defaults.
    #[derive(Clone, Copy, Debug)]
    DeepFoolOptions {
        /// The most steps.
        steps: usize = 50,
        /// The number of likeliest classes that are looked at, the first included.
        candidates: usize = 10,
        /// The share by which a change passes the border.
        overshoot: f64 = 0.02,
    }
}

/// Steps to the nearest of the linearized borders to other classes, `|f| / |w|^2 w` with `f` and `w` the difference of two logits
/// and its gradient, until the answer changes (Moosavi-Dezfooli et al., "DeepFool", 2015). The change is small in L2, without a
/// bound, and untargeted. Each step reads back once: the attack ends when all images are through.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeepFool {
    options: DeepFoolOptions,
}

impl DeepFool {
    /// An attack with these options.
    pub fn new(options: &DeepFoolOptions) -> DeepFool {
        DeepFool { options: *options }
    }
}

impl Attack for DeepFool {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        const OP: &str = "DeepFool";
        let DeepFoolOptions { steps, candidates, overshoot } = self.options;
        let count = goal.check(images)?;
        if goal.is_targeted() || candidates < 2 {
            let rule = format!("{candidates} candidates; expected two or more, and a goal without a target");
            return Err(Error::invalid(OP, rule));
        }
        let images = images.detach();
        let logits = no_grad(|| net.logits(&images))?;
        let candidates = candidates.min(logits.shape()[1]);
        let order = logits.topk(candidates, 1, true)?.1.detach();
        let class = |rank: usize| order.narrow(1, rank, 1)?.reshape_to(Shape::new(&[count])?);
        let first = class(0)?;
        let (mut near, mut change) = (images.clone(), images.zeros_like()?);
        for _ in 0..steps {
            let logits = no_grad(|| net.logits(&near))?;
            let is_through = goal.is_reached(&logits)?;
            if is_through.to_f64()?.iter().all(|&through| through != 0.0) {
                break;
            }
            let mut best: Option<(Tensor, Tensor)> = None;
            for rank in 1..candidates {
                let other = class(rank)?;
                let ahead = |logits: &Tensor| Goal::pick(logits, &other)? - Goal::pick(logits, &first)?;
                let gradient = net.gradient(&near, ahead)?;
                let length = (lengths(&gradient)? + 1e-8)?;
                let distance = (ahead(&logits)?.abs()? / &length)?;
                let step = (of_each(&((&distance + 1e-4)? / &length)?, &images)? * gradient)?;
                best = Some(match best {
                    None => (distance, step),
                    Some((least, of_least)) => {
                        let is_nearer = distance.lt(&least)?;
                        let step = of_each(&is_nearer, &images)?.where_(&step, &of_least)?;
                        (distance.minimum(&least)?, step)
                    }
                });
            }
            let Some((_, step)) = best else { break };
            change = (change + step)?;
            let moved = (&images + (&change * (1.0 + overshoot))?)?;
            near = of_each(&is_through, &images)?.where_(&near, &moved)?.clamp(Some(0.0), Some(1.0))?;
        }
        Ok(near)
    }
}

//! Attacks on LeNet-5.

use super::common::Result;
use super::context::{Context, accuracy, columns, rgb, sheet, signed};
use super::page::Numbers;
use std::path::Path;
use wgrad::robust::{
    Attack, CarliniWagner, CarliniWagnerOptions, Classifier, DeepFool, DeepFoolOptions, Fgsm, Goal, Pgd, PgdOptions,
};

const SHOWN: usize = 6;
/// The largest change of a pixel by attacks with a bound.
const EPS: f64 = 0.2;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = context.lenet()?;
    let attacked = Classifier::new(net);
    let (images, labels) = context.test(context.amount(200, SHOWN))?;
    let goal = Goal::untargeted(&labels);
    let pgd = Pgd::new(&PgdOptions::default().eps(EPS).step(0.02).steps(context.amount(40, 1)));
    let searches = CarliniWagnerOptions::default().searches(4).initial_const(1.0);
    let wagner = CarliniWagner::new(&searches.steps(context.amount(100, 1)).lr(5e-2));
    let fool = DeepFool::new(&DeepFoolOptions::default().steps(context.amount(50, 1)));
    let attacks: [(&str, &dyn Attack); 4] =
        [("fgsm", &Fgsm { eps: EPS }), ("pgd", &pgd), ("deep_fool", &fool), ("carlini_wagner", &wagner)];
    let first = images.narrow(0, 0, SHOWN)?;
    let mut parts = vec![rgb(&first)?];
    let mut numbers = vec![("clean", format!("{:.3}", accuracy(net, &images, &labels)?))];
    for (name, attack) in attacks {
        let changed = attack.perturb(&attacked, &images, &goal)?;
        numbers.push((name, format!("{:.3}", accuracy(net, &changed, &labels)?)));
        let changed = changed.narrow(0, 0, SHOWN)?;
        parts.extend([rgb(&changed)?, signed(&(&changed - &first)?)?]);
    }
    sheet(&columns(&parts)?, parts.len(), 2, path)?;
    Ok(numbers)
}

//! `tests/formulas.txt` lists the crate's pointwise formulas with the facts that plans depend on, so that none changes
//! unseen. `WGRAD_WRITE_DOCS=1 cargo test --lib formulas` writes it.

use crate::Result;
use crate::graph::{Device, Parameter, Tensor, grad, tracing, with_trace};
use crate::ops::case::{Case, Input};
use crate::ops::cases;
use crate::optim::{
    Adadelta, Adafactor, Adagrad, Adam, Adamax, Lamb, Lars, Lion, NAdam, Optimizer, RAdam, RmsProp, RmsPropOptions,
    Rprop, Sgd, SgdOptions,
};
use crate::shader::Formula;
use std::collections::BTreeSet;
use std::path::Path;

/// Records a case and its gradient.
fn record_case(case: &Case, device: &Device) -> Result<()> {
    let input = |input: &Input| {
        let tensor = Tensor::ones(device, &input.shape)?.to_dtype(input.dtype)?;
        Ok(if case.differentiable && input.dtype.is_float() { tensor.requires_grad() } else { tensor })
    };
    let inputs = case.inputs.iter().map(input).collect::<Result<Vec<_>>>()?;
    let outputs = (case.run)(&inputs)?;
    if case.differentiable {
        let outputs: Vec<&Tensor> = outputs.iter().filter(|output| output.dtype().is_float()).collect();
        let cotangents = outputs.iter().map(|output| output.ones_like()).collect::<Result<Vec<_>>>()?;
        let wanted: Vec<&Tensor> = inputs.iter().filter(|input| input.is_tracked()).collect();
        grad(&outputs, &wanted, &cotangents.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

type Optimize = fn(Vec<Parameter>) -> Result<Box<dyn Optimizer>>;

const OPTIMIZERS: [Optimize; 13] = [
    |all| Ok(Box::new(Adadelta::new(all, Default::default())?)),
    |all| Ok(Box::new(Adafactor::new(all, Default::default())?)),
    |all| Ok(Box::new(Adagrad::new(all, Default::default())?)),
    |all| Ok(Box::new(Adam::new(all, Default::default())?)),
    |all| Ok(Box::new(Adamax::new(all, Default::default())?)),
    |all| Ok(Box::new(Lamb::new(all, Default::default())?)),
    |all| Ok(Box::new(Lars::new(all, Default::default())?)),
    |all| Ok(Box::new(Lion::new(all, Default::default())?)),
    |all| Ok(Box::new(NAdam::new(all, Default::default())?)),
    |all| Ok(Box::new(RAdam::new(all, Default::default())?)),
    |all| Ok(Box::new(RmsProp::new(all, RmsPropOptions::default().centered(true).momentum(0.5))?)),
    |all| Ok(Box::new(Rprop::new(all, Default::default())?)),
    |all| Ok(Box::new(Sgd::new(all, SgdOptions::default().momentum(0.5))?)),
];

/// Records steps of an optimizer.
fn record_steps(optimizer: Optimize, device: &Device) -> Result<()> {
    let weight = Parameter::new("weight", &Tensor::ones(device, &[2, 3])?);
    let mut optimizer = optimizer(vec![weight.clone()])?;
    weight.value().square()?.sum_all()?.backward()?;
    optimizer.step()
}

/// A line for each formula that is recorded in a trace.
fn table() -> BTreeSet<String> {
    let flag = |is: bool, name: &'static str| if is { name } else { "" };
    let line = |formula: &&Formula| {
        format!(
            "{:<20} {:>4} {:<6} {:<10} {}\n",
            formula.name,
            formula.cost(),
            flag(formula.is_scalar(), "scalar"),
            flag(formula.is_positional(), "positional"),
            formula.wgsl
        )
    };
    tracing(|| {
        let device = Device::reference();
        let cases = cases();
        // Cases of values that are read on the way may refuse ones.
        let recorded = cases.iter().filter(|case| record_case(case, &device).is_ok()).count();
        assert!(10 * recorded > 9 * cases.len(), "{recorded} of {} cases", cases.len());
        OPTIMIZERS.iter().try_for_each(|&optimizer| record_steps(optimizer, &device)).unwrap();
        with_trace(|trace| trace.formulas.iter().map(line).collect())
    })
}

#[test]
fn formulas_have_the_facts_that_are_listed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formulas.txt");
    let mut table = table();
    table.insert(format!("{:<20} {:>4} {:<6} {:<10} {}\n", "Formula", "cost", "", "", "expression"));
    let text: String = table.into_iter().collect();
    if std::env::var_os("WGRAD_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<&str> = text.lines().filter(|line| !written.lines().any(|other| other == *line)).collect();
    assert!(
        written == text,
        "tests/formulas.txt differs, see `WGRAD_WRITE_DOCS=1 cargo test --lib formulas`:\n{changed:#?}"
    );
}

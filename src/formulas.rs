//! `tests/formulas.txt` lists the crate's pointwise formulas with the facts that plans depend on, so that none changes
//! unseen. `WGRAD_WRITE_DOCS=1 cargo test --lib formulas` writes it.

use crate::amp::{GradScaler, GradScalerOptions};
use crate::graph::{Device, Parameter, Tensor, grad, tracing, with_trace};
use crate::ops::case::{Case, Input};
use crate::ops::cases;
use crate::optim::{
    AdadeltaOptions, AdafactorOptions, AdagradOptions, AdamOptions, AdamaxOptions, Algorithm, Engine, LambOptions,
    LarsOptions, LionOptions, NAdamOptions, Optimizer, ParamGroup, RAdamOptions, RmsPropOptions, RpropOptions,
    SgdOptions,
};
use crate::shader::Formula;
use crate::{DType, Result};
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

/// Records two steps of an optimizer that a scaler of gradients guards. Its parameters lie in two groups.
fn record_steps<A: Algorithm>(device: &Device, options: A, change: fn(Engine<A>) -> Result<Engine<A>>) -> Result<()> {
    let weight = |name: &str, shape: &[usize]| Ok(Parameter::new(name, &Tensor::ones(device, shape)?));
    let weights: [Parameter; 2] = [weight("a", &[4, 3])?, weight("b", &[3])?];
    let groups = weights.iter().map(|weight| ParamGroup::new(vec![weight.clone()], options.clone())).collect();
    let mut optimizer = change(Engine::with_groups(groups)?)?;
    optimizer.set_lr(1, 0.5)?;
    let mut scaler = GradScaler::new(device, GradScalerOptions::default())?;
    for _ in 0..2 {
        let loss = weights[0].value().mul(&weights[1].value())?.to_dtype(DType::F16)?.sum_all()?;
        scaler.scale(&loss)?.backward()?;
        scaler.step(&mut optimizer)?;
        scaler.update()?;
        optimizer.zero_grad();
    }
    Ok(())
}

/// Records steps of every optimizer.
fn record_optimizers(device: &Device) -> Result<()> {
    record_steps(device, AdadeltaOptions::default(), Ok)?;
    record_steps(device, AdafactorOptions::default(), Ok)?;
    record_steps(device, AdagradOptions::default().lr_decay(0.1), |adagrad| adagrad.clip_grad_value(1.0))?;
    record_steps(device, AdamOptions::default(), |adam| adam.clip_grad_norm(1.0))?;
    record_steps(device, AdamaxOptions::default(), Ok)?;
    record_steps(device, LambOptions::default().trust_clip(true), Ok)?;
    record_steps(device, LarsOptions::default().trust_clip(true), Ok)?;
    record_steps(device, LionOptions::default(), Ok)?;
    record_steps(device, NAdamOptions::default(), Ok)?;
    record_steps(device, RAdamOptions::default(), Ok)?;
    record_steps(device, RmsPropOptions::default().centered(true).momentum(0.5), Ok)?;
    record_steps(device, RpropOptions::default(), Ok)?;
    record_steps(device, SgdOptions::default().momentum(0.5).dampening(0.5), |sgd| sgd.adaptive_clip_grad(0.1, 1e-3))
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
        record_optimizers(&device).unwrap();
        with_trace(|trace| trace.formulas.iter().map(line).collect())
    })
}

/// The names of the formulas that a folder's files make.
fn declared(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            names.extend(declared(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = ["Rule::new(", "Formula::new("].into_iter().flat_map(|call| text.split(call).skip(1));
            let names_of = calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            names.extend(names_of.map(str::to_string));
        }
    }
    names
}

#[test]
fn formulas_have_the_facts_that_are_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/formulas.txt");
    let mut table = table();
    let missing = |name: &String| !table.iter().any(|line| line.split(' ').next() == Some(name));
    let missing: Vec<String> = ["ops", "optim", "amp", "graph"]
        .iter()
        .flat_map(|room| declared(&root.join("src").join(room)))
        .filter(missing)
        .collect();
    assert!(missing.is_empty(), "nothing here records {missing:?}");
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

//! Schedules on an optimizer, and the options that they refuse. Their rates are compared with PyTorch's by the conformance files.

use wgrad::optim::lr_scheduler::{
    ChainedScheduler, CosineAnnealingLr, CyclicLr, CyclicMode, ExponentialLr, GroupRates, LambdaLr, LinearLr,
    LinearWarmup, LrSchedule, LrScheduler, MultiStepLr, OneCycleLr, Plateau, PolynomialLr, ReduceLrOnPlateau,
    SequentialLr, StepLr, Threshold, trace,
};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::train::State;
use wgrad::{Device, Error, Parameter, Tensor};

fn sgd(lr: f64) -> Sgd {
    let x = Parameter::new("x", &Tensor::ones(&Device::reference(), &[1]).unwrap());
    Sgd::new(vec![x], SgdOptions::default().lr(lr)).unwrap()
}

/// The rule that a schedule breaks for two groups without a momentum.
fn refusal(schedule: impl LrSchedule) -> String {
    match trace(&schedule, &[GroupRates::new(0.1); 2], 3) {
        Err(Error::Invalid { op, rule }) => format!("{op}: {rule}"),
        other => panic!("{}: {other:?}", schedule.name()),
    }
}

#[test]
fn options_without_a_meaning_are_refused() {
    let cases: [(String, &str); 12] = [
        (refusal(StepLr::new(0)), "StepLr: step_size is 0; it must be at least 1"),
        (refusal(StepLr::new(3).gamma(f64::NAN)), "StepLr: gamma is NaN; it must be finite and not negative"),
        (refusal(MultiStepLr::new([])), "MultiStepLr: there are no milestones"),
        (refusal(PolynomialLr::new(3).power(-1.0)), "PolynomialLr: power is -1"),
        (refusal(OneCycleLr::new(0.1, 3)), "OneCycleLr: the optimizer has neither a momentum nor betas"),
        (refusal(OneCycleLr::new([0.1; 3], 3).cycle_momentum(false)), "OneCycleLr: max_lr has 3 values for 2 groups"),
        (refusal(CyclicLr::new(0.1, f64::INFINITY, 4).cycle_momentum(false)), "CyclicLr: max_lr is inf"),
        (refusal(LinearWarmup::new(2, CosineAnnealingLr::new(0))), "CosineAnnealingLr: t_max is 0"),
        (refusal(ChainedScheduler::new()), "ChainedScheduler: there are no schedules"),
        (
            refusal(SequentialLr::new(StepLr::new(1)).then(5, StepLr::new(1)).then(3, StepLr::new(1))),
            "SequentialLr: milestone 3 comes after 5",
        ),
        (refusal(LambdaLr::each(vec![])), "LambdaLr: 0 closures for 2 groups"),
        (
            refusal(LambdaLr::new(|step| if step == 2 { f64::NAN } else { 1.0 })),
            "LambdaLr: the rate of group 0 would be NaN at step 2",
        ),
    ];
    for (got, expected) in cases {
        assert!(got.starts_with(expected), "{got}");
    }
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let mut optimizer = sgd(0.1);
    let mut scheduler = LrScheduler::new(&mut optimizer, OneCycleLr::new(0.5, 3).cycle_momentum(false)).unwrap();
    for _ in 0..3 {
        scheduler.step(&mut optimizer).unwrap();
    }
    let last = optimizer.lr(0).unwrap();
    let error = scheduler.step(&mut optimizer).unwrap_err().to_string();
    assert_eq!(error, "OneCycleLr: step 4 is past the end: total_steps is 3");
    assert_eq!((scheduler.steps(), optimizer.lr(0).unwrap()), (3, last));

    assert!(LrScheduler::new(&mut optimizer, StepLr::new(0)).is_err());
    assert_eq!(optimizer.lr(0).unwrap(), last);

    let mut plateau = ReduceLrOnPlateau::new(Plateau::Min).patience(0);
    plateau.step(&mut optimizer, 1.0).unwrap();
    let before = plateau.clone();
    assert!(plateau.step(&mut optimizer, f64::NAN).is_err());
    assert_eq!((plateau, optimizer.lr(0).unwrap()), (before, last));
    let mut wrong = ReduceLrOnPlateau::new(Plateau::Min).threshold(Threshold::Abs(-1.0));
    assert!(wrong.step(&mut optimizer, 1.0).unwrap_err().to_string().contains("threshold is -1"));
}

#[test]
fn a_rate_that_falls_to_0_does_not_fall_below() {
    // With rounded steps down to 0 the last rate would be some 1e-17 below.
    let mut optimizer = sgd(0.1);
    let down = LinearLr::new(0.9, 0.0, 100);
    let mut scheduler = LrScheduler::new(&mut optimizer, down).unwrap();
    for _ in 0..100 {
        scheduler.step(&mut optimizer).unwrap();
    }
    assert_eq!(optimizer.lr(0).unwrap(), 0.0);
}

#[test]
fn a_run_goes_on_from_where_another_stood() {
    let schedules: [fn() -> Box<dyn LrSchedule>; 3] = [
        || Box::new(CosineAnnealingLr::new(7).eta_min(0.01)),
        || Box::new(SequentialLr::new(LinearWarmup::new(4, StepLr::new(3))).then(9, ExponentialLr::new(0.9))),
        || Box::new(CyclicLr::new(0.1, 0.3, 4).mode(CyclicMode::Triangular2).cycle_momentum(false)),
    ];
    for make in schedules {
        let mut whole = sgd(0.1);
        let mut scheduler = LrScheduler::new(&mut whole, make()).unwrap();
        let mut rest = None;
        for step in 0..20 {
            if step == 6 {
                let mut other = sgd(0.2);
                let mut resumed = LrScheduler::new(&mut other, make()).unwrap();
                resumed.set_numbers(&scheduler.numbers().unwrap()).unwrap();
                other.set_lr(0, whole.lr(0).unwrap()).unwrap();
                rest = Some((other, resumed));
            }
            scheduler.step(&mut whole).unwrap();
            if let Some((optimizer, resumed)) = &mut rest {
                resumed.step(optimizer).unwrap();
                assert_eq!(optimizer.lr(0).unwrap().to_bits(), whole.lr(0).unwrap().to_bits(), "step {step}");
            }
        }
        let mut wrong = scheduler.numbers().unwrap();
        wrong.insert("base_lrs".into(), vec![-1.0]);
        assert!(scheduler.set_numbers(&wrong).unwrap_err().to_string().contains("base_lrs holds -1"));
        assert_eq!(scheduler.steps(), 20);
    }
}

#[test]
fn a_rate_set_by_hand_is_where_a_recursive_schedule_goes_on() {
    let mut optimizer = sgd(0.1);
    let mut scheduler = LrScheduler::new(&mut optimizer, ExponentialLr::new(0.5)).unwrap();
    scheduler.step(&mut optimizer).unwrap();
    optimizer.set_lr(0, 1.0).unwrap();
    scheduler.step(&mut optimizer).unwrap();
    assert_eq!(optimizer.lr(0).unwrap(), 0.5);
}

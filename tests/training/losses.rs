//! Losses as modules: each passes its operands and options to its own operation, and its defaults are PyTorch's.

use wgrad::nn::{
    BceLoss, BceWithLogitsLoss, CosineEmbeddingLoss, CrossEntropyLoss, CtcLoss, DiceLoss, GaussianNllLoss,
    HingeEmbeddingLoss, HuberLoss, KlDivLoss, L1Loss, Loss, MarginRankingLoss, MseLoss, MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss, MultiMarginLoss, NllLoss, PoissonNllLoss, SigmoidFocalLoss, SmoothL1Loss, SoftMarginLoss,
    TripletMarginLoss, TripletMarginWithDistanceLoss,
};
use wgrad::{
    CrossEntropyOptions, CtcLossOptions, Device, GaussianNllOptions, KlDivOptions, KlDivReduction, Reduction, Result,
    Tensor, TripletMarginOptions, TripletMarginWithDistanceOptions,
};

/// Expected values are those of PyTorch 2.15 (torchvision 0.29 for focal losses) in double precision, by the modules of the same
/// names.
#[test]
fn losses_are_pytorchs() {
    let device = Device::reference();
    let of = |values: &[f64]| Tensor::from_f64(&device, values, &[values.len() / 3, 3]).unwrap();
    let labels = |values: &[i32], shape: &[usize]| Tensor::from_slice(&device, values, shape).unwrap();
    let x = of(&[0.5, -1.0, 2.0, 1.5, 0.25, -0.75]);
    let y = of(&[0.25, 0.5, 0.75, 1.0, 0.0, 0.5]);
    let z = y.add(&x.flip([0]).unwrap().mul_scalar(0.3).unwrap()).unwrap();
    let (p, log_p) = (x.sigmoid().unwrap(), x.log_softmax(1).unwrap());
    let sign = of(&[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]);
    let yes = of(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let pair = Tensor::from_f64(&device, &[1.0, -1.0], &[2]).unwrap();
    let weight = Tensor::from_f64(&device, &[1.0, 2.0, 3.0], &[3]).unwrap();
    let class = labels(&[2, 0], &[2]);
    let channel = |t: &Tensor| t.unsqueeze(1).unwrap();

    let smoothed = CrossEntropyOptions::default().weight(weight.clone()).label_smoothing(0.1).reduction(Reduction::Sum);
    let batch_mean = KlDivOptions::default().reduction(KlDivReduction::BatchMean);
    let bce_weights = BceWithLogitsLoss::default().weight(weight.clone()).pos_weight(weight.flip([0]).unwrap());
    let weighted = MultiLabelSoftMarginLoss::default().weight(weight.clone());
    let distance = |a: &Tensor, b: &Tensor| -> Result<Tensor> { a.pairwise_distance(b, 1.0, 0.0) };
    let sequence = Tensor::stack(&[&x, &y, &z], 0).unwrap().log_softmax(2).unwrap();

    let paired: [(&dyn Loss, &Tensor, &Tensor, f64); 26] = [
        (&CrossEntropyLoss::default(), &x, &class, 0.285991953032),
        (&CrossEntropyLoss::new(smoothed), &x, &class, 1.62187596399),
        (&NllLoss::default(), &log_p, &class, 0.285991953032),
        (&KlDivLoss::new(batch_mean), &log_p, &y, 1.30124676696),
        (&PoissonNllLoss::default(), &x, &y, 2.23228964176),
        (&MultiMarginLoss::default(), &x, &labels(&[1, 2], &[2]), 1.95833333333),
        (&MseLoss::default(), &x, &y, 0.958333333333),
        (&MseLoss::default().reduction(Reduction::Sum), &x, &y, 5.75),
        (&L1Loss::default(), &x, &y, 0.833333333333),
        (&SmoothL1Loss::default(), &x, &y, 0.447916666667),
        (&SmoothL1Loss::default().beta(0.5), &x, &y, 0.604166666667),
        (&HuberLoss::default(), &x, &y, 0.447916666667),
        (&HuberLoss::default().delta(0.5), &x, &y, 0.302083333333),
        (&BceLoss::default(), &p, &y, 0.679748397786),
        (&BceLoss::default().weight(weight.clone()), &p, &y, 1.41588158807),
        (&BceWithLogitsLoss::default(), &x, &y, 0.679748397786),
        (&bce_weights, &x, &y, 1.74140271067),
        (&SigmoidFocalLoss::default(), &x, &yes, 0.157459469829),
        (&SigmoidFocalLoss::default().alpha(0.5).gamma(1.0).reduction(Reduction::Sum), &x, &yes, 1.02283545802),
        (&HingeEmbeddingLoss::default(), &x, &sign, 1.08333333333),
        (&HingeEmbeddingLoss::default().margin(2.0), &x, &sign, 1.5),
        (&SoftMarginLoss::default(), &x, &sign, 0.596415064453),
        (&MultiLabelMarginLoss::default(), &x, &labels(&[1, -1, 0, 2, 1, -1], &[2, 3]), 2.0),
        (&MultiLabelSoftMarginLoss::default(), &x, &yes, 0.596415064453),
        (&weighted, &x, &yes, 0.915881588072),
        (&DiceLoss::default(), &channel(&p), &channel(&yes), 0.293193184507),
    ];
    let is = |at: usize, got: Result<Tensor>, expected: f64| {
        let got = got.unwrap().to_f64().unwrap();
        assert!((got[0] - expected).abs() < 1e-6 * expected, "{at}: {got:?} instead of {expected}");
    };
    for (at, (loss, input, target, expected)) in paired.into_iter().enumerate() {
        is(at, loss.forward(input, target), expected);
    }
    let triplet = TripletMarginWithDistanceLoss::new(distance, TripletMarginWithDistanceOptions::default());
    let others = [
        (GaussianNllLoss::new(GaussianNllOptions::default()).forward(&x, &y, &p), 0.974940282378),
        (CosineEmbeddingLoss::default().forward(&x, &y, &pair), 0.534275883444),
        (CosineEmbeddingLoss::default().margin(-0.5).forward(&x, &z, &pair), 0.728281773972),
        (MarginRankingLoss::default().forward(&x, &y, &sign), 0.0833333333333),
        (MarginRankingLoss::default().margin(0.5).forward(&x, &y, &sign), 0.25),
        (TripletMarginLoss::new(TripletMarginOptions::default()).forward(&x, &y, &z), 0.604610401002),
        (triplet.forward(&x, &y, &z), 0.5),
        (
            CtcLoss::new(CtcLossOptions::default()).forward(
                &sequence,
                &labels(&[1, 2, 2, 1], &[2, 2]),
                &[3, 3],
                &[2, 1],
            ),
            1.29899898135,
        ),
    ];
    for (at, (got, expected)) in others.into_iter().enumerate() {
        is(at, got, expected);
    }
}

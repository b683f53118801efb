//! Losses: many classes, many labels, long samples.

use crate::{Extent, check, extent, integers};
use wgrad::*;

const CLASSES: usize = 50_000;

fn of_classes() -> Vec<Extent> {
    let smooth = || CrossEntropyOptions::default().label_smoothing(0.1);
    let logits: &[usize] = &[3, CLASSES];
    vec![
        extent("cross_entropy, many classes", &[logits], 1000, |x| {
            x[0].cross_entropy(&integers(&x[0], &[3], |at| at * 20_000)?, &CrossEntropyOptions::default())
        }),
        extent("cross_entropy, many classes, smoothed", &[logits], 1000, move |x| {
            x[0].cross_entropy(&integers(&x[0], &[3], |at| at * 20_000)?, &smooth())
        }),
        extent("cross_entropy, shares of many classes", &[logits, logits], 50_000, |x| {
            x[0].cross_entropy(&x[1].square()?, &CrossEntropyOptions::default())
        }),
        extent("cross_entropy, many pixels", &[&[2, 3, 150, 160]], 1000, |x| {
            x[0].cross_entropy(&integers(&x[0], &[2, 150, 160], |at| at % 3)?, &CrossEntropyOptions::default())
        }),
        extent("nll_loss, many classes", &[logits], 1000, |x| {
            x[0].nll_loss(&integers(&x[0], &[3], |at| at * 20_000)?, &CrossEntropyOptions::default())
        }),
        extent("multi_margin_loss, many classes", &[logits], 1000, |x| {
            let options = MultiMarginOptions::default().p(2);
            x[0].multi_margin_loss(&integers(&x[0], &[3], |at| at * 20_000)?, &options)
        }),
        extent("multilabel_margin_loss, many labels", &[&[1, 600]], 600, |x| {
            x[0].multilabel_margin_loss(&integers(&x[0], &[1, 600], |at| at * 7 % 600)?, Reduction::Mean)
        }),
        extent("multilabel_soft_margin_loss, many labels", &[logits], 1000, |x| {
            let target = integers(&x[0], &[3, CLASSES], |at| at % 2)?.to_dtype(DType::F32)?;
            x[0].multilabel_soft_margin_loss(&target, None, Reduction::Mean)
        }),
        extent("triplet_margin_loss, long rows", &[logits, logits, logits], 1000, |x| {
            x[0].triplet_margin_loss(&x[1], &x[2], &TripletMarginOptions::default().swap(true))
        }),
        extent("cosine_embedding_loss, long rows", &[logits, logits], 1000, |x| {
            let target = integers(&x[0], &[3], |at| at % 2)?.mul_scalar(2.0)?.sub_scalar(1.0)?;
            x[0].cosine_embedding_loss(&x[1], &target, 0.1, Reduction::Mean)
        }),
        extent("dice_loss, many pixels", &[&[2, 1, 200, 210]], 42_000, |x| {
            let target = integers(&x[0], &[2, 1, 200, 210], |at| at % 2)?.to_dtype(DType::F32)?;
            x[0].sigmoid()?.dice_loss(&target, 1.0, Reduction::Mean)
        }),
    ]
}

fn of_sequences() -> Vec<Extent> {
    let labels = |x: &Tensor, count: usize, classes: usize| integers(x, &[1, count], |at| 1 + at * 7 % (classes - 1));
    vec![
        extent("ctc_loss, a long sample", &[&[600, 1, 8]], 4096, move |x| {
            x[0].log_softmax(2)?.ctc_loss(&labels(&x[0], 250, 8)?, &[600], &[250], &CtcLossOptions::default())
        }),
        extent("ctc_loss, many classes", &[&[12, 1, 20_000]], 1000, move |x| {
            x[0].log_softmax(2)?.ctc_loss(&labels(&x[0], 4, 20_000)?, &[12], &[4], &CtcLossOptions::default())
        }),
        extent("ctc_loss, many samples", &[&[12, 2000, 5]], 1000, move |x| {
            let labels = integers(&x[0], &[2000, 4], |at| 1 + at % 4)?;
            x[0].log_softmax(2)?.ctc_loss(&labels, &[12; 2000], &[4; 2000], &CtcLossOptions::default())
        }),
    ]
}

pub fn extents() -> Vec<Extent> {
    of_classes().into_iter().chain(of_sequences()).collect()
}

#[test]
fn at_their_largest() {
    check(extents());
}

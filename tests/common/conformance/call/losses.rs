//! Losses.

use super::reduce::reduction;
use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{
    CrossEntropyOptions, DType, GaussianNllOptions, KlDivOptions, KlDivReduction, MultiMarginOptions,
    PoissonNllOptions, Reduction, Tensor, TripletMarginOptions, TripletMarginWithDistanceOptions,
};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["cross_entropy"],
        tensors: &["input", "target", "weight"],
        attributes: &["ignore_index", "reduction", "label_smoothing"],
        run: cross_entropy,
    },
    Operation {
        names: &["nll_loss"],
        tensors: &["input", "target", "weight"],
        attributes: &["ignore_index", "reduction"],
        run: cross_entropy,
    },
    Operation {
        names: &["mse_loss", "l1_loss"],
        tensors: &["input", "target", "weight"],
        attributes: &["reduction"],
        run: regression_loss,
    },
    Operation {
        names: &["smooth_l1_loss"],
        tensors: &["input", "target"],
        attributes: &["beta", "reduction"],
        run: regression_loss,
    },
    Operation {
        names: &["huber_loss"],
        tensors: &["input", "target", "weight"],
        attributes: &["delta", "reduction"],
        run: regression_loss,
    },
    Operation {
        names: &["binary_cross_entropy"],
        tensors: &["input", "target", "weight"],
        attributes: &["reduction"],
        run: binary_loss,
    },
    Operation {
        names: &["binary_cross_entropy_with_logits"],
        tensors: &["input", "target", "weight", "pos_weight"],
        attributes: &["reduction"],
        run: binary_loss,
    },
    Operation {
        names: &["sigmoid_focal_loss"],
        tensors: &["inputs", "targets"],
        attributes: &["alpha", "gamma", "reduction"],
        run: binary_loss,
    },
    Operation {
        names: &["dice_loss"],
        tensors: &["input", "target"],
        attributes: &["smooth", "reduction"],
        run: binary_loss,
    },
    Operation {
        names: &["kl_div"],
        tensors: &["input", "target"],
        attributes: &["log_target", "reduction"],
        run: kl_div,
    },
    Operation {
        names: &["cosine_embedding_loss", "margin_ranking_loss"],
        tensors: &["input1", "input2", "target"],
        attributes: &["margin", "reduction"],
        run: margin_loss,
    },
    Operation {
        names: &["hinge_embedding_loss"],
        tensors: &["input", "target"],
        attributes: &["margin", "reduction"],
        run: margin_loss,
    },
    Operation {
        names: &["triplet_margin_loss"],
        tensors: &["anchor", "positive", "negative"],
        attributes: &["margin", "p", "eps", "swap", "reduction"],
        run: margin_loss,
    },
    Operation {
        names: &["triplet_margin_with_distance_loss"],
        tensors: &["anchor", "positive", "negative"],
        attributes: &["margin", "swap", "reduction"],
        run: margin_loss,
    },
    Operation {
        names: &["multi_margin_loss"],
        tensors: &["input", "target", "weight"],
        attributes: &["p", "margin", "reduction"],
        run: class_loss,
    },
    Operation {
        names: &["multilabel_margin_loss", "soft_margin_loss"],
        tensors: &["input", "target"],
        attributes: &["reduction"],
        run: class_loss,
    },
    Operation {
        names: &["multilabel_soft_margin_loss"],
        tensors: &["input", "target", "weight"],
        attributes: &["reduction"],
        run: class_loss,
    },
    Operation {
        names: &["poisson_nll_loss"],
        tensors: &["input", "target"],
        attributes: &["log_input", "full", "eps", "reduction"],
        run: likelihood_loss,
    },
    Operation {
        names: &["gaussian_nll_loss"],
        tensors: &["input", "target", "var"],
        attributes: &["var", "full", "eps", "reduction"],
        run: likelihood_loss,
    },
    Operation {
        names: &["pairwise_distance"],
        tensors: &["x1", "x2"],
        attributes: &["p", "eps", "keepdim"],
        run: distance,
    },
    Operation { names: &["cosine_similarity"], tensors: &["x1", "x2"], attributes: &["dim", "eps"], run: distance },
];

pub(super) fn reduction(call: &Call) -> Result<Reduction, Refusal> {
    // The only loss whose default is another one.
    let default = if call.op == "sigmoid_focal_loss" { "none" } else { "mean" };
    match call.attr("reduction").map_or(Some(default), Value::as_str) {
        Some("mean") => Ok(Reduction::Mean),
        Some("sum") => Ok(Reduction::Sum),
        Some("none") => Ok(Reduction::None),
        _ => Err(call.wrong("reduction")),
    }
}

fn cross_entropy(call: &Call) -> Results {
    let options = CrossEntropyOptions {
        weight: call.optional("weight").cloned(),
        ignore_index: call.integers("ignore_index")?.map_or(-100, |v| v[0]),
        reduction: reduction(call)?,
        label_smoothing: call.number("label_smoothing")?.unwrap_or(0.0),
    };
    let (x, target) = (call.tensor("input")?, call.tensor("target")?);
    Ok(vec![if call.op == "nll_loss" { x.nll_loss(target, &options) } else { x.cross_entropy(target, &options) }?])
}

fn kl_div(call: &Call) -> Results {
    let reduction = match call.attr("reduction").and_then(Value::as_str) {
        Some("batchmean") => KlDivReduction::BatchMean,
        _ => match reduction(call)? {
            Reduction::Mean => KlDivReduction::Mean,
            Reduction::Sum => KlDivReduction::Sum,
            Reduction::None => KlDivReduction::None,
        },
    };
    let options = KlDivOptions { reduction, log_target: call.flag("log_target", false)? };
    Ok(vec![call.tensor("input")?.kl_div(call.tensor("target")?, &options)?])
}

/// The losses of a difference, which have a weight that the others' methods don't take.
fn regression_loss(call: &Call) -> Results {
    let (x, target, reduction) = (call.tensor("input")?, call.tensor("target")?, reduction(call)?);
    let delta = call.number("delta")?.unwrap_or(1.0);
    Ok(vec![match (call.op, call.optional("weight")) {
        ("mse_loss", None) => x.mse_loss(target, reduction),
        ("mse_loss", Some(weight)) => x.weighted_mse_loss(target, weight, reduction),
        ("l1_loss", None) => x.l1_loss(target, reduction),
        ("l1_loss", Some(weight)) => x.weighted_l1_loss(target, weight, reduction),
        ("huber_loss", None) => x.huber_loss(target, delta, reduction),
        ("huber_loss", Some(weight)) => x.weighted_huber_loss(target, delta, weight, reduction),
        _ => x.smooth_l1_loss(target, call.number("beta")?.unwrap_or(1.0), reduction),
    }?])
}

fn binary_loss(call: &Call) -> Results {
    let reduction = reduction(call)?;
    if call.op == "sigmoid_focal_loss" {
        let (alpha, gamma) = (call.number("alpha")?.unwrap_or(0.25), call.number("gamma")?.unwrap_or(2.0));
        return Ok(vec![call.tensor("inputs")?.sigmoid_focal_loss(
            call.tensor("targets")?,
            alpha,
            gamma,
            reduction,
        )?]);
    }
    let (x, target, weight) = (call.tensor("input")?, call.tensor("target")?, call.optional("weight"));
    Ok(vec![match call.op {
        "binary_cross_entropy" => x.binary_cross_entropy(target, weight, reduction),
        "dice_loss" => x.dice_loss(target, call.number("smooth")?.unwrap_or(1.0), reduction),
        _ => x.binary_cross_entropy_with_logits(target, weight, call.optional("pos_weight"), reduction),
    }?])
}

fn margin_loss(call: &Call) -> Results {
    let (margin, reduction) = (call.number("margin")?, reduction(call)?);
    Ok(vec![match call.op {
        "cosine_embedding_loss" => {
            let (other, target) = (call.tensor("input2")?, call.tensor("target")?);
            call.tensor("input1")?.cosine_embedding_loss(other, target, margin.unwrap_or(0.0), reduction)
        }
        "margin_ranking_loss" => {
            let (other, target) = (call.tensor("input2")?, call.tensor("target")?);
            call.tensor("input1")?.margin_ranking_loss(other, target, margin.unwrap_or(0.0), reduction)
        }
        "hinge_embedding_loss" => {
            call.tensor("input")?.hinge_embedding_loss(call.tensor("target")?, margin.unwrap_or(1.0), reduction)
        }
        "triplet_margin_with_distance_loss" => {
            let (positive, negative) = (call.tensor("positive")?, call.tensor("negative")?);
            let swap = call.flag("swap", false)?;
            let options = TripletMarginWithDistanceOptions { margin: margin.unwrap_or(1.0), swap, reduction };
            let distance = |a: &Tensor, b: &Tensor| a.pairwise_distance(b, 2.0, 1e-6);
            call.tensor("anchor")?.triplet_margin_with_distance_loss(positive, negative, distance, &options)
        }
        _ => {
            let options = TripletMarginOptions {
                margin: margin.unwrap_or(1.0),
                p: call.number("p")?.unwrap_or(2.0),
                eps: call.number("eps")?.unwrap_or(1e-6),
                swap: call.flag("swap", false)?,
                reduction,
            };
            let (positive, negative) = (call.tensor("positive")?, call.tensor("negative")?);
            call.tensor("anchor")?.triplet_margin_loss(positive, negative, &options)
        }
    }?])
}

/// Labels, which may have come as truth values.
fn labels(target: &Tensor) -> wgrad::Result<Tensor> {
    if target.dtype() == DType::Bool { target.to_dtype(DType::I32) } else { Ok(target.clone()) }
}

fn class_loss(call: &Call) -> Results {
    let (x, target, weight) = (call.tensor("input")?, call.tensor("target")?, call.optional("weight"));
    let reduction = reduction(call)?;
    Ok(vec![match call.op {
        "multi_margin_loss" => {
            let p = call.number("p")?.unwrap_or(1.0);
            let p = if p.fract() == 0.0 { p as i32 } else { return Err(call.wrong("p")) };
            let margin = call.number("margin")?.unwrap_or(1.0);
            let options = MultiMarginOptions { p, margin, weight: weight.cloned(), reduction };
            x.multi_margin_loss(&labels(target)?, &options)
        }
        "multilabel_margin_loss" => x.multilabel_margin_loss(&labels(target)?, reduction),
        "multilabel_soft_margin_loss" => x.multilabel_soft_margin_loss(target, weight, reduction),
        _ => x.soft_margin_loss(target, reduction),
    }?])
}

fn likelihood_loss(call: &Call) -> Results {
    let (x, target, reduction) = (call.tensor("input")?, call.tensor("target")?, reduction(call)?);
    let (full, eps) = (call.flag("full", false)?, call.number("eps")?);
    if call.op == "poisson_nll_loss" {
        let log_input = call.flag("log_input", true)?;
        let options = PoissonNllOptions { log_input, full, eps: eps.unwrap_or(1e-8), reduction };
        return Ok(vec![x.poisson_nll_loss(target, &options)?]);
    }
    // One number is a variance for all.
    let var = match call.number("var")? {
        Some(var) if var < 0.0 => return Err(call.wrong("var")),
        Some(var) => x.full_like(var)?,
        None => call.tensor("var")?.clone(),
    };
    let options = GaussianNllOptions { full, eps: eps.unwrap_or(1e-6), reduction };
    Ok(vec![x.gaussian_nll_loss(target, &var, &options)?])
}

/// The order of a norm, which may be infinite.
fn order(call: &Call) -> Result<f64, Refusal> {
    match call.attr("p").and_then(Value::as_str) {
        Some(text) => text.parse().map_err(|_| call.wrong("p")),
        None => Ok(call.number("p")?.unwrap_or(2.0)),
    }
}

fn distance(call: &Call) -> Results {
    let (a, b) = (call.tensor("x1")?, call.tensor("x2")?);
    Ok(vec![if call.op == "pairwise_distance" {
        let (p, eps) = (order(call)?, call.number("eps")?.unwrap_or(1e-6));
        reduction!(call, a.pairwise_distance, pairwise_distance_keepdim(b, p, eps))
    } else {
        a.cosine_similarity(b, call.dim()?.unwrap_or(1), call.number("eps")?.unwrap_or(1e-8))
    }?])
}

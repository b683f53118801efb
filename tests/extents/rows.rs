//! Reductions, scans, norms and sorts: one row of all elements, many rows of two, and a long dimension that is not the last.

use crate::{Extent, check, extent};
use wgrad::*;

type Along = fn(&Tensor, isize) -> Result<Tensor>;

/// Calls along a dimension. Sums of many terms are as exact as their parts, of which there are fewer.
fn calls() -> Vec<([&'static str; 3], usize, Along)> {
    vec![
        (["sum, a long row", "sum, many rows", "sum, many columns"], 1000, |x, d| x.sum(d)),
        (["mean, a long row", "mean, many rows", "mean, many columns"], 1000, |x, d| x.mean(d)),
        (["prod, a long row", "prod, many rows", "prod, many columns"], 150_000, |x, d| near_one(x)?.prod(d)),
        (["amax, a long row", "amax, many rows", "amax, many columns"], 4, |x, d| x.amax(d)),
        (["amin, a long row", "amin, many rows", "amin, many columns"], 4, |x, d| x.amin(d)),
        (["var, a long row", "var, many rows", "var, many columns"], 1000, |x, d| x.var(d, 1.0)),
        (["std, a long row", "std, many rows", "std, many columns"], 1000, |x, d| x.std(d, 0.0)),
        (["norm, a long row", "norm, many rows", "norm, many columns"], 1000, |x, d| x.norm(2.0, d)),
        (["logsumexp, a long row", "logsumexp, many rows", "logsumexp, many columns"], 1000, |x, d| x.logsumexp(d)),
        (["argmax, a long row", "argmax, many rows", "argmax, many columns"], 4, |x, d| counted(x, &x.argmax(d)?)),
        (["argmin, a long row", "argmin, many rows", "argmin, many columns"], 4, |x, d| counted(x, &x.argmin(d)?)),
        (["all, a long row", "all, many rows", "all, many columns"], 4, |x, d| counted(x, &x.all(d)?)),
        (["any, a long row", "any, many rows", "any, many columns"], 4, |x, d| counted(x, &x.any(d)?)),
        (["count_nonzero, a long row", "count_nonzero, many rows", "count_nonzero, many columns"], 4, |x, d| {
            counted(x, &x.relu()?.count_nonzero(d)?)
        }),
        (["max, a long row", "max, many rows", "max, many columns"], 4, |x, d| Ok(x.max(d)?.0)),
        (["min, a long row", "min, many rows", "min, many columns"], 4, |x, d| Ok(x.min(d)?.0)),
        (["softmax, a long row", "softmax, many rows", "softmax, many columns"], 1000, |x, d| x.softmax(d)),
        (["log_softmax, a long row", "log_softmax, many rows", "log_softmax, many columns"], 1000, |x, d| {
            x.log_softmax(d)
        }),
        (["softmin, a long row", "softmin, many rows", "softmin, many columns"], 1000, |x, d| x.softmin(d)),
        (["normalize, a long row", "normalize, many rows", "normalize, many columns"], 1000, |x, d| {
            x.normalize(2.0, d, 1e-12)
        }),
        (["cumsum, a long row", "cumsum, many rows", "cumsum, many columns"], 1000, |x, d| x.cumsum(d)),
        (["cumprod, a long row", "cumprod, many rows", "cumprod, many columns"], 150_000, |x, d| {
            near_one(x)?.cumprod(d)
        }),
        (["sort, a long row", "sort, many rows", "sort, many columns"], 4, |x, d| Ok(x.sort(d, true)?.0)),
        (["argsort, a long row", "argsort, many rows", "argsort, many columns"], 4, |x, d| {
            counted(x, &x.argsort(d, false)?)
        }),
        (["topk, a long row", "topk, many rows", "topk, many columns"], 4, |x, d| Ok(x.topk(half(x, d), d, true)?.0)),
        (["kthvalue, a long row", "kthvalue, many rows", "kthvalue, many columns"], 4, |x, d| {
            Ok(x.kthvalue(half(x, d), d)?.0)
        }),
        (["glu, a long row", "glu, many rows", "glu, many columns"], 4, |x, d| x.glu(d)),
        (
            ["cosine_similarity, a long row", "cosine_similarity, many rows", "cosine_similarity, many columns"],
            1000,
            |x, d| x.cosine_similarity(&x.flip(d)?, d, 1e-8),
        ),
    ]
}

/// Numbers whose product stays distinguishable from zero.
fn near_one(x: &Tensor) -> Result<Tensor> {
    x.mul_scalar(1e-5)?.add_scalar(1.0)
}

/// Half of the elements along a dimension.
fn half(x: &Tensor, dim: isize) -> usize {
    x.shape()[dim as usize] / 2
}

/// Numbers without a gradient, times the first element.
fn counted(x: &Tensor, counts: &Tensor) -> Result<Tensor> {
    counts.to_dtype(DType::F32)?.mul(&x.flatten(0, -1)?.narrow(0, 0, 1)?)
}

fn norms() -> Vec<Extent> {
    let training = BatchNormOptions::default().training(true);
    vec![
        extent("layer_norm, a long row", &[&[1, 150_000]], 1000, |x| x[0].layer_norm(&[150_000], None, None, 1e-5)),
        extent("rms_norm, a long row", &[&[1, 150_000]], 1000, |x| x[0].rms_norm(&[150_000], None, None)),
        extent("batch_norm, one channel", &[&[150_000, 1]], 1000, move |x| {
            x[0].batch_norm(None, None, None, None, &training)
        }),
        extent("batch_norm, many channels", &[&[3, 50_000]], 1000, move |x| {
            x[0].batch_norm(None, None, None, None, &training)
        }),
        extent("instance_norm, one plane", &[&[1, 1, 150_000]], 1000, |x| {
            x[0].instance_norm(None, None, None, None, &InstanceNormOptions::default())
        }),
        extent("group_norm, one group", &[&[1, 512, 300]], 1000, |x| x[0].group_norm(1, None, None, 1e-5)),
        extent("group_norm, a group a channel", &[&[2, 512, 4]], 256, |x| x[0].group_norm(512, None, None, 1e-5)),
        extent("local_response_norm, all channels", &[&[1, 256, 3, 3]], 4096, |x| {
            x[0].local_response_norm(511, 1e-2, 0.75, 1.0)
        }),
        extent("norm, of a high order", &[&[1, 20_000]], 20_000, |x| x[0].norm(32.0, 1)),
        extent("pairwise_distance, a long row", &[&[1, 150_000], &[1, 150_000]], 1000, |x| {
            x[0].pairwise_distance(&x[1], 2.0, 1e-6)
        }),
    ]
}

pub fn extents() -> Vec<Extent> {
    let shapes: [(&[usize], isize); 3] = [(&[1, 150_000], 1), (&[75_000, 2], 1), (&[50_000, 4], 0)];
    let along = |(names, terms, call): ([&'static str; 3], usize, Along)| {
        names.into_iter().zip(shapes).enumerate().map(move |(at, (name, (shape, dim)))| {
            let row = extent(name, &[shape], terms, move |x| call(&x[0], dim));
            if at == 0 { row } else { row.long() }
        })
    };
    calls().into_iter().flat_map(along).chain(norms()).collect()
}

#[test]
fn at_their_largest() {
    check(extents());
}

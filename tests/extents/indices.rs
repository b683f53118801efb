//! Indexing: every element once, one element for all, and rows that are long or many.

use crate::{Extent, check, extent, integers};
use wgrad::*;

const MANY: usize = 100_000;

pub fn extents() -> Vec<Extent> {
    let row: &[usize] = &[MANY];
    let backwards = |at: usize| MANY - 1 - at;
    vec![
        extent("gather, every element", &[row], 1, move |x| x[0].gather(0, &integers(&x[0], &[MANY], backwards)?)),
        extent("gather, one element", &[&[10]], MANY, |x| x[0].gather(0, &integers(&x[0], &[MANY], |_| 3)?)),
        extent("index_select, every element", &[row], 1, move |x| {
            x[0].index_select(0, &integers(&x[0], &[MANY], backwards)?)
        }),
        extent("index_select, one row", &[&[3, 5]], MANY, |x| x[0].index_select(0, &integers(&x[0], &[MANY], |_| 1)?)),
        extent("index_select, long rows", &[&[3, MANY]], 20, |x| {
            x[0].index_select(0, &integers(&x[0], &[5], |at| at % 2)?)
        }),
        extent("take_along_dim, every element", &[row], 1, move |x| {
            x[0].take_along_dim(&integers(&x[0], &[MANY], backwards)?, Some(0))
        }),
        extent("embedding, many words", &[&[MANY, 4]], 4, |x| {
            integers(&x[0], &[64], |at| at * 1500)?.embedding(&x[0], &EmbeddingOptions::default())
        }),
        extent("embedding, one word", &[&[10, 4]], MANY, |x| {
            let options = EmbeddingOptions { padding_idx: Some(0), scale_grad_by_freq: true };
            integers(&x[0], &[MANY], |_| 7)?.embedding(&x[0], &options)
        }),
        extent("embedding, long rows", &[&[3, MANY]], 20, |x| {
            integers(&x[0], &[5], |at| at % 2)?.embedding(&x[0], &EmbeddingOptions::default())
        }),
        extent("scatter, every element", &[row, row], 1, move |x| {
            x[0].scatter(0, &integers(&x[0], &[MANY], backwards)?, &x[1])
        }),
        extent("scatter_add, one destination", &[&[10], row], MANY, |x| {
            x[0].scatter_add(0, &integers(&x[0], &[MANY], |_| 3)?, &x[1])
        }),
        extent("scatter_add, every element", &[row, row], 4, move |x| {
            x[0].scatter_add(0, &integers(&x[0], &[MANY], backwards)?, &x[1])
        }),
        extent("scatter, a product of all", &[&[10], row], MANY, |x| {
            let near_one = x[1].mul_scalar(1e-5)?.add_scalar(1.0)?;
            let index = integers(&x[0], &[MANY], |_| 3)?;
            // Such a product has no gradient.
            x[0].detach().scatter_reduce(0, &index, &near_one.detach(), ScatterReduction::Multiply)?.mul(&x[0])
        }),
        extent("index_add, one destination", &[&[10, 2], &[MANY, 2]], MANY, |x| {
            x[0].index_add(0, &integers(&x[0], &[MANY], |_| 3)?, &x[1], 0.5)
        }),
        extent("masked_select, every other", &[row], 1, |x| {
            x[0].masked_select(&integers(&x[0], &[MANY], |at| at % 2)?.to_dtype(DType::Bool)?)
        }),
        extent("one_hot, many classes", &[&[1]], MANY, |x| {
            integers(&x[0], &[3], |at| at * 40_000)?.one_hot(Some(MANY))?.to_dtype(DType::F32)?.mul(&x[0])
        }),
    ]
}

#[test]
fn at_their_largest() {
    check(extents());
}

//! Cases of all operations of this module.

use super::{EmbeddingOptions, ScatterReduction};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::case::Case;

pub(in crate::ops) fn cases() -> Vec<Case> {
    [gather(), scatter(), long(), embedding(), masked()].into_iter().flatten().collect()
}

fn gather() -> Vec<Case> {
    let gather = |dim, shape: &[usize], index: &[usize], size: i32| {
        Case::new("gather", &[shape, index], move |x| Ok(vec![x[0].gather(dim, &x[1])?])).with("dim", dim).integers(
            1,
            0,
            size - 1,
        )
    };
    let select = |dim, shape: &[usize], index: &[usize], size: i32| {
        let run = move |x: &[Tensor]| Ok(vec![x[0].index_select(dim, &x[1])?]);
        Case::new("index_select", &[shape, index], run).with("dim", dim).integers(1, 0, size - 1)
    };
    let take = |dim: Option<isize>, shape: &[usize], index: &[usize], size: i32| {
        let run = move |x: &[Tensor]| Ok(vec![x[0].take_along_dim(&x[1], dim)?]);
        Case::new("take_along_dim", &[shape, index], run).with("dim", dim).integers(1, 0, size - 1)
    };
    vec![
        gather(0, &[7], &[12], 7),
        gather(1, &[5, 4], &[5, 9], 4),
        gather(0, &[5, 4], &[3, 2], 5),
        gather(1, &[3, 4, 5], &[3, 6, 5], 4),
        gather(-1, &[3, 4, 5], &[2, 4, 1], 5),
        gather(0, &[4, 1], &[0, 1], 4),
        Case::new("gather", &[&[4, 6], &[4, 3]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.gather(1, &x[1])?]))
            .integers(1, 0, 5)
            .half(),
        Case::new("gather", &[&[4, 6], &[6, 3]], |x| Ok(vec![x[0].t()?.gather(1, &x[1])?])).integers(1, 0, 3),
        select(0, &[7, 3], &[5], 7),
        select(1, &[3, 4, 5], &[11], 4),
        select(-1, &[3, 5], &[], 5),
        select(0, &[], &[], 1),
        select(0, &[4, 3], &[0], 4),
        Case::new("index_select", &[&[4, 6], &[5]], |x| Ok(vec![x[0].t()?.index_select(0, &x[1])?])).integers(1, 0, 5),
        Case::new("index_select", &[&[4, 6], &[9]], |x| Ok(vec![x[0].index_select(0, &x[1].narrow(0, 2, 5)?)?]))
            .integers(0, -9, 9)
            .integers(1, 0, 3)
            .no_gradient(),
        take(Some(1), &[3, 1, 5], &[1, 4, 5], 1),
        take(Some(-1), &[2, 1, 5], &[1, 3, 2], 5),
        take(None, &[2, 3], &[2, 4], 6),
        Case::new("take_along_dim", &[&[3, 4], &[3, 9]], |x| Ok(vec![x[0].take_along_dim(&x[1], Some(1))?]))
            .integers(1, -9, 9),
    ]
}

/// Distinct indices: if several sources meet, gradients are PyTorch's, which are not slopes.
fn distinct(x: &Tensor, shape: &[usize], values: &[i32]) -> Result<Tensor> {
    Tensor::from_slice(x.device(), values, shape)
}

fn scatter() -> Vec<Case> {
    let place = |dim, shapes: &[&[usize]], index: &'static [usize], values: &'static [i32]| {
        Case::new("scatter", shapes, move |x| Ok(vec![x[0].scatter(dim, &distinct(&x[0], index, values)?, &x[1])?]))
            .with("dim", dim)
    };
    let meeting = |dim, shapes: &[&[usize]], size: i32| {
        Case::new("scatter", shapes, move |x| Ok(vec![x[0].scatter(dim, &x[2], &x[1])?]))
            .with("dim", dim)
            .integers(2, 0, size - 1)
            .no_differences()
    };
    let add = |dim, shapes: &[&[usize]], size: i32| {
        let run = move |x: &[Tensor]| Ok(vec![x[0].scatter_add(dim, &x[2], &x[1])?]);
        Case::new("scatter_add", shapes, run).with("dim", dim).integers(2, 0, size - 1)
    };
    let reduce = |reduction| {
        Case::new("scatter", &[&[4, 3], &[11, 3], &[11, 3]], move |x| {
            Ok(vec![x[0].scatter_reduce(0, &x[2], &x[1], reduction)?])
        })
        .with("reduce", reduction)
        .integers(2, 0, 3)
        .no_gradient()
    };
    let index_add = |dim, shapes: &[&[usize]], size: i32, alpha| {
        let run = move |x: &[Tensor]| Ok(vec![x[0].index_add(dim, &x[2], &x[1], alpha)?]);
        Case::new("index_add", shapes, run).with("dim", dim).with("alpha", alpha).integers(2, 0, size - 1)
    };
    vec![
        place(0, &[&[5], &[3]], &[3], &[4, 0, 2]),
        place(1, &[&[3, 4], &[2, 3]], &[2, 2], &[3, 1, 0, 2]),
        place(0, &[&[], &[]], &[], &[0]),
        meeting(1, &[&[2, 4, 3], &[2, 9, 3], &[2, 9, 3]], 4),
        // Several workgroups.
        meeting(1, &[&[7, 41], &[7, 30], &[7, 30]], 41),
        meeting(0, &[&[5, 4], &[7, 3], &[6, 2]], 5),
        meeting(0, &[&[5, 4], &[7, 3], &[0, 2]], 5),
        Case::new("scatter", &[&[3, 5], &[3, 2]], |x| Ok(vec![x[0].scatter_value(1, &x[1], 1.5)?])).integers(1, 0, 4),
        Case::new("scatter", &[&[3, 5], &[3, 2]], |x| Ok(vec![x[0].scatter_value(1, &x[1], 7.0)?]))
            .integers(0, -9, 9)
            .integers(1, 0, 4)
            .no_gradient(),
        Case::new("scatter", &[&[5, 4], &[4, 5], &[4, 5]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.scatter(0, &x[2].t()?, &x[1].to_dtype(DType::F16)?.t()?)?])
        })
        .integers(2, 0, 4)
        .half(),
        reduce(ScatterReduction::Add),
        reduce(ScatterReduction::Multiply),
        reduce(ScatterReduction::Multiply).integers(0, -2, 2).integers(1, -2, 2),
        add(0, &[&[5], &[9], &[9]], 5),
        add(1, &[&[3, 4, 2], &[3, 7, 3], &[2, 6, 1]], 4),
        add(-1, &[&[3, 5], &[3, 2], &[3, 2]], 5),
        add(0, &[&[], &[], &[]], 1),
        add(0, &[&[5, 3], &[2, 3], &[0, 3]], 5),
        add(1, &[&[4, 5], &[4, 9], &[4, 9]], 5).truth(0).truth(1).no_gradient(),
        Case::new("scatter_add", &[&[5, 4], &[4, 5], &[5, 4]], |x| Ok(vec![x[0].scatter_add(0, &x[2], &x[1].t()?)?]))
            .integers(2, 0, 4),
        index_add(0, &[&[5, 3], &[7, 3], &[7]], 5, 1.0),
        index_add(1, &[&[2, 4, 3], &[2, 3, 3], &[3]], 4, -1.5),
        index_add(0, &[&[], &[], &[]], 1, 2.0),
    ]
}

/// Rows too long for every output to look through: the sources are sorted. Some runs of one index fill whole chunks.
fn long() -> Vec<Case> {
    let add = |size: usize, count: usize| {
        Case::new("scatter_add", &[&[size], &[count], &[count]], |x| Ok(vec![x[0].scatter_add(0, &x[2], &x[1])?]))
            .integers(2, 0, nearest::<i32>(size) - 1)
            .first_order()
    };
    let add_rows = |size: usize, count: usize, width: usize| {
        Case::new("index_add", &[&[2, size, width], &[2, count, width], &[count]], |x| {
            Ok(vec![x[0].index_add(1, &x[2], &x[1], 1.0)?])
        })
        .integers(2, 0, nearest::<i32>(size) - 1)
        .first_order()
    };
    let mut cases = vec![
        // All terms in few sums, whose last roundings are as large as the sums.
        add(1, 40_000).tolerance(9.6),
        add(3, 12_000).tolerance(9.6),
        add(301, 5_003),
        add_rows(2, 4_500, 2),
        add_rows(257, 67, 5),
        // Each row with an index of its own.
        Case::new("scatter_add", &[&[3, 7, 5], &[3, 1_001, 5], &[3, 1_001, 5]], |x| {
            Ok(vec![x[0].scatter_add(1, &x[2], &x[1])?])
        })
        .integers(2, 0, 6)
        .first_order(),
        Case::new("scatter_add", &[&[3], &[12_000], &[12_000]], |x| Ok(vec![x[0].scatter_add(0, &x[2], &x[1])?]))
            .integers(0, -9, 9)
            .integers(1, -9, 9)
            .integers(2, 0, 2)
            .no_gradient(),
        Case::new("scatter_add", &[&[40], &[2_500], &[2_500]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.scatter_add(0, &x[2], &x[1].to_dtype(DType::F16)?)?])
        })
        .integers(2, 0, 39)
        .half()
        // A sum above 16 that rounds the other way, in a result whose largest element is below.
        .tolerance(12_860.0),
        Case::new("scatter", &[&[40], &[2_500], &[2_500]], |x| {
            Ok(vec![x[0].scatter_reduce(0, &x[2], &x[1], ScatterReduction::Multiply)?])
        })
        .domain(1, 0.9, 1.1)
        .integers(2, 0, 39)
        .no_gradient(),
    ];
    // One index among many takes nearly all sources: its run covers whole chunks.
    cases.push(
        Case::new("scatter_add", &[&[500], &[9_000], &[9_000]], |x| {
            let crowded = x[2].number(37.0)?;
            let index = x[2].gt(&crowded)?.where_(&x[2], &crowded)?;
            Ok(vec![x[0].scatter_add(0, &index, &x[1])?])
        })
        .integers(2, -9_000, 499)
        .first_order(),
    );
    cases
}

fn embedding() -> Vec<Case> {
    let look_up = |index: &[usize], options: EmbeddingOptions| {
        let mut case = Case::new("embedding", &[&[7, 3], index], move |x| Ok(vec![x[1].embedding(&x[0], &options)?]))
            .options(&options)
            .integers(1, 0, 6);
        // These gradients follow options and are not slopes.
        if options.padding_idx.is_some() || options.scale_grad_by_freq {
            case = case.no_differences();
        }
        case
    };
    let plain = EmbeddingOptions::default();
    vec![
        look_up(&[4], plain),
        look_up(&[2, 3, 2], plain),
        look_up(&[], plain),
        look_up(&[0, 5], plain),
        look_up(&[5], EmbeddingOptions { padding_idx: Some(-2), ..plain }),
        look_up(&[5, 2], EmbeddingOptions { scale_grad_by_freq: true, ..plain }),
    ]
}

fn masked() -> Vec<Case> {
    let select = |shape: &[usize], mask: &[usize]| {
        Case::new("masked_select", &[shape, mask], |x| Ok(vec![x[0].masked_select(&x[1])?])).truth(1)
    };
    vec![
        select(&[37], &[37]),
        select(&[3, 1, 4], &[5, 1]),
        select(&[], &[]),
        select(&[0, 3], &[3]),
        select(&[70_000], &[70_000]).first_order(),
        Case::new("masked_select", &[&[5, 3], &[3, 5]], |x| Ok(vec![x[0].masked_select(&x[1].t()?)?])).truth(1),
        Case::new("masked_select", &[&[5, 3], &[5, 3]], |x| Ok(vec![x[0].masked_select(&x[1])?]))
            .integers(0, -9, 9)
            .truth(1)
            .no_gradient(),
    ]
}

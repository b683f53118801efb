//! Operations along rows: softmax, normalizations, sums, losses, sorting and indexing.

use super::super::workload::Workload;
use super::{IMAGES, MATRIX, ROWS};
use wgrad::{BatchNormOptions, CrossEntropyOptions, EmbeddingOptions, InstanceNormOptions, Parameter};

pub(super) fn workloads(quick: bool) -> Vec<Workload> {
    let columns: &[usize] = &ROWS[1..];
    vec![
        Workload::new("softmax", "softmax", &[&ROWS], quick, |x| x[0].softmax(-1)),
        Workload::new("log_softmax", "log_softmax", &[&ROWS], quick, |x| x[0].log_softmax(-1)),
        Workload::new("layer_norm", "layer_norm", &[&ROWS, columns, columns], quick, |x| {
            x[0].layer_norm(&x[0].shape()[1..], Some(&x[1]), Some(&x[2]), 1e-5)
        }),
        Workload::new("rms_norm", "rms_norm", &[&ROWS, columns], quick, |x| {
            x[0].rms_norm(&x[0].shape()[1..], Some(&x[1]), None)
        }),
        Workload::new("batch_norm", "batch_norm", &[&IMAGES, &[64], &[64], &[64], &[64]], quick, |x| {
            let running = [("mean", &x[3]), ("var", &x[4])].map(|(name, value)| Parameter::buffer(name, value));
            let options = BatchNormOptions::default().training(true);
            x[0].batch_norm(Some(&running[0]), Some(&running[1]), Some(&x[1]), Some(&x[2]), &options)
        }),
        Workload::new("group_norm", "group_norm", &[&IMAGES, &[64], &[64]], quick, |x| {
            x[0].group_norm(8, Some(&x[1]), Some(&x[2]), 1e-5)
        }),
        Workload::new("sum", "sum of rows", &[&ROWS], quick, |x| x[0].sum(1)),
        Workload::new("sum", "sum of columns", &[&ROWS], quick, |x| x[0].sum(0)),
        Workload::new("sum", "sum of 4 M", &[&MATRIX], quick, |x| x[0].sum_all()),
        Workload::new("cross_entropy", "cross_entropy", &[&ROWS, &ROWS[..1]], quick, |x| {
            x[0].cross_entropy(&x[1], &CrossEntropyOptions::default())
        })
        .indices(1, ROWS[1], quick),
        Workload::new("nll_loss", "nll_loss", &[&ROWS, &ROWS[..1]], quick, |x| {
            x[0].nll_loss(&x[1], &CrossEntropyOptions::default())
        })
        .indices(1, ROWS[1], quick),
        Workload::new("instance_norm", "instance_norm", &[&IMAGES, &[64], &[64]], quick, |x| {
            x[0].instance_norm(None, None, Some(&x[1]), Some(&x[2]), &InstanceNormOptions::default())
        }),
        Workload::new("sort", "sort of rows", &[&ROWS], quick, |x| Ok(x[0].sort(-1, false)?.0)),
        Workload::new("topk", "topk 5 of rows", &[&ROWS], quick, |x| Ok(x[0].topk(5, -1, true)?.0)),
        Workload::new("cumsum", "cumsum of rows", &[&ROWS], quick, |x| x[0].cumsum(-1)),
        Workload::new("embedding", "embedding 4096 of 32000x256", &[&[4096], &[32_000, 256]], quick, |x| {
            x[0].embedding(&x[1], &EmbeddingOptions::default())
        })
        .indices(0, 32_000, quick),
        Workload::new("gather", "gather of columns", &[&ROWS[..]; 2], quick, |x| x[0].gather(1, &x[1]))
            .indices(1, ROWS[1], quick),
        Workload::new("index_select", "index_select of rows", &[&ROWS, &ROWS[..1]], quick, |x| {
            x[0].index_select(0, &x[1])
        })
        .indices(1, ROWS[0], quick),
        Workload::new("index_add", "index_add of rows", &[&ROWS, &ROWS[..1], &ROWS], quick, |x| {
            x[0].index_add(0, &x[1], &x[2], 1.0)
        })
        .indices(1, ROWS[0], quick),
        Workload::new("scatter_add", "scatter_add of columns", &[&ROWS[..]; 3], quick, |x| {
            x[0].scatter_add(1, &x[1], &x[2])
        })
        .indices(1, ROWS[1], quick),
    ]
}

//! Pointwise operations, and operations that move elements.

use super::super::workload::Workload;
use super::{IMAGES, MATRIX};
use wgrad::{Reduction, Tensor};

pub(super) fn workloads(quick: bool) -> Vec<Workload> {
    vec![
        Workload::new("relu", "relu_mul_add", &[&MATRIX[..]; 3], quick, |x| x[0].mul(&x[1])?.add(&x[2])?.relu())
            .flops(1.0, |_| 3),
        Workload::new("add", "add of 4 M", &[&MATRIX[..]; 2], quick, |x| x[0].add(&x[1])).flops(1.0, |_| 1),
        Workload::new("gelu", "gelu of 4 M", &[&MATRIX], quick, |x| x[0].gelu()),
        Workload::new("permute", "permute to channels last", &[&IMAGES], quick, |x| {
            x[0].permute([0, 2, 3, 1])?.contiguous()
        }),
        Workload::new("cat", "cat of channels", &[&IMAGES[..]; 2], quick, |x| Tensor::cat(&[&x[0], &x[1]], 1)),
        Workload::new("randn", "randn of 4 M", &[&MATRIX], quick, |x| Tensor::randn(x[0].device(), x[0].shape())),
        Workload::new("dropout", "dropout of 4 M", &[&MATRIX], quick, |x| x[0].dropout(0.5, true)),
        Workload::new("l1_loss", "l1_loss of 4 M", &[&MATRIX[..]; 2], quick, |x| x[0].l1_loss(&x[1], Reduction::Mean)),
        Workload::new("huber_loss", "huber_loss of 4 M", &[&MATRIX[..]; 2], quick, |x| {
            x[0].huber_loss(&x[1], 1.0, Reduction::Mean)
        }),
    ]
}

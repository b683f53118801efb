//! Matrix products, and operations composed of them.

use super::super::workload::Workload;
use super::MATRIX;
use wgrad::ops::case::Input;
use wgrad::{AttentionOptions, RecurrentOptions, Tensor};

pub(super) fn workloads(quick: bool) -> Vec<Workload> {
    let terms = |x: &[Input]| 2 * x[0].shape[x[0].shape.len() - 1];
    let mut all = Vec::new();
    for size in [256, 512, 1024] {
        let name = format!("matmul_{size}");
        let mut square =
            Workload::new("matmul", &name, &[&[size, size][..]; 2], quick, |x| x[0].matmul(&x[1])).flops(2.0, terms);
        let size = square.inputs[0].shape[0];
        square.product = Some([size; 3]);
        all.push(square);
    }
    all.push(
        Workload::new("matmul", "matmul_skinny 1x4096x1000", &[&[1, 4096], &[4096, 1000]], quick, |x| {
            x[0].matmul(&x[1])
        })
        .flops(2.0, terms),
    );
    all.push(
        Workload::new("bmm", "bmm 64x128x128x128", &[&[64, 128, 128][..]; 2], quick, |x| x[0].bmm(&x[1]))
            .flops(2.0, terms),
    );
    let linear = |x: &[Tensor]| x[0].linear(&x[1], Some(&x[2]));
    all.push(
        Workload::new("linear", "linear 64x4096->512", &[&[64, 4096], &[512, 4096], &[512]], quick, linear)
            .flops(2.0, terms),
    );
    all.push(
        Workload::new("mv", "mv 2048x2048", &[&MATRIX, &MATRIX[..1]], quick, |x| x[0].mv(&x[1])).flops(2.0, terms),
    );
    all.push(Workload::new("outer", "outer 2048x2048", &[&MATRIX[..1]; 2], quick, |x| x[0].outer(&x[1])));
    all.push(Workload::new("bilinear", "bilinear 64x64x64->16", &[&[64, 64], &[64, 64], &[16, 64, 64]], quick, |x| {
        x[0].bilinear(&x[1], &x[2], None)
    }));
    all.push(Workload::new(
        "scaled_dot_product_attention",
        "attention 8x8x256x64",
        &[&[8, 8, 256, 64][..]; 3],
        quick,
        |x| x[0].scaled_dot_product_attention(&x[1], &x[2], &AttentionOptions::default()),
    ));
    // Weights with a dimension for the four gates, so that all sizes can be cut down alike.
    let states: [&[usize]; 5] = [&[32, 16, 64], &[1, 16, 64], &[1, 16, 64], &[4, 64, 64], &[4, 64, 64]];
    all.push(Workload::new("lstm", "lstm 32 steps, 16x64", &states, quick, |x| {
        let weights = [x[3].flatten(0, 1)?, x[4].flatten(0, 1)?];
        let options = RecurrentOptions::default().has_biases(false);
        Ok(x[0].lstm(&x[1], &x[2], &[&weights[0], &weights[1]], &options)?.0)
    }));
    all
}

/// Products that are compared with vendors' libraries.
pub(super) fn large(quick: bool) -> Vec<Workload> {
    let product = |name: &str| {
        Workload::new("matmul", name, &[&[4096, 4096][..]; 2], quick, |x| x[0].matmul(&x[1]))
            .flops(2.0, |x| 2 * x[0].shape[1])
    };
    vec![product("matmul_4096"), product("matmul_4096_f16").half()]
}

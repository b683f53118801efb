//! The workloads that matter most, by the names that comparisons with other libraries use.

use super::workload::Workload;
use wgrad::ops::case::Input;
use wgrad::{
    AttentionOptions, AvgPool2dOptions, BatchNormOptions, Conv2dOptions, ConvTranspose2dOptions, CrossEntropyOptions,
    EmbeddingOptions, InterpolateMode, InterpolateOptions, MaxPool2dOptions, Padding, Parameter, Tensor,
};

/// The images that layers in the middle of a network see.
const IMAGES: [usize; 4] = [16, 64, 32, 32];
const ROWS: [usize; 2] = [1024, 1000];

/// All of them; in quick mode with tiny sizes, and for a GPU with some that take a software adapter minutes.
pub fn named(is_quick: bool, is_gpu: bool) -> Vec<Workload> {
    let large = if is_gpu { large(is_quick) } else { Vec::new() };
    [products(is_quick), convolutions(is_quick), rows(is_quick), others(is_quick), large]
        .into_iter()
        .flatten()
        .collect()
}

fn products(quick: bool) -> Vec<Workload> {
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
    all
}

fn convolutions(quick: bool) -> Vec<Workload> {
    let same = Conv2dOptions { padding: Padding::Explicit([1, 1]), ..Conv2dOptions::default() };
    let strided = Conv2dOptions { stride: [2, 2], ..same };
    let dilated = Conv2dOptions { padding: Padding::Explicit([2, 2]), dilation: [2, 2], ..same };
    let plain = Conv2dOptions::default();
    let wide = Conv2dOptions { padding: Padding::Explicit([2, 2]), ..plain };
    let rows: [(&str, [usize; 4], [usize; 4], Conv2dOptions); 8] = [
        ("conv3x3_stride1", IMAGES, [64, 64, 3, 3], same),
        ("conv3x3_stride2", IMAGES, [128, 64, 3, 3], strided),
        ("conv1x1", IMAGES, [256, 64, 1, 1], plain),
        ("conv3x3_depthwise", IMAGES, [64, 1, 3, 3], same),
        ("conv3x3_dilation2", [16, 32, 32, 32], [32, 32, 3, 3], dilated),
        ("conv3x3_deep", [16, 256, 8, 8], [256, 256, 3, 3], same),
        ("lenet_conv1", [64, 1, 28, 28], [6, 1, 5, 5], wide),
        ("lenet_conv2", [64, 6, 14, 14], [16, 6, 5, 5], plain),
    ];
    let conv = |(name, input, weight, options): (&str, [usize; 4], [usize; 4], Conv2dOptions)| {
        let run = move |x: &[Tensor]| {
            // Depthwise where a filter sees one channel of several.
            let groups = if weight[1] == 1 { x[0].shape()[1] } else { 1 };
            x[0].conv2d(&x[1], None, &Conv2dOptions { groups, ..options })
        };
        Workload::new("conv2d", name, &[&input, &weight], quick, run)
            .flops(2.0, |x| 2 * x[1].shape[1..].iter().product::<usize>())
    };
    let mut all: Vec<Workload> = rows.into_iter().map(conv).collect();
    let twice = ConvTranspose2dOptions { stride: [2, 2], ..ConvTranspose2dOptions::default() };
    let up = move |x: &[Tensor]| x[0].conv_transpose2d(&x[1], None, &twice);
    // Each input pixel goes into pixels of its own: a pixel of the output has one term a channel.
    all.push(
        Workload::new("conv_transpose2d", "conv_transpose2x2", &[&IMAGES, &[64, 32, 2, 2]], quick, up)
            .flops(2.0, |x| 2 * x[0].shape[1]),
    );
    all
}

/// What is compared with vendors' libraries: large products, and the 3 x 3 convolutions of ResNet-50.
fn large(quick: bool) -> Vec<Workload> {
    const SQUARE: [usize; 2] = [4096, 4096];
    let product = |name: &str| {
        Workload::new("matmul", name, &[&SQUARE[..]; 2], quick, |x| x[0].matmul(&x[1]))
            .flops(2.0, |x| 2 * x[0].shape[1])
    };
    let same = Conv2dOptions { padding: Padding::Explicit([1, 1]), ..Conv2dOptions::default() };
    let conv = |(channels, size): (usize, usize)| {
        let name = format!("resnet50_conv3x3_{size}");
        let (input, weight) = ([32, channels, size, size], [channels, channels, 3, 3]);
        Workload::new("conv2d", &name, &[&input, &weight], quick, move |x| x[0].conv2d(&x[1], None, &same))
            .flops(2.0, |x| 2 * x[1].shape[1..].iter().product::<usize>())
    };
    let convolutions = [(64, 56), (128, 28), (256, 14), (512, 7)].map(conv);
    convolutions.into_iter().chain([product("matmul_4096"), product("matmul_4096_f16").half()]).collect()
}

fn rows(quick: bool) -> Vec<Workload> {
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
            let options = BatchNormOptions { training: true, ..BatchNormOptions::default() };
            x[0].batch_norm(Some(&running[0]), Some(&running[1]), Some(&x[1]), Some(&x[2]), &options)
        }),
        Workload::new("group_norm", "group_norm", &[&IMAGES, &[64], &[64]], quick, |x| {
            x[0].group_norm(8, Some(&x[1]), Some(&x[2]), 1e-5)
        }),
        Workload::new("sum", "sum of rows", &[&ROWS], quick, |x| x[0].sum(&[1], false)),
        Workload::new("sum", "sum of columns", &[&ROWS], quick, |x| x[0].sum(&[0], false)),
        Workload::new("sum", "sum of 4 M", &[&[2048, 2048]], quick, |x| x[0].sum(&[], false)),
        Workload::new("cross_entropy", "cross_entropy", &[&ROWS, &ROWS[..1]], quick, |x| {
            x[0].cross_entropy(&x[1], &CrossEntropyOptions::default())
        })
        .indices(1, ROWS[1], quick),
    ]
}

fn others(quick: bool) -> Vec<Workload> {
    const MATRIX: [usize; 2] = [2048, 2048];
    vec![
        Workload::new("relu", "relu_mul_add", &[&MATRIX[..]; 3], quick, |x| x[0].mul(&x[1])?.add(&x[2])?.relu())
            .flops(1.0, |_| 3),
        Workload::new("add", "add of 4 M", &[&MATRIX[..]; 2], quick, |x| x[0].add(&x[1])).flops(1.0, |_| 1),
        Workload::new("gelu", "gelu of 4 M", &[&MATRIX], quick, |x| x[0].gelu()),
        Workload::new("max_pool2d", "max_pool2x2", &[&IMAGES], quick, |x| {
            x[0].max_pool2d([2, 2], &MaxPool2dOptions::default())
        }),
        Workload::new("avg_pool2d", "avg_pool2x2", &[&IMAGES], quick, |x| {
            x[0].avg_pool2d([2, 2], &AvgPool2dOptions::default())
        }),
        Workload::new("global_avg_pool", "global_avg_pool", &[&IMAGES], quick, |x| x[0].global_avg_pool()),
        Workload::new("interpolate", "interpolate bilinear 2x", &[&IMAGES], quick, |x| {
            x[0].interpolate(&InterpolateOptions::scale_factor(&[2.0, 2.0], InterpolateMode::Bilinear))
        }),
        Workload::new("permute", "permute to channels last", &[&IMAGES], quick, |x| {
            x[0].permute(&[0, 2, 3, 1])?.contiguous()
        }),
        Workload::new("cat", "cat of channels", &[&IMAGES[..]; 2], quick, |x| Tensor::cat(&[&x[0], &x[1]], 1)),
        Workload::new("embedding", "embedding 4096 of 32000x256", &[&[4096], &[32_000, 256]], quick, |x| {
            x[0].embedding(&x[1], &EmbeddingOptions::default())
        })
        .indices(0, 32_000, quick),
        Workload::new("scaled_dot_product_attention", "attention 8x8x256x64", &[&[8, 8, 256, 64][..]; 3], quick, |x| {
            x[0].scaled_dot_product_attention(&x[1], &x[2], &AttentionOptions::default())
        }),
        Workload::new("randn", "randn of 4 M", &[&MATRIX], quick, |x| Tensor::randn(x[0].device(), x[0].shape())),
        Workload::new("dropout", "dropout of 4 M", &[&MATRIX], quick, |x| x[0].dropout(0.5, true)),
    ]
}

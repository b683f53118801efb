//! The layers whose kernels are looked at, and what is demanded of some of them.

use wgrad::{
    AvgPool2dOptions, BatchNormOptions, Conv2dOptions, DType, Device, MaxPool2dOptions, Padding, Result, Tensor,
};

/// Layers to run forward and backward.
pub struct Case {
    pub name: &'static str,
    pub needs_f16: bool,
    /// A kernel, and the least share of multiply-adds in its innermost loop.
    pub share: Option<(&'static str, f64)>,
    pub run: fn(&Device) -> Result<()>,
}

const fn case(name: &'static str, run: fn(&Device) -> Result<()>) -> Case {
    Case { name, needs_f16: false, share: None, run }
}

impl Case {
    const fn share(self, kernel: &'static str, least: f64) -> Case {
        Case { share: Some((kernel, least)), ..self }
    }
    const fn half(self) -> Case {
        Case { needs_f16: true, ..self }
    }
}

pub const CASES: &[Case] = &[
    case("matmul 2048", |d| matmul(d, [1, 2048, 2048, 2048], DType::F32)).share("matmul_tiled", 0.85),
    case("matmul 2048 f16", |d| matmul(d, [1, 2048, 2048, 2048], DType::F16)).half(),
    case("matmul 2047 x 2049 x 2050", |d| matmul(d, [1, 2047, 2049, 2050], DType::F32)).share("matmul_tiled", 0.85),
    case("matmul 512", |d| matmul(d, [1, 512, 512, 512], DType::F32)),
    case("matmul batch 16 x 128 x 64 x 128", |d| matmul(d, [16, 128, 64, 128], DType::F32)),
    case("matmul 65536 x 512 x 64", |d| matmul(d, [1, 65_536, 512, 64], DType::F32)),
    case("matmul linear 64 x 400 x 120", |d| matmul(d, [1, 64, 400, 120], DType::F32)),
    case("matmul linear 64 x 84 x 10", |d| matmul(d, [1, 64, 84, 10], DType::F32)),
    case("matmul deep 64 x 16384 x 64", |d| matmul(d, [1, 64, 16_384, 64], DType::F32)),
    case("matmul vector 4096 x 4096 x 1", |d| matmul(d, [1, 4096, 4096, 1], DType::F32)),
    case("matmul vector 1 x 4096 x 4096", |d| matmul(d, [1, 1, 4096, 4096], DType::F32)),
    case("matmul vectors 4096 x 4095 x 3", |d| matmul(d, [1, 4096, 4095, 3], DType::F32)),
    case("conv 3x3 64 to 64", |d| conv(d, [16, 64, 32, 32], [64, 64, 3, 3], [1, 1, 1, 1])),
    case("conv 3x3 64 to 128 stride 2", |d| conv(d, [16, 64, 32, 32], [128, 64, 3, 3], [2, 1, 1, 1])),
    case("conv 3x3 32 to 32 dilated", |d| conv(d, [16, 32, 32, 32], [32, 32, 3, 3], [1, 2, 2, 1])),
    case("conv 3x3 depthwise 64", |d| conv(d, [16, 64, 32, 32], [64, 1, 3, 3], [1, 1, 1, 64])),
    case("conv 3x3 3 to 32", |d| conv(d, [64, 3, 32, 32], [32, 3, 3, 3], [1, 1, 1, 1])),
    case("conv 1x1 64 to 256", |d| conv(d, [16, 64, 32, 32], [256, 64, 1, 1], [1, 0, 1, 1])),
    case("conv 5x5 1 to 6", |d| conv(d, [64, 1, 28, 28], [6, 1, 5, 5], [1, 2, 1, 1])),
    case("conv 7x7 3 to 64 stride 2", |d| conv(d, [8, 3, 64, 64], [64, 3, 7, 7], [2, 3, 1, 1])),
    case("max pool 2x2", |d| backward(&input(d, &[16, 64, 32, 32])?.max_pool2d([2, 2], &MaxPool2dOptions::default())?)),
    case("max pool 3x3 stride 2", |d| {
        let options = MaxPool2dOptions { stride: Some([2, 2]), padding: [1, 1], ..MaxPool2dOptions::default() };
        backward(&input(d, &[16, 64, 32, 32])?.max_pool2d([3, 3], &options)?)
    }),
    case("avg pool 2x2", |d| backward(&input(d, &[16, 64, 32, 32])?.avg_pool2d([2, 2], &AvgPool2dOptions::default())?)),
    case("adaptive avg pool", |d| backward(&input(d, &[16, 64, 32, 32])?.adaptive_avg_pool2d([Some(1), Some(1)])?)),
    case("batch norm", |d| {
        let options = BatchNormOptions { training: true, ..BatchNormOptions::default() };
        let (weight, bias) = (input(d, &[64])?, input(d, &[64])?);
        backward(&input(d, &[16, 64, 32, 32])?.batch_norm(None, None, Some(&weight), Some(&bias), &options)?)
    }),
    case("layer norm", |d| {
        let (weight, bias) = (input(d, &[1000])?, input(d, &[1000])?);
        backward(&input(d, &[1024, 1000])?.layer_norm(&[1000], Some(&weight), Some(&bias), 1e-5)?)
    }),
    case("group norm", |d| {
        let (weight, bias) = (input(d, &[64])?, input(d, &[64])?);
        backward(&input(d, &[16, 64, 32, 32])?.group_norm(8, Some(&weight), Some(&bias), 1e-5)?)
    }),
    case("softmax", |d| backward(&input(d, &[1024, 1000])?.softmax(1)?)),
];

/// Values mean nothing: they are not computed.
fn input(device: &Device, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::zeros(device, shape)?.requires_grad())
}

fn backward(output: &Tensor) -> Result<()> {
    // Twice the output: a gradient that is a tensor, not a constant that is written into the kernels.
    output.mul(output)?.sum(&[], false)?.backward()
}

fn matmul(device: &Device, [batch, rows, depth, columns]: [usize; 4], dtype: DType) -> Result<()> {
    let (left, right) = (input(device, &[batch, rows, depth])?, input(device, &[batch, depth, columns])?);
    backward(&left.to_dtype(dtype)?.matmul(&right.to_dtype(dtype)?)?)
}

/// `[stride, padding, dilation, groups]`.
fn conv(
    device: &Device,
    images: [usize; 4],
    filters: [usize; 4],
    [stride, padding, dilation, groups]: [usize; 4],
) -> Result<()> {
    let options = Conv2dOptions {
        stride: [stride; 2],
        padding: Padding::Explicit([padding; 2]),
        dilation: [dilation; 2],
        groups,
    };
    backward(&input(device, &images)?.conv2d(&input(device, &filters)?, None, &options)?)
}

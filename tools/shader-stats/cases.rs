//! The layers whose kernels are inspected, and the requirements on some of them.

use wgrad::{
    AvgPool2dOptions, BatchNormOptions, Conv2dOptions, Conv3dOptions, ConvTranspose2dOptions, CrossEntropyOptions,
    DType, Device, Disable, InstanceNormOptions, MaxPool2dOptions, Padding, Parameter, Result, Tensor,
};

/// Layers to run forward and backward.
pub struct Case {
    pub name: &'static str,
    pub needs_f16: bool,
    /// Kernels, and the least fraction of multiply-adds in their innermost loops.
    pub shares: &'static [(&'static str, f64)],
    /// True if 3x3 convolutions may be computed by Winograd's algorithm.
    pub winograd: bool,
    pub run: fn(&Device) -> Result<()>,
}

/// A product's inner loop is a plain tile; a convolution's also computes the position of its operand.
const PRODUCT: &[(&str, f64)] = &[("matmul_tiled", 0.85)];
const CONVOLUTION: &[(&str, f64)] = &[("conv2d_tiled", 0.75), ("conv2d_backward_data_tiled", 0.75)];

const fn case(name: &'static str, run: fn(&Device) -> Result<()>) -> Case {
    Case { name, needs_f16: false, shares: &[], winograd: true, run }
}

impl Case {
    const fn shares(self, shares: &'static [(&'static str, f64)]) -> Case {
        Case { shares, ..self }
    }
    const fn in_order(self) -> Case {
        Case { winograd: false, ..self }
    }
    const fn half(self) -> Case {
        Case { needs_f16: true, ..self }
    }
}

pub const CASES: &[Case] = &[
    case("matmul 2048", |d| matmul(d, [1, 2048, 2048, 2048], DType::F32)).shares(PRODUCT),
    case("matmul 2048 f16", |d| matmul(d, [1, 2048, 2048, 2048], DType::F16)).half(),
    case("matmul 2047 x 2049 x 2050", |d| matmul(d, [1, 2047, 2049, 2050], DType::F32)).shares(PRODUCT),
    case("matmul 2048 of relu", |d| backward(&stored(d, &[2048, 2048])?.relu()?.matmul(&stored(d, &[2048, 2048])?)?))
        .shares(PRODUCT),
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
    case("conv 3x3 64 to 64 in order", |d| conv(d, [16, 64, 32, 32], [64, 64, 3, 3], [1, 1, 1, 1]))
        .in_order()
        .shares(CONVOLUTION),
    case("conv 3x3 128 to 128", |d| conv(d, [32, 128, 28, 28], [128, 128, 3, 3], [1, 1, 1, 1])),
    case("conv 3x3 128 to 128 in order", |d| conv(d, [32, 128, 28, 28], [128, 128, 3, 3], [1, 1, 1, 1]))
        .in_order()
        .shares(CONVOLUTION),
    case("conv 3x3 256 to 256 in order", |d| conv(d, [32, 256, 14, 14], [256, 256, 3, 3], [1, 1, 1, 1])).in_order(),
    case("conv 3x3 512 to 512", |d| conv(d, [32, 512, 7, 7], [512, 512, 3, 3], [1, 1, 1, 1])),
    case("conv 3x3 512 to 512 in order", |d| conv(d, [32, 512, 7, 7], [512, 512, 3, 3], [1, 1, 1, 1])).in_order(),
    case("conv 3x3 64 to 128 stride 2", |d| conv(d, [16, 64, 32, 32], [128, 64, 3, 3], [2, 1, 1, 1])),
    case("conv 3x3 32 to 32 dilated", |d| conv(d, [16, 32, 32, 32], [32, 32, 3, 3], [1, 2, 2, 1])),
    case("conv 3x3 depthwise 64", |d| conv(d, [16, 64, 32, 32], [64, 1, 3, 3], [1, 1, 1, 64])),
    case("conv 3x3 depthwise 64 stride 2", |d| conv(d, [16, 64, 32, 32], [64, 1, 3, 3], [2, 1, 1, 64])),
    case("conv 3x3 64 in 8 groups", |d| conv(d, [16, 64, 32, 32], [64, 8, 3, 3], [1, 1, 1, 8])),
    case("conv 3x3 3 to 32", |d| conv(d, [64, 3, 32, 32], [32, 3, 3, 3], [1, 1, 1, 1])),
    case("conv 3x3 3 to 64 stride 2", |d| conv(d, [8, 3, 224, 224], [64, 3, 3, 3], [2, 1, 1, 1])),
    case("conv 1x1 64 to 256", |d| conv(d, [16, 64, 32, 32], [256, 64, 1, 1], [1, 0, 1, 1])),
    case("conv 5x5 1 to 6", |d| conv(d, [64, 1, 28, 28], [6, 1, 5, 5], [1, 2, 1, 1])),
    case("conv 5x5 3 to 6", |d| conv(d, [64, 3, 32, 32], [6, 3, 5, 5], [1, 2, 1, 1])),
    case("conv 5x5 6 to 16", |d| conv(d, [64, 6, 14, 14], [16, 6, 5, 5], [1, 0, 1, 1])),
    case("conv 7x7 3 to 64 stride 2", |d| conv(d, [8, 3, 64, 64], [64, 3, 7, 7], [2, 3, 1, 1])),
    case("conv 11x11 3 to 64 stride 4", |d| conv(d, [8, 3, 224, 224], [64, 3, 11, 11], [4, 2, 1, 1])),
    case("conv 1x1 256 to 64", |d| conv(d, [16, 256, 32, 32], [64, 256, 1, 1], [1, 0, 1, 1])),
    case("conv transposed 2x2", |d| {
        let options = ConvTranspose2dOptions::default().stride(2);
        let (images, filters) = (input(d, &[16, 64, 32, 32])?, input(d, &[64, 32, 2, 2])?);
        backward(&images.conv_transpose2d(&filters, None, &options)?)
    }),
    case("conv 3x3x3", |d| {
        let options = Conv3dOptions::default().padding(Padding::Same);
        backward(&input(d, &[4, 16, 16, 32, 32])?.conv3d(&input(d, &[16, 16, 3, 3, 3])?, None, &options)?)
    }),
    case("conv 3x3 64 to 64 of relu", |d| conv_of_rectified(d, 3)),
    case("conv 3x3 64 to 64 of relu in order", |d| conv_of_rectified(d, 3)).in_order().shares(CONVOLUTION),
    case("conv 5x5 64 to 64 of relu", |d| conv_of_rectified(d, 5)),
    case("max pool 2x2 of relu", |d| {
        backward(&stored(d, &[16, 64, 32, 32])?.relu()?.max_pool2d([2, 2], &MaxPool2dOptions::default())?)
    }),
    case("max pool 2x2", |d| backward(&input(d, &[16, 64, 32, 32])?.max_pool2d([2, 2], &MaxPool2dOptions::default())?)),
    case("max pool 3x3 stride 2", |d| {
        let options = MaxPool2dOptions::default().stride(2).padding(1);
        backward(&input(d, &[16, 64, 32, 32])?.max_pool2d([3, 3], &options)?)
    }),
    case("avg pool 2x2", |d| backward(&input(d, &[16, 64, 32, 32])?.avg_pool2d([2, 2], &AvgPool2dOptions::default())?)),
    case("adaptive avg pool", |d| backward(&input(d, &[16, 64, 32, 32])?.adaptive_avg_pool2d([Some(1), Some(1)])?)),
    case("adaptive max pool", |d| backward(&input(d, &[16, 64, 32, 32])?.adaptive_max_pool2d([Some(7), Some(7)])?)),
    case("batch norm", |d| batch_norm(d, true)),
    case("batch norm, evaluation", |d| batch_norm(d, false)),
    case("layer norm", |d| {
        let (weight, bias) = (input(d, &[1000])?, input(d, &[1000])?);
        backward(&input(d, &[1024, 1000])?.layer_norm(&[1000], Some(&weight), Some(&bias), 1e-5)?)
    }),
    case("group norm", |d| {
        let (weight, bias) = (input(d, &[64])?, input(d, &[64])?);
        backward(&input(d, &[16, 64, 32, 32])?.group_norm(8, Some(&weight), Some(&bias), 1e-5)?)
    }),
    case("instance norm", |d| {
        let (weight, bias) = (input(d, &[64])?, input(d, &[64])?);
        let options = InstanceNormOptions::default();
        backward(&input(d, &[16, 64, 32, 32])?.instance_norm(None, None, Some(&weight), Some(&bias), &options)?)
    }),
    case("rms norm", |d| backward(&input(d, &[1024, 1000])?.rms_norm(&[1000], Some(&input(d, &[1000])?), None)?)),
    case("softmax", |d| backward(&input(d, &[1024, 1000])?.softmax(1)?)),
    case("softmax of channels", |d| backward(&input(d, &[16, 64, 32, 32])?.softmax(1)?)),
    case("log softmax", |d| backward(&input(d, &[1024, 1000])?.log_softmax(1)?)),
    case("cross entropy", |d| {
        let classes = Tensor::full(d, &[1024], 0i32)?;
        run(&input(d, &[1024, 1000])?.cross_entropy(&classes, &CrossEntropyOptions::default())?)
    }),
];

impl Case {
    pub fn disable(&self) -> Disable {
        Disable { winograd: !self.winograd, ..Disable::default() }
    }
}

/// Values have no meaning: they are not computed.
fn input(device: &Device, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::zeros(device, shape)?.requires_grad())
}

/// The same, in memory: a computed constant would be inlined into its readers.
fn stored(device: &Device, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_slice(device, &vec![0f32; shape.iter().product()], shape)?.requires_grad())
}

fn conv_of_rectified(device: &Device, size: usize) -> Result<()> {
    let options = Conv2dOptions::default().padding([size / 2; 2]);
    let (images, filters) = (stored(device, &[16, 64, 32, 32])?, stored(device, &[64, 64, size, size])?);
    backward(&images.relu()?.conv2d(&filters, None, &options)?)
}

fn backward(output: &Tensor) -> Result<()> {
    // Twice the output: a gradient that is a tensor, not a constant that is inlined into the kernels.
    run(&output.mul(output)?.sum_all()?)
}

/// Runs a loss and its gradients, which are not read once the inputs are dropped.
fn run(loss: &Tensor) -> Result<()> {
    loss.backward()?;
    loss.device().flush()
}

fn batch_norm(device: &Device, training: bool) -> Result<()> {
    let options = BatchNormOptions::default().training(training);
    let (weight, bias) = (input(device, &[64])?, input(device, &[64])?);
    let running = ["mean", "variance"].map(|name| Ok(Parameter::buffer(name, &Tensor::zeros(device, &[64])?)));
    let [mean, variance]: [Result<Parameter>; 2] = running;
    let images = input(device, &[16, 64, 32, 32])?;
    backward(&images.batch_norm(Some(&mean?), Some(&variance?), Some(&weight), Some(&bias), &options)?)
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

//! Extreme numbers for layers, networks, transforms, metrics and sets: each is Ok or an error. `ops/extremes.rs` does the same to
//! operations.

use crate::common::numbers::{Numbers, throw};
use wgrad::data::{
    DataLoader, DataLoaderOptions, Dataset, DistributedSampler, MovingShapes, SequentialSampler, Shapes, k_fold,
};
use wgrad::metrics::{ClassificationOptions, ConfusionMatrix, SegmentationOptions, SegmentationScores, Task};
use wgrad::models::{
    CapsNet, CapsNetOptions, ConvNeXt, ConvNeXtOptions, DenseNet, DenseNetOptions, MaxVit, MaxVitOptions, ResNet,
    ResNetOptions, SimpleCnn, SimpleCnnOptions, SwinTransformer, SwinTransformerOptions, VisionTransformer,
    VisionTransformerOptions,
};
use wgrad::nn::blocks::{
    Activation, Cbam, ConvNormActivation, ConvNormActivationOptions, DepthwiseSeparable, SqueezeExcitation,
};
use wgrad::nn::{
    AdaptiveAvgPool, AvgPool, BatchNorm2d, BatchNormLayerOptions, Conv2d, ConvTranspose2d, Embedding, Fold, GroupNorm,
    GroupNormOptions, Gru, LayerNorm, LayerNormOptions, Linear, LocalResponseNorm, Lstm, LstmCell, MaxPool, Module,
    MultiheadAttention, MultiheadAttentionOptions, Prelu, RmsNorm, RmsNormOptions, RnnOptions, Scope, Unfold, Upsample,
};
use wgrad::transforms::functional::{
    ImageSize, PaddingMode, Region, ResizeOptions, center_crop, crop, five_crop, gaussian_blur, pad, resize,
    resized_crop,
};
use wgrad::{
    Conv2dOptions, ConvTranspose2dOptions, Device, DeviceOptions, EmbeddingOptions, Noop, Padding, Result, Tensor,
};

type Call = fn(&Device, &mut Numbers) -> Result<()>;

/// The module's result for an image `[1, 2, 3, 4]`.
fn forward(module: impl Module, device: &Device) -> Result<()> {
    module.forward(&Tensor::ones(device, &[1, 2, 3, 4])?).map(drop)
}

/// Bytes of two images.
fn images(device: &Device) -> Result<Tensor> {
    Tensor::ones(device, &[2, 3, 5, 6])
}

/// Everything with sizes, counts or dimensions in its constructor. Numbers of layers stay small: layers are made one by one.
const CALLS: &[(&str, Call)] = &[
    ("Linear", |d, n| Linear::new(&Scope::new(d), n.size(), n.size()).map(drop)),
    ("Conv2d", |d, n| {
        let padding = Padding::Explicit(n.sizes());
        let options = Conv2dOptions { stride: n.sizes(), padding, dilation: n.sizes(), groups: n.size() };
        forward(Conv2d::new(&Scope::new(d), n.size(), n.size(), n.sizes(), &options)?, d)
    }),
    ("Conv2d of two channels", |d, n| {
        forward(Conv2d::new(&Scope::new(d), 2, n.size(), n.sizes(), &Conv2dOptions::default())?, d)
    }),
    ("ConvTranspose2d", |d, n| {
        let options = ConvTranspose2dOptions::default().stride(n.sizes()).groups(n.size());
        forward(ConvTranspose2d::new(&Scope::new(d), 2, n.size(), n.sizes(), &options)?, d)
    }),
    ("Embedding", |d, n| {
        let options = EmbeddingOptions::default().padding_idx(n.signed());
        Embedding::new(&Scope::new(d), n.size(), n.size(), &options).map(drop)
    }),
    ("BatchNorm2d", |d, n| BatchNorm2d::new(&Scope::new(d), n.size(), &BatchNormLayerOptions::default()).map(drop)),
    ("LayerNorm", |d, n| forward(LayerNorm::new(&Scope::new(d), &n.sizes::<2>(), &LayerNormOptions::default())?, d)),
    ("RmsNorm", |d, n| forward(RmsNorm::new(&Scope::new(d), &n.sizes::<2>(), &RmsNormOptions::default())?, d)),
    ("GroupNorm", |d, n| forward(GroupNorm::new(&Scope::new(d), n.size(), n.size(), &GroupNormOptions::default())?, d)),
    ("LocalResponseNorm", |d, n| forward(LocalResponseNorm::new(n.size()), d)),
    ("Prelu", |d, n| forward(Prelu::new(&Scope::new(d), n.size(), 0.25)?, d)),
    ("MultiheadAttention", |d, n| {
        let options = MultiheadAttentionOptions::default();
        MultiheadAttention::new(&Scope::new(d), n.size(), n.size(), &options).map(drop)
    }),
    ("Gru", |d, n| Gru::new(&Scope::new(d), n.size(), n.size(), &RnnOptions::default()).map(drop)),
    ("Lstm", |d, n| Lstm::new(&Scope::new(d), n.size(), n.size(), &RnnOptions::default()).map(drop)),
    ("LstmCell", |d, n| LstmCell::new(&Scope::new(d), n.size(), n.size(), n.flag()).map(drop)),
    ("MaxPool", |d, n| forward(MaxPool::<2>::new(n.sizes()), d)),
    ("AvgPool", |d, n| forward(AvgPool::<2>::new(n.sizes()), d)),
    ("AdaptiveAvgPool", |d, n| forward(AdaptiveAvgPool::<2>::new([n.maybe(), n.maybe()]), d)),
    ("Unfold", |d, n| forward(Unfold::new(n.sizes()), d)),
    ("Fold", |d, n| Fold::new(n.sizes::<2>(), n.sizes::<2>()).forward(&Tensor::ones(d, &[1, 4, 6])?).map(drop)),
    ("Upsample", |d, n| forward(Upsample::nearest_2d(n.float()), d)),
    ("ConvNormActivation", |d, n| {
        let options = ConvNormActivationOptions::default().kernel_size(n.sizes()).dilation(n.sizes()).groups(n.size());
        forward(ConvNormActivation::new(&Scope::new(d), 2, n.size(), &options)?, d)
    }),
    ("DepthwiseSeparable", |d, n| {
        let options = ConvNormActivationOptions::default().kernel_size(n.sizes());
        forward(DepthwiseSeparable::new(&Scope::new(d), 2, n.size(), &options)?, d)
    }),
    ("SqueezeExcitation", |d, n| {
        SqueezeExcitation::new(&Scope::new(d), n.size(), n.size(), Activation::Relu, Activation::Sigmoid).map(drop)
    }),
    ("Cbam", |d, n| Cbam::new(&Scope::new(d), n.size(), n.size(), n.size()).map(drop)),
    ("ResNet", |d, n| {
        let options = ResNetOptions::resnet50().layers([1; 4]).groups(n.size()).width_per_group(n.size());
        ResNet::new(&Scope::new(d), &options.classes(n.size()).channels(n.size())).map(drop)
    }),
    ("DenseNet", |d, n| {
        let options = DenseNetOptions::default().block_config([1, 2, 1, 1]).growth_rate(n.size()).bn_size(n.size());
        DenseNet::new(&Scope::new(d), &options.init_features(n.size()).classes(n.size())).map(drop)
    }),
    ("ConvNeXt", |d, n| {
        let options = ConvNeXtOptions::default().depths([1; 4]).widths(n.sizes()).classes(n.size());
        ConvNeXt::new(&Scope::new(d), &options).map(drop)
    }),
    ("VisionTransformer", |d, n| {
        let options = VisionTransformerOptions::default().layers(1).image_size(n.size()).patch_size(n.size());
        let options = options.heads(n.size()).hidden_dim(n.size()).mlp_dim(n.size()).classes(n.size());
        VisionTransformer::new(&Scope::new(d), &options).map(drop)
    }),
    ("SwinTransformer", |d, n| {
        let options = SwinTransformerOptions::default().depths([1; 4]).patch_size(n.size()).embed_dim(n.size());
        SwinTransformer::new(&Scope::new(d), &options.window_size(n.size()).heads(n.sizes())).map(drop)
    }),
    ("MaxVit", |d, n| {
        let options = MaxVitOptions::default().depths([1; 4]).image_size(n.size()).stem(n.size()).widths(n.sizes());
        MaxVit::new(&Scope::new(d), &options.head_dim(n.size()).partition_size(n.size())).map(drop)
    }),
    ("CapsNet", |d, n| {
        let options = CapsNetOptions::default().image_size(n.sizes()).channels(n.size()).kernel_size(n.size());
        let options = options.conv_channels(n.size()).primary_capsules(n.size()).primary_dim(n.size());
        CapsNet::new(&Scope::new(d), &options.class_dim(n.size()).classes(n.size()).conv_stride(n.size())).map(drop)
    }),
    ("SimpleCnn", |d, n| {
        let options = SimpleCnnOptions::default().depth(1 + n.size() % 3).base_width(n.size()).channels(n.size());
        SimpleCnn::new(&Scope::new(d), &options.classes(n.size())).map(drop)
    }),
    ("resize", |d, n| {
        let size = if n.flag() { ImageSize::Shortest(n.size()) } else { ImageSize::Longest(n.size()) };
        resize(&images(d)?, size, &ResizeOptions::default().max_size(n.maybe())).map(drop)
    }),
    ("resize to a size", |d, n| resize(&images(d)?, n.sizes::<2>(), &ResizeOptions::default()).map(drop)),
    ("crop", |d, n| crop(&images(d)?, &[region(n)]).map(drop)),
    ("resized_crop", |d, n| {
        resized_crop(&images(d)?, &[region(n)], n.sizes::<2>(), &ResizeOptions::default()).map(drop)
    }),
    ("center_crop", |d, n| center_crop(&images(d)?, n.sizes()).map(drop)),
    ("five_crop", |d, n| five_crop(&images(d)?, n.sizes()).map(drop)),
    ("pad", |d, n| pad(&images(d)?, n.sizes(), &PaddingMode::Reflect).map(drop)),
    ("gaussian_blur", |d, n| gaussian_blur(&images(d)?, n.sizes::<2>(), None).map(drop)),
    ("ConfusionMatrix", |d, n| {
        ConfusionMatrix::new(d, Task::Multiclass(n.size()), &ClassificationOptions::default()).map(drop)
    }),
    ("SegmentationScores", |d, n| SegmentationScores::new(d, n.size(), SegmentationOptions::default()).map(drop)),
    ("Shapes", |_, n| Shapes::new(n.size(), n.sizes(), 0)?.get(0).map(drop)),
    ("MovingShapes", |_, n| MovingShapes::new(n.size(), n.size(), n.sizes(), 0)?.get(0).map(drop)),
    ("DataLoader", |_, n| {
        let set = Shapes::new(3, [8, 8], 0)?;
        let options = DataLoaderOptions::default().batch_size(n.size()).workers(n.size() % 3).prefetch(n.size());
        let loader = DataLoader::new(set, SequentialSampler::new(3), |items| Ok(items.len()), options)?;
        loader.resume(0, n.size())?.next().transpose().map(drop)
    }),
    ("DistributedSampler", |_, n| {
        DistributedSampler::new(SequentialSampler::new(3), n.size(), n.size(), n.flag()).map(drop)
    }),
    ("k_fold", |_, n| k_fold(5, n.size(), None).map(drop)),
];

fn region(n: &mut Numbers) -> Region {
    Region { top: n.signed(), left: n.signed(), height: n.size(), width: n.size() }
}

#[test]
fn no_number_makes_a_constructor_panic() {
    // Little memory, so that large ones fail.
    let noop = Noop { max_buffer_bytes: 1 << 24, ..Noop::default() };
    let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
    throw(CALLS, |call, drawn| {
        let _ = call(&device, &mut Numbers::new(drawn));
    });
}

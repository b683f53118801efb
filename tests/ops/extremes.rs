//! Extreme numbers from callers: any call is Ok or an error. `training/extremes.rs` does the same to layers and networks.

use crate::common::numbers::{Numbers, throw};
use std::panic::catch_unwind;
use wgrad::{
    AvgPool2dOptions, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose2dOptions, CtcLossOptions, DType,
    Device, DeviceOptions, EmbeddingOptions, InterpolateMode, InterpolateOptions, LpPool2dOptions, MaxPool2dOptions,
    MaxUnpool2dOptions, Noop, PadMode, Padding, RandomState, Result, RoiAlignOptions, Shape, Tensor, UnfoldOptions,
    grad,
};

/// If no drawn number is larger, results are computed too.
const SMALL: u64 = 6;

type Call = fn(&Tensor, &mut Numbers) -> Result<Vec<Tensor>>;

fn one(tensor: Result<Tensor>) -> Result<Vec<Tensor>> {
    tensor.map(|tensor| vec![tensor])
}

fn two((a, b): (Tensor, Tensor)) -> Vec<Tensor> {
    vec![a, b]
}

fn counts(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    Tensor::full(x.device(), shape, 0i32)
}

/// Every method that takes sizes, counts, dimensions or positions, on a tensor `[1, 2, 3, 4]`.
const CALLS: &[(&str, Call)] = &[
    ("reshape", |x, n| one(x.reshape(&n.signs::<3>()))),
    ("reshape to six", |x, n| one(x.reshape(&n.signs::<6>()))),
    ("permute", |x, n| one(x.permute(n.signs::<4>()))),
    ("transpose", |x, n| one(x.transpose(n.signed(), n.signed()))),
    ("flatten", |x, n| one(x.flatten(n.signed(), n.signed()))),
    ("squeeze", |x, n| one(x.squeeze(n.signed()))),
    ("squeeze of two", |x, n| one(x.squeeze(n.signs::<2>()))),
    ("unsqueeze", |x, n| one(x.unsqueeze(n.signed()))),
    ("unflatten", |x, n| one(x.unflatten(n.signed(), &n.signs::<2>()))),
    ("expand", |x, n| one(x.expand(&n.signs::<4>()))),
    ("expand to six", |x, n| one(x.expand(&n.signs::<6>()))),
    ("flip", |x, n| one(x.flip(n.signs::<2>()))),
    ("roll", |x, n| one(x.roll(&n.signs::<2>(), &n.signs::<2>()))),
    ("roll flat", |x, n| one(x.roll(&n.signs::<1>(), &[]))),
    ("slice", |x, n| one(x.slice(n.signed(), n.signed(), n.signed(), n.size()))),
    ("slice the last", |x, n| one(x.slice(3, n.signed(), n.signed(), n.size()))),
    ("narrow", |x, n| one(x.narrow(2, n.size(), n.size()))),
    ("pixel_shuffle", |x, n| one(x.pixel_shuffle(n.size()))),
    ("pixel_unshuffle", |x, n| one(x.pixel_unshuffle(n.size()))),
    ("channel_shuffle", |x, n| one(x.channel_shuffle(n.size()))),
    ("split_with_sizes", |x, n| x.split_with_sizes(&n.sizes::<2>(), 3)),
    ("split", |x, n| x.split(n.size(), n.signed())),
    ("chunk", |x, n| x.chunk(n.size().min(1 << 20), n.signed())),
    ("chunk one", |x, n| x.narrow(3, 0, 1)?.chunk(n.size(), 3)),
    ("repeat", |x, n| one(x.repeat(&n.sizes::<4>()))),
    ("repeat to six", |x, n| one(x.repeat(&n.sizes::<6>()))),
    ("tile", |x, n| one(x.tile(&n.sizes::<2>()))),
    ("stack", |x, n| one(Tensor::stack(&[x, x], n.signed()))),
    ("cat", |x, n| one(Tensor::cat(&[x, x], n.signed()))),
    ("pad constant", |x, n| one(x.pad(&n.signs::<4>(), PadMode::Constant(0.5)))),
    ("pad reflect", |x, n| {
        one(x.pad(&n.signs::<2>(), PadMode::Reflect).or_else(|_| x.pad(&n.signs::<4>(), PadMode::Reflect)))
    }),
    ("pad replicate", |x, n| one(x.pad(&n.signs::<4>(), PadMode::Replicate))),
    ("pad circular", |x, n| one(x.pad(&n.signs::<4>(), PadMode::Circular))),
    ("tril", |x, n| one(x.tril(n.signed()))),
    ("triu", |x, n| one(x.triu(n.signed()))),
    ("diagonal", |x, n| one(x.diagonal(n.signed(), n.signed(), n.signed()))),
    ("diagonal of the last", |x, n| one(x.diagonal(n.signed(), 2, 3))),
    ("diag", |x, n| one(x.reshape(&[6, 4])?.diag(n.signed()))),
    ("diag of a vector", |x, n| one(x.reshape(&[24])?.diag(n.signed()))),
    ("sum", |x, n| one(if n.flag() { x.sum_keepdim(n.signs::<2>()) } else { x.sum(n.signs::<2>()) })),
    ("prod", |x, n| one(if n.flag() { x.prod_keepdim(n.signed()) } else { x.prod(n.signed()) })),
    ("max", |x, n| if n.flag() { x.max_keepdim(n.signed()) } else { x.max(n.signed()) }.map(two)),
    ("argmax", |x, n| one(if n.flag() { x.argmax_keepdim(n.signed()) } else { x.argmax(n.signed()) })),
    ("var", |x, n| one(if n.flag() { x.var_keepdim(n.signed(), n.float()) } else { x.var(n.signed(), n.float()) })),
    ("norm", |x, n| one(if n.flag() { x.norm_keepdim(n.float(), n.signed()) } else { x.norm(n.float(), n.signed()) })),
    ("normalize", |x, n| one(x.normalize(n.float(), n.signed(), n.float()))),
    ("softmax", |x, n| one(x.softmax(n.signed()))),
    ("cumsum", |x, n| one(x.cumsum(n.signed()))),
    ("cumprod", |x, n| one(x.cumprod(n.signed()))),
    ("sort", |x, n| x.sort(n.signed(), n.flag()).map(two)),
    ("topk", |x, n| x.topk(n.size(), n.signed(), n.flag()).map(two)),
    ("kthvalue", |x, n| {
        if n.flag() { x.kthvalue_keepdim(n.size(), n.signed()) } else { x.kthvalue(n.size(), n.signed()) }.map(two)
    }),
    ("glu", |x, n| one(x.glu(n.signed()))),
    ("cosine_similarity", |x, n| one(x.cosine_similarity(x, n.signed(), n.float()))),
    ("local_response_norm", |x, n| one(x.local_response_norm(n.size(), 0.1, 0.75, 1.0))),
    ("group_norm", |x, n| one(x.group_norm(n.size(), None, None, n.float()))),
    ("layer_norm", |x, n| one(x.layer_norm(&n.sizes::<2>(), None, None, n.float()))),
    ("rms_norm", |x, n| one(x.rms_norm(&n.sizes::<1>(), None, Some(n.float())))),
    ("round_decimals", |x, n| one(x.round_decimals(n.signed() as i32))),
    ("gather", |x, n| one(x.gather(n.signed(), &counts(x, &[1, 2, 3, 4])?))),
    ("index_select", |x, n| one(x.index_select(n.signed(), &counts(x, &[5])?))),
    ("scatter", |x, n| one(x.scatter(n.signed(), &counts(x, &[1, 2, 3, 4])?, x))),
    ("scatter_add", |x, n| one(x.scatter_add(n.signed(), &counts(x, &[1, 2, 3, 4])?, x))),
    ("index_add", |x, n| one(x.index_add(n.signed(), &counts(x, &[3])?, x, n.float()))),
    ("take_along_dim", |x, n| one(x.take_along_dim(&counts(x, &[1, 2, 3, 4])?, Some(n.signed())))),
    ("embedding", |x, n| {
        let options = EmbeddingOptions::default().padding_idx(n.signed());
        one(counts(x, &[2])?.embedding(&x.reshape(&[6, 4])?, &options))
    }),
    ("one_hot", |x, n| one(counts(x, &[3])?.one_hot(Some(n.size())))),
    ("arange", |x, n| one(Tensor::arange(x.device(), n.float(), n.float(), n.float(), DType::F32))),
    ("arange of sizes", |x, n| one(Tensor::arange(x.device(), 0.0, n.size() as f64, n.signed() as f64, DType::I32))),
    ("linspace", |x, n| one(Tensor::linspace(x.device(), n.float(), n.float(), n.size()))),
    ("eye", |x, n| one(Tensor::eye(x.device(), n.size(), n.size()))),
    ("zeros", |x, n| one(Tensor::zeros(x.device(), &n.sizes::<3>()))),
    ("from_slice", |x, n| one(Tensor::from_slice(x.device(), &[1.0f32; 6], &n.sizes::<3>()))),
    ("rand", |x, n| {
        x.device().set_random_state(RandomState { seed: n.size() as u64, counter: n.size() as u64 });
        one(Tensor::rand(x.device(), &n.sizes::<2>()))
    }),
    ("randperm", |x, n| one(Tensor::randperm(x.device(), n.size()))),
    ("randint", |x, n| one(Tensor::randint(x.device(), n.signed() as i32, n.signed() as i32, &[3]))),
    ("shape", |_, n| Shape::new(&n.sizes::<6>()).map(|_| Vec::new())),
    ("conv1d", |x, n| {
        let padding = if n.flag() { Padding::Same } else { Padding::Explicit(n.sizes()) };
        let options = Conv1dOptions { stride: n.sizes(), padding, dilation: n.sizes(), groups: n.size() };
        one(x.reshape(&[1, 2, 12])?.conv1d(&Tensor::ones(x.device(), &[2, 1 + n.size() % 2, 2])?, None, &options))
    }),
    ("conv2d", |x, n| {
        let padding = if n.flag() { Padding::Same } else { Padding::Explicit(n.sizes()) };
        let options = Conv2dOptions { stride: n.sizes(), padding, dilation: n.sizes(), groups: n.size() };
        one(x.conv2d(&Tensor::ones(x.device(), &[2, 1 + n.size() % 2, 2, 2])?, None, &options))
    }),
    ("conv2d padded", |x, n| {
        let options = Conv2dOptions::default().padding(n.sizes());
        one(x.conv2d(&Tensor::ones(x.device(), &[2, 2, 2, 2])?, None, &options))
    }),
    ("conv3d", |x, n| {
        let options =
            Conv3dOptions { stride: n.sizes(), padding: Padding::Explicit(n.sizes()), dilation: n.sizes(), groups: 1 };
        one(x.reshape(&[1, 2, 1, 3, 4])?.conv3d(&Tensor::ones(x.device(), &[2, 2, 1, 2, 2])?, None, &options))
    }),
    ("conv_transpose2d", |x, n| {
        let (stride, padding, output_padding, dilation) = (n.sizes(), n.sizes(), n.sizes(), n.sizes());
        let options = ConvTranspose2dOptions { stride, padding, output_padding, dilation, groups: n.size() };
        one(x.conv_transpose2d(&Tensor::ones(x.device(), &[2, 1, 2, 2])?, None, &options))
    }),
    ("conv_transpose2d strided", |x, n| {
        let options = ConvTranspose2dOptions::default().stride(n.sizes());
        one(x.conv_transpose2d(&Tensor::ones(x.device(), &[2, 1, 2, 2])?, None, &options))
    }),
    ("max_pool2d", |x, n| {
        let options = MaxPool2dOptions {
            stride: n.flag().then(|| n.sizes()),
            padding: n.sizes(),
            dilation: n.sizes(),
            ceil_mode: n.flag(),
        };
        one(x.max_pool2d(n.sizes(), &options))
    }),
    ("max_pool2d strided", |x, n| {
        let options = MaxPool2dOptions::default().stride(n.sizes()).ceil_mode(n.flag());
        one(x.max_pool2d([2, 2], &options))
    }),
    ("avg_pool2d", |x, n| {
        let options = AvgPool2dOptions {
            stride: n.flag().then(|| n.sizes()),
            padding: n.sizes(),
            ceil_mode: n.flag(),
            count_include_pad: n.flag(),
            divisor_override: n.flag().then(|| n.signed() as i64),
        };
        one(x.avg_pool2d(n.sizes(), &options))
    }),
    ("lp_pool2d", |x, n| {
        let options = LpPool2dOptions { stride: n.flag().then(|| n.sizes()), ceil_mode: n.flag() };
        one(x.lp_pool2d(n.float(), n.sizes(), &options))
    }),
    ("max_unpool2d", |x, n| {
        let options = MaxUnpool2dOptions {
            stride: n.flag().then(|| n.sizes()),
            padding: n.sizes(),
            output_size: n.flag().then(|| n.sizes()),
        };
        one(x.max_unpool2d(&counts(x, &[1, 2, 3, 4])?, n.sizes(), &options))
    }),
    ("adaptive_avg_pool2d", |x, n| one(x.adaptive_avg_pool2d([n.maybe(), n.maybe()]))),
    ("adaptive_max_pool2d", |x, n| one(x.adaptive_max_pool2d([n.maybe(), n.maybe()]))),
    ("unfold", |x, n| {
        let options = UnfoldOptions { dilation: n.sizes(), padding: n.sizes(), stride: n.sizes() };
        one(x.unfold(n.sizes(), &options))
    }),
    ("fold", |x, n| {
        let options = UnfoldOptions { dilation: n.sizes(), padding: n.sizes(), stride: n.sizes() };
        one(x.reshape(&[1, 4, 6])?.fold(n.sizes(), n.sizes(), &options))
    }),
    ("interpolate to a size", |x, n| {
        let modes =
            [InterpolateMode::Nearest, InterpolateMode::Bilinear, InterpolateMode::Bicubic, InterpolateMode::Area];
        let mode = modes[n.size() % 4];
        one(x.interpolate(&InterpolateOptions::default().size(n.sizes::<2>()).mode(mode)))
    }),
    ("interpolate by a factor", |x, n| {
        let mode = if n.flag() { InterpolateMode::Nearest } else { InterpolateMode::Bilinear };
        one(x.interpolate(&InterpolateOptions::default().scale_factor([n.float(), n.float()]).mode(mode)))
    }),
    ("affine_grid", |x, n| one(Tensor::ones(x.device(), &[1, 2, 3])?.affine_grid(&n.sizes::<4>(), n.flag()))),
    ("roi_pool", |x, n| {
        let boxes = Tensor::from_slice(x.device(), &[0.0f32, 0.0, 0.0, 2.0, 2.0], &[1, 5])?;
        one(x.roi_pool(&boxes, n.sizes(), n.float()))
    }),
    ("roi_align", |x, n| {
        let boxes = Tensor::from_slice(x.device(), &[0.0f32, 0.0, 0.0, 2.0, 2.0], &[1, 5])?;
        let options = RoiAlignOptions { spatial_scale: n.float(), sampling_ratio: n.maybe(), aligned: n.flag() };
        one(x.roi_align(&boxes, n.sizes(), &options))
    }),
    ("clip_boxes_to_image", |x, n| one(x.reshape(&[6, 4])?.clip_boxes_to_image(n.sizes()))),
    ("ctc_loss", |x, n| {
        let (inputs, targets) = ([n.size()], [n.size()]);
        let options = CtcLossOptions::default().blank(n.size());
        one(x.reshape(&[6, 1, 4])?.ctc_loss(&counts(x, &[1, 2])?, &inputs[..], &targets[..], &options))
    }),
];

/// Runs a call; if its numbers are small, computes its result and its gradient.
fn run(call: Call, drawn: &[usize], devices: &[Device; 2]) {
    let ones = |device: &Device| Tensor::ones(device, &[1, 2, 3, 4]).unwrap().requires_grad();
    let mut asked = Numbers::new(drawn);
    let _ = call(&ones(&devices[0]), &mut asked);
    if asked.largest > SMALL {
        return;
    }
    let x = ones(&devices[1]);
    let Ok(outputs) = call(&x, &mut Numbers::new(drawn)) else { return };
    for output in outputs {
        let _ = output.to_f64();
        if output.is_tracked() {
            let gradient = output.ones_like().and_then(|seed| grad(&[&output], &[&x], &[&seed]));
            let _ = gradient.map(|gradient| gradient[0].as_ref().map(Tensor::to_f64));
        }
    }
}

#[test]
fn no_number_makes_a_call_panic() {
    // An adapter with little memory, so that large calls fail; and one that computes.
    let noop = Noop { max_buffer_bytes: 1 << 24, ..Noop::default() };
    let noop = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
    let devices = [noop, Device::reference()];
    throw(CALLS, |call, drawn| run(call, drawn, &devices));
}

/// Nothing is found by a profile in which numbers wrap around.
#[test]
fn arithmetic_that_overflows_panics() {
    let largest = std::hint::black_box(usize::MAX);
    assert!(catch_unwind(|| largest + 1).is_err(), "the tests need a profile with overflow-checks");
}

//! Convolutions and pools that cannot be.

use super::{ones, says, with};
use wgrad::{
    AvgPool2dOptions, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose3dOptions, DType, LpPool2dOptions,
    MaxPool1dOptions, MaxPool2dOptions, MaxPool3dOptions, MaxUnpool1dOptions, Padding, UnfoldOptions,
};

#[test]
fn paddings_that_no_word_names() {
    let x = ones(&[1, 4, 5, 5]);
    let padded = |word: &'static str| x.conv2d(&with(&x, &[2, 4, 3, 3]), None, &Conv2dOptions::default().padding(word));
    assert_eq!(padded("same").unwrap().shape()[..], [1, 2, 5, 5]);
    assert_eq!(padded("valid").unwrap().shape()[..], [1, 2, 3, 3]);
    says(padded("sane"), &["conv2d", "\"sane\" is neither \"same\" nor \"valid\""]);
    says(Padding::<2>::try_from("SAME"), &["padding", "\"SAME\""]);
}

#[test]
fn convolutions_of_other_dimensions_that_cannot_be() {
    let x = ones(&[1, 4, 5]);
    let conv = |weight: &[usize], options: Conv1dOptions| x.conv1d(&with(&x, weight), None, &options);
    says(conv(&[2, 4, 3, 3], Conv1dOptions::default()), &["conv1d", "[N, C, L]", "[C, L]", "[2, 4, 3, 3]"]);
    says(conv(&[2, 4, 6], Conv1dOptions::default()), &["conv1d", "6", "5"]);
    let huge = Conv1dOptions::default().padding([usize::MAX]);
    says(conv(&[2, 4, 3], huge), &["conv1d", "padded"]);
    let half = with(&x, &[2, 4, 3]).to_dtype(DType::F16).unwrap();
    says(x.conv1d(&half, None, &Conv1dOptions::default()), &["conv1d", "f16"]);
    says(with(&x, &[4]).conv1d(&with(&x, &[2, 4, 3]), None, &Conv1dOptions::default()), &["conv1d", "[4]"]);

    let video = with(&x, &[1, 2, 3, 4, 5]);
    let weight = with(&x, &[2, 2, 2, 2, 2]);
    let conv = |options: &Conv3dOptions| video.conv3d(&weight, None, options);
    let same = Conv3dOptions::default().padding(Padding::Same).stride([2, 1, 1]);
    says(conv(&same), &["conv3d", "stride 1", "[2, 1, 1]"]);
    let wide = Conv3dOptions::default().dilation([3, 1, 1]);
    says(conv(&wide), &["conv3d", "dilated by 3"]);
    let huge = Conv3dOptions::default().padding([1 << 30, 0, 0]);
    assert!(conv(&huge).is_err());
    says(video.conv3d(&weight, Some(&with(&x, &[3])), &Conv3dOptions::default()), &["conv3d", "bias", "[3]"]);

    let back = |options: &ConvTranspose3dOptions| video.conv_transpose3d(&weight, None, options);
    let more = ConvTranspose3dOptions::default().output_padding([1, 0, 0]);
    says(back(&more), &["conv_transpose3d", "output_padding"]);
    for options in [
        ConvTranspose3dOptions::default().stride([usize::MAX, 1, 1]),
        ConvTranspose3dOptions::default().padding([usize::MAX, 0, 0]),
        ConvTranspose3dOptions::default().dilation([usize::MAX, 1, 1]),
        ConvTranspose3dOptions::default().groups(usize::MAX),
        ConvTranspose3dOptions::default().stride([usize::MAX; 3]).output_padding([usize::MAX - 1; 3]),
    ] {
        assert!(back(&options).is_err(), "{options:?}");
    }
}

#[test]
fn windows_that_cannot_be() {
    let x = ones(&[1, 2, 4, 5]);
    let plain = UnfoldOptions::default();
    says(x.unfold([5, 1], &plain), &["unfold", "[5, 1]", "[4, 5]"]);
    says(x.unfold([0, 1], &plain), &["unfold", "greater than zero"]);
    says(with(&x, &[4, 5]).unfold([1, 1], &plain), &["unfold", "[4, 5]"]);
    let huge = UnfoldOptions { padding: [usize::MAX / 2 + 1, 0], ..plain };
    assert!(x.unfold([1, 1], &huge).is_err());
    assert!(x.unfold([usize::MAX, usize::MAX], &plain).is_err());
    let columns = with(&x, &[1, 8, 12]);
    assert!(columns.fold([4, 5], [2, 2], &plain).is_ok());
    says(columns.fold([4, 4], [2, 2], &plain), &["fold", "12 windows", "3 x 3"]);
    says(columns.fold([4, 5], [3, 2], &plain), &["fold", "8 rows", "[3, 2]"]);
    says(columns.fold([0, 5], [1, 1], &plain), &["fold", "[0, 5]"]);
    says(columns.fold([1, 1], [2, 2], &UnfoldOptions { padding: [usize::MAX; 2], ..plain }), &["fold", "does not fit"]);
    says(with(&x, &[8]).fold([4, 5], [2, 2], &plain), &["fold", "[8]"]);
}

#[test]
fn convolutions_that_cannot_be() {
    let x = ones(&[1, 4, 5, 6]);
    let conv = |weight: &[usize], options: Conv2dOptions| x.conv2d(&with(&x, weight), None, &options);
    let plain = Conv2dOptions::default;
    says(conv(&[2, 3, 3, 3], plain()), &["conv2d", "[1, 4, 5, 6]", "[2, 3, 3, 3]"]);
    says(conv(&[2, 4, 3], plain()), &["conv2d", "[2, 4, 3]"]);
    says(conv(&[2, 4, 6, 3], plain()), &["conv2d", "6", "5"]);
    says(conv(&[3, 2, 3, 3], Conv2dOptions { groups: 2, ..plain() }), &["conv2d", "groups", "3"]);
    says(conv(&[3, 1, 3, 3], Conv2dOptions { groups: 3, ..plain() }), &["conv2d", "groups", "4"]);
    says(conv(&[2, 4, 3, 3], Conv2dOptions { groups: 0, ..plain() }), &["conv2d", "groups"]);
    says(conv(&[2, 4, 3, 3], Conv2dOptions { stride: [0, 1], ..plain() }), &["conv2d", "stride"]);
    says(conv(&[2, 4, 3, 3], Conv2dOptions { dilation: [1, 0], ..plain() }), &["conv2d", "dilation"]);
    let same = Conv2dOptions { padding: Padding::Same, stride: [2, 1], ..plain() };
    says(conv(&[2, 4, 3, 3], same), &["conv2d", "stride"]);
    let bias = with(&x, &[3]);
    says(x.conv2d(&with(&x, &[2, 4, 3, 3]), Some(&bias), &plain()), &["conv2d", "bias", "[3]"]);
    says(with(&x, &[5, 6]).conv2d(&with(&x, &[2, 4, 3, 3]), None, &plain()), &["conv2d", "[5, 6]"]);
    let huge = Conv2dOptions { padding: Padding::Explicit([usize::MAX / 2, 0]), ..plain() };
    assert!(conv(&[2, 4, 3, 3], huge).is_err());
    let huge = Conv2dOptions { dilation: [usize::MAX / 2, 1], ..plain() };
    assert!(conv(&[2, 4, 3, 3], huge).is_err());

    let pool = |kernel, options| x.max_pool2d(kernel, &options);
    let plain = MaxPool2dOptions::default;
    says(pool([6, 2], plain()), &["max_pool2d", "6", "5"]);
    says(pool([2, 2], MaxPool2dOptions { padding: [2, 0], ..plain() }), &["max_pool2d", "padding"]);
    says(pool([0, 2], plain()), &["max_pool2d", "kernel"]);
    says(pool([2, 2], MaxPool2dOptions { stride: Some([0, 1]), ..plain() }), &["max_pool2d", "stride"]);
    let options = AvgPool2dOptions::default().divisor_override(0);
    says(x.avg_pool2d([2, 2], &options), &["avg_pool2d", "divisor"]);
    assert!(pool([usize::MAX, 2], plain()).is_err());
}

#[test]
fn pools_that_cannot_be() {
    let x = ones(&[2, 5, 6]);
    says(x.max_pool3d([2, 2, 2], &MaxPool3dOptions::default()), &["max_pool3d", "[C, D, H, W]", "[2, 5, 6]"]);
    says(x.max_pool1d([7], &MaxPool1dOptions::default()), &["max_pool1d", "7", "6"]);
    says(x.lp_pool2d(0.0, [2, 2], &LpPool2dOptions::default()), &["lp_pool2d", "norm_type"]);
    says(x.adaptive_avg_pool3d([Some(1); 3]), &["adaptive_avg_pool3d", "[2, 5, 6]"]);
    says(ones(&[2, 0, 6]).adaptive_max_pool2d([Some(1); 2]), &["adaptive_max_pool2d", "[2, 0, 6]"]);
    assert!(x.adaptive_avg_pool1d([Some(usize::MAX)]).is_err());
    assert!(x.adaptive_max_pool2d([Some(1 << 20), Some(1 << 20)]).is_err());
    says(ones(&[2, 5]).global_max_pool(), &["global_max_pool", "[2, 5]"]);
    let plain = MaxUnpool1dOptions::default();
    let indices = x.to_dtype(DType::I32).unwrap();
    says(x.max_unpool1d(&x, [2], &plain), &["max_unpool1d", "i32", "f32"]);
    says(x.max_unpool1d(&indices.narrow(0, 0, 1).unwrap(), [2], &plain), &["max_unpool1d", "[1, 5, 6]"]);
    let far = MaxUnpool1dOptions { output_size: Some([14]), ..plain };
    says(x.max_unpool1d(&indices, [2], &far), &["max_unpool1d", "output_size", "14", "12"]);
    let negative = MaxUnpool1dOptions { padding: [8], ..plain };
    says(x.max_unpool1d(&indices, [2], &negative), &["max_unpool1d", "-4"]);
    assert!(x.max_unpool1d(&indices, [usize::MAX], &plain).is_err());
    let huge = MaxUnpool1dOptions { padding: [usize::MAX], ..plain };
    assert!(x.max_unpool1d(&indices, [usize::MAX], &huge).is_err());
}

//! Cases of convolutions for tests, gradient checks and benchmarks.

use super::{Conv1dOptions, Conv2dOptions, Conv3dOptions, Padding};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Tensor, grad};
use crate::ops::case::Case;

fn conv(input: [usize; 4], weight: [usize; 4], options: Conv2dOptions) -> Case {
    Case::new("conv2d", &[&input, &weight, &weight[..1]], move |x| {
        Ok(vec![x[0].conv2d(&x[1], Some(&x[2]), &options)?])
    })
    .options(&options)
}

fn options(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> Conv2dOptions {
    Conv2dOptions { stride, padding: Padding::Explicit(padding), dilation, groups }
}

pub(super) fn cases() -> Vec<Case> {
    [one_dimension(), two_dimensions(), three_dimensions()].into_iter().flatten().collect()
}

fn one_dimension() -> Vec<Case> {
    let case = |input: &[usize], weight: &[usize], options: Conv1dOptions| {
        Case::new("conv1d", &[input, weight, &weight[..1]], move |x| {
            Ok(vec![x[0].conv1d(&x[1], Some(&x[2]), &options)?])
        })
        .options(&options)
    };
    let plain = Conv1dOptions::default();
    let padded = Conv1dOptions { stride: [2], padding: Padding::Explicit([2]), dilation: [3], groups: 2 };
    vec![
        case(&[2, 3, 11], &[4, 3, 3], plain),
        case(&[2, 4, 13], &[6, 2, 4], padded),
        case(&[2, 3, 7], &[3, 1, 4], Conv1dOptions { padding: Padding::Same, groups: 3, ..plain }),
        // The same kernels again, since compiling takes longest.
        case(&[0, 3, 11], &[4, 3, 3], plain),
        Case::new("conv1d", &[&[11, 3], &[4, 3, 4]], move |x| {
            Ok(vec![x[0].t()?.conv1d(&x[1].transpose(1, 2)?.narrow(1, 1, 3)?, None, &plain)?])
        }),
    ]
}

fn three_dimensions() -> Vec<Case> {
    let case = |input: &[usize], weight: &[usize], options: Conv3dOptions| {
        Case::new("conv3d", &[input, weight, &weight[..1]], move |x| {
            Ok(vec![x[0].conv3d(&x[1], Some(&x[2]), &options)?])
        })
        .options(&options)
    };
    let plain = Conv3dOptions::default();
    let same = Conv3dOptions { padding: Padding::Same, ..plain };
    let all =
        Conv3dOptions { stride: [2, 1, 3], padding: Padding::Explicit([2, 1, 0]), dilation: [2, 1, 1], groups: 1 };
    vec![
        case(&[2, 2, 4, 3, 5], &[3, 2, 2, 3, 2], plain),
        case(&[1, 2, 5, 4, 5], &[3, 2, 3, 2, 2], all),
        case(&[1, 4, 3, 3, 4], &[2, 2, 2, 2, 3], Conv3dOptions { groups: 2, ..same }),
        // An image at a time; along the depth alone.
        case(&[2, 2, 5, 3, 3], &[3, 2, 1, 2, 2], Conv3dOptions { stride: [2, 1, 1], ..plain }),
        case(&[2, 2, 5, 2, 3], &[3, 2, 3, 1, 1], Conv3dOptions { stride: [2, 1, 1], ..plain }),
        // The same kernels again, since compiling takes longest.
        case(&[0, 2, 4, 3, 5], &[3, 2, 2, 3, 2], plain),
        Case::new("conv3d", &[&[4, 2, 3, 5], &[3, 2, 2, 2, 3]], move |x| {
            Ok(vec![x[0].transpose(0, 1)?.conv3d(&x[1].transpose(3, 4)?, None, &plain)?])
        }),
        Case::new("conv3d", &[&[1, 2, 3, 3, 4], &[2, 2, 2, 2, 2]], move |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.conv3d(&x[1].to_dtype(DType::F16)?, None, &plain)?])
        })
        .half(),
    ]
}

fn two_dimensions() -> Vec<Case> {
    let plain = Conv2dOptions::default();
    let same = Conv2dOptions { padding: Padding::Same, ..plain };
    let mut cases = vec![
        conv([2, 3, 5, 7], [4, 3, 3, 3], plain),
        conv([1, 1, 1, 1], [1, 1, 1, 1], plain),
        conv([2, 8, 4, 5], [12, 8, 1, 1], plain),
        // Images summed in one product: three at a time and a last one of two, with columns in groups of eight, of four and
        // single.
        conv([35, 40, 3, 5], [36, 40, 1, 1], plain).first_order(),
        conv([3, 32, 4, 4], [9, 32, 1, 1], plain).first_order(),
        conv([34, 33, 2, 3], [70, 33, 1, 1], plain).first_order(),
        conv([1, 1, 4, 4], [1, 1, 2, 2], plain),
        // strides
        conv([2, 3, 8, 9], [4, 3, 3, 3], options([2, 2], [0, 0], [1, 1], 1)),
        conv([2, 3, 8, 9], [4, 3, 3, 3], options([2, 1], [1, 2], [1, 1], 1)),
        conv([2, 2, 11, 13], [3, 2, 2, 3], options([3, 5], [0, 0], [1, 1], 1)),
        conv([1, 2, 9, 9], [2, 2, 2, 2], options([4, 4], [0, 1], [1, 1], 1)),
        conv([1, 3, 18, 40], [5, 3, 2, 3], options([17, 19], [0, 1], [1, 1], 1)),
        // padding
        conv([1, 2, 3, 3], [3, 2, 3, 3], options([1, 1], [4, 4], [1, 1], 1)),
        conv([1, 2, 1, 1], [3, 2, 3, 3], options([1, 1], [1, 1], [1, 1], 1)),
        conv([2, 3, 6, 7], [4, 3, 2, 4], same),
        conv([2, 3, 6, 7], [4, 3, 2, 3], Conv2dOptions { dilation: [3, 2], ..same }),
        // dilation
        conv([2, 3, 9, 9], [4, 3, 3, 3], options([1, 1], [0, 0], [2, 2], 1)),
        conv([1, 3, 11, 13], [2, 3, 2, 3], options([2, 3], [3, 1], [3, 2], 1)),
        conv([1, 2, 12, 13], [3, 2, 3, 3], options([2, 4], [1, 2], [2, 2], 1)),
        // groups
        conv([2, 4, 6, 5], [6, 2, 3, 3], options([1, 1], [0, 0], [1, 1], 2)),
        conv([2, 6, 7, 7], [9, 2, 3, 2], options([2, 2], [1, 1], [1, 1], 3)),
        // depthwise: padded, with a multiplier, strided, dilated, padded past the kernel, kernels of one row or column
        conv([2, 5, 7, 7], [5, 1, 3, 3], options([1, 1], [1, 1], [1, 1], 5)),
        conv([2, 4, 7, 6], [8, 1, 3, 3], options([1, 1], [1, 1], [1, 1], 4)),
        conv([1, 3, 9, 9], [3, 1, 5, 3], options([2, 2], [2, 1], [1, 1], 3)),
        conv([1, 3, 10, 9], [3, 1, 3, 3], options([1, 2], [2, 2], [2, 2], 3)),
        conv([2, 11, 35, 9], [11, 1, 3, 3], options([1, 1], [1, 1], [1, 1], 11)),
        conv([1, 2, 5, 6], [2, 1, 2, 3], options([1, 1], [3, 0], [1, 1], 2)),
        conv([1, 9, 8, 17], [9, 1, 1, 5], options([1, 3], [0, 2], [1, 1], 9)),
        conv([1, 4, 20, 3], [4, 1, 5, 1], options([3, 1], [1, 0], [2, 1], 4)),
        // kernels of one tap and as large as the input
        conv([2, 5, 4, 3], [7, 5, 1, 1], plain),
        conv([2, 8, 7, 7], [12, 8, 1, 1], options([3, 2], [0, 0], [1, 1], 1)),
        conv([2, 3, 5, 7], [4, 3, 5, 7], plain),
        conv([2, 3, 7, 6], [2, 3, 5, 1], options([1, 1], [2, 0], [1, 1], 1)),
        conv([2, 3, 6, 7], [2, 3, 1, 5], options([1, 1], [0, 2], [1, 1], 1)),
        // nothing in the batch
        conv([0, 3, 5, 7], [4, 3, 3, 3], plain),
        conv([0, 3, 5, 7], [3, 1, 3, 3], Conv2dOptions { groups: 3, ..plain }),
        // LeNet's layers, a stem, and primes
        conv([2, 1, 28, 28], [6, 1, 5, 5], options([1, 1], [2, 2], [1, 1], 1)),
        conv([2, 6, 14, 14], [16, 6, 5, 5], plain),
        conv([1, 3, 32, 32], [8, 3, 7, 7], options([2, 2], [3, 3], [1, 1], 1)),
        conv([1, 5, 17, 19], [7, 5, 3, 5], options([2, 3], [1, 2], [1, 1], 1)),
        conv([3, 7, 11, 13], [37, 7, 3, 3], options([1, 1], [1, 1], [1, 1], 1)),
        // more taps than are unrolled, of rows and channels that no block divides, strided and dilated
        conv([2, 7, 3, 70], [7, 7, 2, 31], options([1, 3], [1, 4], [1, 2], 1)).first_order(),
        // enough channels for the kernels of large ones; Winograd's transforms lose digits of the gradient
        conv([1, 64, 16, 16], [64, 64, 3, 3], same).tolerance(51.0),
        conv([1, 32, 30, 31], [16, 32, 3, 3], options([2, 2], [1, 1], [1, 1], 1)),
    ];
    // Second derivatives of the larger ones take long and show nothing that small ones do not.
    for case in &mut cases {
        let elements: usize = case.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        case.smooth = elements <= 400;
    }
    let unbatched = |x: &[Tensor]| Ok(vec![x[0].conv2d(&x[1], None, &Conv2dOptions::default())?]);
    let views = |x: &[Tensor]| {
        let input = x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?;
        let weight = x[1].transpose(2, 3)?.narrow(0, 1, 3)?;
        Ok(vec![input.conv2d(&weight, None, &Conv2dOptions::default())?])
    };
    let offsets = |x: &[Tensor]| {
        let (input, weight) = (x[0].narrow(0, 1, 2)?, x[1].narrow(0, 1, 4)?);
        Ok(vec![input.conv2d(&weight, None, &Conv2dOptions::default().groups(4))?])
    };
    cases.push(Case::new("conv2d", &[&[3, 5, 7], &[4, 3, 3, 3]], unbatched));
    cases.push(Case::new("conv2d", &[&[3, 5, 6, 2], &[4, 2, 3, 2]], views));
    cases.push(Case::new("conv2d", &[&[3, 4, 5, 6], &[5, 1, 3, 2]], offsets));
    // Storage in 16 bits: general, depthwise, and the gradient of the weight in one piece and in several.
    for (input, weight, groups) in [
        ([2, 4, 5, 7], [6, 2, 3, 3], 2),
        ([1, 3, 9, 8], [3, 1, 3, 3], 3),
        ([0, 2, 4, 4], [3, 2, 2, 2], 1),
        ([1, 1, 1, 3], [1, 1, 1, 2], 1),
    ] {
        let options = Conv2dOptions { groups, ..plain };
        let half = move |x: &[Tensor]| -> Result<Tensor> {
            let [input, weight, bias] = [0, 1, 2].map(|i| x[i].to_dtype(DType::F16));
            input?.conv2d(&weight?, Some(&bias?), &options)
        };
        let case = Case::new("conv2d", &[&input, &weight, &weight[..1]], move |x| Ok(vec![half(x)?]));
        cases.push(case.options(&options).half());
    }
    let gradients = |x: &[Tensor]| {
        let [input, weight] = [0, 1].map(|i| Ok(x[i].to_dtype(DType::F16)?.detach().requires_grad()));
        let (input, weight): (Tensor, Tensor) = (input?, weight?);
        let options = Conv2dOptions::default().padding(Padding::Same);
        let output = input.conv2d(&weight, None, &options)?;
        let cotangent = x[2].to_dtype(DType::F16)?;
        Ok(grad(&[&output], &[&input, &weight], &[&cotangent])?.into_iter().flatten().collect())
    };
    cases.push(Case::new("conv2d", &[&[3, 2, 9, 7], &[4, 2, 3, 3], &[3, 4, 9, 7]], gradients).half());
    // More channels than one loop goes through; equal terms, which all round the same way.
    let deep = |x: &[Tensor]| {
        let options = Conv2dOptions::default().groups(2);
        Ok(vec![x[0].expand(&[1, 40_002, 1, 2])?.conv2d(&x[1].expand(&[2, 20_001, 1, 1])?, None, &options)?])
    };
    cases.push(Case::new("conv2d", &[&[1, 1, 1, 2], &[2, 1, 1, 1]], deep).tolerance(720.0).first_order());
    // No channels.
    cases.push(conv([1, 0, 3, 3], [2, 0, 2, 2], plain));
    // Tiles without a free place, of a GPU's positions and of a software adapter's taps.
    cases.push(conv([1, 4, 8, 16], [4, 4, 3, 3], same));
    cases.push(conv([1, 2, 6, 9], [4, 2, 4, 4], plain));
    // Winograd's tiles past both edges, and rows that are not multiples of eight.
    cases.push(conv([2, 64, 15, 22], [64, 64, 3, 3], same).tolerance(66.1).first_order().no_differences());
    cases
}

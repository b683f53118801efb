//! Convolutions that tests, gradient checks and benchmarks run.

use super::{Conv2dOptions, OP, Padding};
use crate::graph::Tensor;
use crate::ops::case::Case;

/// A case with the products that go into a result counted for its tolerance: of the output, the input's and
/// the weight's gradient, whichever is most.
fn conv(input: [usize; 4], weight: [usize; 4], options: Conv2dOptions) -> Case {
    let [_, per_group, height, width] = weight;
    let positions: usize = input[0].max(1) * input[2] * input[3];
    let terms = (per_group * height * width).max(weight[0] * height * width).max(positions);
    Case::new(OP, &[&input, &weight, &weight[..1]], move |x| Ok(vec![x[0].conv2d(&x[1], Some(&x[2]), &options)?]))
        .tolerance(2.0 * terms as f64 + 16.0)
}

fn options(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> Conv2dOptions {
    Conv2dOptions { stride, padding: Padding::Explicit(padding), dilation, groups }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let plain = Conv2dOptions::default();
    let same = Conv2dOptions { padding: Padding::Same, ..plain };
    let mut cases = vec![
        conv([2, 3, 5, 7], [4, 3, 3, 3], plain),
        conv([1, 1, 1, 1], [1, 1, 1, 1], plain),
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
    ];
    // Second derivatives of the larger ones take long and show nothing that small ones do not.
    for case in &mut cases {
        let elements: usize = case.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        case.smooth = elements <= 400;
    }
    let unbatched = |x: &[Tensor]| Ok(vec![x[0].conv2d(&x[1], None, &Conv2dOptions::default())?]);
    let views = |x: &[Tensor]| {
        let input = x[0].permute(&[0, 3, 1, 2])?.narrow(0, 1, 2)?;
        let weight = x[1].transpose(2, 3)?.narrow(0, 1, 3)?;
        Ok(vec![input.conv2d(&weight, None, &Conv2dOptions::default())?])
    };
    let offsets = |x: &[Tensor]| {
        let (input, weight) = (x[0].narrow(0, 1, 2)?, x[1].narrow(0, 1, 4)?);
        Ok(vec![input.conv2d(&weight, None, &Conv2dOptions { groups: 4, ..Conv2dOptions::default() })?])
    };
    cases.push(Case::new(OP, &[&[3, 5, 7], &[4, 3, 3, 3]], unbatched).tolerance(128.0));
    cases.push(Case::new(OP, &[&[3, 5, 6, 2], &[4, 2, 3, 2]], views).tolerance(128.0));
    cases.push(Case::new(OP, &[&[3, 4, 5, 6], &[5, 1, 3, 2]], offsets).tolerance(128.0));
    cases
}

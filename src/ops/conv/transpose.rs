//! The transposed convolution: the gradient of a convolution's input, as an operation of its own.

use super::{Convolution, Geometry, LARGEST_SIZE, Pass, add_bias};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;
use crate::shape::Shape;

/// The attributes of [`Tensor::conv_transpose2d`], with PyTorch's names and defaults; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose2dOptions {
    /// Distance in the output between the places of two neighbouring inputs.
    pub stride: [usize; 2],
    /// Rows and columns left out at each end of the output.
    pub padding: [usize; 2],
    /// Rows and columns added at the end of the output: which of the sizes that a strided convolution maps to the
    /// input's is meant. Less than the stride or the dilation.
    pub output_padding: [usize; 2],
    /// Distance between the taps of the kernel.
    pub dilation: [usize; 2],
    /// Groups of channels that are convolved apart from each other.
    pub groups: usize,
}

impl Default for ConvTranspose2dOptions {
    fn default() -> ConvTranspose2dOptions {
        ConvTranspose2dOptions { stride: [1, 1], padding: [0, 0], output_padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

const OP: &str = "conv_transpose2d";

impl ConvTranspose2dOptions {
    /// The convolution whose input has this one's output's size.
    fn geometry(&self, input: &Shape, weight: &Shape) -> Result<Geometry> {
        let ConvTranspose2dOptions { mut stride, padding, output_padding, mut dilation, groups } = *self;
        let fail = |rule: String| Err(Error::invalid(OP, rule));
        if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
            return fail(format!(
                "stride {stride:?}, dilation {dilation:?} and groups {groups} must be greater than zero"
            ));
        }
        if weight.contains(&0) || input[1..].contains(&0) {
            return fail(format!("only the batch may be empty; got input {input} and weight {weight}"));
        }
        if weight[0] != input[1] || !input[1].is_multiple_of(groups) {
            return fail(format!(
                "weight {weight} with {groups} groups expects {} input channels in whole groups, but input {input} has {}",
                weight[0], input[1]
            ));
        }
        let mut output = [0; 2];
        for d in 0..2 {
            let (size, taps) = (input[2 + d], weight[2 + d]);
            if output_padding[d] >= stride[d].max(dilation[d]) {
                return fail(format!(
                    "output_padding {output_padding:?} must be smaller than stride {stride:?} or dilation {dilation:?}"
                ));
            }
            let reach = (taps - 1).saturating_mul(dilation[d]);
            let whole =
                (size - 1).saturating_mul(stride[d]).saturating_add(reach).saturating_add(output_padding[d] + 1);
            match whole.checked_sub(padding[d].saturating_mul(2)) {
                Some(left) if left > 0 && whole <= LARGEST_SIZE => output[d] = left,
                _ => return fail(format!("padding {padding:?} leaves nothing of an output of size {whole}")),
            }
            // What has no effect must not make another kernel.
            if size == 1 {
                stride[d] = 1;
            }
            if taps == 1 {
                dilation[d] = 1;
            }
        }
        Ok(Geometry {
            groups,
            in_per_group: weight[1],
            out_per_group: weight[0] / groups,
            input: output,
            output: [input[2], input[3]],
            kernel: [weight[2], weight[3]],
            stride,
            padding,
            dilation,
        })
    }
}

impl Tensor {
    /// Transposed convolution, PyTorch's `conv_transpose2d`: each input element spreads the kernel over the output,
    ///
    /// `output[n, g O + o, y stride + r dilation - padding, ..] += input[n, c, y, x] * weight[c, o, r, s]`,
    ///
    /// plus `bias`. It is the gradient of [`conv2d`](Tensor::conv2d) with respect to its input. Input `[N, C, H, W]` or
    /// `[C, H, W]`, weight `[C, O/groups, R, S]`, bias `[O]`; output `[N, O, H', W']` with
    /// `H' = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the channels do not match, `groups` does not divide them, `output_padding` is too large,
    /// or nothing is left of the output; [`Error::WrongDType`] for types other than f32.
    ///
    /// ```
    /// # use wgrad::{ConvTranspose2dOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[1, 1, 1, 2])?;
    /// let ones = Tensor::ones(&device, &[1, 1, 1, 2])?;
    /// let twice = ConvTranspose2dOptions { stride: [1, 2], ..ConvTranspose2dOptions::default() };
    /// assert_eq!(x.conv_transpose2d(&ones, None, &twice)?.to_vec::<f32>()?, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn conv_transpose2d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTranspose2dOptions,
    ) -> Result<Tensor> {
        if !matches!(self.rank(), 3 | 4) || weight.rank() != 4 {
            let rule = format!(
                "expected input [N, C, H, W] or [C, H, W] and weight [C, O/groups, R, S]; got {} and {}",
                self.shape(),
                weight.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if self.rank() == 3 {
            return self.unsqueeze(0)?.conv_transpose2d(weight, bias, options)?.squeeze(0);
        }
        let geometry = options.geometry(self.shape(), weight.shape())?;
        let output = Convolution::record(Pass::BackwardData, geometry, self, weight)?;
        add_bias(OP, output, weight, bias, geometry.groups * geometry.in_per_group)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let base = ConvTranspose2dOptions::default();
    let case = |input: &[usize], weight: &[usize], options: ConvTranspose2dOptions| {
        let channels = weight[1] * options.groups;
        Case::new(OP, &[input, weight, &[channels]], move |x| {
            Ok(vec![x[0].conv_transpose2d(&x[1], Some(&x[2]), &options)?])
        })
        .tolerance(512.0)
    };
    vec![
        case(&[2, 3, 4, 5], &[3, 2, 3, 3], base),
        case(&[1, 4, 5, 3], &[4, 3, 2, 4], ConvTranspose2dOptions { stride: [2, 3], ..base }),
        case(&[2, 2, 5, 5], &[2, 3, 3, 3], ConvTranspose2dOptions { stride: [2, 2], padding: [1, 1], ..base }),
        case(
            &[2, 2, 3, 4],
            &[2, 3, 3, 2],
            ConvTranspose2dOptions { stride: [3, 2], padding: [1, 0], output_padding: [2, 1], ..base },
        ),
        case(&[1, 4, 4, 3], &[4, 2, 3, 3], ConvTranspose2dOptions { groups: 2, dilation: [2, 1], ..base }),
        case(&[2, 3, 5, 4], &[3, 1, 3, 3], ConvTranspose2dOptions { groups: 3, padding: [1, 1], ..base }),
        case(
            &[1, 2, 3, 3],
            &[2, 2, 2, 2],
            ConvTranspose2dOptions { dilation: [3, 4], output_padding: [2, 3], stride: [1, 2], ..base },
        ),
        case(&[1, 2, 1, 1], &[2, 3, 4, 4], ConvTranspose2dOptions { stride: [5, 5], output_padding: [4, 1], ..base }),
        case(&[2, 5, 3, 3], &[5, 4, 1, 1], base),
        case(&[0, 2, 3, 3], &[2, 3, 3, 3], base),
        Case::new(OP, &[&[2, 4, 3], &[2, 3, 3, 3]], move |x| Ok(vec![x[0].conv_transpose2d(&x[1], None, &base)?]))
            .tolerance(512.0),
    ]
}

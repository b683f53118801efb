//! The attributes of convolutions, over any number of dimensions.

use crate::options::options;

/// The zeros around a convolution's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding<const D: usize = 2> {
    /// Enough that the output has the input's size; an odd zero is added at the end. The stride must be 1.
    Same,
    /// No padding.
    #[default]
    Valid,
    /// This much at both ends of each dimension.
    Explicit([usize; D]),
    /// A word that names no padding, which every convolution refuses.
    Unknown(&'static str),
}

options! {
    /// The attributes of [`conv1d`](crate::Tensor::conv1d), [`conv2d`](crate::Tensor::conv2d) and
    /// [`conv3d`](crate::Tensor::conv3d), with PyTorch's names and defaults; a number for each of the `D` dimensions,
    /// outermost first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ConvOptions<const D: usize> {
        /// Steps of the kernel over the padded input.
        stride: [usize; D] = [1; D],
        /// Zeros around the input.
        padding: Padding<D> = Padding::Valid,
        /// Distance between the taps of the kernel.
        dilation: [usize; D] = [1; D],
        /// Groups of channels that are convolved separately; as many as channels: depthwise.
        groups: usize = 1,
    }
}

/// The attributes of [`conv1d`](crate::Tensor::conv1d).
pub type Conv1dOptions = ConvOptions<1>;
/// The attributes of [`conv2d`](crate::Tensor::conv2d); pairs are (height, width).
pub type Conv2dOptions = ConvOptions<2>;
/// The attributes of [`conv3d`](crate::Tensor::conv3d); triples are (depth, height, width).
pub type Conv3dOptions = ConvOptions<3>;

options! {
    /// The attributes of [`conv_transpose1d`](crate::Tensor::conv_transpose1d),
    /// [`conv_transpose2d`](crate::Tensor::conv_transpose2d) and [`conv_transpose3d`](crate::Tensor::conv_transpose3d), with
    /// PyTorch's names and defaults; a number for each of the `D` dimensions, outermost first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ConvTransposeOptions<const D: usize> {
        /// Distance in the output between the positions of two neighbouring inputs.
        stride: [usize; D] = [1; D],
        /// Elements left out at each end of the output.
        padding: [usize; D] = [0; D],
        /// Elements added at the end of the output: selects among the sizes that a strided convolution maps to the input's. Less
        /// than the stride or the dilation.
        output_padding: [usize; D] = [0; D],
        /// Distance between the taps of the kernel.
        dilation: [usize; D] = [1; D],
        /// Groups of channels that are convolved separately.
        groups: usize = 1,
    }
}

/// The attributes of [`conv_transpose1d`](crate::Tensor::conv_transpose1d).
pub type ConvTranspose1dOptions = ConvTransposeOptions<1>;
/// The attributes of [`conv_transpose2d`](crate::Tensor::conv_transpose2d); pairs are (height, width).
pub type ConvTranspose2dOptions = ConvTransposeOptions<2>;
/// The attributes of [`conv_transpose3d`](crate::Tensor::conv_transpose3d); triples are (depth, height, width).
pub type ConvTranspose3dOptions = ConvTransposeOptions<3>;

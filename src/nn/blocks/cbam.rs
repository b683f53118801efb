//! Attention to channels, then to positions (Woo et al., "CBAM: Convolutional Block Attention Module", 2018).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{Children, Conv2d, Module, Scope, children};
use crate::ops::Conv2dOptions;

/// Channels weighted by their means and maxima, `[N, C, H, W] -> [N, C, H, W]`: `x sigmoid(f(mean) + f(max))`, where `f` is
/// `fc2(relu(fc1(..)))`, 1 x 1 convolutions without a bias, to `C / reduction` channels and back.
pub struct ChannelAttention {
    fc1: Conv2d,
    fc2: Conv2d,
}

/// Positions weighted by the mean and the maximum of their channels, `[N, C, H, W] -> [N, C, H, W]`:
/// `x sigmoid(conv([max, mean]))`, a convolution without a bias that keeps the size.
pub struct SpatialAttention {
    conv: Conv2d,
}

/// [`ChannelAttention`], then [`SpatialAttention`].
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::nn::blocks::Cbam;
/// # let device = Device::reference();
/// let block = Cbam::new(&Scope::new(&device), 32, 16, 7)?;
/// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 32, 8, 8])?)?.shape()[..], [2, 32, 8, 8]);
/// let names: Vec<String> = block.parameters().iter().map(|p| p.name().to_string()).collect();
/// assert_eq!(names, ["channel.fc1.weight", "channel.fc2.weight", "spatial.conv.weight"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Cbam {
    channel: ChannelAttention,
    spatial: SpatialAttention,
}

impl ChannelAttention {
    /// A block of new weights; the paper's `reduction` is 16.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `channels / reduction` is 0; [`Error::TooLarge`].
    pub fn new(scope: &Scope, channels: usize, reduction: usize) -> Result<ChannelAttention> {
        let squeezed = channels.checked_div(reduction).unwrap_or(0);
        if squeezed == 0 {
            let rule = format!("{channels} channels reduced by {reduction} leave none");
            return Err(Error::invalid("ChannelAttention", rule));
        }
        let pointwise = Conv2dOptions::default();
        Ok(ChannelAttention {
            fc1: Conv2d::without_bias(&scope.at("fc1"), channels, squeezed, 1, &pointwise)?,
            fc2: Conv2d::without_bias(&scope.at("fc2"), squeezed, channels, 1, &pointwise)?,
        })
    }
}

impl SpatialAttention {
    /// A block of new weights; the paper's `kernel_size` is 7.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `kernel_size` is even, so that no padding keeps the size.
    pub fn new(scope: &Scope, kernel_size: usize) -> Result<SpatialAttention> {
        if kernel_size.is_multiple_of(2) {
            return Err(Error::invalid("SpatialAttention", format!("kernel_size is {kernel_size}; it must be odd")));
        }
        let options = Conv2dOptions::default().padding([kernel_size / 2; 2]);
        Ok(SpatialAttention { conv: Conv2d::without_bias(&scope.at("conv"), 2, 1, [kernel_size; 2], &options)? })
    }
}

impl Cbam {
    /// A block of new weights; the paper's `reduction` is 16 and its `kernel_size` 7.
    ///
    /// # Errors
    /// Those of [`ChannelAttention::new`] and [`SpatialAttention::new`].
    pub fn new(scope: &Scope, channels: usize, reduction: usize, kernel_size: usize) -> Result<Cbam> {
        Ok(Cbam {
            channel: ChannelAttention::new(&scope.at("channel"), channels, reduction)?,
            spatial: SpatialAttention::new(&scope.at("spatial"), kernel_size)?,
        })
    }
}

impl Module for ChannelAttention {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let weigh = |pooled: &Tensor| self.fc2.forward(&self.fc1.forward(pooled)?.relu()?);
        let scale = weigh(&input.global_avg_pool()?)?.add(&weigh(&input.global_max_pool()?)?)?.sigmoid()?;
        input.mul(&scale)
    }
    fn children(&self) -> Children<'_> {
        children![self; fc1, fc2]
    }
}

impl Module for SpatialAttention {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let pooled = Tensor::cat(&[&input.amax_keepdim(1)?, &input.mean_keepdim(1)?], 1)?;
        input.mul(&self.conv.forward(&pooled)?.sigmoid()?)
    }
    fn children(&self) -> Children<'_> {
        children![self; conv]
    }
}

impl Module for Cbam {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.spatial.forward(&self.channel.forward(input)?)
    }
    fn children(&self) -> Children<'_> {
        children![self; channel, spatial]
    }
}

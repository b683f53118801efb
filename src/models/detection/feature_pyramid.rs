//! Feature pyramids (Lin et al., "Feature Pyramid Networks for Object Detection", 2016). The names of the parameters are
//! torchvision's.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::models::initial;
use crate::nn::blocks::{ConvNormActivation, ConvNormActivationOptions, NormLayer};
use crate::nn::init::{self, FanMode, Nonlinearity};
use crate::nn::{Children, Conv2d, Module, Scope, children};
use crate::ops::{Conv2dOptions, InterpolateMode, InterpolateOptions, MaxPool2dOptions};
use crate::options::options;

/// Levels in addition to those that a pyramid makes of its inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtraBlocks {
    /// None.
    #[default]
    None,
    /// Every second element of the last level, torchvision's `LastLevelMaxPool`.
    LastLevelMaxPool,
    /// Two convolutions of stride 2, `p6` and `p7`, torchvision's `LastLevelP6P7` (Lin et al., "Focal Loss for Dense Object
    /// Detection", 2017): from the last level if `in_channels` equals the pyramid's channels, otherwise from the last input.
    LastLevelP6P7 {
        /// Channels of their input.
        in_channels: usize,
    },
}

options! {
    /// Options of a [`FeaturePyramid`]; the defaults are torchvision's.
    #[derive(Clone, Copy, Debug, PartialEq)]
    FeaturePyramidOptions {
        /// Channels of all levels.
        out_channels: usize = 256,
        /// Levels on top.
        extra_blocks: ExtraBlocks = ExtraBlocks::None,
        /// The normalization after each convolution, which then has no bias, or none.
        norm: Option<NormLayer> = None,
    }
}

/// Maps of several resolutions that all contain the information of the coarsest one, torchvision's `FeaturePyramidNetwork`:
/// `[N, C_i, H_i, W_i]` of each level become `[N, out_channels, H_i, W_i]`.
///
/// From the coarsest level to the finest, `inner_i = inner_blocks.i(x_i) + nearest(inner_(i + 1))` with convolutions of 1 x 1,
/// and `output_i = layer_blocks.i(inner_i)` with convolutions of 3 x 3.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::Scope};
/// use wgrad::models::detection::{ExtraBlocks, FeaturePyramid, FeaturePyramidOptions};
/// # let device = Device::reference();
/// let options = FeaturePyramidOptions::default().out_channels(4).extra_blocks(ExtraBlocks::LastLevelMaxPool);
/// let pyramid = FeaturePyramid::new(&Scope::new(&device).at("fpn"), &[8, 16], &options)?;
/// let levels = [Tensor::zeros(&device, &[1, 8, 6, 6])?, Tensor::zeros(&device, &[1, 16, 3, 3])?];
/// let outputs = pyramid.levels(&levels)?;
/// let sizes: Vec<usize> = outputs.iter().map(|output| output.shape()[2]).collect();
/// assert_eq!(sizes, [6, 3, 2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct FeaturePyramid {
    inner_blocks: Vec<ConvNormActivation>,
    layer_blocks: Vec<ConvNormActivation>,
    extra_blocks: Option<LastLevelP6P7>,
    has_pool: bool,
}

impl FeaturePyramid {
    /// A pyramid over inputs of these channels, the finest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] without inputs; those of [`Conv2d::new`].
    pub fn new(scope: &Scope, in_channels: &[usize], options: &FeaturePyramidOptions) -> Result<FeaturePyramid> {
        let FeaturePyramidOptions { out_channels, extra_blocks, norm } = *options;
        let Some(&last) = in_channels.last() else {
            return Err(Error::invalid("FeaturePyramid", "a pyramid needs the channels of one input or more"));
        };
        let plain = ConvNormActivationOptions::default().norm(norm).activation(None);
        let blocks = |name: &str, kernel_size: usize| {
            let of_level = |(level, &inputs): (usize, &usize)| {
                let inputs = if kernel_size == 1 { inputs } else { out_channels };
                ConvNormActivation::new(
                    &scope.at(name).at(level),
                    inputs,
                    out_channels,
                    &plain.kernel_size(kernel_size),
                )
            };
            in_channels.iter().enumerate().map(of_level).collect::<Result<Vec<_>>>()
        };
        let extra = match extra_blocks {
            ExtraBlocks::LastLevelP6P7 { in_channels } if in_channels != out_channels && in_channels != last => {
                let rule = format!(
                    "p6 takes {in_channels} channels; the last level has {out_channels}, and the last input {last}"
                );
                return Err(Error::invalid("FeaturePyramid", rule));
            }
            ExtraBlocks::LastLevelP6P7 { in_channels } => {
                Some(LastLevelP6P7::new(&scope.at("extra_blocks"), in_channels, out_channels)?)
            }
            _ => None,
        };
        let pyramid = FeaturePyramid {
            inner_blocks: blocks("inner_blocks", 1)?,
            layer_blocks: blocks("layer_blocks", 3)?,
            extra_blocks: extra,
            has_pool: extra_blocks == ExtraBlocks::LastLevelMaxPool,
        };
        initial::draw(&pyramid, kaiming_uniform, initial::kept)?;
        Ok(pyramid)
    }

    /// The levels, the finest first, and those on top of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not as many inputs as the pyramid was made for; those of its layers.
    #[track_caller]
    pub fn levels(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        if inputs.len() != self.inner_blocks.len() {
            let rule = format!("the pyramid has {} levels; got {} inputs", self.inner_blocks.len(), inputs.len());
            return Err(Error::invalid("FeaturePyramid", rule));
        }
        let mut outputs = Vec::with_capacity(inputs.len() + 2);
        let mut above: Option<Tensor> = None;
        for ((input, inner), layer) in inputs.iter().zip(&self.inner_blocks).zip(&self.layer_blocks).rev() {
            let mut x = inner.forward(input)?;
            if let Some(above) = above {
                let size = x.shape()[2..].to_vec();
                let options = InterpolateOptions::default().size(size).mode(InterpolateMode::Nearest);
                x = x.add(&above.interpolate(&options)?)?;
            }
            outputs.push(layer.forward(&x)?);
            above = Some(x);
        }
        outputs.reverse();
        if let (Some(extra), Some(input), Some(output)) = (&self.extra_blocks, inputs.last(), outputs.last()) {
            outputs.extend(extra.levels(input, output)?);
        } else if let (true, Some(output)) = (self.has_pool, outputs.last()) {
            outputs.push(output.max_pool2d(1, &MaxPool2dOptions::default().stride(2))?);
        }
        Ok(outputs)
    }
}

impl Module for FeaturePyramid {
    /// [`Error::Invalid`]: a pyramid takes a tensor for each level.
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid("FeaturePyramid", "a pyramid takes a tensor for each level; call `levels`"))
    }
    fn children(&self) -> Children<'_> {
        children![self; inner_blocks, layer_blocks, extra_blocks]
    }
}

/// The two levels on top of RetinaNet's pyramid.
struct LastLevelP6P7 {
    p6: Conv2d,
    p7: Conv2d,
    takes_last_level: bool,
}

impl LastLevelP6P7 {
    fn new(scope: &Scope, in_channels: usize, out_channels: usize) -> Result<LastLevelP6P7> {
        let options = Conv2dOptions::default().stride(2).padding(1);
        Ok(LastLevelP6P7 {
            p6: Conv2d::new(&scope.at("p6"), in_channels, out_channels, 3, &options)?,
            p7: Conv2d::new(&scope.at("p7"), out_channels, out_channels, 3, &options)?,
            takes_last_level: in_channels == out_channels,
        })
    }

    fn levels(&self, input: &Tensor, output: &Tensor) -> Result<[Tensor; 2]> {
        let p6 = self.p6.forward(if self.takes_last_level { output } else { input })?;
        let p7 = self.p7.forward(&p6.relu()?)?;
        Ok([p6, p7])
    }
}

impl Module for LastLevelP6P7 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.p7.forward(&self.p6.forward(input)?.relu()?)
    }
    fn children(&self) -> Children<'_> {
        children![self; p6, p7]
    }
}

/// Uniform numbers that keep the deviation of values.
fn kaiming_uniform(weight: &Parameter) -> Result<()> {
    init::kaiming_uniform(weight, FanMode::FanIn, Nonlinearity::LeakyRelu(1.0))
}

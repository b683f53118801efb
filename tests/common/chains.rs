//! Networks of any depth: chains of equal blocks, counted and measured against depth.

use wgrad::nn::{self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Flatten, Linear, Module, Scope};
use wgrad::{Conv2dOptions, Result, Tensor};

/// Channels between blocks.
const CHANNELS: usize = 16;

/// Channels that a block of a dense chain adds, and the number of blocks until a convolution merges them again.
const GROWTH: usize = 4;
const DENSE: usize = 4;

/// The connections between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `relu(bn(conv(y)))`.
    Plain,
    /// `relu(bn(conv(y))) + y`.
    Residual,
    /// `conv(relu(bn(y))) + y`.
    PreActivation,
    /// `y` and `relu(bn(conv(y)))` concatenated.
    Dense,
    /// The second half of the blocks also reads the results of the first half, the last one first.
    U,
}

pub const SHAPES: [Shape; 5] = [Shape::Plain, Shape::Residual, Shape::PreActivation, Shape::Dense, Shape::U];

impl Shape {
    pub fn name(self) -> &'static str {
        match self {
            Shape::Plain => "plain",
            Shape::Residual => "residual",
            Shape::PreActivation => "pre-activation",
            Shape::Dense => "dense",
            Shape::U => "U-shaped",
        }
    }
}

struct Block {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl Module for Block {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x)?)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, norm]
    }
}

/// A chain of blocks on images with 16 channels, and a linear layer behind it.
pub struct Chain {
    shape: Shape,
    blocks: Vec<Block>,
    head: Linear,
}

impl Chain {
    /// `size` is the side of the images.
    pub fn new(scope: &Scope, shape: Shape, depth: usize, size: usize) -> Result<Chain> {
        let options = Conv2dOptions::default().padding(1);
        let block = |at: usize| {
            let (from, to) = match shape {
                Shape::Dense if at % DENSE + 1 < DENSE => (CHANNELS + GROWTH * (at % DENSE), GROWTH),
                Shape::Dense => (CHANNELS + GROWTH * (at % DENSE), CHANNELS),
                Shape::U if at >= depth.div_ceil(2) => (2 * CHANNELS, CHANNELS),
                _ => (CHANNELS, CHANNELS),
            };
            let scope = scope.at("blocks").at(at);
            let normed = if shape == Shape::PreActivation { from } else { to };
            Ok(Block {
                conv: Conv2d::without_bias(&scope.at("conv"), from, to, [3, 3], &options)?,
                norm: BatchNorm2d::new(&scope.at("norm"), normed, &BatchNormLayerOptions::default())?,
            })
        };
        let blocks = (0..depth).map(block).collect::<Result<_>>()?;
        Ok(Chain { shape, blocks, head: Linear::new(&scope.at("head"), CHANNELS * size * size, 10)? })
    }
}

impl Chain {
    /// The result, if the recording is flushed after every `part` blocks.
    pub fn forward_in_parts(&self, x: &Tensor, part: usize) -> Result<Tensor> {
        let mut y = x.clone();
        let mut skipped = Vec::new();
        for (at, block) in self.blocks.iter().enumerate() {
            let activated = |y: &Tensor| block.forward(y);
            y = match self.shape {
                Shape::Plain => activated(&y)?,
                Shape::Residual => activated(&y)?.add(&y)?,
                Shape::PreActivation => block.conv.forward(&block.norm.forward(&y)?.relu()?)?.add(&y)?,
                Shape::Dense if at % DENSE + 1 < DENSE => Tensor::cat(&[&y, &activated(&y)?], 1)?,
                Shape::Dense => activated(&y)?,
                Shape::U if at < self.blocks.len() / 2 => {
                    let result = activated(&y)?;
                    skipped.push(result.clone());
                    result
                }
                Shape::U if at < self.blocks.len().div_ceil(2) => activated(&y)?,
                Shape::U => match skipped.pop() {
                    Some(skip) => activated(&Tensor::cat(&[&y, &skip], 1)?)?,
                    None => y,
                },
            };
            if at % part == part - 1 {
                y.device().flush()?;
            }
        }
        self.head.forward(&Flatten.forward(&y)?)
    }
}

impl Module for Chain {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_in_parts(x, usize::MAX)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; blocks, head]
    }
}

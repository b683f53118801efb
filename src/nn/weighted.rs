//! Layers that can be factored into two.

use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::instead::Instead;
use crate::nn::{Conv2d, Linear, Scope, Sequential};
use crate::ops::{Conv2dOptions, Padding};
use serde::{Deserialize, Serialize};

/// A layer with a weight, as a [`Module`](crate::nn::Module) shows it.
#[derive(Clone, Copy)]
pub enum Weighted<'a> {
    /// A fully connected layer.
    Linear(&'a Linear),
    /// A convolution over images.
    Conv2d(&'a Conv2d),
}

/// The two layers that replace one, with `rank` channels between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Factors {
    /// Two linear layers.
    Linear { rank: usize },
    /// A convolution along the height, and one along the width.
    Spatial { rank: usize },
    /// A convolution, and one of 1 x 1.
    Channel { rank: usize },
}

impl Weighted<'_> {
    /// The weight.
    pub fn weight(&self) -> &Parameter {
        match self {
            Weighted::Linear(layer) => &layer.weight,
            Weighted::Conv2d(layer) => &layer.weight,
        }
    }

    fn bias(&self) -> Option<&Parameter> {
        match self {
            Weighted::Linear(layer) => layer.bias.as_ref(),
            Weighted::Conv2d(layer) => layer.bias.as_ref(),
        }
    }

    fn instead(&self) -> &Instead {
        match self {
            Weighted::Linear(layer) => &layer.instead,
            Weighted::Conv2d(layer) => &layer.instead,
        }
    }

    /// The factors into which the layer was split, if it was.
    pub(crate) fn factors(&self) -> Option<Factors> {
        self.instead().factors()
    }

    /// Replaces the layer by two with these weights. Their parameters are named after it, `NAME.0.weight` and `NAME.1.weight`;
    /// the bias goes to the second, and keeps its name.
    pub(crate) fn replace(&self, factors: Factors, first: &Tensor, second: &Tensor) -> Result<()> {
        let name = self.weight().name();
        let name = name.strip_suffix("weight").unwrap_or(name).trim_end_matches('.');
        let scope = Scope::new(first.device());
        let scope = if name.is_empty() { scope } else { scope.at(name) };
        let [first, second] = [first, second].map(|weight| weight.detach());
        let (first, second) = (scope.at(0).parameter("weight", &first), scope.at(1).parameter("weight", &second));
        // A file may hold smaller ones: channels can be cut before and after.
        first.set_resized();
        second.set_resized();
        let bias = self.bias().cloned();
        let layers = Sequential::new(&scope);
        let module = match self {
            Weighted::Linear(_) => layers.push(Linear::of(first, None)).push(Linear::of(second, bias)),
            Weighted::Conv2d(layer) => {
                let [of_first, of_second] = options(&layer.options, factors);
                layers.push(Conv2d::of(first, None, of_first)).push(Conv2d::of(second, bias, of_second))
            }
        };
        self.instead().set(factors, Box::new(module));
        self.weight().retire()
    }

    /// Splits the layer as a file says, with zeros for weights.
    pub(crate) fn replace_with_zeros(&self, factors: Factors) -> Result<()> {
        let (shape, dtype, device) = self.weight().holds();
        let [outputs, inputs] = [shape[0], shape[1]];
        let [first, second] = match (factors, &shape[2..]) {
            (Factors::Spatial { rank }, &[height, width]) => {
                [vec![rank, inputs, height, 1], vec![outputs, rank, 1, width]]
            }
            (Factors::Channel { rank }, kernel) => {
                [[&[rank, inputs], kernel].concat(), [&[outputs, rank][..], &vec![1; kernel.len()]].concat()]
            }
            (Factors::Linear { rank } | Factors::Spatial { rank }, _) => [vec![rank, inputs], vec![outputs, rank]],
        };
        let zeros = |shape: &[usize]| Tensor::zeros(&device, shape)?.to_dtype(dtype);
        self.replace(factors, &zeros(&first)?, &zeros(&second)?)
    }
}

/// The options of the two convolutions that replace one.
fn options(options: &Conv2dOptions, factors: Factors) -> [Conv2dOptions; 2] {
    let Factors::Spatial { .. } = factors else { return [*options, Conv2dOptions::default()] };
    let along = |dim: usize| {
        let only = |sizes: [usize; 2], other: usize| {
            let mut only = [other; 2];
            only[dim] = sizes[dim];
            only
        };
        let padding = match options.padding {
            Padding::Explicit(sizes) => Padding::Explicit(only(sizes, 0)),
            word => word,
        };
        Conv2dOptions { stride: only(options.stride, 1), padding, dilation: only(options.dilation, 1), groups: 1 }
    };
    [along(0), along(1)]
}

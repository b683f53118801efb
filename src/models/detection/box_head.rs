//! The head of a two-stage detector that classifies regions and moves their boxes.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::models::initial;
use crate::nn::blocks::{ConvNormActivation, ConvNormActivationOptions, NormLayer};
use crate::nn::{Children, Linear, Module, Scope, children};
use crate::options::options;

options! {
    /// Options of the layers between a pooled region and its predictions.
    #[derive(Clone, Debug, PartialEq)]
    BoxHeadOptions {
        /// Channels of convolutions of 3 x 3; with any, the head is torchvision's `FastRCNNConvFCHead`, else its `TwoMLPHead`.
        conv_layers: Vec<usize> = Vec::new(),
        /// Outputs of the linear layers.
        fc_layers: Vec<usize> = vec![1024, 1024],
        /// The normalization after each convolution, or none.
        norm: Option<NormLayer> = None,
    }
}

/// Convolutions and linear layers, each with a rectifier.
pub(super) struct BoxHead {
    convolutions: Vec<ConvNormActivation>,
    linears: Vec<Linear>,
    /// The names of the linear layers.
    names: Vec<String>,
}

impl BoxHead {
    pub fn new(scope: &Scope, channels: usize, size: [usize; 2], options: &BoxHeadOptions) -> Result<BoxHead> {
        let BoxHeadOptions { conv_layers, fc_layers, norm } = options;
        let mut head = BoxHead { convolutions: Vec::new(), linears: Vec::new(), names: Vec::new() };
        let block = ConvNormActivationOptions::default().norm(*norm);
        let mut width = channels;
        for (number, &outputs) in conv_layers.iter().enumerate() {
            head.convolutions.push(ConvNormActivation::new(&scope.at(number), width, outputs, &block)?);
            width = outputs;
        }
        initial::draw(&head, initial::kaiming_fan_out, initial::kept)?;
        width *= size[0] * size[1];
        for (number, &outputs) in fc_layers.iter().enumerate() {
            // Behind the convolutions torchvision counts one layer that flattens, and the rectifiers.
            let name = match conv_layers.len() {
                0 => format!("fc{}", 6 + number),
                convolutions => (convolutions + 1 + 2 * number).to_string(),
            };
            head.linears.push(Linear::new(&scope.at(&name), width, outputs)?);
            head.names.push(name);
            width = outputs;
        }
        Ok(head)
    }

    /// Features `[K, F]` of regions `[K, C, h, w]`, of which only those count in statistics that `counts` names.
    pub fn features(&self, regions: &Tensor, counts: &Tensor) -> Result<Tensor> {
        let convolve = |x: Tensor, layer: &ConvNormActivation| layer.forward_rows(&x, counts);
        let x = self.convolutions.iter().try_fold(regions.clone(), convolve)?.flatten(1, -1)?;
        self.linears.iter().try_fold(x, |x, layer| layer.forward(&x)?.relu())
    }
}

impl Module for BoxHead {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.convolutions.iter().try_fold(input.clone(), |x, layer| layer.forward(&x))?.flatten(1, -1)?;
        self.linears.iter().try_fold(x, |x, layer| layer.forward(&x)?.relu())
    }
    fn children(&self) -> Children<'_> {
        let convolutions = self.convolutions.iter().enumerate();
        let convolutions = convolutions.map(|(number, layer)| (number.to_string(), layer as &dyn Module));
        let linears = self.names.iter().zip(&self.linears).map(|(name, layer)| (name.clone(), layer as &dyn Module));
        convolutions.chain(linears).collect()
    }
}

/// Logits of the classes and offsets of the box for each of them, torchvision's `FastRCNNPredictor`.
pub(super) struct BoxPredictor {
    cls_score: Linear,
    bbox_pred: Linear,
}

impl BoxPredictor {
    pub fn new(scope: &Scope, features: usize, classes: usize) -> Result<BoxPredictor> {
        Ok(BoxPredictor {
            cls_score: Linear::new(&scope.at("cls_score"), features, classes)?,
            bbox_pred: Linear::new(&scope.at("bbox_pred"), features, 4 * classes)?,
        })
    }

    /// `[K, classes]` and `[K, classes, 4]`, in f32 under autocast too.
    pub fn predict(&self, features: &Tensor) -> Result<(Tensor, Tensor)> {
        let offsets = self.bbox_pred.forward(features)?.unflatten(1, &[-1, 4])?;
        Ok((self.cls_score.forward(features)?.to_dtype(DType::F32)?, offsets.to_dtype(DType::F32)?))
    }
}

impl Module for BoxPredictor {
    /// The logits.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.cls_score.forward(input)
    }
    fn children(&self) -> Children<'_> {
        children![self; cls_score, bbox_pred]
    }
}

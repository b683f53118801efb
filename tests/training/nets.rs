//! Small networks that several tests train and factor.

use crate::common::from_names::fill;
use wgrad::nn::{self, Conv2d, Linear, Module, Scope};
use wgrad::{Conv2dOptions, Device, Result, Tensor};

/// Two convolutions and a linear layer with hyperbolic tangents between them, whose weights follow from their names.
pub struct TwoConvolutions {
    pub conv1: Conv2d,
    pub conv2: Conv2d,
    pub fc: Linear,
}

impl TwoConvolutions {
    /// A network of images `[N, 2, 7, 6]` and four classes.
    pub fn new(device: &Device) -> TwoConvolutions {
        let plain = Conv2dOptions::default();
        TwoConvolutions::with(device, [(5, plain.padding(1)), (6, plain.stride(2))], 36)
    }

    /// A network of images of two channels and four classes: the channels and windows of both convolutions, and the inputs of the
    /// linear layer.
    pub fn with(device: &Device, [first, second]: [(usize, Conv2dOptions); 2], features: usize) -> TwoConvolutions {
        let s = Scope::new(device);
        let net = TwoConvolutions {
            conv1: Conv2d::new(&s.at("conv1"), 2, first.0, 3, &first.1).unwrap(),
            conv2: Conv2d::new(&s.at("conv2"), first.0, second.0, 3, &second.1).unwrap(),
            fc: Linear::new(&s.at("fc"), features, 4).unwrap(),
        };
        fill(&net, device);
        net
    }
}

impl Module for TwoConvolutions {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv2.forward(&self.conv1.forward(x)?.tanh()?)?.tanh()?;
        self.fc.forward(&x.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, conv2, fc]
    }
}

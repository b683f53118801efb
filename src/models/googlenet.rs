//! GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", 2014), with batch normalization. The names of the parameters
//! are torchvision's.

use super::basic_conv::{BasicConv2d, transform_input};
use super::{Backbone, initial};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{self, Branches, Dropout, Linear, MaxPool2d, Module, Scope, Sequential};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of a [`GoogLeNet`]; the defaults are those of torchvision's `googlenet`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    GoogLeNetOptions {
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Has the two auxiliary heads, which bring gradients to the lower layers.
        aux_logits: bool = true,
        /// Takes images normalized by ImageNet's statistics, and gives them the mean and the deviation 0.5 that torchvision's
        /// weights were trained with.
        transform_input: bool = false,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.2,
        /// The same in the auxiliary heads.
        dropout_aux: f64 = 0.7,
    }
}

impl GoogLeNetOptions {
    /// torchvision's `googlenet`.
    pub fn googlenet() -> GoogLeNetOptions {
        GoogLeNetOptions::default()
    }
}

/// GoogLeNet: `[N, channels, H, W] -> [N, classes]` logits, from 16 x 16 on; 13,004,888 parameters for 1,000 classes with its
/// auxiliary heads, 6,624,904 without.
///
/// An Inception module has four branches, whose channels are concatenated: 1 x 1; 1 x 1 and 3 x 3; 1 x 1 and 3 x 3 (where the
/// paper has 5 x 5; torchvision's weights are for 3 x 3); pooling and 1 x 1.
pub struct GoogLeNet {
    transform_input: bool,
    conv1: BasicConv2d,
    conv2: BasicConv2d,
    conv3: BasicConv2d,
    inception3a: Branches,
    inception3b: Branches,
    inception4a: Branches,
    inception4b: Branches,
    inception4c: Branches,
    inception4d: Branches,
    inception4e: Branches,
    inception5a: Branches,
    inception5b: Branches,
    aux1: Option<AuxiliaryHead>,
    aux2: Option<AuxiliaryHead>,
    dropout: Dropout,
    fc: Linear,
}

/// Logits of a [`GoogLeNet`] and of its auxiliary heads. The paper adds the loss of each auxiliary head with a weight of
/// 0.3.
#[derive(Clone, Debug)]
pub struct GoogLeNetOutputs {
    /// `[N, classes]`.
    pub logits: Tensor,
    /// Logits of the head behind `inception4d`, `[N, classes]`.
    pub aux2: Option<Tensor>,
    /// Logits of the head behind `inception4a`, `[N, classes]`.
    pub aux1: Option<Tensor>,
}

impl GoogLeNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`](crate::nn::Conv2d::new).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{GoogLeNet, GoogLeNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = GoogLeNetOptions::default().classes(10).aux_logits(false);
    /// let net = GoogLeNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &GoogLeNetOptions) -> Result<GoogLeNet> {
        let GoogLeNetOptions { classes, channels, aux_logits, transform_input, dropout, dropout_aux } = *options;
        let inception = |name: &str, inputs, outputs| inception(&scope.at(name), inputs, outputs);
        let auxiliary = |name: &str, inputs| {
            aux_logits.then(|| AuxiliaryHead::new(&scope.at(name), inputs, classes, dropout_aux)).transpose()
        };
        let strided = Conv2dOptions::default().stride(2).padding(3);
        let net = GoogLeNet {
            transform_input,
            conv1: BasicConv2d::new(&scope.at("conv1"), channels, 64, 7, &strided)?,
            conv2: BasicConv2d::same(&scope.at("conv2"), 64, 64, 1)?,
            conv3: BasicConv2d::same(&scope.at("conv3"), 64, 192, 3)?,
            inception3a: inception("inception3a", 192, [64, 96, 128, 16, 32, 32])?,
            inception3b: inception("inception3b", 256, [128, 128, 192, 32, 96, 64])?,
            inception4a: inception("inception4a", 480, [192, 96, 208, 16, 48, 64])?,
            inception4b: inception("inception4b", 512, [160, 112, 224, 24, 64, 64])?,
            inception4c: inception("inception4c", 512, [128, 128, 256, 24, 64, 64])?,
            inception4d: inception("inception4d", 512, [112, 144, 288, 32, 64, 64])?,
            inception4e: inception("inception4e", 528, [256, 160, 320, 32, 128, 128])?,
            inception5a: inception("inception5a", 832, [256, 160, 320, 32, 128, 128])?,
            inception5b: inception("inception5b", 832, [384, 192, 384, 48, 128, 128])?,
            aux1: auxiliary("aux1", 512)?,
            aux2: auxiliary("aux2", 528)?,
            dropout: Dropout::new(dropout),
            fc: Linear::new(&scope.at("fc"), 1024, classes)?,
        };
        initial::draw_weights(&net, initial::trunc_normal(0.01), initial::trunc_normal(0.01))?;
        Ok(net)
    }

    /// The logits and those of the auxiliary heads, where there are some.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn outputs(&self, input: &Tensor) -> Result<GoogLeNetOutputs> {
        let (features, [at4a, at4d]) = self.run(input)?;
        let of = |head: &Option<AuxiliaryHead>, at: &Tensor| head.as_ref().map(|head| head.forward(at)).transpose();
        Ok(GoogLeNetOutputs {
            logits: self.head(&features)?,
            aux2: of(&self.aux2, &at4d)?,
            aux1: of(&self.aux1, &at4a)?,
        })
    }

    /// The last features, and those the auxiliary heads read.
    fn run(&self, input: &Tensor) -> Result<(Tensor, [Tensor; 2])> {
        let pool = |size: usize, x: &Tensor| x.max_pool2d(size, &MaxPool2dOptions::default().stride(2).ceil_mode(true));
        let input = if self.transform_input { transform_input(input)? } else { input.clone() };
        let x = pool(3, &self.conv1.forward(&input)?)?;
        let x = pool(3, &self.conv3.forward(&self.conv2.forward(&x)?)?)?;
        let x = pool(3, &self.inception3b.forward(&self.inception3a.forward(&x)?)?)?;
        let at4a = self.inception4a.forward(&x)?;
        let x = self.inception4c.forward(&self.inception4b.forward(&at4a)?)?;
        let at4d = self.inception4d.forward(&x)?;
        let x = pool(2, &self.inception4e.forward(&at4d)?)?;
        Ok((self.inception5b.forward(&self.inception5a.forward(&x)?)?, [at4a, at4d]))
    }

    fn head(&self, features: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.dropout.forward(&features.global_avg_pool()?.flatten(1, -1)?)?)
    }
}

impl Backbone for GoogLeNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.run(input)?.0)
    }
}

/// The logits alone; [`GoogLeNet::outputs`] runs the auxiliary heads, too.
impl Module for GoogLeNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.head(&self.features(input)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![
            self; conv1, conv2, conv3, inception3a, inception3b, inception4a, inception4b, inception4c, inception4d,
            inception4e, inception5a, inception5b, aux1, aux2, dropout, fc
        ]
    }
    fn auxiliary_outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        let GoogLeNetOutputs { aux1, aux2, .. } = self.outputs(input)?;
        Ok([aux1, aux2].into_iter().flatten().collect())
    }
}

/// An Inception module, from the numbers in the paper's table.
fn inception(scope: &Scope, inputs: usize, outputs: [usize; 6]) -> Result<Branches> {
    let [one, three_reduced, three, five_reduced, five, pooled] = outputs;
    let reduced = |s: &Scope, narrow: usize, wide: usize| {
        Sequential::new(s)
            .make(|s| BasicConv2d::same(s, inputs, narrow, 1))?
            .make(|s| BasicConv2d::same(s, narrow, wide, 3))
    };
    let options = MaxPool2dOptions::default().stride(1).padding(1).ceil_mode(true);
    Branches::new(scope)
        .make_named("branch1", |s| BasicConv2d::same(s, inputs, one, 1))?
        .make_named("branch2", |s| reduced(s, three_reduced, three))?
        .make_named("branch3", |s| reduced(s, five_reduced, five))?
        .make_named("branch4", |s| {
            Sequential::new(s)
                .push(MaxPool2d { kernel_size: [3; 2], options })
                .make(|s| BasicConv2d::same(s, inputs, pooled, 1))
        })
}

/// A classifier on features in the middle of the network.
struct AuxiliaryHead {
    conv: BasicConv2d,
    fc1: Linear,
    fc2: Linear,
    dropout: Dropout,
}

impl AuxiliaryHead {
    fn new(scope: &Scope, inputs: usize, classes: usize, dropout: f64) -> Result<AuxiliaryHead> {
        Ok(AuxiliaryHead {
            conv: BasicConv2d::same(&scope.at("conv"), inputs, 128, 1)?,
            fc1: Linear::new(&scope.at("fc1"), 2048, 1024)?,
            fc2: Linear::new(&scope.at("fc2"), 1024, classes)?,
            dropout: Dropout::new(dropout),
        })
    }
}

impl Module for AuxiliaryHead {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(&input.adaptive_avg_pool2d(4)?)?.flatten(1, -1)?;
        self.fc2.forward(&self.dropout.forward(&self.fc1.forward(&x)?.relu()?)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, fc1, fc2, dropout]
    }
}

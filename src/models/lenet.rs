//! LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", 1998), with today's ReLU
//! and max pooling.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::ModelOptions;
use crate::nn::{self, Conv2d, Linear, Module, Scope};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};

/// LeNet-5 for images of 28 x 28: `[N, 1, 28, 28] -> [N, 10]` logits, 61,706 parameters.
///
/// | layer | output |
/// |---|---|
/// | `conv1` 5 x 5, padding 2; ReLU; max pooling 2 x 2 | `[N, 6, 14, 14]` |
/// | `conv2` 5 x 5; ReLU; max pooling 2 x 2 | `[N, 16, 5, 5]` |
/// | `fc1`; ReLU | `[N, 120]` |
/// | `fc2`; ReLU | `[N, 84]` |
/// | `fc3` | `[N, 10]` |
#[derive(Clone, Debug)]
pub struct LeNet5 {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet5 {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::LeNet5, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = LeNet5::new(&Scope::new(&device))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 1, 28, 28])?)?.shape()[..], [2, 10]);
    /// assert_eq!(net.parameters().iter().map(|p| p.value().numel()).sum::<usize>(), 61_706);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope) -> Result<LeNet5> {
        LeNet5::with_options(scope, &ModelOptions::default().classes(10).channels(1).size(28))
    }

    /// The network for other images or classes; `fc1` is as wide as the remaining map needs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images of fewer than 12 pixels a side, of which nothing would be left; errors of the device.
    pub fn with_options(scope: &Scope, options: &ModelOptions) -> Result<LeNet5> {
        let ModelOptions { classes, channels, size, .. } = *options;
        let [height, width] = size;
        if height.min(width) < 12 {
            let rule = format!("images of {height} x {width} are too small: 12 x 12 leave one pixel to fc1");
            return Err(Error::invalid("LeNet5", rule));
        }
        let left = size.map(|size| (size / 2 - 4) / 2);
        let padded = Conv2dOptions::default().padding(2);
        Ok(LeNet5 {
            conv1: Conv2d::new(&scope.at("conv1"), channels, 6, 5, &padded)?,
            conv2: Conv2d::new(&scope.at("conv2"), 6, 16, 5, &Conv2dOptions::default())?,
            fc1: Linear::new(&scope.at("fc1"), 16 * left[0] * left[1], 120)?,
            fc2: Linear::new(&scope.at("fc2"), 120, 84)?,
            fc3: Linear::new(&scope.at("fc3"), 84, classes)?,
        })
    }
}

impl Module for LeNet5 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let pool = MaxPool2dOptions::default();
        let x = self.conv1.forward(input)?.relu()?.max_pool2d(2, &pool)?;
        let x = self.conv2.forward(&x)?.relu()?.max_pool2d(2, &pool)?.flatten(1, -1)?;
        let x = self.fc1.forward(&x)?.relu()?;
        let x = self.fc2.forward(&x)?.relu()?;
        self.fc3.forward(&x)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, conv2, fc1, fc2, fc3]
    }
}

//! A plain convolutional network for CIFAR-10, small enough for any machine and large enough that its convolutions
//! decide its speed.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::ModelOptions;
use crate::nn::{self, Conv2d, Linear, Module, Scope};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};

/// Four convolutions and two fully connected layers, for images of 32 x 32: `[N, 3, 32, 32] -> [N, 10]` logits,
/// 2,168,362 parameters.
///
/// | layer | output |
/// |---|---|
/// | `conv1`, `conv2`, each 3 x 3, padding 1, ReLU; max pooling 2 x 2 | `[N, 32, 16, 16]` |
/// | `conv3`, `conv4`, each 3 x 3, padding 1, ReLU; max pooling 2 x 2 | `[N, 64, 8, 8]` |
/// | `fc1`; ReLU | `[N, 512]` |
/// | `fc2` | `[N, 10]` |
#[derive(Clone, Debug)]
pub struct CifarCnn {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    conv4: Conv2d,
    fc1: Linear,
    fc2: Linear,
}

impl CifarCnn {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::CifarCnn, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = CifarCnn::new(&Scope::new(&device))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 32, 32])?)?.shape()[..], [1, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope) -> Result<CifarCnn> {
        CifarCnn::with_options(scope, &ModelOptions::default().classes(10).size(32))
    }

    /// The network for other images or classes; `fc1` is as wide as the remaining map needs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images of fewer than 4 pixels a side, of which nothing would be left; errors of the device.
    pub fn with_options(scope: &Scope, options: &ModelOptions) -> Result<CifarCnn> {
        let ModelOptions { classes, channels, size: [height, width], .. } = *options;
        if height.min(width) < 4 {
            let rule = format!("images of {height} x {width} are too small: 4 x 4 leave one pixel to fc1");
            return Err(Error::invalid("CifarCnn", rule));
        }
        let padded = Conv2dOptions::default().padding(1);
        let conv = |name, inputs, outputs| Conv2d::new(&scope.at(name), inputs, outputs, 3, &padded);
        Ok(CifarCnn {
            conv1: conv("conv1", channels, 32)?,
            conv2: conv("conv2", 32, 32)?,
            conv3: conv("conv3", 32, 64)?,
            conv4: conv("conv4", 64, 64)?,
            fc1: Linear::new(&scope.at("fc1"), 64 * (height / 4) * (width / 4), 512)?,
            fc2: Linear::new(&scope.at("fc2"), 512, classes)?,
        })
    }
}

impl Module for CifarCnn {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let pool = MaxPool2dOptions::default();
        let x = self.conv1.forward(input)?.relu()?;
        let x = self.conv2.forward(&x)?.relu()?.max_pool2d(2, &pool)?;
        let x = self.conv3.forward(&x)?.relu()?;
        let x = self.conv4.forward(&x)?.relu()?.max_pool2d(2, &pool)?.flatten(1, -1)?;
        self.fc2.forward(&self.fc1.forward(&x)?.relu()?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, conv2, conv3, conv4, fc1, fc2]
    }
}

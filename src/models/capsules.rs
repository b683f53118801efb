//! Capsules with dynamic routing (Sabour, Frosst and Hinton, "Dynamic routing between capsules", 2017).

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{self, Conv2d, Linear, Module, Relu, Scope, Sequential, Sigmoid};
use crate::ops::{CapsuleMarginOptions, Conv2dOptions};
use crate::options::options;

/// The deviation of the first weights between capsules, the paper's authors'.
const WEIGHT_STD: f64 = 0.1;

options! {
    /// Options of a [`CapsNet`]. The default is the paper's network for MNIST.
    #[derive(Clone, Copy, Debug)]
    CapsNetOptions {
        /// Height and width of the images.
        image_size: [usize; 2] = [28, 28],
        /// Channels of the images.
        channels: usize = 1,
        /// Number of classes, each of which has a capsule.
        classes: usize = 10,
        /// Channels of the first convolution.
        conv_channels: usize = 256,
        /// Stride of the first convolution.
        conv_stride: usize = 1,
        /// Size of both convolutions' kernels.
        kernel_size: usize = 9,
        /// Primary capsules at each position.
        primary_capsules: usize = 32,
        /// Length of a primary capsule's vector.
        primary_dim: usize = 8,
        /// Length of a class's vector.
        class_dim: usize = 16,
        /// Number of times that the coupling is computed, at least 1.
        routing_iterations: usize = 3,
        /// Widths of the decoder's hidden layers.
        decoder_widths: [usize; 2] = [512, 1024],
        /// The margins of the loss of lengths.
        margin: CapsuleMarginOptions = CapsuleMarginOptions::default(),
        /// Weight of the reconstruction's squared error, a sum over an image's pixels.
        reconstruction_weight: f64 = 0.0005,
    }
}

/// A capsule network: the length of a class's vector, below 1, is the evidence that the class is present. Images
/// `[N, channels, H, W]` are between 0 and 1; [`forward`](Module::forward) returns the lengths `[N, classes]`.
///
/// | layer | output by default |
/// |---|---|
/// | `conv1` 9 x 9; ReLU | `[N, 256, 20, 20]` |
/// | `primary_capsules` 9 x 9, stride 2; [`squash`](Tensor::squash) | `[N, 1152, 8]` |
/// | `digit_capsules`: `u^[j\|i] = weight[i, j] u[i]`, routed | `[N, 10, 16]` |
/// | `decoder`: three linear layers over the vector of one class, ReLU, ReLU, sigmoid | `[N, 1, 28, 28]` |
///
/// Routing starts with logits `b[i, j] = 0`. In each iteration `c[i] = softmax(b[i])` over the classes,
/// `v[j] = squash(sum over i of c[i, j] u^[j|i])`, and `b[i, j]` grows by `u^[j|i] . v[j]`, except in the last. Gradients flow
/// through all iterations.
pub struct CapsNet {
    conv1: Conv2d,
    primary_capsules: Conv2d,
    digit_capsules: RoutedCapsules,
    decoder: Sequential,
    options: CapsNetOptions,
}

/// Capsules of the classes.
#[derive(Clone, Debug)]
pub struct CapsNetOutputs {
    /// A vector for each class, `[N, classes, class_dim]`.
    pub capsules: Tensor,
    /// Their lengths, `[N, classes]`.
    pub lengths: Tensor,
}

/// The losses of a batch, scalars.
#[derive(Clone, Debug)]
pub struct CapsNetLosses {
    /// The [margin loss](Tensor::capsule_margin_loss) of the lengths.
    pub margin: Tensor,
    /// The sum of an image's squared errors, in the mean over images, times its weight.
    pub reconstruction: Tensor,
}

impl CapsNetLosses {
    /// The sum of both.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn total(&self) -> Result<Tensor> {
        &self.margin + &self.reconstruction
    }
}

impl CapsNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the images are too small for both convolutions, a number is 0 that counts something, or the
    /// device meets an error.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{CapsNet, CapsNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = CapsNetOptions::default().image_size(12).kernel_size(3).conv_channels(4).primary_capsules(2);
    /// let net = CapsNet::new(&Scope::new(&device), &options.decoder_widths([8, 8]))?;
    /// let images = Tensor::rand(&device, &[2, 1, 12, 12])?;
    /// let labels = Tensor::from_slice(&device, &[3i32, 7], &[2])?;
    /// net.losses(&net.outputs(&images)?, &images, &labels)?.total()?.backward()?;
    /// assert_eq!(net.forward(&images)?.argmax(1)?.shape()[..], [2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &CapsNetOptions) -> Result<CapsNet> {
        let &CapsNetOptions { image_size, channels, classes, conv_channels, conv_stride, kernel_size, .. } = options;
        let &CapsNetOptions { primary_capsules, primary_dim, class_dim, routing_iterations, .. } = options;
        let after = |size: usize, stride: usize| Some(size.checked_sub(kernel_size)? / stride.max(1) + 1);
        let left = image_size.map(|size| after(size, conv_stride).and_then(|size| after(size, 2)));
        let [Some(height), Some(width)] = left else {
            let [height, width] = image_size;
            let rule = format!(
                "images of {height} x {width} are too small for two convolutions of {kernel_size} x {kernel_size}"
            );
            return Err(Error::invalid("CapsNet", rule));
        };
        if classes == 0 || class_dim == 0 || routing_iterations == 0 {
            let rule = format!(
                "{classes} classes of {class_dim} elements, {routing_iterations} routing iterations: none may be 0"
            );
            return Err(Error::invalid("CapsNet", rule));
        }
        let (first, second) = (Conv2dOptions::default().stride(conv_stride), Conv2dOptions::default().stride(2));
        let [narrow, wide] = options.decoder_widths;
        let product = |sizes: &[usize]| sizes.iter().fold(1, |product: usize, &size| product.saturating_mul(size));
        let pixels = product(&[channels, image_size[0], image_size[1]]);
        Ok(CapsNet {
            conv1: Conv2d::new(&scope.at("conv1"), channels, conv_channels, kernel_size, &first)?,
            primary_capsules: Conv2d::new(
                &scope.at("primary_capsules"),
                conv_channels,
                product(&[primary_capsules, primary_dim]),
                kernel_size,
                &second,
            )?,
            digit_capsules: RoutedCapsules::new(
                &scope.at("digit_capsules"),
                [product(&[primary_capsules, height, width]), primary_dim],
                [classes, class_dim],
                routing_iterations,
            )?,
            decoder: Sequential::new(&scope.at("decoder"))
                .make(|s| Linear::new(s, product(&[classes, class_dim]), narrow))?
                .push(Relu)
                .make(|s| Linear::new(s, narrow, wide))?
                .push(Relu)
                .make(|s| Linear::new(s, wide, pixels))?
                .push(Sigmoid),
            options: *options,
        })
    }

    /// The capsules of images `[N, channels, H, W]`.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn outputs(&self, images: &Tensor) -> Result<CapsNetOutputs> {
        let features = self.primary_capsules.forward(&self.conv1.forward(images)?.relu()?)?;
        let [groups, dim] = [self.options.primary_capsules, self.options.primary_dim].map(|size| size as isize);
        let vectors = features.unflatten(1, &[groups, dim])?.permute([0, 1, 3, 4, 2])?.flatten(1, 3)?.squash(-1)?;
        let capsules = self.digit_capsules.forward(&vectors)?;
        let lengths = capsules.norm(2.0, -1)?;
        Ok(CapsNetOutputs { capsules, lengths })
    }

    /// Images `[N, channels, H, W]` drawn from capsules, of which all but those of the i32 labels `[N]` are masked: the true
    /// classes in training, and otherwise the longest (`lengths.argmax(1)`).
    ///
    /// # Errors
    /// Those of [`Tensor::one_hot`] and of the layers.
    pub fn reconstruct(&self, capsules: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let CapsNetOptions { classes, channels, image_size: [height, width], .. } = self.options;
        let mask = labels.one_hot(Some(classes))?.to_dtype(capsules.dtype())?.unsqueeze(-1)?;
        let pixels = self.decoder.forward(&(capsules * mask)?.flatten(1, -1)?)?;
        pixels.unflatten(1, &[channels, height, width].map(|size| size as isize))
    }

    /// The losses of outputs for images between 0 and 1 and their i32 labels `[N]`.
    ///
    /// # Errors
    /// Those of [`Tensor::capsule_margin_loss`] and [`reconstruct`](CapsNet::reconstruct).
    pub fn losses(&self, outputs: &CapsNetOutputs, images: &Tensor, labels: &Tensor) -> Result<CapsNetLosses> {
        let margin = outputs.lengths.capsule_margin_loss(labels, &self.options.margin)?;
        let errors = (self.reconstruct(&outputs.capsules, labels)? - images)?.square()?.sum([1, 2, 3])?;
        Ok(CapsNetLosses { margin, reconstruction: (errors.mean_all()? * self.options.reconstruction_weight)? })
    }
}

impl Module for CapsNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.outputs(input)?.lengths)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, primary_capsules, digit_capsules, decoder]
    }
}

/// Capsules `[N, inputs, in dim]` routed to others, `[N, outputs, out dim]`.
struct RoutedCapsules {
    /// `[inputs, outputs, out dim, in dim]`.
    weight: Parameter,
    iterations: usize,
}

impl RoutedCapsules {
    fn new(
        scope: &Scope,
        [inputs, in_dim]: [usize; 2],
        [outputs, out_dim]: [usize; 2],
        iterations: usize,
    ) -> Result<RoutedCapsules> {
        let shape = [inputs, outputs, out_dim, in_dim];
        let weight = scope.parameter("weight", &Tensor::normal(scope.device(), &shape, 0.0, WEIGHT_STD)?);
        Ok(RoutedCapsules { weight, iterations })
    }
}

impl Module for RoutedCapsules {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let weight = self.weight.value();
        let sizes = &weight.shape()[1..3];
        // One product of matrices for each input capsule, [N, in dim] by [in dim, outputs out dim].
        let products = input.permute([1, 0, 2])?.matmul(&weight.flatten(1, 2)?.transpose(1, 2)?)?;
        let predictions = products.unflatten(2, &[sizes[0] as isize, sizes[1] as isize])?.permute([1, 0, 2, 3])?;
        let mut logits = Tensor::zeros(input.device(), &predictions.shape()[..3])?;
        for _ in 1..self.iterations {
            let output = routed(&predictions, &logits)?;
            logits = (&logits + (&predictions * output.unsqueeze(1)?)?.sum(-1)?)?;
        }
        routed(&predictions, &logits)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; weight]
    }
}

/// The output capsules for predictions `[N, inputs, outputs, out dim]` and logits `[N, inputs, outputs]` of their coupling.
fn routed(predictions: &Tensor, logits: &Tensor) -> Result<Tensor> {
    (predictions * logits.softmax(2)?.unsqueeze(-1)?)?.sum(1)?.squash(-1)
}

//! Siamese networks (Bromley et al., "Signature verification using a siamese time delay neural network", 1993; Hadsell, Chopra
//! and LeCun, "Dimensionality reduction by learning an invariant mapping", 2006).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Scope, Sequential};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

/// Added to differences, so that equal embeddings have a distance with a gradient; PyTorch's.
const EPS: f64 = 1e-6;

options! {
    /// Options of a [`Siamese`] network.
    #[derive(Clone, Debug, PartialEq, Eq)]
    SiameseOptions {
        /// Height and width of the images.
        image_size: [usize; 2] = [28, 28],
        /// Channels of the images.
        channels: usize = 1,
        /// Channels of the maps, from the largest to the smallest, each half as large as the one before.
        widths: Vec<usize> = vec![16, 32],
        /// Width of the hidden linear layer.
        hidden: usize = 128,
        /// Length of an embedding.
        embedding_dim: usize = 32,
        /// Gives embeddings length 1, as FaceNet's have.
        normalize: bool = false,
    }
}

/// One network for both images of a pair: `[N, channels, H, W] -> [N, embedding_dim]`. Images are alike where their embeddings
/// are close. Learns by [`Tensor::contrastive_loss`] of [`distances`](Siamese::distances), or by [`Tensor::mined_triplet_loss`].
///
/// `features` holds convolutions of 3 x 3, each with ReLU and max pooling of 2 x 2; `embed` a linear layer, ReLU, and another.
pub struct Siamese {
    features: Sequential,
    embed: Sequential,
    normalize: bool,
}

impl Siamese {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images that shrink to nothing, and if a number of channels is 0; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Reduction, Tensor, models::{Siamese, SiameseOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = Siamese::new(&Scope::new(&device), &SiameseOptions::default().image_size(8).widths([4, 4]).hidden(8))?;
    /// let (first, second) = (Tensor::rand(&device, &[3, 1, 8, 8])?, Tensor::rand(&device, &[3, 1, 8, 8])?);
    /// let alike = Tensor::from_slice(&device, &[1, -1, 1], &[3])?;
    /// net.distances(&first, &second)?.contrastive_loss(&alike, 1.0, Reduction::Mean)?.backward()?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &SiameseOptions) -> Result<Siamese> {
        let SiameseOptions { image_size, channels, ref widths, hidden, embedding_dim, normalize } = *options;
        let left = image_size.map(|size| widths.iter().fold(size, |size, _| size / 2));
        if left.contains(&0) {
            let [height, width] = image_size;
            let rule = format!("{height} x {width} can't be halved {} times", widths.len());
            return Err(Error::invalid("Siamese", rule));
        }
        let mut features = Sequential::new(&scope.at("features"));
        let mut inputs = channels;
        for &outputs in widths {
            let padded = Conv2dOptions::default().padding(1);
            let pool = MaxPool2d { kernel_size: [2; 2], options: MaxPool2dOptions::default() };
            features = features.make(|s| Conv2d::new(s, inputs, outputs, 3, &padded))?.push(Relu).push(pool);
            inputs = outputs;
        }
        let embed = Sequential::new(&scope.at("embed"))
            .push(Flatten)
            .make(|s| Linear::new(s, inputs * left[0] * left[1], hidden))?
            .push(Relu)
            .make(|s| Linear::new(s, hidden, embedding_dim))?;
        Ok(Siamese { features, embed, normalize })
    }

    /// The Euclidean distances of pairs of images, `[N]`.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn distances(&self, first: &Tensor, second: &Tensor) -> Result<Tensor> {
        self.forward(first)?.pairwise_distance(&self.forward(second)?, 2.0, EPS)
    }
}

impl Module for Siamese {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let embeddings = self.embed.forward(&self.features.forward(input)?)?;
        if self.normalize { embeddings.normalize(2.0, 1, 1e-12) } else { Ok(embeddings) }
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, embed]
    }
}

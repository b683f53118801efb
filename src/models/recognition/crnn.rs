//! A convolutional recurrent network for text (Shi, Bai and Yao, "An End-to-End Trainable Neural Network for Image-based Sequence
//! Recognition and Its Application to Scene Text Recognition", 2015). The names of the parameters are those of the PyTorch
//! version that most published weights are of.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Linear, Lstm, MaxPool2d, Module, Relu, RnnOptions, Scope,
    Sequential,
};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

/// The height that seven convolutions and four poolings reduce to one row.
const HEIGHT: usize = 32;

options! {
    /// Options of a [`Crnn`]; the defaults are the paper's, for 26 letters, 10 digits and the blank.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    CrnnOptions {
        /// Characters, and the blank, which is class 0.
        classes: usize = 37,
        /// Channels of the images.
        channels: usize = 1,
        /// Size of each direction's states.
        hidden: usize = 256,
        /// Channels of the first convolution; the last has eight times as many.
        base_width: usize = 64,
    }
}

/// A network that reads a line of text from left to right: `[N, channels, 32, W] -> [W / 4 + 1, N, classes]` logits.
///
/// | layer | output |
/// |---|---|
/// | `cnn`: 7 convolutions, ReLU behind each, batch normalization behind `conv2`, `conv4` and `conv6`, 4 max poolings | `[N, 512, 1, W / 4 + 1]` |
/// | `rnn.0`: an LSTM in both directions, then a linear layer, for each column | `[W / 4 + 1, N, 256]` |
/// | `rnn.1`: the same | `[W / 4 + 1, N, classes]` |
///
/// The last two poolings halve the height alone, so that narrow characters keep their own columns. Training takes
/// [`log_softmax(2)`](Tensor::log_softmax) of the logits and [`ctc_loss`](Tensor::ctc_loss), reading takes
/// [`ctc_greedy_decode`](super::ctc_greedy_decode) or [`CtcBeamSearch`](super::CtcBeamSearch).
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::{CtcLossOptions, models::recognition::{Crnn, CrnnOptions, ctc_greedy_decode}};
/// # let device = Device::reference();
/// let options = CrnnOptions::default().classes(11).base_width(4).hidden(8);
/// let net = Crnn::new(&Scope::new(&device), &options)?;
/// let log_probs = net.forward(&Tensor::zeros(&device, &[2, 1, 32, 60])?)?.log_softmax(2)?;
/// assert_eq!(log_probs.shape()[..], [16, 2, 11]);
/// // "28" and "7", as classes behind the blank.
/// let labels = Tensor::from_slice(&device, &[3, 9, 8, 0], &[2, 2])?;
/// let loss = log_probs.ctc_loss(&labels, &[16, 16], &[2, 1], &CtcLossOptions::default())?;
/// let read: Vec<Vec<i32>> = ctc_greedy_decode(&log_probs, None, 0)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Crnn {
    cnn: Sequential,
    rnn: [BidirectionalLstm; 2],
}

impl Crnn {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a width, channels or states of 0; errors of the device.
    pub fn new(scope: &Scope, options: &CrnnOptions) -> Result<Crnn> {
        let CrnnOptions { classes, channels, hidden, base_width } = *options;
        let halved = |height_alone: bool| MaxPool2d {
            kernel_size: [2; 2],
            options: match height_alone {
                true => MaxPool2dOptions::default().stride([2, 1]).padding([0, 1]),
                false => MaxPool2dOptions::default(),
            },
        };
        let mut cnn = Sequential::new(&scope.at("cnn"));
        let mut inputs = channels;
        for (number, factor) in [1, 2, 4, 4, 8, 8, 8].into_iter().enumerate() {
            let outputs = factor * base_width;
            let (size, padding) = if number == 6 { (2, 0) } else { (3, 1) };
            let windows = Conv2dOptions::default().padding(padding);
            cnn = cnn.make_named(format!("conv{number}"), |s| Conv2d::new(s, inputs, outputs, size, &windows))?;
            if [2, 4, 6].contains(&number) {
                let norm = BatchNormLayerOptions::default();
                cnn = cnn.make_named(format!("batchnorm{number}"), |s| BatchNorm2d::new(s, outputs, &norm))?;
            }
            cnn = cnn.push_named(format!("relu{number}"), Relu);
            // The poolings are numbered by themselves.
            if let Some(pooling) = [0, 1, 3, 5].iter().position(|&convolution| convolution == number) {
                cnn = cnn.push_named(format!("pooling{pooling}"), halved(pooling > 1));
            }
            inputs = outputs;
        }
        let rnn = scope.at("rnn");
        let rnn = [
            BidirectionalLstm::new(&rnn.at(0), 8 * base_width, hidden, hidden)?,
            BidirectionalLstm::new(&rnn.at(1), hidden, hidden, classes)?,
        ];
        Ok(Crnn { cnn, rnn })
    }
}

impl Module for Crnn {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        if input.rank() != 4 || input.shape()[2] != HEIGHT {
            let rule = format!("images are [N, C, {HEIGHT}, W]; these are {}", input.shape());
            return Err(Error::invalid("Crnn", rule));
        }
        let columns = self.cnn.forward(input)?.squeeze(2)?.permute([2, 0, 1])?;
        self.rnn.iter().try_fold(columns, |columns, layer| layer.forward(&columns))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; cnn, rnn]
    }
}

/// An LSTM in both directions, and a linear layer over their states: `[T, N, in] -> [T, N, out]`.
struct BidirectionalLstm {
    rnn: Lstm,
    embedding: Linear,
}

impl BidirectionalLstm {
    fn new(scope: &Scope, inputs: usize, hidden: usize, outputs: usize) -> Result<BidirectionalLstm> {
        Ok(BidirectionalLstm {
            rnn: Lstm::new(&scope.at("rnn"), inputs, hidden, &RnnOptions::default().bidirectional(true))?,
            embedding: Linear::new(&scope.at("embedding"), 2 * hidden, outputs)?,
        })
    }
}

impl Module for BidirectionalLstm {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.embedding.forward(&self.rnn.forward(input)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; rnn, embedding]
    }
}

//! A convolutional network for each frame and a recurrent layer over them (Donahue et al., "Long-term Recurrent Convolutional
//! Networks for Visual Recognition and Description", 2015).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::Backbone;
use crate::nn::{self, AdaptiveAvgPool2d, Linear, Lstm, Module, RnnOptions, Scope};
use crate::options::options;

options! {
    /// Options of a [`CnnLstm`].
    #[derive(Clone, Copy, Debug)]
    CnnLstmOptions {
        /// Channels of the backbone's features.
        features: usize = 512,
        /// Rows and columns of the grid to which the features of a frame are averaged. The LSTM reads the channels of all of its
        /// cells side by side; one cell tells little about positions.
        grid: [usize; 2] = [1, 1],
        /// Size of the LSTM's states.
        hidden: usize = 256,
        /// Layers, directions and dropout of the LSTM; `batch_first` is always set.
        lstm: RnnOptions = RnnOptions::default(),
        /// Logits.
        classes: usize = 400,
    }
}

/// A [`Backbone`] over each frame by itself, an LSTM over its averaged features, and a linear layer over the states after the
/// last frame: `[N, channels, T, H, W] -> [N, classes]` logits.
///
/// ```text
/// f[n, t] = adaptive_avg_pool(backbone.features(clip[n, :, t]), grid)     [N, T, features * cells]
/// y[n]    = fc(lstm(f[n, 0], .., f[n, T - 1]))                            both directions' last states side by side
/// ```
///
/// Parameters are named `backbone.*`, `lstm.*` and `fc.*`. The backbone's own head stays unused, and without gradients.
pub struct CnnLstm<B> {
    backbone: B,
    pool: AdaptiveAvgPool2d,
    lstm: Lstm,
    fc: Linear,
}

impl<B: Backbone> CnnLstm<B> {
    /// A network around a backbone, which `backbone` makes in its scope.
    ///
    /// # Errors
    /// Those of `backbone` and of [`Lstm::new`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::{SqueezeNet, SqueezeNetOptions, video::{CnnLstm, CnnLstmOptions}};
    /// # let device = Device::reference();
    /// let options = CnnLstmOptions::default().hidden(16).classes(5);
    /// let squeeze = SqueezeNetOptions::default();
    /// let net = CnnLstm::new(&Scope::new(&device), |s| SqueezeNet::new(s, &squeeze), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 4, 32, 32])?)?.shape()[..], [2, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(
        scope: &Scope,
        backbone: impl FnOnce(&Scope) -> Result<B>,
        options: &CnnLstmOptions,
    ) -> Result<CnnLstm<B>> {
        let CnnLstmOptions { features, grid, hidden, lstm, classes } = *options;
        Ok(CnnLstm {
            pool: AdaptiveAvgPool2d::new(grid),
            backbone: backbone(&scope.at("backbone"))?,
            lstm: Lstm::new(&scope.at("lstm"), features * grid[0] * grid[1], hidden, &lstm.batch_first(true))?,
            fc: Linear::new(&scope.at("fc"), directions(&lstm) * hidden, classes)?,
        })
    }

    /// The averaged features of each frame: `[N, channels, T, H, W] -> [N, T, features * cells]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other than five dimensions; those of the backbone.
    pub fn frames(&self, clip: &Tensor) -> Result<Tensor> {
        if clip.rank() != 5 {
            return Err(Error::invalid("CnnLstm", format!("clips are [N, C, T, H, W]; these are {}", clip.shape())));
        }
        let images = clip.transpose(1, 2)?.flatten(0, 1)?;
        let features = self.pool.forward(&self.backbone.features(&images)?)?.flatten(1, -1)?;
        features.unflatten(0, &[-1, clip.shape()[2] as isize])
    }
}

impl<B: Backbone> Module for CnnLstm<B> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let (_, (hidden, _)) = self.lstm.run(&self.frames(input)?, None)?;
        let directions = directions(&self.lstm.options);
        let last = hidden.narrow(0, hidden.shape()[0] - directions, directions)?;
        self.fc.forward(&last.transpose(0, 1)?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; backbone, pool, lstm, fc]
    }
}

fn directions(lstm: &RnnOptions) -> usize {
    if lstm.bidirectional { 2 } else { 1 }
}

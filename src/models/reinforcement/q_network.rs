//! Networks of the value of actions (Mnih et al., "Human-level control through deep reinforcement learning", 2015), with two
//! streams where asked for (Wang et al., "Dueling Network Architectures for Deep Reinforcement Learning", 2016).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of a [`QNetwork`]; the default is the paper's network for pictures.
    #[derive(Clone, Debug, PartialEq, Eq)]
    QNetworkOptions {
        /// Channels, size and stride of each convolution; none where observations are not pictures.
        convolutions: Vec<[usize; 3]> = vec![[32, 8, 4], [64, 4, 2], [64, 3, 1]],
        /// Sizes of the fully connected layers before the last.
        hidden: Vec<usize> = vec![512],
        /// Estimates the value of the state and the advantage of each action by separate layers.
        dueling: bool = false,
    }
}

impl QNetworkOptions {
    /// A network without convolutions, for observations that are a few numbers.
    pub fn dense(hidden: &[usize]) -> QNetworkOptions {
        QNetworkOptions { convolutions: Vec::new(), hidden: hidden.to_vec(), dueling: false }
    }
}

/// The value of each action: observations `[N, C, H, W]`, or `[N, F]` without convolutions, to `[N, actions]`.
///
/// `convolutions` have no padding and a ReLU behind each; `actions` are fully connected, with ReLUs between. A dueling network
/// has as many such layers of the `value` of the state as well:
///
/// ```text
/// Q(s, a) = actions(s)[a]
/// Q(s, a) = value(s) + actions(s)[a] - mean over b of actions(s)[b]       dueling
/// ```
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::models::reinforcement::{QNetwork, QNetworkOptions};
/// # let device = Device::reference();
/// let options = QNetworkOptions::dense(&[64, 64]).dueling(true);
/// let net = QNetwork::new(&Scope::new(&device), &[4], 2, &options)?;
/// assert_eq!(net.forward(&Tensor::zeros(&device, &[8, 4])?)?.shape()[..], [8, 2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct QNetwork {
    convolutions: Sequential,
    value: Option<Sequential>,
    actions: Sequential,
}

impl QNetwork {
    /// A network with new weights from the device's random stream, for observations of one shape and `actions` actions.
    ///
    /// # Errors
    /// [`Error::Invalid`] if convolutions don't fit the observation, or there are no actions; errors of the device.
    pub fn new(scope: &Scope, observation: &[usize], actions: usize, options: &QNetworkOptions) -> Result<QNetwork> {
        let QNetworkOptions { convolutions: windows, hidden, dueling } = options;
        if actions == 0 {
            return Err(Error::invalid("QNetwork", "there are no actions to choose from"));
        }
        let mut shape = observation.to_vec();
        let mut convolutions = Sequential::new(&scope.at("convolutions"));
        for &[channels, size, stride] in windows {
            let &[inputs, height, width] = &shape[..] else {
                let rule = format!("convolutions take pictures [C, H, W]; observations are {observation:?}");
                return Err(Error::invalid("QNetwork", rule));
            };
            if stride == 0 || size > height.min(width) {
                let rule = format!(
                    "a convolution of size {size} and stride {stride} over {height} x {width}, which are left of observations \
                     {observation:?}"
                );
                return Err(Error::invalid("QNetwork", rule));
            }
            let options = Conv2dOptions::default().stride(stride);
            convolutions = convolutions.make(|s| Conv2d::new(s, inputs, channels, size, &options))?.push(Relu);
            shape = vec![channels, (height - size) / stride + 1, (width - size) / stride + 1];
        }
        let features = shape.iter().product();
        let stream = |name: &str, outputs: usize| {
            let mut layers = Sequential::new(&scope.at(name));
            let mut inputs = features;
            for &size in hidden {
                layers = layers.make(|s| Linear::new(s, inputs, size))?.push(Relu);
                inputs = size;
            }
            layers.make(|s| Linear::new(s, inputs, outputs))
        };
        Ok(QNetwork {
            convolutions: convolutions.push_named("flatten", Flatten),
            value: dueling.then(|| stream("value", 1)).transpose()?,
            actions: stream("actions", actions)?,
        })
    }
}

impl Module for QNetwork {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let features = self.convolutions.forward(input)?;
        let actions = self.actions.forward(&features)?;
        let Some(value) = &self.value else { return Ok(actions) };
        value.forward(&features)?.add(&actions)?.sub(&actions.mean_keepdim([1])?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; convolutions, value, actions]
    }
}

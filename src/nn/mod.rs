//! Layers: what a network is built from. Names, shapes and initial values are PyTorch's.

mod activation;
mod attention;
mod batch_norm;
mod conv;
mod dropout;
mod embedding;
pub mod init;
mod instance_norm;
mod linear;
mod mode;
mod norm;
mod pool;
mod recurrent;
mod scope;
mod sequential;
mod softmax;
mod unfold;
mod upsample;

pub use activation::{
    Celu, Elu, Flatten, Gelu, GeluTanh, Glu, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSigmoid, Mish,
    Prelu, Relu, Relu6, Selu, Sigmoid, Silu, Softplus, Softshrink, Softsign, Tanh, Tanhshrink, Threshold,
};
pub use attention::{InProjectionWeight, MultiheadAttention, MultiheadAttentionOptions};
pub use batch_norm::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormLayerOptions, RunningStatistics};
pub use conv::{Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use dropout::{AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout};
pub use embedding::Embedding;
pub use instance_norm::{InstanceNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, InstanceNormLayerOptions};
pub use linear::Linear;
pub use mode::Mode;
pub use norm::{GroupNorm, GroupNormOptions, LayerNorm, LayerNormOptions, LocalResponseNorm, RmsNorm, RmsNormOptions};
pub use pool::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool, AdaptiveMaxPool1d,
    AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d, AvgPool3d, LpPool, LpPool1d, LpPool2d,
    LpPool3d, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d, MaxUnpool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d,
};
pub use recurrent::{CellWeights, Gru, GruCell, Lstm, LstmCell, Nonlinearity, Rnn, RnnCell, RnnOptions};
pub use scope::Scope;
pub use sequential::Sequential;
pub use softmax::{LogSoftmax, Softmax, Softmin};
pub use unfold::{Fold, Unfold};
pub use upsample::Upsample;

use crate::error::Result;
use crate::graph::{Parameter, Tensor};

/// A part of a network: a map of tensors, with the parameters it holds.
///
/// A module made of others names them in [`children`](Module::children); its parameters, and whether it trains, are
/// then theirs.
///
/// ```
/// use wgrad::nn::{Dropout, Linear, Module, Scope};
/// use wgrad::{Device, Result, Tensor};
///
/// struct Residual {
///     fc: Linear,
///     dropout: Dropout,
/// }
///
/// impl Module for Residual {
///     fn forward(&self, input: &Tensor) -> Result<Tensor> {
///         self.dropout.forward(&self.fc.forward(input)?.relu()?)?.add(input)
///     }
///     fn children(&self) -> Vec<&dyn Module> {
///         vec![&self.fc, &self.dropout]
///     }
/// }
///
/// let scope = Scope::new(&Device::reference());
/// let block = Residual { fc: Linear::new(&scope.at("fc"), 8, 8)?, dropout: Dropout::new(0.5) };
/// let names: Vec<String> = block.parameters().iter().map(|p| p.name().to_string()).collect();
/// assert_eq!(names, ["fc.weight", "fc.bias"]);
/// block.eval();
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Module: Send + Sync {
    /// The output for an input.
    ///
    /// # Errors
    /// Those of the operations it is made of.
    fn forward(&self, input: &Tensor) -> Result<Tensor>;

    /// The modules it is made of, in a fixed order.
    fn children(&self) -> Vec<&dyn Module> {
        Vec::new()
    }

    /// Everything it holds, under the dotted names of PyTorch's `state_dict`, in a fixed order: the children's, unless
    /// it has parameters of its own. Running statistics are among them; optimizers leave out what is not trained. One that
    /// several children share is there once.
    fn parameters(&self) -> Vec<Parameter> {
        Parameter::each_once(self.children().into_iter().flat_map(|child| child.parameters()))
    }

    /// Switches it and its children to training, how they start, or with `false` to evaluation: dropout drops and batch
    /// normalization takes the batch's statistics in training only. What was recorded before stays as it is.
    fn train(&self, training: bool) {
        for child in self.children() {
            child.train(training);
        }
    }

    /// Switches to evaluation.
    fn eval(&self) {
        self.train(false);
    }
}

//! Layers: the parts of a network. Names, shapes and initial values are PyTorch's.

mod activation;
mod attention;
mod batch_norm;
pub mod blocks;
mod channel_norm;
mod children;
mod compose;
mod conv;
mod dropout;
mod embedding;
mod frozen_batch_norm;
mod grouped;
pub mod init;
mod instance_norm;
mod instead;
mod linear;
mod lists;
mod losses;
mod mode;
mod module;
mod norm;
mod pool;
pub(crate) mod probe;
mod receptive_field;
mod recurrent;
mod scope;
mod softmax;
pub(crate) mod state_dict;
mod summary;
mod unfold;
mod upsample;
mod weighted;

pub use activation::{
    Celu, Elu, Flatten, Gelu, GeluTanh, Glu, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSigmoid, Mish,
    Prelu, Relu, Relu6, Selu, Sigmoid, Silu, Softplus, Softshrink, Softsign, Tanh, Tanhshrink, Threshold,
};
pub use attention::{InProjectionWeight, MultiheadAttention, MultiheadAttentionOptions};
pub use batch_norm::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormLayerOptions};
pub use channel_norm::RunningStatistics;
pub use children::{Child, Held};
pub use compose::{Identity, Lambda, Residual};
pub use conv::{Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use dropout::{AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout};
pub use embedding::Embedding;
pub use frozen_batch_norm::FrozenBatchNorm2d;
pub use grouped::Grouped;
pub use instance_norm::{InstanceNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, InstanceNormLayerOptions};
pub use linear::Linear;
pub use lists::{Branches, ModuleList, Sequential};
pub use losses::{
    BceLoss, BceWithLogitsLoss, CapsuleMarginLoss, ContrastiveLoss, CosineEmbeddingLoss, CrossEntropyLoss, CtcLoss,
    DiceLoss, GaussianNllLoss, HingeEmbeddingLoss, HuberLoss, KlDivLoss, L1Loss, Loss, MarginRankingLoss,
    MinedTripletLoss, MseLoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss, MultiMarginLoss, NllLoss,
    PoissonNllLoss, SigmoidFocalLoss, SmoothL1Loss, SoftMarginLoss, TripletMarginLoss, TripletMarginWithDistanceLoss,
};
pub use mode::Mode;
pub use module::{AsModule, Children, Module};
pub use norm::{GroupNorm, GroupNormOptions, LayerNorm, LayerNormOptions, LocalResponseNorm, RmsNorm, RmsNormOptions};
pub use pool::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool, AdaptiveMaxPool1d,
    AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d, AvgPool3d, LpPool, LpPool1d, LpPool2d,
    LpPool3d, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d, MaxUnpool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d,
};
pub use probe::{Layer, Probe};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use recurrent::{CellWeights, Gru, GruCell, Lstm, LstmCell, Nonlinearity, Rnn, RnnCell, RnnOptions};
pub use scope::Scope;
pub use softmax::{LogSoftmax, Softmax, Softmin};
pub use state_dict::StateDict;
pub use summary::{Row, Summary};
pub use unfold::{Fold, Unfold};
pub use upsample::Upsample;
pub(crate) use weighted::Factors;
pub use weighted::Weighted;

#[doc(inline)]
pub use crate::{children, parameters};

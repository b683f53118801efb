//! Class activation maps: the channels of a layer, weighted by their part in the answer.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::explain::ablation::sizes;
use crate::explain::layer::Inside;
use crate::graph::{Tensor, no_grad};
use crate::ops::{InterpolateMode, InterpolateOptions};
use crate::shape::Shape;

/// The weights of channels. `A` are the layer's maps, `g` the gradient of the score with respect to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CamMethod {
    /// The class's weights in the linear layer that follows the mean over positions (Zhou et al., "Learning Deep Features for
    /// Discriminative Localization", 2015). Only for networks that end so.
    Cam,
    /// `mean of g` (Selvaraju et al., "Grad-CAM", 2016).
    GradCam,
    /// `sum of relu(g) a`, with `a = g^2 / (2 g^2 + g^3 sum of A)` (Chattopadhyay et al., "Grad-CAM++", 2017).
    GradCamPlusPlus,
    /// `sum of g A / sum of A` (Fu et al., "Axiom-based Grad-CAM", 2020).
    XGradCam,
    /// The softmax over channels of the scores of images that are masked by each map (Wang et al., "Score-CAM", 2019).
    ScoreCam,
    /// `relu(g)`, separately at each position (Jiang et al., "LayerCAM", 2021).
    LayerCam,
    /// The first principal component of the maps, for any class, with the sign that makes its largest element positive (Muhammad
    /// and Yeasin, "Eigen-CAM", 2020).
    EigenCam,
    /// `(score - score without the channel) / score` (Desai and Ramaswamy, "Ablation-CAM", 2020).
    AblationCam,
}

impl CamMethod {
    /// All of them.
    pub const ALL: [CamMethod; 8] = [
        CamMethod::Cam,
        CamMethod::GradCam,
        CamMethod::GradCamPlusPlus,
        CamMethod::XGradCam,
        CamMethod::ScoreCam,
        CamMethod::LayerCam,
        CamMethod::EigenCam,
        CamMethod::AblationCam,
    ];

    /// The name that commands and sheets show.
    pub const fn name(self) -> &'static str {
        match self {
            CamMethod::Cam => "cam",
            CamMethod::GradCam => "grad-cam",
            CamMethod::GradCamPlusPlus => "grad-cam++",
            CamMethod::XGradCam => "xgrad-cam",
            CamMethod::ScoreCam => "score-cam",
            CamMethod::LayerCam => "layer-cam",
            CamMethod::EigenCam => "eigen-cam",
            CamMethod::AblationCam => "ablation-cam",
        }
    }
}

const OP: &str = "cam";

/// Turns of the power method, after which the largest two singular values differ by less than float32 shows.
const TURNS: usize = 100;

/// Bilinear, between the centres of pixels.
pub(super) fn resized(maps: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    maps.interpolate(&InterpolateOptions::default().size(size).mode(InterpolateMode::Bilinear))
}

/// Each map from 0 to 1: `(m - min) / (max - min + eps)`.
fn scaled(maps: &Tensor, eps: f64) -> Result<Tensor> {
    let above = (maps - maps.amin_keepdim([2, 3])?)?;
    let largest = above.amax_keepdim([2, 3])?;
    above / (largest + eps)?
}

impl Explainer<'_> {
    /// Heat maps of the images' size, 0 to 1, `[N, 1, H, W]`: `relu(sum over channels of weight A)` of a layer with maps
    /// `[N, C, h, w]`, scaled to 0 to 1, resized bilinearly and scaled again, as pytorch-grad-cam does.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no layer of this name runs, or its output is not `[N, C, h, w]`; as
    /// [`saliency`](Explainer::saliency).
    pub fn cam(&self, images: &Tensor, layer: &str, method: CamMethod) -> Result<Tensor> {
        let [_, _, height, width] = sizes(OP, images)?;
        let positive = self.cam_raw(images, layer, method)?.relu()?;
        scaled(&resized(&scaled(&positive, 1e-7)?, [height, width])?, 1e-7)
    }

    /// The weighted sum of a layer's maps with its sign, `[N, 1, h, w]`: neither cut off at 0, nor scaled, nor resized.
    ///
    /// # Errors
    /// As [`cam`](Explainer::cam).
    pub fn cam_raw(&self, images: &Tensor, layer: &str, method: CamMethod) -> Result<Tensor> {
        let classes = self.classes(images)?;
        let Inside { activation, gradient } = self.inside(images, layer, &classes)?;
        let [count, channels, _, _] = sizes("the layer of cam", &activation)?;
        let positions = [2usize, 3];
        no_grad(|| {
            let weights = match method {
                CamMethod::Cam => self.head(channels, &classes)?,
                CamMethod::GradCam => gradient.mean_keepdim(positions)?,
                CamMethod::GradCamPlusPlus => {
                    let squared = gradient.square()?;
                    let sum = activation.sum_keepdim(positions)?;
                    let divisor = ((&squared * 2.0)? + (&squared * &gradient)? * sum)?;
                    ((gradient.relu()? * squared)? / (divisor + 1e-6)?)?.sum_keepdim(positions)?
                }
                CamMethod::XGradCam => {
                    let sum = (activation.sum_keepdim(positions)? + 1e-7)?;
                    ((&gradient * &activation)? / sum)?.sum_keepdim(positions)?
                }
                CamMethod::LayerCam => gradient.relu()?,
                CamMethod::EigenCam => return principal(&activation),
                CamMethod::ScoreCam => {
                    let scores = self.masked_by(images, &activation, &classes)?;
                    scores.softmax(1)?.reshape_to(Shape::new(&[count, channels, 1, 1])?)?
                }
                CamMethod::AblationCam => self.falls_without(images, layer, &activation, &classes)?,
            };
            (activation * weights)?.sum_keepdim(1)
        })
    }

    /// Guided backpropagation where the layer's Grad-CAM is: their product (Selvaraju et al., 2016), by captum's reading: the
    /// map with its sign cut off at 0, resized to the nearest element. `[N, C, H, W]`, as the images.
    ///
    /// # Errors
    /// As [`cam`](Explainer::cam).
    pub fn guided_grad_cam(&self, images: &Tensor, layer: &str) -> Result<Tensor> {
        let [_, _, height, width] = sizes("guided_grad_cam", images)?;
        let map = self.cam_raw(images, layer, CamMethod::GradCam)?.relu()?;
        let map = map.interpolate(&InterpolateOptions::default().size([height, width]))?;
        self.guided_backprop(images)? * map
    }

    /// The weights of the last linear layer for each image's class, `[N, C, 1, 1]`.
    fn head(&self, channels: usize, classes: &Tensor) -> Result<Tensor> {
        let all = self.model.named_parameters();
        let matrix = all.iter().rev().map(|(_, parameter)| parameter.value()).find(|value| value.rank() == 2);
        let Some(weight) = matrix.filter(|weight| weight.shape()[1] == channels) else {
            let rule = format!(
                "the network's last linear layer does not take the {channels} channels of this layer: see grad-cam"
            );
            return Err(Error::invalid(OP, rule));
        };
        let rows = weight.detach().index_select(0, classes)?;
        rows.reshape_to(Shape::new(&[classes.numel(), channels, 1, 1])?)
    }

    /// The scores of images times each of a layer's maps, `[N, C]`, with maps resized (corners in place) and scaled to 0 to 1.
    fn masked_by(&self, images: &Tensor, maps: &Tensor, classes: &Tensor) -> Result<Tensor> {
        let [count, _, height, width] = sizes(OP, images)?;
        let options = InterpolateOptions::default().size([height, width]).mode(InterpolateMode::Bilinear);
        let masks = scaled(&maps.interpolate(&options.align_corners(true))?, 1e-8)?;
        let of_channel = |channel: usize| -> Result<Tensor> { images.detach() * masks.narrow(1, channel, 1)? };
        self.for_each_channel(masks.shape()[1], count, |channels| {
            let masked: Result<Vec<Tensor>> = channels.map(of_channel).collect();
            self.scores(&Tensor::cat(&masked?.iter().collect::<Vec<_>>(), 0)?, classes)
        })
    }

    /// `(score - score without the channel) / score`, `[N, C, 1, 1]`.
    fn falls_without(&self, images: &Tensor, layer: &str, maps: &Tensor, classes: &Tensor) -> Result<Tensor> {
        let [count, channels, _, _] = sizes(OP, maps)?;
        let numbers = Tensor::arange(maps.device(), 0.0, channels as f64, 1.0, DType::F32)?;
        let numbers = numbers.reshape_to(Shape::new(&[1, channels, 1, 1])?)?;
        let without =
            |channel: usize| -> Result<Tensor> { maps * numbers.ne_scalar(channel as f64)?.to_dtype(DType::F32)? };
        let scores = self.for_each_channel(channels, count, |channels| {
            let copies = channels.len();
            let maps: Result<Vec<Tensor>> = channels.map(without).collect();
            let images: Vec<&Tensor> = std::iter::repeat_n(images, copies).collect();
            let maps = Tensor::cat(&maps?.iter().collect::<Vec<_>>(), 0)?;
            self.scores_from(&Tensor::cat(&images, 0)?, layer, &maps, classes)
        })?;
        let of_whole = self.scores(images, classes)?.reshape_to(Shape::new(&[count, 1])?)?;
        ((&of_whole - scores)? / of_whole)?.reshape_to(Shape::new(&[count, channels, 1, 1])?)
    }

    /// Scores `[N, C]`, of as many channels at once as a batch holds.
    fn for_each_channel(
        &self,
        channels: usize,
        images: usize,
        scores: impl Fn(std::ops::Range<usize>) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let batch = self.copies(images);
        let parts: Result<Vec<Tensor>> =
            (0..channels).step_by(batch).map(|first| scores(first..channels.min(first + batch))).collect();
        Tensor::cat(&parts?.iter().collect::<Vec<_>>(), 0)?.t()
    }
}

/// The projection of each position's channels on their first principal component, `[N, 1, h, w]`.
fn principal(maps: &Tensor) -> Result<Tensor> {
    let [count, channels, height, width] = sizes(OP, maps)?;
    let rows = maps.reshape_to(Shape::new(&[count, channels, height * width])?)?;
    let rows = (&rows - rows.mean_keepdim(2)?)?;
    let covariance = rows.matmul(&rows.transpose(1, 2)?)?;
    // By the trace, so that powers stay in range.
    let covariance = (&covariance / (covariance.diagonal(0, 1, 2)?.sum_keepdim(1)?.unsqueeze(2)? + 1e-30)?)?;
    let mut powers = covariance;
    for _ in 0..TURNS.ilog2() {
        powers = powers.matmul(&powers)?;
        powers = (&powers / (powers.diagonal(0, 1, 2)?.sum_keepdim(1)?.unsqueeze(2)? + 1e-30)?)?;
    }
    // The longest column of a matrix of rank 1 is its direction.
    let longest = powers.diagonal(0, 1, 2)?.argmax_keepdim(1)?.unsqueeze(1)?;
    let longest = longest.expand_to(Shape::new(&[count, channels, 1])?, OP)?;
    let direction = powers.gather(2, &longest)?;
    let direction = (&direction / (direction.norm_keepdim(2.0, 1)? + 1e-30)?)?;
    let projection = (rows * direction)?.sum_keepdim(1)?;
    let sign = (projection.amax_keepdim(2)? + projection.amin_keepdim(2)?)?.ge_scalar(0.0)?;
    let projection = sign.where_(&projection, &(-&projection)?)?;
    projection.reshape_to(Shape::new(&[count, 1, height, width])?)
}

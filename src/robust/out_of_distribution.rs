//! Scores that tell images like those of training from others.

use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::{Average, CurveOptions, Curves, Metric, Task};
use crate::robust::Classifier;

/// A score of an image, larger for those that are like the training's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoveltyScore {
    /// The largest probability (Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in
    /// Neural Networks", 2016).
    MaxSoftmax,
    /// The negative free energy, `T log(sum exp(f / T))` of logits `f` (Liu et al., "Energy-based Out-of-distribution Detection",
    /// 2020). The paper takes a `temperature` of 1.
    Energy {
        /// `T`.
        temperature: f64,
    },
    /// The largest of `softmax(f / T)` for the image moved by `eps` towards it: `x + eps sign(d log p / d x)`, with `p` that
    /// largest probability (Liang et al., "Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks",
    /// 2017). The paper takes a `temperature` of 1000, and chooses `eps` on held-out images, between 0 and 0.004.
    Odin {
        /// `T`.
        temperature: f64,
        /// The change of each number of an image between 0 and 1.
        eps: f64,
    },
}

impl NoveltyScore {
    /// The scores of images between 0 and 1, `[N]`. Put the network into evaluation mode first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a temperature that is not positive, or an `eps` that is negative; those of the network.
    ///
    /// ```
    /// use wgrad::robust::{Classifier, NoveltyScore, Separation};
    /// use wgrad::{Device, Tensor, models::LeNet5, nn::{Module, Scope}};
    ///
    /// let device = Device::reference();
    /// let net = LeNet5::new(&Scope::new(&device))?;
    /// net.eval();
    /// let (digits, noise) = (Tensor::zeros(&device, &[2, 1, 28, 28])?, Tensor::rand(&device, &[2, 1, 28, 28])?);
    /// let score = NoveltyScore::Energy { temperature: 1.0 };
    /// let [inside, outside] = [&digits, &noise].map(|images| score.of(&Classifier::new(&net), images));
    /// let separation = Separation::of(&inside?, &outside?)?;
    /// println!("AUROC {}, {} at 95 %", separation.auroc, separation.fpr_at_95_tpr);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn of(self, net: &Classifier<'_>, images: &Tensor) -> Result<Tensor> {
        let (temperature, eps) = match self {
            NoveltyScore::MaxSoftmax => (1.0, 0.0),
            NoveltyScore::Energy { temperature } => (temperature, 0.0),
            NoveltyScore::Odin { temperature, eps } => (temperature, eps),
        };
        if !(temperature > 0.0 && temperature.is_finite() && eps >= 0.0 && eps.is_finite()) {
            let rule =
                format!("a temperature of {temperature}, and an eps of {eps}; expected one above 0, and none below");
            return Err(Error::invalid("NoveltyScore", rule));
        }
        let surest = |logits: &Tensor| logits.div_scalar(temperature)?.log_softmax(1)?.amax(1);
        match self {
            NoveltyScore::MaxSoftmax => no_grad(|| surest(&net.logits(images)?)?.exp()),
            NoveltyScore::Energy { .. } => {
                no_grad(|| net.logits(images)?.div_scalar(temperature)?.logsumexp(1)?.mul_scalar(temperature))
            }
            NoveltyScore::Odin { .. } => {
                let towards = net.gradient(images, surest)?.sign()?;
                no_grad(|| surest(&net.logits(&(images + towards * eps)?)?)?.exp())
            }
        }
    }
}

/// Measures of the separation of two sets of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separation {
    /// The chance that an image from inside has the larger score: the area below the ROC curve.
    pub auroc: f64,
    /// The fraction of outside images taken for inside ones, at the highest threshold that accepts 95 % of the inside ones.
    pub fpr_at_95_tpr: f64,
}

impl Separation {
    /// Compares the scores of images from inside and from outside of the training's distribution, `[N]` and `[M]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, and if one of the sets is empty; errors of the device.
    pub fn of(inside: &Tensor, outside: &Tensor) -> Result<Separation> {
        let (&[first], &[second]) = (&inside.shape()[..], &outside.shape()[..]) else {
            let rule = format!("scores {} and {}; expected [N] and [M]", inside.shape(), outside.shape());
            return Err(Error::invalid("Separation", rule));
        };
        if first == 0 || second == 0 {
            return Err(Error::invalid("Separation", format!("{first} scores from inside and {second} from outside")));
        }
        let curve = no_grad(|| {
            let scores = Tensor::cat(&[inside, outside], 0)?;
            // Between 0 and 1, where curves take them as they are.
            let low = scores.amin_all()?;
            let span = (scores.amax_all()? - &low)?;
            let span = span.gt_scalar(0.0)?.where_(&span, &span.ones_like()?)?;
            let scores = ((scores - low)? / span)?;
            let device = scores.device();
            let is_inside = [Tensor::full(device, &[first], 1i32)?, Tensor::full(device, &[second], 0i32)?];
            let mut curves = Curves::new(device, Task::Binary, &CurveOptions::default())?;
            curves.update(&scores, &Tensor::cat(&[&is_inside[0], &is_inside[1]], 0)?)?;
            curves.roc(Average::Micro)
        })?;
        let Some(curve) = curve.first() else { return Err(Error::invalid("Separation", "there is no curve")) };
        let reached = curve.true_positive_rate.iter().position(|rate| *rate >= 0.95);
        let fpr_at_95_tpr = reached.map_or(1.0, |at| curve.false_positive_rate[at]);
        Ok(Separation { auroc: curve.area(), fpr_at_95_tpr })
    }
}

//! Losses of classes, composed of other operations: cross entropy on logits, negative log likelihood.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::label_place::{IGNORED, label_flaw, label_mask};
use crate::options::options;

/// Reduction of a loss's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean. Class weights make it a weighted mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// One value for each element.
    None,
}

impl Reduction {
    /// Reduces these losses.
    #[track_caller]
    pub(in crate::ops) fn of(self, losses: &Tensor) -> Result<Tensor> {
        match self {
            Reduction::None => Ok(losses.clone()),
            Reduction::Sum => losses.sum_all(),
            Reduction::Mean => losses.mean_all(),
        }
    }
}

options! {
    /// Options of [`Tensor::cross_entropy`] and [`Tensor::nll_loss`].
    #[derive(Clone, Debug)]
    CrossEntropyOptions {
        /// A weight for each class, `[C]`.
        weight: Option<Tensor> = None,
        /// Elements with this label are ignored. Has no effect with probabilities.
        ignore_index: i64 = -100,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
        /// From 0 to 1: the part of each target that is spread evenly over all classes.
        label_smoothing: f64 = 0.0,
    }
}

/// The dimension of the classes of `input`: the second, or the only one.
fn class_dim(op: &'static str, input: &Tensor, weight: Option<&Tensor>) -> Result<usize> {
    if input.dtype() != DType::F32 {
        return Err(Error::WrongDType { op, expected: "f32 scores", got: input.dtype() });
    }
    if input.rank() == 0 {
        return Err(Error::invalid(op, "the input needs a dimension of classes, [C] or [N, C, ..]; it is a scalar"));
    }
    let dim = usize::from(input.rank() > 1);
    let classes = input.shape()[dim];
    if let Some(weight) = weight {
        if weight.dtype() != DType::F32 {
            return Err(Error::WrongDType { op, expected: "f32 weights", got: weight.dtype() });
        }
        if weight.shape()[..] != [classes] {
            return Err(Error::invalid(op, format!("weight {} must be [{classes}], one a class", weight.shape())));
        }
    }
    Ok(dim)
}

/// A loss of classes.
type Loss = fn(&Tensor, &Tensor, &CrossEntropyOptions) -> Result<Tensor>;

/// A loss of f16 scores, weights and probabilities: computed in f32 and rounded once.
#[track_caller]
fn of_halves(loss: Loss, scores: &Tensor, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    let wide = |x: &Tensor| if x.dtype() == DType::F16 { x.to_dtype(DType::F32) } else { Ok(x.clone()) };
    let options = CrossEntropyOptions { weight: options.weight.as_ref().map(wide).transpose()?, ..options.clone() };
    loss(&wide(scores)?, &wide(target)?, &options)?.to_dtype(DType::F16)
}

/// Class weights as a shape that broadcasts against the scores.
#[track_caller]
fn along(weight: &Tensor, dim: usize, rank: usize) -> Result<Tensor> {
    let mut sizes = vec![1; rank];
    sizes[dim] = weight.numel() as isize;
    weight.reshape(&sizes)
}

/// Class labels as masks and weights.
struct Labels {
    /// True if a score is that of its element's class; nowhere for ignored elements.
    mask: Tensor,
    /// 0 for each element; NaN if its label is invalid.
    flaw: Tensor,
    /// The elements that count; `None` if no label can be the ignored one.
    counted: Option<Tensor>,
    /// The weight of each element, if there are weights.
    weight: Option<Tensor>,
    dim: usize,
}

impl Labels {
    #[track_caller]
    fn new(op: &'static str, input: &Tensor, target: &Tensor, options: &CrossEntropyOptions) -> Result<Labels> {
        let dim = class_dim(op, input, options.weight.as_ref())?;
        if target.dtype() != DType::I32 {
            return Err(Error::WrongDType { op, expected: "i32 labels", got: target.dtype() });
        }
        let expected = input.shape().without(&[dim], false);
        if *target.shape() != expected {
            let rule = format!("labels {} must be {expected} for an input of {}", target.shape(), input.shape());
            return Err(Error::invalid(op, rule));
        }
        // Labels are i32: an ignore_index beyond that is never a label.
        let ignored = i32::try_from(options.ignore_index).ok();
        let (place, mask) = label_mask(op, input, dim, target, ignored)?;
        let flaw = label_flaw(&place)?;
        let counted = match ignored {
            Some(_) => Some(place.ne(&Tensor::full(input.device(), target.shape(), IGNORED)?)?),
            None => None,
        };
        let mut labels = Labels { mask, flaw, counted, weight: None, dim };
        if let Some(weight) = &options.weight {
            labels.weight = Some(labels.pick(&along(weight, dim, input.rank())?)?);
        }
        Ok(labels)
    }

    /// The value of each element's class: 0 for ignored elements, whatever their value, with no gradient from them.
    #[track_caller]
    fn pick(&self, values: &Tensor) -> Result<Tensor> {
        let picked = self.mask.where_(values, &Tensor::zeros(values.device(), self.mask.shape())?)?;
        picked.sum(self.dim)
    }

    /// 0 for ignored elements, whatever their value, with no gradient from them.
    #[track_caller]
    fn mask(&self, values: &Tensor) -> Result<Tensor> {
        match &self.counted {
            Some(counted) => counted.where_(values, &values.zeros_like()?),
            None => Ok(values.clone()),
        }
    }

    /// `-weight[label] * log_probability[label]` of each element.
    #[track_caller]
    fn losses(&self, log_probabilities: &Tensor) -> Result<Tensor> {
        let losses = (&self.flaw - self.pick(log_probabilities)?)?;
        match &self.weight {
            Some(weight) => &losses * weight,
            None => Ok(losses),
        }
    }

    /// The mean divides by the weights of the elements that count, and is NaN if none does.
    #[track_caller]
    fn reduce(&self, losses: &Tensor, reduction: Reduction) -> Result<Tensor> {
        let total = match (reduction, &self.weight, &self.counted) {
            (Reduction::None, ..) => return Ok(losses.clone()),
            (Reduction::Sum, ..) => return losses.sum_all(),
            (Reduction::Mean, Some(weight), _) => weight.sum_all()?,
            (Reduction::Mean, None, Some(counted)) => counted.to_dtype(DType::F32)?.sum_all()?,
            (Reduction::Mean, None, None) => return losses.mean_all(),
        };
        losses.sum_all()? / &total
    }
}

impl Tensor {
    /// The cross entropy between these logits and `target`, as PyTorch's `cross_entropy`.
    ///
    /// With `p = softmax(self)` over the classes, an element with label `y` costs `-weight[y] log p[y]`. The logits
    /// are `[C]`, `[N, C]` or `[N, C, d1, ..]`; the labels are i32 and have the same shape without `C`. The mean
    /// divides by the sum of `weight[y]` over the elements that are not ignored; it is NaN, with a gradient of 0,
    /// where all are.
    ///
    /// An f32 `target` of the logits' own shape holds a probability for each class instead: an element costs
    /// `-sum over c of weight[c] target[c] log p[c]`, and the mean divides by the number of elements.
    ///
    /// `label_smoothing = s` replaces each target by `(1 - s) target + s / C`.
    ///
    /// The loss of f16 logits is computed in f32 and rounded once, so a mean is finite though the sum is past 65,504; PyTorch
    /// rounds the logarithms and the sum too.
    ///
    /// # Errors
    /// [`Error::Invalid`] if shapes don't fit, `label_smoothing` is outside 0 to 1, or an `ignore_index` of 0 or more meets
    /// probabilities; [`Error::WrongDType`]. A label out of range makes its loss NaN and is [`Error::IndexOutOfRange`] at the
    /// next synchronisation.
    ///
    /// ```
    /// # use wgrad::{CrossEntropyOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let logits = Tensor::from_slice(&device, &[0.0f32, 0.0, 0.0, 0.0], &[2, 2])?;
    /// let labels = Tensor::from_slice(&device, &[1, 0], &[2])?;
    /// let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default())?;
    /// assert_eq!(loss.item::<f32>()?, 2.0f32.ln());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
        const OP: &str = "cross_entropy";
        if let Some(cast) = autocast::enter(OP)? {
            let weight = cast.of_some(options.weight.as_ref())?;
            let options = CrossEntropyOptions { weight, ..options.clone() };
            return cast.of(self)?.cross_entropy(&cast.of(target)?, &options);
        }
        if self.dtype() == DType::F16 {
            return of_halves(Tensor::cross_entropy, self, target, options);
        }
        let smoothing = options.label_smoothing;
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::invalid(OP, format!("label_smoothing is {smoothing}; it must be from 0 to 1")));
        }
        if target.dtype().is_float() {
            return self.cross_entropy_of_probabilities(target, options);
        }
        let labels = Labels::new(OP, self, target, options)?;
        let log_probabilities = self.log_softmax(labels.dim)?;
        let loss = labels.reduce(&labels.losses(&log_probabilities)?, options.reduction)?;
        if smoothing == 0.0 {
            return Ok(loss);
        }
        let weighted = match &options.weight {
            Some(weight) => (&log_probabilities * along(weight, labels.dim, self.rank())?)?,
            None => log_probabilities,
        };
        let even = labels.mask(&(-weighted.sum(labels.dim)?)?)?;
        let even = labels.reduce(&even, options.reduction)?;
        (&loss * (1.0 - smoothing))? + &even * (smoothing / self.shape()[labels.dim] as f64)
    }

    #[track_caller]
    fn cross_entropy_of_probabilities(&self, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
        const OP: &str = "cross_entropy";
        let dim = class_dim(OP, self, options.weight.as_ref())?;
        if target.dtype() != DType::F32 {
            return Err(Error::WrongDType { op: OP, expected: "f32 probabilities", got: target.dtype() });
        }
        if target.shape() != self.shape() {
            let rule = format!("probabilities {} must have the shape of the input, {}", target.shape(), self.shape());
            return Err(Error::invalid(OP, rule));
        }
        if options.ignore_index >= 0 {
            let rule = format!("ignore_index {} has no meaning for probabilities", options.ignore_index);
            return Err(Error::invalid(OP, rule));
        }
        let classes = self.shape()[dim];
        let mut target = target.clone();
        if options.label_smoothing > 0.0 {
            let smoothing = options.label_smoothing;
            target = ((target * (1.0 - smoothing))? + (smoothing / classes as f64))?;
        }
        if let Some(weight) = &options.weight {
            target = (target * along(weight, dim, self.rank())?)?;
        }
        let losses = (-(self.log_softmax(dim)? * &target)?.sum(dim)?)?;
        options.reduction.of(&losses)
    }

    /// The negative log likelihood of i32 labels under these log probabilities: [`cross_entropy`] without its
    /// softmax. `label_smoothing` must be 0.
    ///
    /// # Errors
    /// As [`cross_entropy`].
    ///
    /// [`cross_entropy`]: Tensor::cross_entropy
    #[track_caller]
    pub fn nll_loss(&self, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
        const OP: &str = "nll_loss";
        if let Some(cast) = autocast::enter(OP)? {
            let weight = cast.of_some(options.weight.as_ref())?;
            let options = CrossEntropyOptions { weight, ..options.clone() };
            return cast.of(self)?.nll_loss(target, &options);
        }
        if self.dtype() == DType::F16 {
            return of_halves(Tensor::nll_loss, self, target, options);
        }
        if options.label_smoothing != 0.0 {
            return Err(Error::invalid(OP, "there is no label smoothing; use cross_entropy on logits"));
        }
        let labels = Labels::new(OP, self, target, options)?;
        labels.reduce(&labels.losses(self)?, options.reduction)
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let with = |reduction, ignore_index, label_smoothing| {
        CrossEntropyOptions::default().reduction(reduction).ignore_index(ignore_index).label_smoothing(label_smoothing)
    };
    let plain = |shape: &[usize], target: &[usize], classes: i32, options: CrossEntropyOptions| {
        let named = options.clone();
        Case::new("cross_entropy", &[shape, target], move |x| Ok(vec![x[0].cross_entropy(&x[1], &options)?]))
            .options(&named)
            .integers(1, 0, classes - 1)
    };
    // In PyTorch no gradient flows to the weights of labels; here it does, and is checked like any other.
    let weighted = |shape: &[usize], target: &[usize], classes: i32, options: CrossEntropyOptions| {
        let named = options.clone();
        Case::new("cross_entropy", &[shape, target, &[nearest::<usize>(classes)]], move |x| {
            let options = CrossEntropyOptions { weight: Some(x[2].clone()), ..options.clone() };
            Ok(vec![x[0].cross_entropy(&x[1], &options)?])
        })
        .options(&named)
        .integers(1, 0, classes - 1)
        .domain(2, 0.2, 2.0)
    };
    let likely = |shape: &[usize], options: CrossEntropyOptions| {
        let named = options.clone();
        Case::new("cross_entropy", &[shape, shape], move |x| Ok(vec![x[0].cross_entropy(&x[1], &options)?]))
            .options(&named)
            .domain(1, 0.0, 1.0)
    };
    use Reduction::{Mean, None, Sum};
    vec![
        plain(&[4, 5], &[4], 5, with(Mean, -100, 0.0)),
        plain(&[4, 5], &[4], 5, with(Sum, -100, 0.0)),
        plain(&[5], &[], 5, with(None, -100, 0.1)),
        plain(&[33, 10], &[33], 10, with(Mean, 3, 0.0)),
        plain(&[2, 5, 3, 4], &[2, 3, 4], 5, with(None, 1, 0.0)),
        // Labels for several workgroups.
        plain(&[19, 3, 17], &[19, 17], 3, with(Mean, -100, 0.0)),
        plain(&[4, 1], &[4], 1, with(Mean, -100, 0.0)),
        plain(&[0, 5], &[0], 5, with(Sum, -100, 0.0)),
        weighted(&[6, 5], &[6], 5, with(Mean, 2, 0.0)),
        weighted(&[3, 4, 7], &[3, 7], 4, with(Mean, -100, 0.3)),
        likely(&[4, 5], with(Mean, -100, 0.0)),
        likely(&[2, 5, 3], with(Sum, -100, 0.1)),
        Case::new("nll_loss", &[&[7, 3], &[7]], |x| Ok(vec![x[0].nll_loss(&x[1], &CrossEntropyOptions::default())?]))
            .integers(1, 0, 2)
            .first_order(),
        Case::new("nll_loss", &[&[2, 4, 3], &[2, 3], &[4]], |x| {
            let options = CrossEntropyOptions::default().weight(x[2].clone()).ignore_index(1);
            Ok(vec![x[0].nll_loss(&x[1], &options)?])
        })
        .integers(1, 0, 3)
        .domain(2, 0.2, 2.0),
    ]
}

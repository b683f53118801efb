//! Margin losses of classes: one right class, several right ones, and the soft margin.

use super::{floats, numbers, same_shape};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;

options! {
    /// Options of [`Tensor::multi_margin_loss`].
    #[derive(Clone, Debug)]
    MultiMarginOptions {
        /// The power of each shortfall: 1 or 2.
        p: i32 = 1,
        /// The margin by which the right class should win.
        margin: f64 = 1.0,
        /// A weight for each class, `[C]`.
        weight: Option<Tensor> = None,
        /// Reduction of the losses of the samples.
        reduction: Reduction = Reduction::Mean,
    }
}

/// Scores as `[N, C]`; a vector is one sample and a scalar one sample of one class.
#[track_caller]
fn samples(op: &'static str, input: &Tensor) -> Result<Tensor> {
    let rows = match input.rank() {
        0 | 1 => input.reshape(&[1, input.numel() as isize])?,
        _ => input.clone(),
    };
    if rows.rank() > 2 || rows.shape()[1] == 0 {
        let rule = format!("the scores must be [N, C] or [C] with at least one class; they are {}", input.shape());
        return Err(Error::invalid(op, rule));
    }
    Ok(rows)
}

fn labels(op: &'static str, target: &Tensor) -> Result<()> {
    if target.dtype() == DType::I32 {
        return Ok(());
    }
    Err(Error::WrongDType { op, expected: "i32 labels", got: target.dtype() })
}

impl Tensor {
    /// The amounts by which other classes come within the margin of the right one `y`:
    /// `sum over i other than y of max(0, margin - x[y] + x[i])^p weight[y] / C`, reduced.
    ///
    /// Scores are `[N, C]` with i32 labels `[N]`, or `[C]` with `[]` or `[1]`. A NaN score makes the loss NaN; PyTorch ignores
    /// it, since it is not above the margin.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, no classes, or a `p` that is neither 1 nor 2; [`Error::WrongDType`]. A
    /// label out of range makes its loss NaN and is [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, MultiMarginOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.5f32, 1.0, 3.0], &[1, 3])?;
    /// let label = Tensor::from_slice(&device, &[1], &[1])?;
    /// let loss = x.multi_margin_loss(&label, &MultiMarginOptions::default())?;
    /// assert_eq!(loss.item::<f32>()?, (0.5 + 3.0) / 3.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn multi_margin_loss(&self, target: &Tensor, options: &MultiMarginOptions) -> Result<Tensor> {
        const OP: &str = "multi_margin_loss";
        if let Some(cast) = autocast::enter(OP)? {
            let weight = cast.of_some(options.weight.as_ref())?;
            let options = MultiMarginOptions { weight, ..options.clone() };
            return cast.of(self)?.multi_margin_loss(target, &options);
        }
        let &MultiMarginOptions { p, margin, ref weight, reduction } = options;
        floats(OP, &[self])?;
        labels(OP, target)?;
        if p != 1 && p != 2 {
            return Err(Error::invalid(OP, format!("p is {p}; it must be 1 or 2")));
        }
        let x = samples(OP, self)?;
        let (count, classes) = (x.shape()[0], x.shape()[1]);
        if target.rank() > 1 || target.numel() != count {
            let rule = format!("labels {} must be one for each of the {count} samples", target.shape());
            return Err(Error::invalid(OP, rule));
        }
        let index = target.reshape(&[count as isize, 1])?;
        let right = x.gather_as(OP, 1, &index)?;
        let others = numbers(OP, self.device(), classes)?.ne(&index)?;
        // The right class is masked first: an infinite score minus itself is NaN.
        let short = ((&x - &right)? + margin)?;
        let mut short = others.where_(&short, &short.zeros_like()?)?.relu()?;
        if p == 2 {
            short = short.square()?;
        }
        let mut losses = short.sum(1)?;
        if let Some(weight) = weight {
            floats(OP, &[weight])?;
            if weight.shape()[..] != [classes] {
                return Err(Error::invalid(OP, format!("weight {} must be [{classes}], one a class", weight.shape())));
            }
            losses = (&losses * weight.gather_as(OP, 0, &target.reshape(&[-1])?)?)?;
        }
        reduction.of(&(&losses / classes as f64)?.reshape_to(*target.shape())?)
    }

    /// The amounts by which wrong classes come near the right ones, of which a sample may have several:
    /// `sum over right classes j and wrong classes i of max(0, 1 - x[j] + x[i]) / C`, reduced.
    ///
    /// Scores are `[N, C]` or `[C]`; the i32 target of the same shape lists the right classes, and ends at the first -1. Takes
    /// memory for `N C C` elements. A NaN score makes the loss NaN; PyTorch ignores it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes or no classes, [`Error::WrongDType`]. A label below -1 or from `C` up
    /// makes the loss NaN and is [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Reduction, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.5f32, 1.0, 3.0], &[3])?;
    /// let target = Tensor::from_slice(&device, &[2, 1, -1], &[3])?;
    /// let loss = x.multilabel_margin_loss(&target, Reduction::Mean)?;
    /// assert_eq!(loss.item::<f32>()?, 0.5 / 3.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn multilabel_margin_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "multilabel_margin_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.multilabel_margin_loss(target, reduction);
        }
        let _line = ascribe_to_caller();
        floats(OP, &[self])?;
        labels(OP, target)?;
        let x = samples(OP, self)?;
        let (count, classes) = (x.shape()[0], x.shape()[1]);
        let fits = target.shape() == self.shape() || self.rank() < 2 && target.rank() < 2 && target.numel() == classes;
        if !fits {
            let rule = format!("the target {} must have the shape of the scores, {}", target.shape(), self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let target = target.reshape(&[count as isize, classes as isize])?;
        let numbers = numbers(OP, self.device(), classes)?;
        let whole = |value: i32| Tensor::full(self.device(), &[], value);
        let last = whole(nearest::<i32>(classes))?;
        let listed = target.lt(&whole(0)?)?.where_(&numbers, &last)?.amin_keepdim(1)?.gt(&numbers)?;
        // Labels past the end don't count, but must be valid.
        let known = target.ge(&whole(-1)?)?.logical_and(&target.lt(&last)?)?;
        let index = known.where_(&listed.where_(&target, &whole(0)?)?, &target)?;
        let right = x.gather_as(OP, 1, &index)?.unsqueeze(2)?;
        let listed = listed.unsqueeze(2)?;
        // [N, right, C]: true if the entry lists the class, and the amount by which the class comes too near.
        let same = listed.where_(&target.unsqueeze(2)?, &whole(-1)?)?.eq(&numbers)?;
        let wrong = same.to_dtype(DType::F32)?.amax_keepdim(1)?.eq_scalar(0.0)?;
        let near = ((x.unsqueeze(1)? - &right)? + 1.0)?.relu()?;
        let zeros = near.zeros_like()?;
        let near = listed.where_(&wrong.where_(&near, &zeros)?, &zeros)?;
        let losses = (near.sum([1, 2])? / classes as f64)?;
        reduction.of(&if self.rank() < 2 { losses.reshape(&[])? } else { losses })
    }

    /// The mean over the classes, which are the last dimension, of each class's binary cross entropy:
    /// `-weight (t log sigmoid(x) + (1 - t) log sigmoid(-x))` with the target `t`; reduced. Shapes broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`], [`Error::WrongDType`]; [`Error::DimOutOfRange`] for a scalar.
    #[track_caller]
    pub fn multilabel_soft_margin_loss(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        const OP: &str = "multilabel_soft_margin_loss";
        floats(OP, &[self])?;
        let dim = self.shape().dim(OP, -1)?;
        if self.rank() == 0 {
            return Err(Error::DimOutOfRange { op: OP, dim: -1, rank: 0 });
        }
        let target = target.to_dtype(self.dtype())?;
        let off = (1.0 - &target)?;
        let mut losses = (-((&target * self.logsigmoid()?)? + &off * (-self)?.logsigmoid()?)?)?;
        if let Some(weight) = weight {
            floats(OP, &[weight])?;
            losses = (&losses * weight)?;
        }
        // The dimension is counted from the front of the input, as in PyTorch; targets of more dimensions shift it.
        reduction.of(&(losses.sum(dim)? / self.shape()[dim] as f64)?)
    }

    /// `log(1 + e^(-t x))` with targets `t` of 1 and -1, exact for large scores too; reduced. The target broadcasts
    /// to the input.
    ///
    /// # Errors
    /// [`Error::Broadcast`] or [`Error::Invalid`] if it does not, [`Error::WrongDType`].
    #[track_caller]
    pub fn soft_margin_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "soft_margin_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.soft_margin_loss(target, reduction);
        }
        floats(OP, &[self])?;
        let target = target.to_dtype(self.dtype())?.expand_to(*self.shape(), OP)?;
        same_shape(OP, "target", &target, self)?;
        reduction.of(&(-(target * self)?.logsigmoid()?)?)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for (p, margin) in [(1, 5.0), (2, 6.0), (2, -5.0)] {
            let options = MultiMarginOptions::default().p(p).margin(margin).reduction(reduction);
            let named = options.clone();
            cases.push(
                Case::new("multi_margin_loss", &[&[4, 5], &[4], &[5]], move |x| {
                    let options = MultiMarginOptions { weight: Some(x[2].clone()), ..options.clone() };
                    Ok(vec![x[0].multi_margin_loss(&x[1], &options)?])
                })
                .options(&named)
                .integers(1, 0, 4)
                .domain(2, 0.2, 2.0),
            );
        }
        cases.push(
            Case::new("multilabel_margin_loss", &[&[3, 5], &[3, 5]], move |x| {
                Ok(vec![x[0].multilabel_margin_loss(&x[1], reduction)?])
            })
            .with("reduction", reduction)
            .domain(0, -0.4, 0.4)
            .integers(1, -1, 4)
            .first_order(),
        );
        cases.push(
            Case::new("multilabel_soft_margin_loss", &[&[3, 5], &[3, 5], &[5]], move |x| {
                Ok(vec![x[0].multilabel_soft_margin_loss(&x[1], Some(&x[2]), reduction)?])
            })
            .with("reduction", reduction)
            .domain(1, 0.0, 1.0),
        );
        let soft = move |x: &[Tensor]| Ok(vec![x[0].soft_margin_loss(&x[1], reduction)?]);
        cases.push(Case::new("soft_margin_loss", &[&[3, 5], &[5]], soft).with("reduction", reduction));
    }
    cases.push(
        Case::new("multi_margin_loss", &[&[5], &[]], |x| {
            Ok(vec![x[0].multi_margin_loss(&x[1], &MultiMarginOptions::default().margin(5.0))?])
        })
        .integers(1, 0, 4)
        .first_order(),
    );
    cases.push(Case::new("multi_margin_loss", &[&[0, 5], &[0]], |x| {
        Ok(vec![x[0].multi_margin_loss(
            &x[1].to_dtype(DType::I32)?,
            &MultiMarginOptions::default().reduction(Reduction::Sum),
        )?])
    }));
    cases
}

//! Connectionist Temporal Classification: the likelihood of labels whose positions in time are unknown.

mod kernels;
mod reference;

use super::{floats, numbers};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, record};
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;
use crate::shape::Shape;
use kernels::{CtcLoss, MOST_LABELS, OP};

options! {
    /// Options of [`Tensor::ctc_loss`].
    #[derive(Clone, Copy, Debug)]
    CtcLossOptions {
        /// The class that stands for no label.
        blank: usize = 0,
        /// Reduction of the losses of the samples. The mean divides each by the number of its labels first.
        reduction: Reduction = Reduction::default(),
        /// Makes samples with more labels than fit into their time, whose loss is infinite, cost nothing.
        zero_infinity: bool = false,
    }
}

/// One length for each sample, for [`Tensor::ctc_loss`].
#[derive(Clone, Copy, Debug)]
pub enum CtcLengths<'a> {
    /// Numbers on the host.
    Host(&'a [usize]),
    /// Numbers on the device, i32: they are not read back.
    Device(&'a Tensor),
}

impl<'a> From<&'a [usize]> for CtcLengths<'a> {
    fn from(lengths: &'a [usize]) -> CtcLengths<'a> {
        CtcLengths::Host(lengths)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for CtcLengths<'a> {
    fn from(lengths: &'a [usize; N]) -> CtcLengths<'a> {
        CtcLengths::Host(lengths)
    }
}

impl<'a> From<&'a Tensor> for CtcLengths<'a> {
    fn from(lengths: &'a Tensor) -> CtcLengths<'a> {
        CtcLengths::Device(lengths)
    }
}

/// Numbers as i32 on the device.
#[track_caller]
fn whole(device: &Device, values: impl Iterator<Item = usize>) -> Result<Tensor> {
    let values: Option<Vec<i32>> = values.map(|v| i32::try_from(v).ok()).collect();
    let values = values.ok_or_else(|| Error::invalid(OP, "lengths must be below 2^31"))?;
    Tensor::from_slice(device, &values, &[values.len()])
}

impl CtcLengths<'_> {
    /// The lengths as `[N]` on the device; those from the host must be at most `limit`.
    #[track_caller]
    fn tensor(&self, what: &str, device: &Device, batch: usize, limit: usize) -> Result<Tensor> {
        let wrong = |count: usize| {
            Err(Error::invalid(OP, format!("{count} {what} lengths must be one for each of the {batch} samples")))
        };
        match *self {
            CtcLengths::Host(lengths) if lengths.len() != batch => wrong(lengths.len()),
            CtcLengths::Host(lengths) => match lengths.iter().find(|&&length| length > limit) {
                Some(length) => {
                    Err(Error::invalid(OP, format!("the {what} length {length} is more than there are, {limit}")))
                }
                None => whole(device, lengths.iter().copied()),
            },
            CtcLengths::Device(lengths) if lengths.dtype() != DType::I32 => {
                Err(Error::WrongDType { op: OP, expected: "i32 lengths", got: lengths.dtype() })
            }
            CtcLengths::Device(lengths) if lengths.numel() != batch => wrong(lengths.numel()),
            CtcLengths::Device(lengths) => lengths.reshape(&[batch as isize]),
        }
    }
}

/// The start of each sample's labels, if the labels of all samples are concatenated.
#[track_caller]
fn beginnings(device: &Device, lengths: CtcLengths, counts: &Tensor) -> Result<Tensor> {
    if let CtcLengths::Host(lengths) = lengths {
        return whole(
            device,
            lengths.iter().scan(0usize, |sum, &length| {
                let start = *sum;
                *sum = sum.saturating_add(length);
                Some(start)
            }),
        );
    }
    let samples = numbers(OP, device, counts.numel())?;
    let earlier = samples.lt(&samples.unsqueeze(1)?)?;
    earlier.where_(counts, &Tensor::full(device, &[], 0i32)?)?.sum(1)
}

impl Tensor {
    /// The loss of Connectionist Temporal Classification (Graves et al. 2006), PyTorch's `ctc_loss`: minus the logarithm of the
    /// probability of all ways to emit the labels in order, each repeated any number of times, with blanks anywhere and at least
    /// one between two equal labels; reduced.
    ///
    /// This tensor holds log probabilities, such as those of [`log_softmax`](Tensor::log_softmax), `[T, N, C]`, or `[T, C]` for
    /// one sample. The i32 labels are `[N, S]`, of which the first `target_lengths[n]` count, or those of all samples
    /// concatenated, `[sum of target_lengths]`. `input_lengths` is the valid part of `T`. If target lengths are on the device,
    /// the concatenated form takes memory as if each sample had all the labels.
    ///
    /// The gradient is PyTorch's, which assumes a softmax before it: `e^x[t, n, c] - p[t, n, c]`, with the probability `p` of
    /// class `c` at `t` given the labels. A loss is infinite if the labels don't fit into the time, and its gradient NaN; see
    /// [`CtcLossOptions::zero_infinity`]. A log probability of minus infinity has a gradient of 0, the limit; PyTorch's is NaN.
    /// The loss of f16 log probabilities is f32; PyTorch has none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a shape or length does not fit, the input is empty, or the blank is not a class;
    /// [`Error::WrongDType`]; [`Error::TooLarge`] for more than 8,191 labels of a sample. Lengths on the device and
    /// labels that don't fit make the loss NaN and are [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{CtcLossOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// // Three classes, all equally likely at both times: label 1 is said by "1 1", "1 -" and "- 1".
    /// let x = Tensor::zeros(&device, &[2, 1, 3])?.log_softmax(2)?;
    /// let labels = Tensor::from_slice(&device, &[1], &[1, 1])?;
    /// let loss = x.ctc_loss(&labels, &[2], &[1], &CtcLossOptions::default())?;
    /// assert!((loss.item::<f32>()? - 3.0f32.ln()).abs() < 1e-6);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn ctc_loss<'a>(
        &self,
        targets: &Tensor,
        input_lengths: impl Into<CtcLengths<'a>>,
        target_lengths: impl Into<CtcLengths<'a>>,
        options: &CtcLossOptions,
    ) -> Result<Tensor> {
        let &CtcLossOptions { blank, reduction, zero_infinity } = options;
        let (input_lengths, target_lengths) = (input_lengths.into(), target_lengths.into());
        floats(OP, &[self])?;
        if targets.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: OP, expected: "i32 labels", got: targets.dtype() });
        }
        let x = if self.rank() == 2 { self.unsqueeze(1)? } else { self.clone() };
        if x.rank() != 3 || x.numel() == 0 {
            let rule = format!("the input must be [T, N, C] or [T, C] and not empty; it is {}", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let (time, batch, classes) = (x.shape()[0], x.shape()[1], x.shape()[2]);
        if blank >= classes {
            return Err(Error::invalid(OP, format!("blank is {blank}; it must be one of the {classes} classes")));
        }
        let width = match (&targets.shape()[..], target_lengths) {
            (&[rows, width], _) if rows == batch => width,
            (&[count], CtcLengths::Host(lengths)) => {
                let sum = lengths.iter().fold(0usize, |sum, &length| sum.saturating_add(length));
                if sum != count {
                    return Err(Error::invalid(OP, format!("{count} labels must be the {sum} of all samples")));
                }
                lengths.iter().copied().max().unwrap_or(0)
            }
            (&[count], CtcLengths::Device(_)) => count,
            _ => {
                let rule = format!("the labels {} must be [{batch}, S] or those of all samples", targets.shape());
                return Err(Error::invalid(OP, rule));
            }
        };
        if width > MOST_LABELS {
            let limit = MOST_LABELS as u64;
            return Err(Error::TooLarge { op: OP, shape: *targets.shape(), limit, unit: "labels of a sample" });
        }
        let device = self.device();
        let inputs = input_lengths.tensor("input", device, batch, time)?;
        let counts = target_lengths.tensor("target", device, batch, width)?;
        let starts = if targets.rank() == 2 {
            whole(device, (0..batch).map(|sample| sample.saturating_mul(width)))?
        } else {
            beginnings(device, target_lengths, &counts)?
        };
        let spans = Tensor::stack(&[&inputs, &counts, &starts], 0)?;
        // Without labels there must still be a buffer to bind.
        let labels = match targets.numel() {
            0 => Tensor::full(device, &[1], 0i32)?,
            count => targets.reshape(&[count as isize])?.contiguous()?,
        };
        let labels_in_all = if targets.rank() == 1 { targets.numel() } else { 0 };
        let op = CtcLoss { blank, width, labels: labels_in_all, both: x.is_tracked() };
        let x = x.to_dtype(DType::F32)?.contiguous()?;
        let mut losses = record(op, &[&x, &labels, &spans])?.swap_remove(0);
        if zero_infinity {
            losses = losses.isinf()?.where_(&losses.zeros_like()?, &losses)?;
        }
        match reduction {
            Reduction::None if self.rank() == 2 => losses.reshape(&[]),
            Reduction::Mean => Reduction::Mean.of(&(&losses / counts.to_dtype(DType::F32)?.maximum_scalar(1.0)?)?),
            reduction => reduction.of(&losses),
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case =
        |sizes: [usize; 3], labels: &[usize], inputs: Vec<usize>, counts: Vec<usize>, options: CtcLossOptions| {
            // Classes are 0, 1, ..; the range of labels depends on the blank, which comes last or first.
            let (low, high) =
                if options.blank == 0 { (1, nearest::<i32>(sizes[2]) - 1) } else { (0, nearest::<i32>(sizes[2]) - 2) };
            Case::new("ctc_loss", &[&sizes, labels], move |x| {
                let (inputs, counts) = (inputs.as_slice(), counts.as_slice());
                Ok(vec![x[0].log_softmax(2)?.ctc_loss(&x[1], inputs, counts, &options)?])
            })
            .options(&options)
            .integers(1, low, high)
        };
    let with = |blank, reduction, zero_infinity| CtcLossOptions { blank, reduction, zero_infinity };
    use Reduction::{Mean, None, Sum};
    vec![
        kernels::case(),
        case([7, 3, 4], &[3, 2], vec![7, 5, 6], vec![2, 1, 0], with(0, None, false)),
        case([6, 2, 3], &[4], vec![6, 5], vec![2, 2], with(2, Mean, false)),
        case([1, 1, 2], &[1, 1], vec![1], vec![1], with(0, Sum, false)),
        // Labels that do not fit, and no time at all.
        case([5, 3, 4], &[3, 4], vec![2, 5, 0], vec![4, 2, 1], with(0, Sum, true)),
        // More states than a workgroup has invocations, and 70 steps of logarithms and exponentials; the gradient takes a
        // difference of them a hundredth as large.
        case([70, 1, 5], &[1, 33], vec![70], vec![33], with(4, None, true)).tolerance(125.0).first_order(),
        Case::new("ctc_loss", &[&[5, 4], &[2], &[1], &[1]], |x| {
            let options = CtcLossOptions::default();
            Ok(vec![x[0].log_softmax(1)?.ctc_loss(&x[1], &x[2], &x[3], &options)?])
        })
        .integers(1, 1, 3)
        .integers(2, 5, 5)
        .integers(3, 2, 2),
        Case::new("ctc_loss", &[&[4, 6, 3], &[4], &[4]], |x| {
            // A view of the scores, and lengths on the device.
            let lengths = Tensor::from_slice(x[1].device(), &[1, 0, 2, 1], &[4])?;
            let x0 = x[0].transpose(0, 1)?.log_softmax(2)?;
            Ok(vec![x0.ctc_loss(&x[1], &x[2], &lengths, &CtcLossOptions::default())?])
        })
        .integers(1, 1, 2)
        .integers(2, 5, 6)
        .tolerance(8.5),
    ]
}

/// The shape of the sums over paths: both directions or one.
fn sums(directions: usize, log_probs: &Shape, width: usize) -> Result<Shape> {
    Shape::new(&[directions, log_probs[1], log_probs[0], 2 * width + 1])
}

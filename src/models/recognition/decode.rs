//! Decoders of connectionist temporal classification: from the probabilities of classes in each column to labels.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::options::options;
use std::collections::BTreeMap;

/// The likeliest class of each column, with repeats taken once and blanks left out: the labels of each sample. This is the
/// likeliest way to say something, which is not always the likeliest thing said; see [`CtcBeamSearch`].
///
/// Scores are `[T, N, C]`, logits or (log) probabilities; of sample `n` the first `lengths[n]` columns count, or all. The device
/// finds the classes, of which `T N` numbers are read.
///
/// # Errors
/// [`Error::Invalid`] if the scores have other than three dimensions or no class for the blank, or lengths are not one for
/// each sample, `T` at most; errors of the device.
///
/// ```
/// # use wgrad::{Device, Tensor, models::recognition::ctc_greedy_decode};
/// # let device = Device::reference();
/// // Columns of the classes 1, 1, blank, 1, 2.
/// let classes = Tensor::from_slice(&device, &[1, 1, 0, 1, 2], &[5, 1])?;
/// assert_eq!(ctc_greedy_decode(&classes.one_hot(Some(3))?, None, 0)?, [vec![1, 1, 2]]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn ctc_greedy_decode(scores: &Tensor, lengths: Option<&[usize]>, blank: usize) -> Result<Vec<Vec<i32>>> {
    let Columns { batch, lengths, .. } = Columns::of("ctc_greedy_decode", scores, lengths, blank)?;
    let classes = scores.argmax(2)?.to_vec::<i32>()?;
    let labels = |sample: usize| {
        let mut path: Vec<i32> = (0..lengths[sample]).map(|time| classes[time * batch + sample]).collect();
        path.dedup();
        path.retain(|&class| class != nearest::<i32>(blank));
        path
    };
    Ok((0..batch).map(labels).collect())
}

/// Labels that a sample may say.
#[derive(Clone, Debug, PartialEq)]
pub struct CtcHypothesis {
    /// The labels.
    pub labels: Vec<i32>,
    /// The logarithm of the probability of the ways to say them that the search has followed.
    pub log_probability: f64,
}

options! {
    /// A search for the labels that are likeliest over all ways to say them (prefix beam search: Hannun et al., "First-Pass Large
    /// Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", 2014, without a language model).
    ///
    /// Column by column it keeps the `beam_width` likeliest beginnings, each with the probabilities of its ways that end in a
    /// blank and of those that end in its last label:
    ///
    /// ```text
    /// blank(l)  <- p(blank) (blank(l) + label(l))
    /// label(l)  <- p(last of l) label(l) + p(last of l) (blank(k) + label(k), or blank(k) if k ends alike),  l = k + [last]
    /// ```
    ///
    /// If the beam is as wide as the number of prefixes, no prefix is dropped and probabilities are exact.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// use wgrad::models::recognition::{CtcBeamSearch, ctc_greedy_decode};
    /// # let device = Device::reference();
    /// // The blank is likelier than label 1 in both columns, yet "1 1", "1 -" and "- 1" together are likelier than "- -".
    /// let log_probs = Tensor::from_slice(&device, &[0.6f32, 0.4, 0.6, 0.4], &[2, 1, 2])?.log()?;
    /// assert!(ctc_greedy_decode(&log_probs, None, 0)?[0].is_empty());
    /// let best = CtcBeamSearch::default().decode(&log_probs, None)?.swap_remove(0).swap_remove(0);
    /// assert_eq!(best.labels, [1]);
    /// assert!((best.log_probability.exp() - 0.64).abs() < 1e-6);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    CtcBeamSearch {
        /// Beginnings that are followed.
        beam_width: usize = 25,
        /// Hypotheses of each sample that are returned, the likeliest first.
        best: usize = 1,
        /// The class that means no label.
        blank: usize = 0,
    }
}

impl CtcBeamSearch {
    /// The likeliest labels of each sample, by log probabilities `[T, N, C]`, as [`log_softmax`](Tensor::log_softmax) makes them.
    /// The first `lengths[n]` columns of sample `n` count, or all. The search runs on the host, in double precision.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a beam of 0 and in the cases of [`ctc_greedy_decode`]; errors of the device.
    pub fn decode(&self, log_probs: &Tensor, lengths: Option<&[usize]>) -> Result<Vec<Vec<CtcHypothesis>>> {
        const OP: &str = "CtcBeamSearch";
        if self.beam_width == 0 || self.best == 0 {
            let rule = format!("beam_width {} and best {} must be above 0", self.beam_width, self.best);
            return Err(Error::invalid(OP, rule));
        }
        let Columns { batch, classes, lengths } = Columns::of(OP, log_probs, lengths, self.blank)?;
        let values = log_probs.to_f64()?;
        let column = |time: usize, sample: usize| &values[(time * batch + sample) * classes..][..classes];
        let search = |sample: usize| self.search((0..lengths[sample]).map(|time| column(time, sample)));
        Ok((0..batch).map(search).collect())
    }

    /// The likeliest labels of one sample by the log probabilities of its columns.
    fn search<'a>(&self, columns: impl Iterator<Item = &'a [f64]>) -> Vec<CtcHypothesis> {
        let mut beam = vec![(Vec::new(), Ends { blank: 0.0, label: f64::NEG_INFINITY })];
        for column in columns {
            let mut next: BTreeMap<Vec<i32>, Ends> = BTreeMap::new();
            for (labels, ends) in &beam {
                for (class, &log_prob) in column.iter().enumerate() {
                    if class == self.blank {
                        let stays = next.entry(labels.clone()).or_default();
                        stays.blank = log_add(stays.blank, ends.total() + log_prob);
                        continue;
                    }
                    let class = nearest::<i32>(class);
                    let is_repeated = labels.last() == Some(&class);
                    if is_repeated {
                        let stays = next.entry(labels.clone()).or_default();
                        stays.label = log_add(stays.label, ends.label + log_prob);
                    }
                    // Only a blank parts two equal labels.
                    let before = if is_repeated { ends.blank } else { ends.total() };
                    let longer = next.entry([labels.as_slice(), &[class]].concat()).or_default();
                    longer.label = log_add(longer.label, before + log_prob);
                }
            }
            beam = next.into_iter().filter(|(_, ends)| ends.total() > f64::NEG_INFINITY).collect();
            // Equally likely beginnings stay in the order of their labels.
            beam.sort_by(|(_, a), (_, b)| b.total().total_cmp(&a.total()));
            beam.truncate(self.beam_width);
        }
        let hypotheses = beam.into_iter().take(self.best);
        hypotheses.map(|(labels, ends)| CtcHypothesis { labels, log_probability: ends.total() }).collect()
    }
}

/// Log probabilities of the ways to say a beginning, by their last column.
#[derive(Clone, Copy)]
struct Ends {
    blank: f64,
    label: f64,
}

impl Ends {
    fn total(&self) -> f64 {
        log_add(self.blank, self.label)
    }
}

impl Default for Ends {
    /// No ways.
    fn default() -> Ends {
        Ends { blank: f64::NEG_INFINITY, label: f64::NEG_INFINITY }
    }
}

/// The logarithm of the sum of two numbers' exponentials.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Samples, classes, and the columns of each sample that count.
struct Columns {
    batch: usize,
    classes: usize,
    lengths: Vec<usize>,
}

impl Columns {
    fn of(op: &'static str, scores: &Tensor, lengths: Option<&[usize]>, blank: usize) -> Result<Columns> {
        let &[time, batch, classes] = &scores.shape()[..] else {
            return Err(Error::invalid(op, format!("scores are [T, N, C]; these are {}", scores.shape())));
        };
        if blank >= classes {
            return Err(Error::invalid(op, format!("blank is {blank}; it must be one of the {classes} classes")));
        }
        let lengths = lengths.map_or_else(|| vec![time; batch], <[usize]>::to_vec);
        if lengths.len() != batch || lengths.iter().any(|&length| length > time) {
            let rule = format!("lengths {lengths:?} must be one for each of the {batch} samples, at most {time}");
            return Err(Error::invalid(op, rule));
        }
        Ok(Columns { batch, classes, lengths })
    }
}

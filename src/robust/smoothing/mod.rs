//! Randomized smoothing: the class that a network answers most often under noise, and the radius within which it stays.

mod binomial;

pub use binomial::clopper_pearson_lower;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;
use crate::options::options;
use crate::robust::{Classifier, Defence, Pass};
use crate::shape::Shape;
use crate::train::Outcome;
use binomial::{normal_quantile, two_sided};

options! {
    /// Options of [`Smoothed`], with the paper's defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    SmoothingOptions {
        /// The deviation of the noise.
        sigma: f64 = 0.25,
        /// Draws that choose the class to certify, `n0`.
        selection: usize = 100,
        /// Draws that estimate its share, `n`.
        estimation: usize = 100_000,
        /// The probability with which a statement may be wrong.
        alpha: f64 = 0.001,
        /// The most noisy images in a pass.
        batch: usize = 1000,
    }
}

/// A class, and the radius within which it is the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Certificate {
    /// The class; none where the classifier abstains.
    pub class: Option<usize>,
    /// The lower bound of the class's probability under noise.
    pub lower: f64,
    /// The Euclidean length of the changes, of images between 0 and 1, up to which the class stays; 0 for an abstention.
    pub radius: f64,
}

impl Certificate {
    /// The certificate of a class that was the answer to `successes` of `trials` draws of noise: `sigma Phi^-1(p)` with the lower
    /// bound `p` of its probability, or an abstention where that is no more than a half.
    ///
    /// ```
    /// use wgrad::robust::Certificate;
    /// let certificate = Certificate::of_counts(3, 990, 1000, 0.001, 0.5);
    /// assert_eq!(certificate.class, Some(3));
    /// assert!((certificate.radius - 0.989_004_8).abs() < 1e-6);
    /// assert_eq!(Certificate::of_counts(3, 520, 1000, 0.001, 0.5).class, None);
    /// ```
    pub fn of_counts(class: usize, successes: u64, trials: u64, alpha: f64, sigma: f64) -> Certificate {
        let lower = clopper_pearson_lower(successes, trials, alpha);
        if lower > 0.5 {
            Certificate { class: Some(class), lower, radius: sigma * normal_quantile(lower) }
        } else {
            Certificate { class: None, lower, radius: 0.0 }
        }
    }

    /// The fraction of images whose true class is certified at a radius.
    pub fn accuracy(certificates: &[Certificate], classes: &[usize], radius: f64) -> f64 {
        let holds = |(certificate, class): &(&Certificate, &usize)| {
            certificate.class == Some(**class) && certificate.radius >= radius
        };
        let certified = certificates.iter().zip(classes).filter(holds).count();
        certified as f64 / certificates.len().max(1) as f64
    }
}

/// The classifier `g(x)` that answers with the likeliest class of `f(x + normal(0, sigma^2))` (Cohen et al., "Certified
/// Adversarial Robustness via Randomized Smoothing", 2019). No change of a Euclidean length below the radius of a certificate
/// changes its answer, for any network; certificates are large if `f` was trained on noise, as by [`Noise`]. Draws are from the
/// device's random stream. Put the network into evaluation mode first.
///
/// ```
/// use wgrad::robust::{Classifier, Smoothed, SmoothingOptions};
/// use wgrad::{Device, Tensor, models::LeNet5, nn::{Module, Scope}};
///
/// let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// net.eval();
/// let options = SmoothingOptions::default().selection(4).estimation(20);
/// let smoothed = Smoothed::new(Classifier::new(&net), &options)?;
/// let certificates = smoothed.certify(&Tensor::zeros(&device, &[2, 1, 28, 28])?)?;
/// assert_eq!(certificates.len(), 2);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Smoothed<'a> {
    net: Classifier<'a>,
    options: SmoothingOptions,
}

impl<'a> Smoothed<'a> {
    /// The smoothed classifier of a network.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a count is 0, `sigma` not positive, or `alpha` not between 0 and a half.
    pub fn new(net: Classifier<'a>, options: &SmoothingOptions) -> Result<Smoothed<'a>> {
        let SmoothingOptions { sigma, selection, estimation, alpha, batch } = *options;
        let is_normal = sigma > 0.0 && sigma.is_finite() && alpha > 0.0 && alpha < 0.5;
        if !is_normal || [selection, estimation, batch].contains(&0) {
            let rule = format!(
                "sigma {sigma}, alpha {alpha}, {selection} and {estimation} draws, {batch} at once; expected positive numbers, \
                 and alpha below 0.5"
            );
            return Err(Error::invalid("Smoothed", rule));
        }
        Ok(Smoothed { net, options: *options })
    }

    /// The class of each image `[N, C, H, W]` between 0 and 1 by sampling, or none if the two most frequent ones are too close to
    /// tell: the answer is that of `g` with probability `1 - alpha`.
    ///
    /// # Errors
    /// Those of the network; [`Error::Invalid`] if it doesn't answer with logits `[N, classes]`.
    pub fn predict(&self, images: &Tensor, draws: usize) -> Result<Vec<Option<usize>>> {
        let class = |counts: &Vec<u64>| {
            let first = most_frequent(counts);
            let second = counts.iter().enumerate().filter(|&(class, _)| class != first).map(|(_, &count)| count).max();
            let (most, next) = (counts.get(first).copied().unwrap_or(0), second.unwrap_or(0));
            (two_sided(most, most + next) <= self.options.alpha).then_some(first)
        };
        Ok(self.counts(images, draws)?.iter().map(class).collect())
    }

    /// A certificate for each image `[N, C, H, W]` between 0 and 1: `n0` draws choose a class, `n` others bound its probability.
    /// Each is wrong with a probability of at most `alpha`.
    ///
    /// # Errors
    /// As [`predict`](Smoothed::predict).
    pub fn certify(&self, images: &Tensor) -> Result<Vec<Certificate>> {
        let SmoothingOptions { sigma, selection, estimation, alpha, .. } = self.options;
        let selected = self.counts(images, selection)?;
        let estimated = self.counts(images, estimation)?;
        let certificate = |(selected, estimated): (&Vec<u64>, &Vec<u64>)| {
            let class = most_frequent(selected);
            Certificate::of_counts(class, estimated[class], estimation as u64, alpha, sigma)
        };
        Ok(selected.iter().zip(&estimated).map(certificate).collect())
    }

    /// Answers by class, for each image.
    fn counts(&self, images: &Tensor, draws: usize) -> Result<Vec<Vec<u64>>> {
        let (all, most) = (images.shape().first().copied().unwrap_or(0), self.options.batch);
        let mut counts = Vec::with_capacity(all);
        for first in (0..all).step_by(most) {
            let count = most.min(all - first);
            counts.extend(self.counts_of(&images.detach().narrow(0, first, count)?, draws)?);
        }
        Ok(counts)
    }

    /// Answers by class, for each of images that fit in a pass.
    fn counts_of(&self, images: &Tensor, draws: usize) -> Result<Vec<Vec<u64>>> {
        let count = images.shape()[0];
        let at_once = (self.options.batch / count).max(1);
        let (mut total, mut left): (Option<Tensor>, usize) = (None, draws);
        while left > 0 {
            let copies = at_once.min(left);
            let found = no_grad(|| self.count_answers(images, copies))?;
            let sum = match total {
                Some(total) => (total + found)?,
                None => found,
            };
            sum.device().flush()?;
            total = Some(sum);
            left -= copies;
        }
        let Some(total) = total else { return Ok(vec![Vec::new(); count]) };
        let (classes, total) = (total.shape()[1], total.to_f64()?);
        Ok(total.chunks(classes).map(|row| row.iter().map(|&count| nearest(count)).collect()).collect())
    }

    /// Counts of the answers to `copies` noisy copies of each image, f32 `[N, classes]`.
    fn count_answers(&self, images: &Tensor, copies: usize) -> Result<Tensor> {
        let mut sizes = vec![copies];
        sizes.extend_from_slice(images.shape());
        let noise = Tensor::normal(images.device(), &sizes, 0.0, self.options.sigma)?;
        let logits = self.net.logits(&(noise + images)?.flatten(0, 1)?)?;
        if logits.rank() != 2 {
            let rule = format!("the network answers with {}; expected logits [N, classes]", logits.shape());
            return Err(Error::invalid("Smoothed", rule));
        }
        let (count, classes) = (images.shape()[0], logits.shape()[1]);
        let answers = logits.argmax(1)?.one_hot(Some(classes))?.to_dtype(DType::F32)?;
        answers.reshape_to(Shape::new(&[copies, count, classes])?)?.sum(0)
    }
}

/// The first of the classes with the most answers.
fn most_frequent(counts: &[u64]) -> usize {
    let most = counts.iter().max();
    counts.iter().position(|count| Some(count) == most).unwrap_or(0)
}

/// Trains on images with normal noise of deviation `sigma`, of those between 0 and 1, as [`Smoothed`] needs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The deviation.
    pub sigma: f64,
}

impl Defence for Noise {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        let noise = Tensor::normal(pass.images.device(), pass.images.shape(), 0.0, self.sigma)?;
        pass.outcome(&(&pass.images + noise)?)
    }
}

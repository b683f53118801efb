//! Sanity checks of attributions: a map that says something about a network changes with its weights.

use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::graph::{Parameter, Tensor, no_grad};
use crate::nn::Layer;

/// A step of [`Explainer::cascading_randomization`].
#[derive(Clone, Debug, PartialEq)]
pub struct Randomized {
    /// The layer whose weights became random, after those of all layers above it.
    pub layer: String,
    /// The rank correlation of each image's map with that of the trained network.
    pub correlations: Vec<f64>,
}

impl Randomized {
    /// The mean over images.
    pub fn mean(&self) -> f64 {
        self.correlations.iter().sum::<f64>() / self.correlations.len() as f64
    }
}

/// Spearman's rank correlation of each image's numbers in two maps `[N, ..]`: the correlation of their positions in order, where
/// equal numbers share the mean of theirs. NaN where all numbers of a map are equal.
///
/// # Errors
/// [`Error::Invalid`] for maps of two shapes; errors that the device met.
///
/// ```
/// use wgrad::explain::rank_correlation;
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let a = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[1, 3])?;
/// let b = Tensor::from_slice(&device, &[10.0f32, 40.0, 90.0], &[1, 3])?;
/// assert_eq!(rank_correlation(&a, &b)?, [1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn rank_correlation(a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
    if a.shape() != b.shape() || a.rank() == 0 {
        let rule = format!("maps {} and {}; expected two of one shape [N, ..]", a.shape(), b.shape());
        return Err(Error::invalid("rank_correlation", rule));
    }
    let (count, [a, b]) = (a.shape()[0], [a.detach().to_f64()?, b.detach().to_f64()?]);
    let size = a.len() / count.max(1);
    Ok((0..count).map(|at| correlation(&ranks(&a[at * size..][..size]), &ranks(&b[at * size..][..size]))).collect())
}

/// The positions in order, from 0 on.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let (mut ranks, mut first) = (vec![0.0; values.len()], 0);
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let middle = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&at| ranks[at] = middle);
        first += equal.len();
    }
    ranks
}

/// Pearson's correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (of_a, of_b) = (mean(a), mean(b));
    let (mut product, mut squares) = (0.0, [0.0; 2]);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - of_a, b - of_b);
        product += a * b;
        squares = [squares[0] + a * a, squares[1] + b * b];
    }
    product / (squares[0] * squares[1]).sqrt()
}

impl Explainer<'_> {
    /// Makes one layer's weights random after the other, from the last that runs to the first, and compares a method's maps with
    /// those of the trained network (Adebayo et al., "Sanity Checks for Saliency Maps", 2018). A method whose maps stay
    /// alike, as those of guided backpropagation do, shows edges of the image rather than the network. The class is that of the
    /// trained network; random weights are normal, with mean and deviation of the layer's own, from the device's
    /// generator. The network has its weights back in the end, also after an error.
    ///
    /// # Errors
    /// Those of the method; [`Error::Invalid`] for maps whose shape changes.
    ///
    /// ```
    /// use wgrad::explain::Explainer;
    /// # use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
    /// # let device = Device::reference();
    /// let net = LeNet5::new(&Scope::new(&device))?;
    /// let images = Tensor::rand(&device, &[2, 1, 28, 28])?;
    /// let steps = Explainer::new(&net).cascading_randomization(&images, |explainer, x| explainer.saliency(x))?;
    /// assert_eq!((steps[0].layer.as_str(), steps[4].layer.as_str()), ("fc3", "conv1"));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn cascading_randomization(
        &self,
        images: &Tensor,
        method: impl Fn(&Explainer<'_>, &Tensor) -> Result<Tensor>,
    ) -> Result<Vec<Randomized>> {
        let explainer = self.fixed(images)?;
        let trained = method(&explainer, images)?.detach();
        let layers = self.layers_with_weights(images)?;
        let kept: Vec<(&Parameter, Tensor)> =
            layers.iter().flat_map(|(_, weights)| weights).map(|weight| (weight, weight.value().detach())).collect();
        let cascade = layers.iter().map(|(layer, weights)| {
            weights.iter().try_for_each(randomize)?;
            let correlations = rank_correlation(&trained, &method(&explainer, images)?)?;
            Ok(Randomized { layer: layer.clone(), correlations })
        });
        let cascade: Result<Vec<Randomized>> = cascade.collect();
        kept.iter().try_for_each(|(weight, value)| weight.assign(value))?;
        cascade
    }

    /// Layers with their own weights, the last that runs first.
    fn layers_with_weights(&self, images: &Tensor) -> Result<Vec<(String, Vec<Parameter>)>> {
        let mut layers: Vec<(String, Vec<Parameter>)> = Vec::new();
        let mut probe = |at: &Layer<'_>, _: &Tensor, _: &Tensor| {
            let weights: Vec<Parameter> =
                at.module.own_parameters().into_iter().filter(|weight| !weight.is_buffer()).collect();
            // A layer that runs several times is listed where it ran last.
            layers.retain(|(name, _)| name != at.name);
            if !weights.is_empty() {
                layers.push((at.name.to_string(), weights));
            }
            Ok(None)
        };
        no_grad(|| self.model.forward_with(images, &mut probe))?;
        layers.reverse();
        Ok(layers)
    }
}

fn randomize(weight: &Parameter) -> Result<()> {
    let value = weight.value();
    let values = value.to_f64()?;
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    weight.assign(&Tensor::normal(value.device(), value.shape(), mean, variance.sqrt())?.to_dtype(value.dtype())?)
}

//! Transforms that apply to some images only, or in a random order.

use super::{Compose, Draws, Transform, Views, check_probability};
use crate::error::{Error, Result};

/// Several transforms, all applied to each image with a probability.
///
/// ```
/// use wgrad::transforms::{Compose, Draws, RandomApply, RandomInvert, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let some = RandomApply::new(Compose::new().with(RandomInvert::new(1.0)?), 0.5)?;
/// let mut views = Views::new(Tensor::zeros(&Device::reference(), &[100, 1, 1, 1])?)?;
/// some.apply(&mut views, &mut Draws::new(0, 0, &(0..100).collect::<Vec<_>>()))?;
/// let inverted: f32 = views.images()?.to_vec::<f32>()?.iter().sum();
/// assert!((30.0..70.0).contains(&inverted));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct RandomApply {
    transforms: Compose,
    p: f64,
}

impl RandomApply {
    /// With transforms and a probability; torchvision's default is 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a probability that is not between 0 and 1.
    pub fn new(transforms: Compose, p: f64) -> Result<RandomApply> {
        Ok(RandomApply { transforms, p: check_probability("RandomApply", p)? })
    }
}

impl Transform for RandomApply {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let chosen = draws.each(|image| image.chance(self.p));
        views.among(&chosen, |views| self.transforms.apply(views, draws))
    }
}

/// One of several transforms for each image.
pub struct RandomChoice {
    transforms: Vec<Box<dyn Transform>>,
    weights: Vec<f64>,
}

impl RandomChoice {
    /// With transforms and, where they are not equally likely, a weight for each.
    ///
    /// # Errors
    /// [`Error::Invalid`] without transforms, with another number of weights, and if no weight is positive.
    pub fn new(transforms: Vec<Box<dyn Transform>>, p: Option<&[f64]>) -> Result<RandomChoice> {
        const OP: &str = "RandomChoice";
        if transforms.is_empty() {
            return Err(Error::invalid(OP, "there are no transforms to choose from"));
        }
        let weights = p.map_or(vec![1.0; transforms.len()], <[f64]>::to_vec);
        let are_weights = weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite());
        if weights.len() != transforms.len() || !are_weights || weights.iter().sum::<f64>() <= 0.0 {
            let rule = format!("{weights:?} are no weights of {} transforms", transforms.len());
            return Err(Error::invalid(OP, rule));
        }
        Ok(RandomChoice { transforms, weights })
    }
}

impl Transform for RandomChoice {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let choices = draws.each(|image| image.choice(&self.weights));
        for (place, transform) in self.transforms.iter().enumerate() {
            let chosen: Vec<bool> = choices.iter().map(|&choice| choice == place).collect();
            views.among(&chosen, |views| transform.apply(views, &mut draws.at(place)))?;
        }
        Ok(())
    }
}

/// Several transforms, all applied to each image in its own random order.
pub struct RandomOrder {
    transforms: Vec<Box<dyn Transform>>,
}

impl RandomOrder {
    /// With transforms.
    pub fn new(transforms: Vec<Box<dyn Transform>>) -> RandomOrder {
        RandomOrder { transforms }
    }
}

impl Transform for RandomOrder {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let count = self.transforms.len();
        let orders = draws.each(|image| image.permutation(count));
        for turn in 0..count {
            for (place, transform) in self.transforms.iter().enumerate() {
                let chosen: Vec<bool> = orders.iter().map(|order| order[turn] == place).collect();
                views.among(&chosen, |views| transform.apply(views, &mut draws.at(place)))?;
            }
        }
        Ok(())
    }
}

//! The one-pixel attack: differential evolution of positions and colours.

use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;
use crate::options::options;
use crate::robust::{Attack, Classifier, Goal, stream};
use crate::shape::Shape;
use crate::transforms::Stream;

options! {
    /// Options of [`OnePixel`], with the paper's defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    OnePixelOptions {
        /// Pixels that change.
        pixels: usize = 1,
        /// Candidates of each image, at least 4.
        population: usize = 400,
        /// Generations after the first.
        generations: usize = 100,
        /// The bounds between which the weight of differences is drawn for each image and generation: `F`, 0.5 in the paper,
        /// between 0.5 and 1 in scipy.
        weight: [f64; 2] = [0.5, 0.5],
        /// Steps start at the best candidate, which takes the place of the first, as in scipy's `best1bin`; else at any.
        from_best: bool = false,
        /// The most images in a pass.
        batch: usize = 1000,
    }
}

/// Changes a few pixels (Su et al., "One pixel attack for fooling deep neural networks", 2017). Candidates are positions and
/// colours of the pixels; each generation tries `a + F (b - c)` of three others against each, and keeps the one with the smaller
/// probability of the true class, or the larger one of the target class. An image is done as soon as its best candidate fools. It
/// needs no gradients; each generation reads back once. Draws are from the device's random stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnePixel {
    options: OnePixelOptions,
}

/// A candidate: row, column and colours of each pixel, all from 0 to 1.
type Candidate = Vec<f64>;

/// An image under attack.
struct Search {
    image: usize,
    candidates: Vec<Candidate>,
    /// The probability to lower, for each candidate: that of the true class, or of all but the target.
    costs: Vec<f64>,
}

impl Search {
    fn best(&self) -> usize {
        (0..self.costs.len()).min_by(|&a, &b| self.costs[a].total_cmp(&self.costs[b])).unwrap_or(0)
    }

    /// Takes a candidate in the place of one that is no better.
    fn accept(&mut self, at: usize, new: &Candidate, cost: f64, from_best: bool) {
        let old = std::mem::replace(&mut self.costs[at], cost);
        self.candidates[at].clone_from(new);
        if from_best && cost < self.costs[0] {
            // No member of the first generation is lost to the best.
            if old.is_infinite() {
                self.candidates.swap(0, at);
                self.costs.swap(0, at);
            } else {
                self.candidates[0].clone_from(new);
                self.costs[0] = cost;
            }
        }
    }
}

impl OnePixel {
    /// An attack with these options.
    pub fn new(options: &OnePixelOptions) -> OnePixel {
        OnePixel { options: *options }
    }

    /// A candidate to replace one, made from differences of others.
    fn mutant(&self, search: &Search, at: usize, best: usize, weight: f64, stream: &mut Stream) -> Candidate {
        let count = search.candidates.len();
        let mut taken = vec![at];
        let mut other = |stream: &mut Stream| {
            // The others by their number among those not taken.
            let mut index = stream.below(count - taken.len());
            taken.sort_unstable();
            taken.iter().for_each(|&gone| index += usize::from(index >= gone));
            taken.push(index);
            index
        };
        let [b, c] = [other(stream), other(stream)];
        let a = if self.options.from_best { best } else { other(stream) };
        let [a, b, c] = [a, b, c].map(|index| &search.candidates[index]);
        let step = |((a, b), c): ((&f64, &f64), &f64)| {
            let value = a + weight * (b - c);
            if (0.0..=1.0).contains(&value) { value } else { stream.uniform(0.0, 1.0) }
        };
        a.iter().zip(b).zip(c).map(step).collect()
    }

    /// Images in which pixels are changed, one for each row of candidates.
    fn changed(&self, images: &Tensor, candidates: &[&Candidate]) -> Result<Tensor> {
        let device = images.device();
        let [channels, height, width] = [1, 2, 3].map(|dim| images.shape()[dim]);
        let count = candidates.len();
        let places = Tensor::arange(device, 0.0, (height * width) as f64, 1.0, crate::DType::I32)?;
        let places = places.reshape_to(Shape::new(&[1, 1, height, width])?)?;
        let mut changed = images.clone();
        for pixel in 0..self.options.pixels {
            let of = |candidate: &&Candidate| candidate[pixel * (2 + channels)..][..2 + channels].to_vec();
            let genes: Vec<Vec<f64>> = candidates.iter().map(of).collect();
            let index = |share: f64, size: usize| nearest::<usize>((share * size as f64).floor()).min(size - 1);
            let place = |genes: &Vec<f64>| nearest::<i32>(index(genes[0], height) * width + index(genes[1], width));
            let at = Tensor::from_slice(device, &genes.iter().map(place).collect::<Vec<i32>>(), &[count, 1, 1, 1])?;
            let colours: Vec<f32> = genes.iter().flat_map(|genes| genes[2..].iter().map(|&c| nearest(c))).collect();
            let colours = Tensor::from_slice(device, &colours, &[count, channels, 1, 1])?;
            changed = places.eq(&at)?.where_(&colours, &changed)?;
        }
        Ok(changed)
    }

    /// Costs of candidates, and true for those that fool, each of the image at its position.
    fn try_all(&self, attacked: &Attacked<'_>, candidates: &[(usize, &Candidate)]) -> Result<Vec<(f64, bool)>> {
        let mut found = Vec::with_capacity(candidates.len());
        for part in candidates.chunks(self.options.batch) {
            let places: Vec<i32> = part.iter().map(|(image, _)| nearest(*image)).collect();
            let places = Tensor::from_slice(attacked.images.device(), &places, &[part.len()])?;
            let genes: Vec<&Candidate> = part.iter().map(|(_, candidate)| *candidate).collect();
            let changed = self.changed(&attacked.images.index_select(0, &places)?, &genes)?;
            let labels = attacked.goal.labels().index_select(0, &places)?;
            let goal = attacked.goal.with_labels(labels);
            let logits = attacked.net.logits(&changed)?;
            let fools = goal.is_reached(&logits)?.to_dtype(logits.dtype())?;
            let both = Tensor::stack(&[&Goal::pick(&logits.softmax(1)?, goal.labels())?, &fools], 1)?.to_f64()?;
            let cost = |probability: f64| if goal.is_targeted() { 1.0 - probability } else { probability };
            found.extend(both.chunks(2).map(|row| (cost(row[0]), row[1] != 0.0)));
        }
        Ok(found)
    }

    /// Tries new candidates for each search; keeps those that are better, and the searches that go on.
    fn generation(
        &self,
        attacked: &Attacked<'_>,
        searches: Vec<Search>,
        tried: &[Vec<Candidate>],
        done: &mut [Option<Candidate>],
    ) -> Result<Vec<Search>> {
        let pairs = searches.iter().zip(tried);
        let all: Vec<_> = pairs.flat_map(|(search, tried)| tried.iter().map(|new| (search.image, new))).collect();
        let found = self.try_all(attacked, &all)?;
        let mut left = Vec::new();
        for ((mut search, tried), found) in searches.into_iter().zip(tried).zip(found.chunks(self.options.population)) {
            let mut fools = None;
            for (at, (new, &(cost, is_fooled))) in tried.iter().zip(found).enumerate() {
                if is_fooled && fools.is_none_or(|(least, _)| cost < least) {
                    fools = Some((cost, at));
                }
                if cost <= search.costs[at] {
                    search.accept(at, new, cost, self.options.from_best);
                }
            }
            match fools {
                Some((_, at)) => done[search.image] = Some(tried[at].clone()),
                None => left.push(search),
            }
        }
        Ok(left)
    }
}

/// The images, the network and the goal.
struct Attacked<'a> {
    net: &'a Classifier<'a>,
    images: &'a Tensor,
    goal: &'a Goal,
}

impl Attack for OnePixel {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        const OP: &str = "OnePixel";
        let OnePixelOptions { pixels, population, generations, weight: [least, most], batch, .. } = self.options;
        let count = goal.check(images)?;
        let &[_, channels, height, width] = &images.shape()[..] else {
            return Err(Error::invalid(OP, format!("images are [N, C, H, W], not {}", images.shape())));
        };
        let is_weight = least > 0.0 && least <= most && most <= 2.0;
        if population < 4 || !is_weight || [pixels, batch, height, width].contains(&0) {
            let rule = format!(
                "{pixels} pixels of {height} x {width}, {population} candidates, weights from {least} to {most}; expected 4 candidates \
                 or more, and weights up to 2"
            );
            return Err(Error::invalid(OP, rule));
        }
        let images = images.detach();
        let attacked = Attacked { net, images: &images, goal };
        let mut stream = stream(&images);
        no_grad(|| {
            let genes = pixels * (2 + channels);
            let mut done: Vec<Option<Candidate>> = vec![None; count];
            let is_through = goal.is_reached(&net.logits(&images)?)?.to_f64()?;
            let open = (0..count).filter(|&image| is_through[image] == 0.0);
            let random = |stream: &mut Stream| (0..genes).map(|_| stream.uniform(0.0, 1.0)).collect();
            let mut searches: Vec<Search> = open
                .map(|image| Search {
                    image,
                    candidates: vec![Vec::new(); population],
                    costs: vec![f64::INFINITY; population],
                })
                .collect();
            for turn in 0..=generations {
                if searches.is_empty() {
                    break;
                }
                let all = |search: &Search, stream: &mut Stream| {
                    let (best, weight) = (search.best(), stream.uniform(least, most));
                    let new = |at: usize| match turn {
                        0 => random(stream),
                        _ => self.mutant(search, at, best, weight, stream),
                    };
                    (0..population).map(new).collect()
                };
                let tried: Vec<Vec<Candidate>> = searches.iter().map(|search| all(search, &mut stream)).collect();
                searches = self.generation(&attacked, searches, &tried, &mut done)?;
            }
            for search in &searches {
                done[search.image] = Some(search.candidates[search.best()].clone());
            }
            let is_changed: Vec<f32> = done.iter().map(|found| if found.is_some() { 1.0 } else { 0.0 }).collect();
            let is_changed = Tensor::from_slice(images.device(), &is_changed, &[count, 1, 1, 1])?.gt_scalar(0.5)?;
            // Images that fooled from the first stay as they are.
            let found: Vec<Candidate> =
                done.into_iter().map(|found| found.unwrap_or_else(|| vec![0.0; genes])).collect();
            let changed = self.changed(&images, &found.iter().collect::<Vec<_>>())?;
            is_changed.where_(&changed, &images)
        })
    }
}

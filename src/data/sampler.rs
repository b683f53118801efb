//! The order in which an epoch goes through a set.

use super::random::Words;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Numbers of items for an epoch. They follow from the epoch and nothing else, so that any epoch can be repeated.
pub trait Sampler: Send + Sync {
    /// Length of an epoch.
    fn len(&self) -> usize;

    /// The numbers of an epoch, in their order.
    fn order(&self, epoch: u64) -> Vec<usize>;

    /// True if an epoch has no numbers.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The numbers below `count` in order.
#[derive(Clone, Debug)]
pub struct SequentialSampler {
    count: usize,
}

impl SequentialSampler {
    /// For a set of `count` items.
    pub fn new(count: usize) -> SequentialSampler {
        SequentialSampler { count }
    }
}

impl Sampler for SequentialSampler {
    fn len(&self) -> usize {
        self.count
    }

    fn order(&self, _: u64) -> Vec<usize> {
        (0..self.count).collect()
    }
}

/// The numbers below `count`, each once, in a new random order each epoch.
#[derive(Clone, Debug)]
pub struct RandomSampler {
    count: usize,
    seed: u64,
}

impl RandomSampler {
    /// For a set of `count` items.
    pub fn new(count: usize, seed: u64) -> RandomSampler {
        RandomSampler { count, seed }
    }
}

impl Sampler for RandomSampler {
    fn len(&self) -> usize {
        self.count
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        super::random::shuffled(self.count, self.seed, epoch)
    }
}

/// Numbers drawn by weight, with replacement: PyTorch's `WeightedRandomSampler`.
///
/// With the weights `1 / count` of each item's class it draws all classes equally often (see
/// [`class_balanced`](Self::class_balanced)).
#[derive(Clone, Debug)]
pub struct WeightedSampler {
    /// Sums of the weights up to and with each.
    sums: Vec<f64>,
    draws: usize,
    seed: u64,
}

impl WeightedSampler {
    /// `draws` numbers an epoch; number `i` has the chance `weights[i] / sum(weights)`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a weight is negative or not finite, or all are 0.
    pub fn new(weights: &[f64], draws: usize, seed: u64) -> Result<WeightedSampler> {
        const OP: &str = "WeightedSampler";
        if let Some(at) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            return Err(Error::invalid(OP, format!("weight {at} is {}; it must be at least 0", weights[at])));
        }
        let sums: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        match sums.last() {
            Some(sum) if *sum > 0.0 && sum.is_finite() => Ok(WeightedSampler { sums, draws, seed }),
            sum => Err(Error::invalid(OP, format!("the weights add up to {}", sum.unwrap_or(&0.0)))),
        }
    }

    /// One draw for each label; in the long run all classes are equally frequent.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no labels.
    pub fn class_balanced(labels: &[i32], seed: u64) -> Result<WeightedSampler> {
        let members = members(labels);
        let weights: Vec<f64> = labels.iter().map(|label| 1.0 / members[label].len() as f64).collect();
        WeightedSampler::new(&weights, labels.len(), seed)
    }
}

impl Sampler for WeightedSampler {
    fn len(&self) -> usize {
        self.draws
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        let words = Words::new(self.seed, epoch);
        let total = self.sums.last().copied().unwrap_or(0.0);
        // Rounding may bring a draw up to the total, which belongs to the last item with a weight.
        let last = self.sums.partition_point(|&sum| sum < total);
        let draw = |at| self.sums.partition_point(|&sum| sum <= words.unit(at) * total).min(last);
        (0..self.draws).map(draw).collect()
    }
}

/// Each number once, the classes mixed evenly: any stretch of an epoch, and so each batch, has each class in its proportion to
/// within two items.
#[derive(Clone, Debug)]
pub struct StratifiedSampler {
    classes: Vec<Vec<usize>>,
    count: usize,
    seed: u64,
}

impl StratifiedSampler {
    /// For items of these classes.
    pub fn new(labels: &[i32], seed: u64) -> StratifiedSampler {
        StratifiedSampler { classes: members(labels).into_values().collect(), count: labels.len(), seed }
    }
}

impl Sampler for StratifiedSampler {
    fn len(&self) -> usize {
        self.count
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut places: Vec<(f64, usize)> = Vec::with_capacity(self.count);
        for (class, members) in (0u64..).zip(&self.classes) {
            // Words of each class's own; the one after the shuffle's is the class's offset.
            let words = Words::new(self.seed.wrapping_add(class.wrapping_mul(0x5851_F42D_4C95_7F2D)), epoch);
            let mut members = members.clone();
            words.shuffle(&mut members);
            let (offset, count) = (words.unit(members.len()), members.len() as f64);
            places.extend(members.iter().enumerate().map(|(at, &member)| ((at as f64 + offset) / count, member)));
        }
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
        places.into_iter().map(|(_, member)| member).collect()
    }
}

/// Every `replicas`-th number of another sampler's order, beginning with number `rank`: the part of one of several programs that
/// train together. As in PyTorch's `DistributedSampler`, it wraps around, or drops the end, so that all parts are equally long.
pub struct DistributedSampler<S> {
    sampler: S,
    replicas: usize,
    rank: usize,
    drop_last: bool,
}

impl<S: Sampler> DistributedSampler<S> {
    /// The part of program `rank` of `replicas`. All of them must use the same sampler, with the same seed.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `rank` is not a number below `replicas`.
    pub fn new(sampler: S, replicas: usize, rank: usize, drop_last: bool) -> Result<DistributedSampler<S>> {
        if rank >= replicas {
            return Err(Error::invalid("DistributedSampler", format!("rank {rank} of {replicas}")));
        }
        Ok(DistributedSampler { sampler, replicas, rank, drop_last })
    }
}

impl<S: Sampler> Sampler for DistributedSampler<S> {
    fn len(&self) -> usize {
        let count = self.sampler.len();
        if self.drop_last { count / self.replicas } else { count.div_ceil(self.replicas) }
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        let order = self.sampler.order(epoch);
        order.iter().cycle().skip(self.rank).step_by(self.replicas).take(self.len()).copied().collect()
    }
}

/// Numbers of the items of each class.
pub(super) fn members(labels: &[i32]) -> BTreeMap<i32, Vec<usize>> {
    let mut members = BTreeMap::<i32, Vec<usize>>::new();
    for (at, &label) in labels.iter().enumerate() {
        members.entry(label).or_default().push(at);
    }
    members
}

//! Orders of epochs: their items, the counts of each, and their repetition.

use std::collections::BTreeMap;
use wgrad::data::{DistributedSampler, RandomSampler, Sampler, SequentialSampler, StratifiedSampler, WeightedSampler};

fn sorted(mut order: Vec<usize>) -> Vec<usize> {
    order.sort_unstable();
    order
}

#[test]
fn an_epoch_follows_from_seed_and_number() {
    let labels: Vec<i32> = (0..50).map(|at| at % 3).collect();
    let samplers = |seed| -> [Box<dyn Sampler>; 3] {
        [
            Box::new(RandomSampler::new(50, seed)),
            Box::new(StratifiedSampler::new(&labels, seed)),
            Box::new(WeightedSampler::class_balanced(&labels, seed).unwrap()),
        ]
    };
    for (at, (one, other)) in samplers(7).iter().zip(samplers(8)).enumerate() {
        let order = one.order(3);
        assert_eq!((order.len(), one.len()), (50, 50));
        assert_eq!(order, one.order(3));
        assert_ne!(order, one.order(4));
        assert_ne!(order, other.order(3));
        if at < 2 {
            assert_eq!(sorted(order), (0..50).collect::<Vec<_>>());
        }
    }
    assert_eq!(SequentialSampler::new(4).order(9), [0, 1, 2, 3]);
    assert!(SequentialSampler::new(0).is_empty());
}

#[test]
fn weights_are_chances() {
    let weights = [0.0, 1.0, 3.0, 0.0, 4.0, 0.0];
    let sampler = WeightedSampler::new(&weights, 10_000, 1).unwrap();
    let mut counts = [0.0; 6];
    sampler.order(0).into_iter().for_each(|at| counts[at] += 1.0);
    for (count, weight) in counts.iter().zip(weights) {
        // Four standard deviations of a binomial.
        let share = weight / 8.0;
        assert!((count - 10_000.0 * share).abs() <= 4.0 * (10_000.0 * share * (1.0 - share)).sqrt(), "{counts:?}");
    }
    for (weights, text) in [
        (&[1.0, -1.0][..], "weight 1 is -1"),
        (&[f64::NAN], "weight 0 is NaN"),
        (&[0.0, 0.0], "add up to 0"),
        (&[], "add up to 0"),
    ] {
        let message = WeightedSampler::new(weights, 1, 0).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn balanced_draws_have_all_classes_alike() {
    // 900, 90 and 10 items.
    let labels: Vec<i32> = (0..1000).map(|at| if at < 900 { 4 } else { i32::from(at >= 990) }).collect();
    let order = WeightedSampler::class_balanced(&labels, 5).unwrap().order(0);
    let mut counts = BTreeMap::<i32, f64>::new();
    order.iter().for_each(|&at| *counts.entry(labels[at]).or_default() += 1.0);
    for class in [4, 0, 1] {
        assert!((counts[&class] - 1000.0 / 3.0).abs() < 4.0 * (1000.0 * 2.0 / 9.0_f64).sqrt(), "{counts:?}");
    }
    // And within a class all items: of the ten, each is missed with a probability of 1e-14.
    assert!((990..1000).all(|at| order.contains(&at)));
}

#[test]
fn stratified_batches_hold_each_class_by_its_share() {
    let labels: Vec<i32> = (0..600).map(|at| [0, 0, 0, 1, 1, 2][at % 6]).collect();
    let order = StratifiedSampler::new(&labels, 2).order(6);
    for batch in order.chunks(30) {
        for (class, share) in [(0, 15), (1, 10), (2, 5)] {
            let count = batch.iter().filter(|&&at| labels[at] == class).count();
            assert!(count.abs_diff(share) <= 2, "{count} of class {class}");
        }
    }
    // The classes alternate, and not always the same way.
    assert_ne!(
        labels[order[0]],
        labels[order[1..].iter().copied().find(|&at| labels[at] != labels[order[0]]).unwrap()]
    );
}

#[test]
fn shares_of_programs_are_those_of_pytorch() {
    let share = |count, replicas, rank, drop_last| {
        DistributedSampler::new(SequentialSampler::new(count), replicas, rank, drop_last).unwrap()
    };
    // From torch.utils.data.DistributedSampler(range(10), 4, rank, shuffle=False, drop_last=...).
    for (rank, padded, dropped) in
        [(0, [0, 4, 8], [0, 4]), (1, [1, 5, 9], [1, 5]), (2, [2, 6, 0], [2, 6]), (3, [3, 7, 1], [3, 7])]
    {
        assert_eq!(share(10, 4, rank, false).order(0), padded);
        assert_eq!(share(10, 4, rank, true).order(0), dropped);
        assert_eq!((share(10, 4, rank, false).len(), share(10, 4, rank, true).len()), (3, 2));
    }
    assert_eq!(share(2, 5, 4, false).order(0), [0]);
    let shuffled = |rank| DistributedSampler::new(RandomSampler::new(8, 3), 2, rank, false).unwrap().order(5);
    assert_eq!(sorted([shuffled(0), shuffled(1)].concat()), (0..8).collect::<Vec<_>>());
    assert!(DistributedSampler::new(SequentialSampler::new(4), 2, 2, false).is_err());
}

//! Splits and weights, with scikit-learn 1.9 as the oracle.

use std::collections::BTreeMap;
use wgrad::Result;
use wgrad::data::{
    Split, class_weights, group_k_fold, k_fold, oversample, stratified_k_fold, stratified_split, train_test_split,
};

/// 37, 22, 8 and 5 items.
fn labels() -> Vec<i32> {
    [(0, 37), (1, 22), (2, 8), (3, 5)].into_iter().flat_map(|(class, count)| vec![class; count]).collect()
}

fn counts(labels: &[i32], indices: &[usize]) -> Vec<usize> {
    let mut counts = BTreeMap::<i32, usize>::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_default() = 0);
    indices.iter().for_each(|&at| *counts.entry(labels[at]).or_default() += 1);
    counts.into_values().collect()
}

/// Each item is on one side, and each side is in order.
fn check(split: &Split, count: usize) {
    assert!(split.train.is_sorted() && split.test.is_sorted());
    let mut all = [&split.train[..], &split.test].concat();
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}

/// Each item is tested on once.
fn check_folds(splits: &[Split], count: usize) {
    splits.iter().for_each(|split| check(split, count));
    let mut tested: Vec<usize> = splits.iter().flat_map(|split| split.test.clone()).collect();
    tested.sort_unstable();
    assert_eq!(tested, (0..count).collect::<Vec<_>>());
}

#[test]
fn a_share_is_tested_on() {
    for (share, sizes) in [(0.2, (57, 15)), (0.25, (54, 18)), (0.33, (48, 24)), (0.5, (36, 36))] {
        let split = train_test_split(72, share, 0).unwrap();
        check(&split, 72);
        assert_eq!((split.train.len(), split.test.len()), sizes);
        assert_eq!(split, train_test_split(72, share, 0).unwrap());
        assert_ne!(split, train_test_split(72, share, 1).unwrap());
    }
    for share in [0.0, 1.0, 0.999, -0.5, f64::NAN] {
        assert!(train_test_split(72, share, 0).unwrap_err().to_string().contains("one side empty"));
    }
}

#[test]
fn a_share_of_each_class_is_tested_on() {
    let labels = labels();
    for (share, train, test) in [
        (0.2, [29, 18, 6, 4], [8, 4, 2, 1]),
        (0.25, [28, 16, 6, 4], [9, 6, 2, 1]),
        (0.33, [25, 15, 5, 3], [12, 7, 3, 2]),
    ] {
        for seed in 0..5 {
            let split = stratified_split(&labels, share, seed).unwrap();
            check(&split, 72);
            assert_eq!((counts(&labels, &split.train), counts(&labels, &split.test)), (train.to_vec(), test.to_vec()));
        }
    }
    assert_ne!(stratified_split(&labels, 0.2, 0).unwrap(), stratified_split(&labels, 0.2, 1).unwrap());
    for (labels, share, text) in [
        (&[0, 0, 1][..], 0.5, "class 1 has a single item"),
        (&[0, 0, 0, 0, 1, 1], 0.1, "of 2 classes"),
        (&[0, 0], 1.5, "one side empty"),
    ] {
        let message = stratified_split(labels, share, 0).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn folds_divide_a_set() {
    for (folds, sizes) in [(3, vec![24, 24, 24]), (5, vec![15, 15, 14, 14, 14])] {
        for seed in [None, Some(0)] {
            let splits = k_fold(72, folds, seed).unwrap();
            check_folds(&splits, 72);
            assert_eq!(splits.iter().map(|split| split.test.len()).collect::<Vec<_>>(), sizes);
        }
        assert_eq!(k_fold(72, folds, None).unwrap()[0].test, (0..sizes[0]).collect::<Vec<_>>());
        assert_ne!(k_fold(72, folds, Some(0)).unwrap(), k_fold(72, folds, Some(1)).unwrap());
    }
    let refused = |result: Result<Vec<Split>>| assert!(result.unwrap_err().to_string().contains("folds of"));
    refused(k_fold(5, 1, None));
    refused(k_fold(5, 6, None));
    refused(stratified_k_fold(&[0, 0, 1], 3, None));
    refused(group_k_fold(&[0, 0, 1], 3));
}

#[test]
fn folds_hold_each_class_by_its_share() {
    let labels = labels();
    for (folds, expected) in [
        (3, vec![[13, 7, 3, 1], [12, 8, 2, 2], [12, 7, 3, 2]]),
        (5, vec![[8, 4, 2, 1], [8, 4, 2, 1], [7, 5, 1, 1], [7, 5, 1, 1], [7, 4, 2, 1]]),
    ] {
        for seed in [None, Some(3)] {
            let splits = stratified_k_fold(&labels, folds, seed).unwrap();
            check_folds(&splits, 72);
            assert_eq!(splits.iter().map(|split| counts(&labels, &split.test)).collect::<Vec<_>>(), expected);
        }
    }
    // The very items that StratifiedKFold(4) tests on.
    let labels = [2, 0, 1, 0, 1, 1, 0, 2, 0, 0, 0, 1];
    let splits = stratified_k_fold(&labels, 4, None).unwrap();
    let tested: Vec<Vec<i32>> = splits.iter().map(|split| split.test.iter().map(|&at| labels[at]).collect()).collect();
    assert_eq!(tested, [[2, 0, 1], [0, 1, 2], [1, 0, 0], [0, 0, 1]]);
}

#[test]
fn folds_divide_no_group() {
    let sizes = [20, 15, 10, 9, 8, 5, 3, 2];
    let groups: Vec<i32> = (0..8).zip(sizes).flat_map(|(group, size)| vec![group; size]).collect();
    for (folds, expected) in [
        (2, vec![vec![0, 3, 5, 7], vec![1, 2, 4, 6]]),
        (3, vec![vec![0, 6, 7], vec![1, 4], vec![2, 3, 5]]),
        (4, vec![vec![0], vec![1, 6], vec![2, 5, 7], vec![3, 4]]),
    ] {
        let splits = group_k_fold(&groups, folds).unwrap();
        check_folds(&splits, 72);
        for (split, expected) in splits.iter().zip(expected) {
            let mut tested: Vec<i32> = split.test.iter().map(|&at| groups[at]).collect();
            tested.dedup();
            assert_eq!(tested, expected);
        }
    }
}

#[test]
fn small_classes_weigh_more() {
    let expected = [0.486_486_5, 0.818_181_8, 2.25, 3.6];
    for (got, expected) in class_weights(&labels(), 4).unwrap().into_iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} and {expected}");
    }
    for (labels, classes, text) in
        [(&[0, 2][..], 2, "label 1 is 2"), (&[0, -1], 2, "label 1 is -1"), (&[1, 1], 2, "class 0 has")]
    {
        let message = class_weights(labels, classes).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn small_classes_are_drawn_until_they_are_large() {
    let labels = labels();
    let indices = oversample(&labels, 4);
    assert_eq!(indices[..72], (0..72).collect::<Vec<_>>());
    assert_eq!(counts(&labels, &indices), [37; 4]);
    assert_ne!(indices, oversample(&labels, 5));
    assert!(oversample(&[], 0).is_empty());
}

//! Measures of sequences of labels.

use wgrad::metrics::{SequenceScores, edit_distance};

/// Sequences of two labels, up to a length.
fn all(length: u32) -> Vec<Vec<u8>> {
    (0..=length)
        .flat_map(|length| (0..1 << length).map(move |bits| (0..length).map(|at| bits >> at & 1).collect()))
        .collect()
}

/// Levenshtein's definition, which tries everything.
fn by_definition(a: &[u8], b: &[u8]) -> usize {
    match (a, b) {
        ([], rest) | (rest, []) => rest.len(),
        ([x, a_rest @ ..], [y, b_rest @ ..]) if x == y => by_definition(a_rest, b_rest),
        ([_, a_rest @ ..], [_, b_rest @ ..]) => {
            let others = [by_definition(a_rest, b), by_definition(a, b_rest), by_definition(a_rest, b_rest)];
            1 + others.into_iter().min().unwrap()
        }
    }
}

#[test]
fn edit_distances_are_those_of_the_definition() {
    let all = all(5);
    for a in &all {
        for b in &all {
            assert_eq!(edit_distance(a, b), by_definition(a, b), "{a:?} {b:?}");
        }
    }
}

#[test]
fn scores_are_torchmetrics() {
    // torchmetrics 1.9: `EditDistance` of all four is 3.5, and `CharErrorRate` 0.5833.
    let text = |texts: [&str; 4]| texts.map(|text| text.bytes().collect::<Vec<_>>()).to_vec();
    let mut scores = SequenceScores::default();
    assert_eq!((scores.exact_match(), scores.edit_distance(), scores.error_rate()), (0.0, 0.0, 0.0));
    let (preds, target) = (text(["rain", "lnaguaeg", "same", "x"]), text(["shine", "language", "same", "longer!"]));
    scores.update(&preds[..1], &target[..1]).unwrap();
    scores.update(&preds[1..], &target[1..]).unwrap();
    assert_eq!((scores.exact_match(), scores.edit_distance()), (0.25, 3.5));
    assert!((scores.error_rate() - 14.0 / 24.0).abs() < 1e-15);
    let error = scores.update(&preds, &target[..1]).unwrap_err();
    assert!(error.to_string().contains("4 predictions for 1 targets"), "{error}");
}

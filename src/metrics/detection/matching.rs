//! COCO's matching of an image's boxes of one class: detections, and the objects that they find.

use super::scenes::{Detection, GroundTruth};
use super::{mean, ranking};

/// Intersection over union of two boxes (corner and size); where the object is a crowd, intersection over the
/// detection's box.
pub(super) fn overlap(found: &Detection, truth: &GroundTruth, is_crowd: bool) -> f64 {
    let ([dx, dy, dw, dh], [gx, gy, gw, gh]) = (found.bounds, truth.bounds);
    let width = (dx + dw).min(gx + gw) - dx.max(gx);
    let height = (dy + dh).min(gy + gh) - dy.max(gy);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    both / if is_crowd { dw * dh } else { dw * dh + gw * gh - both }
}

/// The objects of a class in an image, the detections from the highest score down, and their overlaps.
pub(super) struct Pairs {
    pub found: Vec<Detection>,
    truths: Vec<GroundTruth>,
    /// Overlap of each detection with each object.
    overlaps: Vec<Vec<f64>>,
}

/// The outcome of a detection at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    Ignored,
}

/// An image's part in a score: outcomes of its detections by threshold, and the number of objects to find.
pub(super) struct Matched {
    pub outcomes: Vec<Vec<Outcome>>,
    pub objects: usize,
}

impl Pairs {
    /// The first `most` detections; `None` if there is nothing at all.
    pub fn new(found: Vec<Detection>, truths: Vec<GroundTruth>, most: usize) -> Option<Pairs> {
        if found.is_empty() && truths.is_empty() {
            return None;
        }
        let order = ranking(&found.iter().map(|of| of.score).collect::<Vec<_>>());
        let found: Vec<Detection> = order.into_iter().take(most).map(|at| found[at]).collect();
        let overlaps = |of: &Detection| truths.iter().map(|truth| overlap(of, truth, truth.is_ignored)).collect();
        let overlaps = found.iter().map(overlaps).collect();
        Some(Pairs { found, truths, overlaps })
    }

    /// The match at each threshold; objects with an area outside `[low, high]` are ignored.
    pub fn matched(&self, thresholds: &[f64], [low, high]: [f64; 2]) -> Matched {
        let outside = |area: f64| area < low || area > high;
        let area = |bounds: [f64; 4]| bounds[2] * bounds[3];
        let ignores: Vec<bool> = self
            .truths
            .iter()
            .map(|truth| truth.is_ignored || outside(truth.area.unwrap_or(area(truth.bounds))))
            .collect();
        // Objects that count come first.
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|&at| ignores[at]);
        let outcomes = thresholds
            .iter()
            .map(|&threshold| {
                let mut is_taken = vec![false; self.truths.len()];
                let outcome =
                    |(at, found): (usize, &Detection)| match self.best(at, threshold, &order, &ignores, &is_taken) {
                        Some(best) => {
                            is_taken[best] = true;
                            if ignores[best] { Outcome::Ignored } else { Outcome::Right }
                        }
                        None if outside(area(found.bounds)) => Outcome::Ignored,
                        None => Outcome::Wrong,
                    };
                self.found.iter().enumerate().map(outcome).collect()
            })
            .collect();
        Matched { outcomes, objects: ignores.iter().filter(|ignored| !**ignored).count() }
    }

    /// The remaining object that a detection overlaps most; one that counts, if there is any.
    fn best(
        &self,
        found: usize,
        threshold: f64,
        order: &[usize],
        ignores: &[bool],
        is_taken: &[bool],
    ) -> Option<usize> {
        let (mut most, mut best) = (threshold.min(1.0 - 1e-10), None);
        for &at in order {
            if is_taken[at] && !self.truths[at].is_ignored {
                continue;
            }
            if ignores[at] && best.is_some_and(|best: usize| !ignores[best]) {
                break;
            }
            // The last one of equal overlaps wins.
            if self.overlaps[found][at] >= most {
                most = self.overlaps[found][at];
                best = Some(at);
            }
        }
        best
    }
}

/// Precision averaged over recalls, and the recall reached, at a threshold.
pub(super) struct Curve {
    pub precision: f64,
    pub recall: f64,
}

/// The curve at each threshold, of the first `most` detections of each image; `None` if there was nothing to find.
pub(super) fn curves(
    images: &[(&Pairs, Matched)],
    thresholds: usize,
    recalls: &[f64],
    most: usize,
) -> Option<Vec<Curve>> {
    let objects: usize = images.iter().map(|(_, matched)| matched.objects).sum();
    if objects == 0 {
        return None;
    }
    let scores: Vec<f64> =
        images.iter().flat_map(|(pairs, _)| pairs.found.iter().take(most).map(|of| of.score)).collect();
    let order = ranking(&scores);
    let curve = |threshold: usize| {
        let outcomes: Vec<Outcome> =
            images.iter().flat_map(|(_, matched)| matched.outcomes[threshold].iter().take(most).copied()).collect();
        let (mut right, mut wrong) = (0.0, 0.0);
        let (mut precision, mut recall) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        for &at in &order {
            match outcomes[at] {
                Outcome::Right => right += 1.0,
                Outcome::Wrong => wrong += 1.0,
                Outcome::Ignored => {}
            }
            precision.push(right / (right + wrong + f64::EPSILON));
            recall.push(right / objects as f64);
        }
        super::envelope(&mut precision);
        let at = |&wanted: &f64| precision.get(recall.partition_point(|&reached| reached < wanted)).copied();
        let precision = mean(recalls.iter().map(|wanted| at(wanted).unwrap_or(0.0))).unwrap_or(0.0);
        Curve { precision, recall: recall.last().copied().unwrap_or(0.0) }
    };
    Some((0..thresholds).map(curve).collect())
}

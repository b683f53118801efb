//! Parts of a set to train and to test on: scikit-learn's splits, as numbers of items in ascending order.

use super::random::Words;
use super::sampler::members;
use crate::error::{Error, Result};
use crate::number::nearest;

/// Numbers of the items to train on, and of those to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To train on, in ascending order.
    pub train: Vec<usize>,
    /// To test on, in ascending order.
    pub test: Vec<usize>,
}

impl Split {
    /// Those with a mark are tested on.
    fn marked(is_test: &[bool]) -> Split {
        let (test, train) = (0..is_test.len()).partition(|&at| is_test[at]);
        Split { train, test }
    }
}

/// Draws a fraction of the items for testing: scikit-learn's `train_test_split`. The number of test items is rounded up.
///
/// # Errors
/// [`Error::Invalid`] if the share is not between 0 and 1, or leaves nothing to train on.
///
/// ```
/// use wgrad::data::train_test_split;
/// let split = train_test_split(10, 0.25, 0)?;
/// assert_eq!((split.train.len(), split.test.len()), (7, 3));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn train_test_split(count: usize, test_share: f64, seed: u64) -> Result<Split> {
    let tested = tested("train_test_split", count, test_share)?;
    let mut order: Vec<usize> = (0..count).collect();
    Words::new(seed, 0).shuffle(&mut order);
    let mut is_test = vec![false; count];
    order[..tested].iter().for_each(|&at| is_test[at] = true);
    Ok(Split::marked(&is_test))
}

/// Draws a fraction of the items for testing, in proportion from each class: scikit-learn's `train_test_split` with `stratify`.
/// Items left over by rounding come from the classes that lost most to it.
///
/// # Errors
/// As [`train_test_split`]; [`Error::Invalid`] if a class has a single item, or if there are fewer test items than classes.
pub fn stratified_split(labels: &[i32], test_share: f64, seed: u64) -> Result<Split> {
    const OP: &str = "stratified_split";
    let tested = tested(OP, labels.len(), test_share)?;
    let classes = members(labels);
    if let Some((class, _)) = classes.iter().find(|(_, members)| members.len() < 2) {
        return Err(Error::invalid(OP, format!("class {class} has a single item, which cannot be on both sides")));
    }
    let trained = labels.len() - tested;
    if tested.min(trained) < classes.len() {
        let rule = format!("{trained} items to train on and {tested} to test on, of {} classes", classes.len());
        return Err(Error::invalid(OP, rule));
    }
    let counts: Vec<usize> = classes.values().map(Vec::len).collect();
    let trained = apportioned(&counts, trained, Words::new(seed, 1));
    let mut is_test = vec![true; labels.len()];
    for ((mut members, trained), class) in classes.into_values().zip(trained).zip(2..) {
        Words::new(seed, class).shuffle(&mut members);
        members[..trained].iter().for_each(|&at| is_test[at] = false);
    }
    Ok(Split::marked(&is_test))
}

/// The number of test items.
fn tested(op: &'static str, count: usize, share: f64) -> Result<usize> {
    let tested: usize = nearest((count as f64 * share).ceil());
    if !(share > 0.0 && share < 1.0) || tested >= count {
        return Err(Error::invalid(op, format!("a share of {share} of {count} items leaves one side empty")));
    }
    Ok(tested)
}

/// A total divided in proportion to some counts: each part is rounded down, and the rest goes to those with the largest
/// remainders. A random order breaks ties.
fn apportioned(counts: &[usize], total: usize, words: Words) -> Vec<usize> {
    let all: usize = counts.iter().sum();
    // Rests are whole numbers here, so that equal ones are.
    let mut parts: Vec<usize> = counts.iter().map(|&count| count * total / all).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    words.shuffle(&mut order);
    order.sort_by_key(|&class| std::cmp::Reverse(counts[class] * total % all));
    let left = total - parts.iter().sum::<usize>();
    order[..left].iter().for_each(|&class| parts[class] += 1);
    parts
}

/// `folds` splits, in which each item is tested on once: scikit-learn's `KFold`. Folds are stretches of the set, or of the set
/// shuffled where there is a seed.
///
/// # Errors
/// [`Error::Invalid`] if there are not 2 to `count` folds.
pub fn k_fold(count: usize, folds: usize, seed: Option<u64>) -> Result<Vec<Split>> {
    check_folds("k_fold", folds, count, "items")?;
    let mut order: Vec<usize> = (0..count).collect();
    if let Some(seed) = seed {
        Words::new(seed, 0).shuffle(&mut order);
    }
    let mut fold_of = vec![0; count];
    for (place, at) in order.into_iter().enumerate() {
        // The first folds have an item more.
        let (size, longer) = (count / folds, count % folds);
        let in_longer = longer * (size + 1);
        fold_of[at] = if place < in_longer { place / (size + 1) } else { longer + (place - in_longer) / size };
    }
    Ok(splits(&fold_of, folds))
}

/// `folds` splits, in which each item is tested on once and each class has its share: scikit-learn's `StratifiedKFold`. Without
/// a seed, the items of a class go to the folds in their order.
///
/// # Errors
/// [`Error::Invalid`] if there are fewer than 2 folds, or more than each class has items.
pub fn stratified_k_fold(labels: &[i32], folds: usize, seed: Option<u64>) -> Result<Vec<Split>> {
    let mut classes: Vec<Vec<usize>> = members(labels).into_values().collect();
    let most = classes.iter().map(Vec::len).max().unwrap_or(0);
    check_folds("stratified_k_fold", folds, most, "items in the largest class")?;
    // Classes take consecutive positions in order of appearance; position `p` is in fold `p mod folds`.
    classes.sort_by_key(|members| members[0]);
    let mut fold_of = vec![0; labels.len()];
    let mut start = 0;
    for (class, members) in (0..).zip(&classes) {
        let mut of_class: Vec<usize> = (start..start + members.len()).map(|place| place % folds).collect();
        of_class.sort_unstable();
        if let Some(seed) = seed {
            Words::new(seed, class).shuffle(&mut of_class);
        }
        members.iter().zip(of_class).for_each(|(&at, fold)| fold_of[at] = fold);
        start += members.len();
    }
    Ok(splits(&fold_of, folds))
}

/// `folds` splits, in which each item is tested on once and no group is divided: scikit-learn's `GroupKFold`. The largest
/// groups are dealt out first, each to the fold that is smallest so far.
///
/// # Errors
/// [`Error::Invalid`] if there are not 2 folds, or more than groups.
pub fn group_k_fold(groups: &[i32], folds: usize) -> Result<Vec<Split>> {
    let mut of_group: Vec<Vec<usize>> = members(groups).into_values().collect();
    check_folds("group_k_fold", folds, of_group.len(), "groups")?;
    of_group.sort_by_key(|members| std::cmp::Reverse(members.len()));
    let mut sizes = vec![0; folds];
    let mut fold_of = vec![0; groups.len()];
    for members in of_group {
        let fold = (1..folds).fold(0, |least, fold| if sizes[fold] < sizes[least] { fold } else { least });
        sizes[fold] += members.len();
        members.iter().for_each(|&at| fold_of[at] = fold);
    }
    Ok(splits(&fold_of, folds))
}

fn check_folds(op: &'static str, folds: usize, most: usize, what: &str) -> Result<()> {
    if folds < 2 || folds > most {
        return Err(Error::invalid(op, format!("{folds} folds of {most} {what}; expected 2 to {most}")));
    }
    Ok(())
}

fn splits(fold_of: &[usize], folds: usize) -> Vec<Split> {
    let split = |fold| Split::marked(&fold_of.iter().map(|&of| of == fold).collect::<Vec<_>>());
    (0..folds).map(split).collect()
}

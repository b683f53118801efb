//! Pictures, split, resized, and read into memory where they fit.

use super::settings::Settings;
use crate::collection::{Collection, Part};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::fit::Fitted;
use std::sync::Arc;
use wgrad::data::{
    Array, DataLoader, DataLoaderOptions, Dataset, ImageHeader, Images, Normalization, Sample, SequentialSampler,
    Subset, stack_images, stratified_split,
};

/// The most bytes of pictures that are read once and kept.
const KEPT: usize = 1 << 31;
/// The most pictures to compute mean and deviation from.
const MEASURED: usize = 2000;
/// The size of photographs for the network.
const PHOTOGRAPH: usize = 224;
/// The largest size for which networks have a special stem; larger ones are multiples of 32, as networks halve them.
const SMALL: usize = 64;

/// Pictures to train on and to validate on.
pub struct Pictures {
    pub classes: Vec<String>,
    pub channels: usize,
    pub size: usize,
    pub normalization: Normalization,
    pub train: Store,
    pub val: Store,
}

/// Images of one size, with values from 0 to 1 until they are normalised.
pub enum Store {
    Kept(Arc<Images>),
    Files { set: Arc<Fitted<Subset<Part>>>, labels: Vec<i32> },
}

/// A set that threads share.
type Shared = Arc<dyn Dataset<Item = Sample<i32>> + Send + Sync>;

impl Store {
    pub fn labels(&self) -> &[i32] {
        match self {
            Store::Kept(images) => images.labels(),
            Store::Files { labels, .. } => labels,
        }
    }

    pub fn set(&self) -> Shared {
        match self {
            Store::Kept(images) => images.clone(),
            Store::Files { set, .. } => set.clone(),
        }
    }
}

impl Pictures {
    /// Reads the selected pictures. A given normalization comes from the weights to start from.
    pub fn read(
        collection: &Collection,
        settings: &Settings,
        workers: usize,
        given: Option<Normalization>,
        context: &Context,
    ) -> Outcome<Pictures> {
        let size = settings.size.unwrap_or_else(|| size(&collection.train));
        let sides = split(collection, settings)?.map(|(part, indices)| {
            let labels: Vec<i32> = indices.iter().map(|&index| part.labels()[index]).collect();
            Ok::<_, Failure>((Fitted { set: part.clone().subset(indices)?, size }, labels))
        });
        let [train, val] = sides;
        let ((train, train_labels), (val, val_labels)) = (train?, val?);
        let [channels, ..] = train.get(first_readable(&train)?)?.image.shape();
        let bytes = (train.len() + val.len()).saturating_mul(channels * size * size);
        let keep = |set: Fitted<Subset<Part>>, labels, name: &str| match bytes <= KEPT {
            true => keep(set, &collection.classes, workers, name, context).map(|images| Store::Kept(Arc::new(images))),
            false => Ok(Store::Files { set: Arc::new(set), labels }),
        };
        let (train, val) = (keep(train, train_labels, "training")?, keep(val, val_labels, "validation")?);
        let normalization = match (given, &train) {
            (Some(normalization), _) => normalization,
            (None, Store::Kept(images)) => images.normalization().clone(),
            (None, Store::Files { set, .. }) => {
                let step = set.len().div_ceil(MEASURED);
                Normalization::of(&set.subset((0..set.len()).step_by(step).collect())?)?
            }
        };
        Ok(Pictures { classes: collection.classes.clone(), channels, size, normalization, train, val })
    }
}

/// The first readable picture of some.
fn first_readable(set: &Fitted<Subset<Part>>) -> Outcome<usize> {
    let found = (0..set.len().min(100)).find(|&index| set.get(index).is_ok());
    found.ok_or_else(|| Failure::new("none of the first pictures can be read").hint("`wgrad data DATA` says why"))
}

/// Pictures of a part, by their numbers.
pub type Side<'a> = (&'a Part, Vec<usize>);

/// Training and validation pictures: val/ if there is one, otherwise a fraction of each class.
pub fn split<'a>(collection: &'a Collection, settings: &Settings) -> Outcome<[Side<'a>; 2]> {
    let train = &collection.train;
    if collection.classes.len() < 2 {
        let message =
            format!("there is only one class, {:?}, and a classifier needs at least two", collection.classes.join(""));
        return Err(Failure::new(message).hint("the pictures of each class go into a folder named after it"));
    }
    if let Some(val) = &collection.val {
        return Ok([train, val].map(|part| (part, (0..part.len()).collect())));
    }
    let split = stratified_split(train.labels(), settings.val_split, settings.seed).map_err(|error| {
        Failure::from(error)
            .hint("each class needs pictures to train and to validate on; --val-split sets the share of the latter")
    })?;
    Ok([(train, split.train), (train, split.test)])
}

/// The size of a network's images: that of the pictures if they are small.
fn size(part: &Part) -> usize {
    let some = (0..part.len()).step_by(part.len().div_ceil(256).max(1));
    let shortest = |index: usize| match part.path(index) {
        Some(path) => ImageHeader::read(path).ok().and_then(|header| header.size.into_iter().min()),
        None => part.get(index).ok().and_then(|sample| sample.image.shape()[1..].iter().copied().min()),
    };
    let mut sides: Vec<usize> = some.filter_map(shortest).collect();
    sides.sort_unstable();
    let median = sides[..].get(sides.len() / 2).copied().unwrap_or(PHOTOGRAPH);
    match median {
        0..=SMALL => median.max(8).next_multiple_of(4),
        _ => median.next_multiple_of(32).min(PHOTOGRAPH),
    }
}

/// Reads pictures into memory by threads; unreadable ones are skipped and listed.
fn keep(
    set: Fitted<Subset<Part>>,
    classes: &[String],
    workers: usize,
    name: &str,
    context: &Context,
) -> Outcome<Images> {
    let count = set.len();
    let options = DataLoaderOptions::default().batch_size(32).workers(workers).skip_errors(true);
    let loader = DataLoader::new(set, SequentialSampler::new(count), stack_images, options)?;
    let bar = context.progress(count, &format!("{name} pictures"));
    let (mut pixels, mut labels, mut shape) = (Vec::new(), Vec::new(), Vec::new());
    for batch in loader.epoch(0)? {
        let batch = batch?;
        bar.inc(batch.targets.len() as u64);
        shape = batch.images.shape().to_vec();
        pixels.extend_from_slice(batch.images.values());
        labels.extend(batch.targets);
    }
    bar.finish_and_clear();
    for (_, error) in loader.skipped() {
        context.note(format!("left out: {error}"));
    }
    if let Some(count) = shape.first_mut() {
        *count = labels.len();
    }
    Ok(Images::new(Array::new(shape, pixels)?, labels, classes.to_vec())?)
}

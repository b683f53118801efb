//! Batches of any set, made by threads while the device is at work.

use super::dataset::check_index;
use super::queue::{Queue, caught};
use super::{Dataset, Sampler};
use crate::error::{Error, Result};
use crate::options::options;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

options! {
    /// Options of a [`DataLoader`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    DataLoaderOptions {
        /// Items of a batch.
        batch_size: usize = 64,
        /// Threads that fetch items; with none, the caller makes each batch.
        workers: usize = 2,
        /// Batches that each thread may be ahead.
        prefetch: usize = 2,
        /// Leaves off the last batch where it would be shorter.
        drop_last: bool = false,
        /// Leaves out items whose [`get`](Dataset::get) is an error, and counts them ([`DataLoader::skipped`]), instead of ending
        /// the epoch. A batch none of whose items can be had is an error.
        skip_errors: bool = false,
    }
}

/// Times of an epoch: all of it, and the wait for data.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadTimes {
    /// From when the epoch was begun until a batch was last asked for and given.
    pub elapsed: Duration,
    /// The part of it that was spent asking.
    pub waited: Duration,
}

impl LoadTimes {
    /// The fraction of the time that was spent waiting.
    pub fn wait_share(&self) -> f64 {
        self.waited.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Batches of a set, in the order of a sampler: PyTorch's `DataLoader`. A function makes a batch of its items.
///
/// Batches and their order follow from the set, the sampler and the epoch; the number of threads changes neither. Threads
/// fetch `prefetch` batches each ahead and no more, and end when the iterator is dropped. An item that is an error, or whose
/// `get` panics, is [`Error::Item`], after which the iterator ends.
///
/// ```
/// use wgrad::data::{Array, DataLoader, DataLoaderOptions, RandomSampler, stack_arrays};
/// let set = Array::new(vec![5, 2], (0..10).map(|value| value as f32).collect())?;
/// let options = DataLoaderOptions::default().batch_size(2);
/// let loader = DataLoader::new(set, RandomSampler::new(5, 0), stack_arrays, options)?;
/// for epoch in 0..2 {
///     let sizes: Vec<usize> = loader.epoch(epoch)?.map(|batch| Ok(batch?.shape()[0])).collect::<wgrad::Result<_>>()?;
///     assert_eq!(sizes, [2, 2, 1]);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct DataLoader<D, F> {
    set: Arc<D>,
    sampler: Box<dyn Sampler>,
    collate: Arc<F>,
    options: DataLoaderOptions,
    record: Arc<Record>,
}

/// A record of the last epoch.
#[derive(Default)]
struct Record {
    times: Mutex<LoadTimes>,
    skipped: Mutex<Vec<(usize, Error)>>,
}

impl<D, B, F> DataLoader<D, F>
where
    D: Dataset + Send + Sync + 'static,
    B: Send + 'static,
    F: Fn(Vec<D::Item>) -> Result<B> + Send + Sync + 'static,
{
    /// Batches that `collate` makes of the items of `set`; an `Arc` shares a set with other loaders.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the batch size is 0.
    pub fn new(
        set: D,
        sampler: impl Sampler + 'static,
        collate: F,
        options: DataLoaderOptions,
    ) -> Result<DataLoader<D, F>> {
        if options.batch_size == 0 {
            return Err(Error::invalid("DataLoader", "the batch size is 0; it must be at least 1"));
        }
        let (set, sampler, collate) = (Arc::new(set), Box::new(sampler), Arc::new(collate));
        Ok(DataLoader { set, sampler, collate, options, record: Arc::default() })
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        let DataLoaderOptions { batch_size, drop_last, .. } = self.options;
        let count = self.sampler.len();
        if drop_last { count / batch_size } else { count.div_ceil(batch_size) }
    }

    /// The batches of an epoch. A number of the sampler's that the set does not have is [`Error::IndexOutOfRange`] if it is
    /// reached.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the system gives no thread.
    pub fn epoch(&self, epoch: u64) -> Result<DataLoaderIter<B>> {
        self.resume(epoch, 0)
    }

    /// The batches of an epoch from number `batch` on: those that remained when an iterator's
    /// [`position`](DataLoaderIter::position) was that. Earlier ones are not fetched.
    ///
    /// # Errors
    /// As [`epoch`](DataLoader::epoch); [`Error::Invalid`] if the epoch has fewer batches.
    pub fn resume(&self, epoch: u64, batch: usize) -> Result<DataLoaderIter<B>> {
        let (count, options) = (self.batches(), self.options);
        if batch > count {
            return Err(Error::invalid("resume", format!("batch {batch} of an epoch that has {count}")));
        }
        let order = self.sampler.order(epoch);
        let (set, collate, record) = (self.set.clone(), self.collate.clone(), self.record.clone());
        *record.times.lock() = LoadTimes::default();
        record.skipped.lock().clear();
        let work = move |batch: usize| {
            let start = batch * options.batch_size;
            let indices = &order[start..order.len().min(start + options.batch_size)];
            let skipped = options.skip_errors.then_some(&record.skipped);
            let items = fetch(&*set, indices, skipped)?;
            let refused = |panic| Error::invalid("collate", format!("it panicked: {panic}; items {indices:?}"));
            caught(|| collate(items)).unwrap_or_else(|panic| Err(refused(panic)))
        };
        let queue = Queue::new(
            options.workers,
            options.workers.saturating_mul(options.prefetch),
            batch..count,
            Box::new(work),
        )?;
        Ok(DataLoaderIter { queue, record: self.record.clone(), waited: Duration::ZERO, start: Instant::now() })
    }

    /// Times of the last epoch, or of this one so far.
    pub fn times(&self) -> LoadTimes {
        *self.record.times.lock()
    }

    /// Numbers of the items that were left out in this epoch, and why.
    pub fn skipped(&self) -> Vec<(usize, Error)> {
        let mut skipped = self.record.skipped.lock().clone();
        skipped.sort_by_key(|&(index, _)| index);
        skipped
    }
}

/// The items of some numbers. Those that are errors go to `skipped`, where there is one.
fn fetch<D: Dataset>(set: &D, indices: &[usize], skipped: Option<&Mutex<Vec<(usize, Error)>>>) -> Result<Vec<D::Item>> {
    let mut items = Vec::with_capacity(indices.len());
    for &index in indices {
        check_index("DataLoader", index, set.len())?;
        let fault = |source| Error::Item { index, source: Box::new(source) };
        let item =
            caught(|| set.get(index)).map_err(|panic| fault(Error::invalid("get", format!("it panicked: {panic}"))))?;
        match (item, skipped) {
            (Ok(item), _) => items.push(item),
            (Err(error), Some(skipped)) => skipped.lock().push((index, error)),
            (Err(error), None) => return Err(fault(error)),
        }
    }
    if items.is_empty() {
        return Err(Error::invalid("DataLoader", format!("none of the items {indices:?} of a batch could be had")));
    }
    Ok(items)
}

/// An iterator over the batches of an epoch.
pub struct DataLoaderIter<B> {
    queue: Queue<B>,
    record: Arc<Record>,
    start: Instant,
    waited: Duration,
}

impl<B> DataLoaderIter<B> {
    /// The number of the next batch; [`DataLoader::resume`] goes on from there.
    pub fn position(&self) -> usize {
        self.queue.position()
    }
}

impl<B> Iterator for DataLoaderIter<B> {
    type Item = Result<B>;

    fn next(&mut self) -> Option<Result<B>> {
        let asked = Instant::now();
        let batch = self.queue.take();
        self.waited += asked.elapsed();
        *self.record.times.lock() = LoadTimes { elapsed: self.start.elapsed(), waited: self.waited };
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.queue.left(), Some(self.queue.left()))
    }
}

impl<B> ExactSizeIterator for DataLoaderIter<B> {}

//! Sources of a run's batches.

use crate::data::{Batch, Batches, DataLoader, Dataset, Images, Resident, Sampler};
use crate::error::{Error, Result};
use crate::graph::Device;

/// The batches of an epoch.
pub type LoaderIter<'a, B> = Box<dyn Iterator<Item = Result<B>> + 'a>;

/// Batches for any epoch, from any of them on: all that a [`Trainer`](super::Trainer) needs from a set. The batches
/// depend on the epoch alone, so that a run can be resumed in the middle of one.
///
/// [`DataLoader`] is one; [`ImageLoader`] and [`ResidentLoader`] make them of sets in the host's and the device's memory.
///
/// ```
/// use wgrad::data::{Array, DataLoader, DataLoaderOptions, SequentialSampler, stack_arrays};
/// use wgrad::train::Loader;
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let set = Array::new(vec![5, 2], (0..10).map(|value| value as f32).collect())?;
/// let options = DataLoaderOptions::default().batch_size(2);
/// let loader = DataLoader::new(set, SequentialSampler::new(5), stack_arrays, options)?;
/// let loader = loader.map(|batch, _| Tensor::from_slice(&device, batch.values(), batch.shape()));
/// let last = loader.resume(0, 2)?.next().unwrap()?;
/// assert_eq!(last.to_vec::<f32>()?, [8.0, 9.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Loader {
    /// A batch.
    type Batch;

    /// Batches of an epoch.
    fn batches(&self) -> usize;

    /// The batches of an epoch from number `batch` on.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the epoch has fewer; the loader's own.
    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, Self::Batch>>;

    /// Applies a function to each batch, such as one that uploads and transforms it. The function gets the batch's position too.
    fn map<B, F: Fn(Self::Batch, BatchPlace) -> Result<B>>(self, function: F) -> MapLoader<Self, F>
    where
        Self: Sized,
    {
        MapLoader { loader: self, function }
    }

    /// The first `batches` batches of each epoch.
    fn first(self, batches: usize) -> FirstBatches<Self>
    where
        Self: Sized,
    {
        FirstBatches { loader: self, batches, repeated: false }
    }

    /// The first `batches` batches of epoch 0, repeated for as many as an epoch has. A network that can't memorise these has a
    /// fault.
    fn overfit(self, batches: usize) -> FirstBatches<Self>
    where
        Self: Sized,
    {
        FirstBatches { loader: self, batches, repeated: true }
    }

    /// Each batch `times` times in a row, as training [for free](crate::robust::Free) takes them.
    fn replayed(self, times: usize) -> ReplayedBatches<Self>
    where
        Self: Sized,
    {
        ReplayedBatches { loader: self, times: times.max(1) }
    }
}

/// The position of a batch in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    /// The epoch.
    pub epoch: u64,
    /// The number of the batch in it.
    pub batch: usize,
}

impl<L: Loader + ?Sized> Loader for &L {
    type Batch = L::Batch;

    fn batches(&self) -> usize {
        (**self).batches()
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, L::Batch>> {
        (**self).resume(epoch, batch)
    }
}

impl<L: Loader + ?Sized> Loader for Box<L> {
    type Batch = L::Batch;

    fn batches(&self) -> usize {
        (**self).batches()
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, L::Batch>> {
        (**self).resume(epoch, batch)
    }
}

impl<D, B, F> Loader for DataLoader<D, F>
where
    D: Dataset + Send + Sync + 'static,
    B: Send + 'static,
    F: Fn(Vec<D::Item>) -> Result<B> + Send + Sync + 'static,
{
    type Batch = B;

    fn batches(&self) -> usize {
        DataLoader::batches(self)
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, B>> {
        Ok(Box::new(DataLoader::resume(self, epoch, batch)?))
    }
}

/// A loader whose batches are changed: see [`Loader::map`].
pub struct MapLoader<L, F> {
    loader: L,
    function: F,
}

impl<L: Loader, B, F: Fn(L::Batch, BatchPlace) -> Result<B>> Loader for MapLoader<L, F> {
    type Batch = B;

    fn batches(&self) -> usize {
        self.loader.batches()
    }

    fn resume(&self, epoch: u64, first: usize) -> Result<LoaderIter<'_, B>> {
        let changed = move |(index, batch): (usize, Result<L::Batch>)| {
            (self.function)(batch?, BatchPlace { epoch, batch: first + index })
        };
        Ok(Box::new(self.loader.resume(epoch, first)?.enumerate().map(changed)))
    }
}

/// A loader that stops early, or begins again: see [`Loader::first`] and [`Loader::overfit`].
pub struct FirstBatches<L> {
    loader: L,
    batches: usize,
    repeated: bool,
}

impl<L: Loader> Loader for FirstBatches<L> {
    type Batch = L::Batch;

    fn batches(&self) -> usize {
        let all = self.loader.batches();
        if self.repeated { all } else { all.min(self.batches) }
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, L::Batch>> {
        let count = self.batches();
        check_batch(batch, count)?;
        if !self.repeated {
            return Ok(Box::new(self.loader.resume(epoch, batch)?.take(count - batch)));
        }
        let nth = move |index: usize| {
            let missing = || Error::invalid("overfit", "the loader has no batches");
            self.loader.resume(0, index % self.batches.clamp(1, count))?.next().ok_or_else(missing)?
        };
        Ok(Box::new((batch..count).map(nth)))
    }
}

/// A loader that gives each batch several times: see [`Loader::replayed`].
pub struct ReplayedBatches<L> {
    loader: L,
    times: usize,
}

impl<L: Loader<Batch: Clone>> Loader for ReplayedBatches<L> {
    type Batch = L::Batch;

    fn batches(&self) -> usize {
        self.loader.batches() * self.times
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, L::Batch>> {
        check_batch(batch, self.batches())?;
        // Completed repetitions of the first batch. An error does not count.
        let mut over = batch % self.times;
        let again = move |batch: Result<L::Batch>| {
            let times = self.times - std::mem::take(&mut over);
            let (batch, error) = batch.map_or_else(|error| (None, Some(error)), |batch| (Some(batch), None));
            let batches = batch.into_iter().flat_map(move |batch| std::iter::repeat_n(batch, times));
            batches.map(Ok).chain(error.map(Err))
        };
        Ok(Box::new(self.loader.resume(epoch, batch / self.times)?.flat_map(again)))
    }
}

fn check_batch(batch: usize, count: usize) -> Result<()> {
    if batch <= count {
        return Ok(());
    }
    Err(Error::invalid("resume", format!("batch {batch} of an epoch that has {count}")))
}

fn check_batch_size(batch_size: usize) -> Result<()> {
    if batch_size > 0 {
        return Ok(());
    }
    Err(Error::invalid("batches", "the batch size is 0; it must be at least 1"))
}

/// Batches of [`Images`], uploaded one by one.
///
/// ```
/// use wgrad::data::{Array, Images};
/// use wgrad::train::{ImageLoader, Loader};
/// # use wgrad::Device;
/// # let device = Device::reference();
/// let images = Images::new(Array::new(vec![3, 1, 2], vec![0; 6])?, vec![0, 1, 0], vec!["cat".into(), "dog".into()])?;
/// let train = ImageLoader::shuffled(&images, &device, 2, 0)?;
/// let test = ImageLoader::in_order(&images, &device, 3)?;
/// assert_eq!((train.batches(), test.batches()), (2, 1));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageLoader<'a> {
    images: &'a Images,
    device: Device,
    batch_size: usize,
    seed: Option<u64>,
}

impl<'a> ImageLoader<'a> {
    /// In the order of the set.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `batch_size` is 0.
    pub fn in_order(images: &'a Images, device: &Device, batch_size: usize) -> Result<ImageLoader<'a>> {
        check_batch_size(batch_size)?;
        Ok(ImageLoader { images, device: device.clone(), batch_size, seed: None })
    }

    /// In an order that depends on `seed` and the epoch.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `batch_size` is 0.
    pub fn shuffled(images: &'a Images, device: &Device, batch_size: usize, seed: u64) -> Result<ImageLoader<'a>> {
        Ok(ImageLoader { seed: Some(seed), ..ImageLoader::in_order(images, device, batch_size)? })
    }
}

impl Loader for ImageLoader<'_> {
    type Batch = Batch;

    fn batches(&self) -> usize {
        self.images.len().div_ceil(self.batch_size)
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, Batch>> {
        check_batch(batch, self.batches())?;
        let batches: Batches = match self.seed {
            Some(seed) => self.images.shuffled(&self.device, self.batch_size, seed, epoch)?,
            None => self.images.batches(&self.device, self.batch_size)?,
        };
        Ok(Box::new(batches.skip(batch)))
    }
}

/// Batches of a [`Resident`] set in the order of a sampler: nothing is uploaded.
///
/// ```
/// use wgrad::data::{Array, Images, RandomSampler, Resident};
/// use wgrad::train::{Loader, ResidentLoader};
/// # use wgrad::Device;
/// # let device = Device::reference();
/// let images = Images::new(Array::new(vec![3, 1, 2], vec![0; 6])?, vec![0, 1, 0], vec!["cat".into(), "dog".into()])?;
/// let loader = ResidentLoader::new(Resident::new(&device, &images)?, RandomSampler::new(3, 0), 2)?;
/// assert_eq!(loader.resume(0, 0)?.count(), 2);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct ResidentLoader {
    set: Resident,
    sampler: Box<dyn Sampler>,
    batch_size: usize,
}

impl ResidentLoader {
    /// Batches of `batch_size` images; the last one of an epoch may be smaller.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `batch_size` is 0.
    pub fn new(set: Resident, sampler: impl Sampler + 'static, batch_size: usize) -> Result<ResidentLoader> {
        check_batch_size(batch_size)?;
        Ok(ResidentLoader { set, sampler: Box::new(sampler), batch_size })
    }
}

impl Loader for ResidentLoader {
    type Batch = Batch;

    fn batches(&self) -> usize {
        self.sampler.len().div_ceil(self.batch_size)
    }

    fn resume(&self, epoch: u64, batch: usize) -> Result<LoaderIter<'_, Batch>> {
        check_batch(batch, self.batches())?;
        Ok(Box::new(self.set.batches(self.batch_size, &*self.sampler, epoch)?.skip(batch)))
    }
}

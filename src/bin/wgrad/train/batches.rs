//! Batches of pictures for a network: ordered, changed at random, and normalised.

use super::pictures::{Pictures, Store};
use std::sync::Arc;
use wgrad::data::{
    Batch, DataLoader, DataLoaderOptions, ImageBatch, Images, Normalization, RandomSampler, Resident, Sampler,
    SequentialSampler, stack_images,
};
use wgrad::train::{Loader, ResidentLoader};
use wgrad::transforms::{Compose, Draws, Transform, Views};
use wgrad::{Device, Result};

/// The most bytes of pictures on the device: every adapter binds as many.
const RESIDENT: usize = 1 << 27;

pub type Batches<'a> = Box<dyn Loader<Batch = Batch> + 'a>;

/// An order without the last item if it would be a batch by itself: normalization over a batch of one is meaningless.
struct NoneAlone<S> {
    sampler: S,
    batch_size: usize,
}

impl<S: Sampler> Sampler for NoneAlone<S> {
    fn len(&self) -> usize {
        let count = self.sampler.len();
        if count > 1 && count % self.batch_size == 1 { count - 1 } else { count }
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order = self.sampler.order(epoch);
        order.truncate(self.len());
        order
    }
}

/// Makes loaders of the two sides of a run's pictures.
pub struct Feeder<'a> {
    pub device: &'a Device,
    pub pictures: &'a Pictures,
    pub workers: usize,
    pub seed: u64,
}

impl<'a> Feeder<'a> {
    /// Training batches, in a new order each epoch, changed by `augment`.
    pub fn train(&self, batch_size: usize, augment: Arc<Compose>) -> Result<Batches<'a>> {
        let store = &self.pictures.train;
        let sampler = NoneAlone { sampler: RandomSampler::new(store.labels().len(), self.seed), batch_size };
        let (seed, normalization) = (self.seed, self.pictures.normalization.clone());
        Ok(Box::new(self.load(store, sampler, batch_size)?.map(move |batch: Batch, place| {
            let first = place.batch * batch_size;
            let items: Vec<usize> = (first..first + batch.labels.numel()).collect();
            let mut views = Views::new(batch.images)?.with_labels(batch.labels.clone())?;
            augment.apply(&mut views, &mut Draws::new(seed, place.epoch, &items))?;
            Ok(Batch { images: normalization.normalize(&views.images()?)?, labels: batch.labels })
        })))
    }

    /// Validation batches, in the order of the set.
    pub fn val(&self, batch_size: usize) -> Result<Batches<'a>> {
        let store = &self.pictures.val;
        let normalization = self.pictures.normalization.clone();
        let loader = self.load(store, SequentialSampler::new(store.labels().len()), batch_size)?;
        let normalize = move |batch: Batch, _| Ok(Batch { images: normalization.normalize(&batch.images)?, ..batch });
        Ok(Box::new(loader.map(normalize)))
    }

    /// Batches with values from 0 to 1.
    fn load(&self, store: &'a Store, sampler: impl Sampler + 'static, batch_size: usize) -> Result<Batches<'a>> {
        let channels = self.pictures.channels;
        let plain = Normalization::new(&vec![0.0; channels], &vec![1.0; channels])?;
        match store {
            Store::Kept(images) if images.len() * images.image_shape().iter().product::<usize>() <= RESIDENT => {
                let images = Images::clone(images).with_normalization(&plain)?;
                Ok(Box::new(ResidentLoader::new(Resident::new(self.device, &images)?, sampler, batch_size)?))
            }
            store => {
                let options =
                    DataLoaderOptions::default().batch_size(batch_size).workers(self.workers).skip_errors(true);
                let loader = DataLoader::new(store.set(), sampler, stack_images, options)?;
                let device = self.device.clone();
                Ok(Box::new(loader.map(move |batch: ImageBatch<i32>, _| batch.to_device(&device, &plain))))
            }
        }
    }
}

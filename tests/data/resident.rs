//! Sets on the device give the same batches as from the host.

use crate::common::own_adapter;
use crate::files::pattern;
use wgrad::data::{
    Array, DataLoader, DataLoaderOptions, Images, RandomSampler, Resident, SequentialSampler, WeightedSampler,
    stack_images,
};
use wgrad::{Device, Error};

/// Images whose bytes fill no whole words.
fn images() -> Images {
    let pixels = Array::new(vec![11, 3, 3, 5], pattern(11 * 45)).unwrap();
    Images::new(pixels, (0..11).map(|at| at % 2).collect(), vec!["a".to_string(), "b".to_string()]).unwrap()
}

/// Three ways to the same batches.
fn check(device: &Device) {
    let images = images();
    let resident = Resident::new(device, &images).unwrap();
    assert_eq!(resident.len(), 11);
    let sampler = RandomSampler::new(11, 4);
    let options = DataLoaderOptions::default().batch_size(4);
    let loader = DataLoader::new(images.clone(), sampler.clone(), stack_images, options).unwrap();
    for epoch in 0..2 {
        let batches = resident.batches(4, &sampler, epoch).unwrap();
        assert_eq!((batches.len(), batches.images()), (3, 11));
        let from_host = images.shuffled(device, 4, 4, epoch).unwrap();
        for ((resident, host), loaded) in batches.zip(from_host).zip(loader.epoch(epoch).unwrap()) {
            let loaded = loaded.unwrap().to_device(device, images.normalization()).unwrap();
            let (resident, host) = (resident.unwrap(), host.unwrap());
            assert_eq!(resident.images.shape(), host.images.shape());
            let pixels = host.images.to_vec::<f32>().unwrap();
            assert_eq!(resident.images.to_vec::<f32>().unwrap(), pixels);
            assert_eq!(loaded.images.to_vec::<f32>().unwrap(), pixels);
            let labels = host.labels.to_vec::<i32>().unwrap();
            assert_eq!(resident.labels.to_vec::<i32>().unwrap(), labels);
            assert_eq!(loaded.labels.to_vec::<i32>().unwrap(), labels);
        }
    }
}

#[test]
fn the_reference_gathers_what_the_host_does() {
    check(&Device::reference());
}

#[test]
fn the_adapter_gathers_what_the_host_does() {
    let Some(device) = own_adapter() else { return };
    check(&device);
}

#[test]
fn pixels_are_those_of_the_formula() {
    let Some(device) = own_adapter() else { return };
    let images = images();
    let batch = Resident::new(&device, &images).unwrap().batches(11, &SequentialSampler::new(11), 0).unwrap().next();
    let got = batch.unwrap().unwrap().images.to_vec::<f32>().unwrap();
    for (at, (got, byte)) in got.iter().zip(pattern(11 * 45)).enumerate() {
        let (mean, std) = (images.normalization().mean()[at / 15 % 3], images.normalization().std()[at / 15 % 3]);
        let expected = (f64::from(byte) / 255.0 - f64::from(mean)) / f64::from(std);
        // Scale, shift, product and sum are rounded, at most 4 in size.
        assert!((f64::from(*got) - expected).abs() < 4.0 * 4.0 * f64::from(f32::EPSILON), "{at}: {got} and {expected}");
    }
}

#[test]
fn an_order_may_repeat_images_and_must_not_invent_any() {
    let device = Device::reference();
    let resident = Resident::new(&device, &images()).unwrap();
    let only = WeightedSampler::new(&[0.0, 1.0], 3, 0).unwrap();
    let batch = resident.batches(3, &only, 0).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.labels.to_vec::<i32>().unwrap(), [1, 1, 1]);
    let error = resident.batches(3, &SequentialSampler::new(12), 0).err().unwrap();
    assert!(matches!(error, Error::IndexOutOfRange { index: 11, size: 11, .. }), "{error}");
    assert!(resident.batches(0, &SequentialSampler::new(2), 0).is_err());
}

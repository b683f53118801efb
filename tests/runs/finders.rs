//! The batch size that fits.

use crate::setting::{Net, bits};
use wgrad::nn::Module;
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::train::BatchSizeFinder;
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Error, Noop, Result, Tensor};

fn loss(device: &Device, model: &Net, size: usize) -> Result<Tensor> {
    let images = Tensor::zeros(device, &[size, 1, 2, 2])?;
    let labels = Tensor::full(device, &[size], 1i32)?;
    model.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())
}

/// An adapter that computes nothing.
fn noop(max_buffer_bytes: u64) -> Device {
    Device::with_options(&DeviceOptions::default().noop(Noop { max_buffer_bytes, ..Noop::default() })).unwrap()
}

fn parts(device: &Device) -> (Net, Adam) {
    let model = Net::new(device);
    let adam = Adam::new(&model, AdamOptions::default()).unwrap();
    (model, adam)
}

/// The memory that two steps take by the device's own account, while the values from before are held.
fn taken(size: usize) -> u64 {
    let device = noop(1 << 32);
    let (model, mut adam) = parts(&device);
    let parameters = [model.parameters(), adam.buffers()].concat();
    let _held: Vec<Tensor> = parameters.iter().map(|parameter| parameter.value()).collect();
    device.empty_cache();
    device.reset_peak_stats();
    for _ in 0..2 {
        loss(&device, &model, size).unwrap().backward().unwrap();
        adam.step().unwrap();
        adam.zero_grad();
    }
    device.sync().unwrap();
    device.stats().bytes_peak
}

fn found(device: &Device, finder: BatchSizeFinder) -> Result<usize> {
    let (model, mut adam) = parts(device);
    finder.run(device, &model, &mut adam, |size| loss(device, &model, size))
}

#[test]
fn the_largest_batch_in_a_memory_is_found() {
    for size in [100, 1000] {
        let memory = taken(size);
        let finder = BatchSizeFinder::default().memory(memory);
        let found = found(&noop(1 << 32), finder).unwrap();
        // The remaining gap, and the memory of the values from before.
        assert!((3 * size / 4..=size).contains(&found) && taken(found) <= memory, "{found} for {size}");
    }
    let error = found(&noop(1 << 32), BatchSizeFinder::default().memory(1000)).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }) && error.to_string().contains("bytes of 1000"), "{error}");
}

/// Results of 8 numbers an image: 2048 images take 64 KB.
#[test]
fn a_tensor_past_what_the_adapter_takes_does_not_fit() {
    let found = found(&noop(1 << 16), BatchSizeFinder::default()).unwrap();
    assert!((1820..=2048).contains(&found), "{found}");
}

#[test]
fn a_search_changes_nothing() {
    let device = Device::reference();
    let (model, mut adam) = parts(&device);
    loss(&device, &model, 3).unwrap().backward().unwrap();
    adam.step().unwrap();
    let before = bits(&device, &model, &adam);
    let gradient = |model: &Net| model.parameters()[0].grad().unwrap().to_f64().unwrap();
    let of_before = gradient(&model);
    let finder = BatchSizeFinder::default().largest(20);
    let size = finder.run(&device, &model, &mut adam, |size| loss(&device, &model, size)).unwrap();
    assert_eq!(size, 20);
    assert!(bits(&device, &model, &adam) == before && gradient(&model) == of_before);
    let refused = |finder: BatchSizeFinder| found(&device, finder).unwrap_err().to_string();
    assert!(refused(finder.smallest(0)).contains("sizes go from 0 to 20"));
    assert!(refused(finder.smallest(21)).contains("sizes go from 21 to 20"));
    let fails = || Err(Error::invalid("test", "no data"));
    let error = finder.run(&device, &model, &mut adam, |_| fails()).unwrap_err();
    assert!(error.to_string().contains("no data"), "{error}");
}
